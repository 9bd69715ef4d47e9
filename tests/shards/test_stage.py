import json
import shutil
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
from transformers import AutoTokenizer

from bimed_dist import manifest
from bimed_dist.errors import ConfigError, DataError
from bimed_dist.shards import stage
from bimed_dist.shards.reading import ShardSet
from bimed_dist.shards.writing import token_dtype

TOKENS = ["환자", "##는", "chest", "CT", "##상", "mask", "폐렴", ".", "[", "]", "MASK"]


@pytest.fixture
def small(tmp_path: Path, write_corpus: Callable, write_tokenizer: Callable, recipe_of: Callable) -> Callable:
    def build(train: list[list[str]], held_out: list[list[str]], **options: object) -> manifest.Outcome:
        write_corpus(tmp_path, train, held_out)
        tokenizer = write_tokenizer(tmp_path / "tokenizer", TOKENS)
        return stage.run(recipe_of(tokenizer, **options), "toy", tmp_path)

    return build


def test_sentences_are_encoded_without_special_tokens(small: Callable):
    shards = ShardSet.open(small([["환자는 CT상 폐렴 .", "chest"], ["chest CT"]], [["폐렴"]]).folder, "train")

    assert shards.sentence_length.tolist() == [6, 1, 2]
    assert shards.sentence_document.tolist() == [0, 0, 1]
    tokens = shards.gather(shards.sentence_start, shards.sentence_length)
    assert tokens.tolist() == [5, 6, 8, 9, 11, 12, 7, 7, 8]
    assert tokens.dtype == "uint16"


def test_names_of_special_tokens_in_a_text_are_text(small: Callable):
    shards = ShardSet.open(small([["[MASK] chest"], ["CT"]], [["폐렴"]]).folder, "train")

    tokens = shards.gather(shards.sentence_start, shards.sentence_length)
    assert tokens.tolist() == [13, 15, 14, 7, 8]


def test_counts_of_encoded_and_dropped_sentences(small: Callable):
    outcome = small([["환자는 xyz", "\u3000", "chest"], ["CT"], ["\u3000"]], [["폐렴", "폐렴 폐렴"]])

    counts = outcome.manifest.counts
    assert (counts["documents"], counts["sentences"], counts["tokens"], counts["empty_dropped"]) == (2, 3, 5, 2)
    assert (counts["held_out_documents"], counts["held_out_sentences"]) == (1, 2)
    assert counts["held_out_tokens"] == 3
    assert counts["unknown_share"] == pytest.approx(1 / 5)
    assert counts["by_language"] == {"en": {"sentences": 1, "tokens": 1}, "ko": {"sentences": 2, "tokens": 4}}
    assert counts["by_source"] == {"book": {"sentences": 2, "tokens": 4}, "web": {"sentences": 1, "tokens": 1}}


def test_a_document_is_never_split_between_shards(small: Callable):
    train = [["chest CT", "폐렴 ."], ["chest"], ["CT CT CT CT CT CT CT", "chest"], ["CT"]]
    folder = small(train, [["폐렴"]], shard_tokens=5).folder

    documents = [
        set(datasets.Dataset.from_file(str(path))["document"]) for path in sorted(folder.glob("train-*.arrow"))
    ]
    assert documents == [{0, 1}, {2}, {3}]
    shards = ShardSet.open(folder, "train")
    assert shards.sentence_document.tolist() == [0, 0, 1, 2, 2, 3]
    assert shards.sentence_start.tolist() == [0, 2, 4, 5, 12, 13]
    assert [shards.sources[code] for code in shards.sentence_source] == ["book", "book", "web", "book", "book", "web"]
    assert [shards.languages[code] for code in shards.sentence_language] == ["ko", "ko", "en", "ko", "ko", "en"]


def test_a_shard_opens_with_the_datasets_library(small: Callable):
    folder = small([["환자는 CT상", "chest"], ["CT"]], [["폐렴"]]).folder

    rows = datasets.Dataset.from_file(str(folder / "train-00000.arrow"))
    assert rows[0] == {"input_ids": [5, 6, 8, 9], "document": 0, "language": "ko", "source": "book"}
    assert rows[2] == {"input_ids": [8], "document": 1, "language": "en", "source": "web"}


def test_building_twice_gives_the_same_bytes(small: Callable, tmp_path: Path, recipe_of: Callable):
    first = small([["환자는 CT상", "chest"], ["CT"]], [["폐렴"]])
    again = stage.run(recipe_of(tmp_path / "tokenizer"), "toy", tmp_path)
    shutil.rmtree(first.folder)
    rebuilt = stage.run(recipe_of(tmp_path / "tokenizer"), "toy", tmp_path)

    assert again.was_done
    assert not rebuilt.was_done
    assert rebuilt.manifest.files == first.manifest.files


def test_the_copied_tokenizer_loads(small: Callable):
    folder = small([["chest"], ["CT"]], [["폐렴"]]).folder

    assert AutoTokenizer.from_pretrained(folder / "tokenizer").tokenize("환자는 CT상") == ["환자", "##는", "CT", "##상"]


def test_truncation_and_padding_of_a_tokenizer_are_ignored(
    tmp_path: Path, write_corpus: Callable, write_tokenizer: Callable, recipe_of: Callable
):
    # sentence-transformers models save theirs with both.
    write_corpus(tmp_path, [["chest " * 9], ["CT"]], [["폐렴"]])
    path = write_tokenizer(tmp_path / "tokenizer", TOKENS) / "tokenizer.json"
    tree = json.loads(path.read_text(encoding="utf-8"))
    tree["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    tree["padding"] = {
        "strategy": {"Fixed": 16},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    path.write_text(json.dumps(tree), encoding="utf-8")
    before = path.read_bytes()

    folder = stage.run(recipe_of(tmp_path / "tokenizer"), "toy", tmp_path).folder
    assert ShardSet.open(folder, "train").sentence_length.tolist() == [9, 1]
    assert (folder / "tokenizer" / "tokenizer.json").read_bytes() == before


def test_ids_are_16_bits_wide_while_the_vocabulary_allows():
    assert [token_dtype(size).__name__ for size in (45_000, 65_535, 65_536)] == ["uint16", "uint16", "uint32"]


@pytest.mark.parametrize(
    ("train", "held_out", "split"),
    [([], [["CT"]], "train"), ([["CT"]], [], "held_out"), ([["\u3000"]], [["CT"]], "train")],
)
def test_a_split_without_text_is_refused(small: Callable, tmp_path: Path, train: list, held_out: list, split: str):
    with pytest.raises(DataError, match=rf"{split}\.jsonl has no sentence"):
        small(train, held_out)
    assert not (tmp_path / "shards" / "toy").exists()


def test_a_tokenizer_without_bert_tokens_is_refused(
    tmp_path: Path, write_corpus: Callable, write_tokenizer: Callable, recipe_of: Callable
):
    write_corpus(tmp_path, [["chest"], ["CT"]], [["폐렴"]])
    tokenizer = write_tokenizer(tmp_path / "tokenizer", TOKENS, special=("[UNK]", "[CLS]", "[PAD]"))

    with pytest.raises(ConfigError, match=r"has no \[SEP\], \[MASK\]"):
        stage.run(recipe_of(tokenizer), "toy", tmp_path)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"source": "book"}', "not a document"),
        (b'{"source": 5, "language": "en", "paragraphs": [["CT"]], "languages": [["en"]]}', "not a document"),
        ('{"source": "폐"'.encode("cp949"), "not a document"),
        (
            b'{"source": "book", "language": "en", "paragraphs": [["CT"]], "languages": [["en", "en"]]}',
            "sentences and languages don't match",
        ),
    ],
    ids=["fields", "source", "not-utf-8", "languages"],
)
def test_a_damaged_line_of_the_corpus_is_reported(
    tmp_path: Path, write_corpus: Callable, write_tokenizer: Callable, recipe_of: Callable, line: bytes, problem: str
):
    write_corpus(tmp_path, [["chest"], ["CT"]], [["폐렴"]])
    corpus = tmp_path / "corpus" / "toy"
    with (corpus / "train.jsonl").open("ab") as file:
        file.write(line + b"\n")
    tokenizer = write_tokenizer(tmp_path / "tokenizer", TOKENS)

    with pytest.raises(DataError, match=r"train\.jsonl has \d+ bytes"):
        stage.run(recipe_of(tokenizer), "toy", tmp_path)
    with pytest.raises(DataError, match=rf"train\.jsonl, line 3: {problem}"):
        stage.write_shards(corpus, str(tokenizer), tmp_path, shard_tokens=100)
