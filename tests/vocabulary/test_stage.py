import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from bimed_dist import manifest
from bimed_dist.errors import ConfigError, DataError
from bimed_dist.recipe.loading import parse_recipe
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.vocabulary.stage import run
from bimed_dist.vocabulary.terms import DUPLICATE, EMPTY, KNOWN, RARE
from bimed_dist.vocabulary.tokenizer import build_tokenizer, config_of_new, save_tokenizer

TEXT = "환자는 폐렴 폐암 소견이 관찰됨 정상 우상엽 chest lung nodule mass pneumonia normal effusion CT상 12 mm"
WORDS = TEXT.split()
FILES = {"tokenizer.json", "tokenizer_config.json", "vocab.txt", "composition.json", "fertility.json"}


def make_recipe(**settings) -> Recipe:
    return recipe_of({"corpus": "c", "size": 300, **settings})


def recipe_of(vocabulary: dict, data: Path | None = None) -> Recipe:
    sources = [{"kind": "text", "name": "s", "path": "s"}]
    return parse_recipe(
        {
            "name": "r",
            "seed": 1,
            "data": str(data) if data else None,
            "corpus": {"c": {"sources": sources}},
            "vocabulary": {"v": vocabulary},
        },
        where="test",
    )


def make_corpus(work: Path, *, shuffled_by: int = 0, held_out: str = "정상 소견이 보임 lungs") -> None:
    """A finished corpus folder; `shuffled_by` changes nothing but the order of the documents."""

    def line(number: int, text: str, language: str) -> str:
        record = {"id": str(number), "source": "s", "language": language}
        record |= {"paragraphs": [[text]], "languages": [[language]]}
        return json.dumps(record, ensure_ascii=False) + "\n"

    lines = [line(n, " ".join(random.Random(n).choices(WORDS, k=8)), "mixed") for n in range(60)]
    random.Random(shuffled_by).shuffle(lines)

    def make(folder: Path) -> dict:
        (folder / "train.jsonl").write_text("".join(lines), encoding="utf-8")
        (folder / "held_out.jsonl").write_text(line(60, held_out, "mixed"), encoding="utf-8")
        return {}

    manifest.build(work / "corpus" / "c", stage="corpus", settings={}, inputs={}, make=make)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != manifest.MANIFEST}


def test_two_processes_with_other_hash_seeds_and_document_orders_write_the_same_bytes(tmp_path, root):
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(make_recipe().model_dump(mode="json")), encoding="utf-8")
    program = (
        "import json, pathlib, sys; from bimed_dist.recipe.loading import parse_recipe; "
        "from bimed_dist.vocabulary.stage import run; "
        "run(parse_recipe(json.loads(pathlib.Path(sys.argv[1]).read_text()), ''), 'v', pathlib.Path(sys.argv[2]))"
    )
    found = []
    for seed in (1, 2):
        work = tmp_path / str(seed)
        make_corpus(work, shuffled_by=seed)
        environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(root)}
        subprocess.run([sys.executable, "-c", program, str(recipe), str(work)], check=True, env=environment)
        found.append(files(work / "vocabulary" / "v"))
    assert found[0].keys() == FILES
    assert found[0] == found[1]


def test_only_training_text_is_learned_and_held_out_text_is_measured(tmp_path):
    for work, held_out in ((tmp_path / "1", "뷁뷁 zzz CT상"), (tmp_path / "2", "정상")):
        make_corpus(work, held_out=held_out)
    one, two = (run(make_recipe(), "v", tmp_path / work) for work in "12")
    assert files(one.folder)["vocab.txt"] == files(two.folder)["vocab.txt"]
    assert "뷁" not in (one.folder / "vocab.txt").read_text(encoding="utf-8")
    fit = one.manifest.counts["held_out"]["mixed"]
    assert (fit["words"], fit["unknown"]) == (3, 2)


def test_the_composition_file_and_the_counts_agree(tmp_path, caplog):
    make_corpus(tmp_path)
    with caplog.at_level("INFO"):
        outcome = run(make_recipe(), "v", tmp_path)
    written = json.loads((outcome.folder / "composition.json").read_text(encoding="utf-8"))
    assert {row["script"]: row["tokens"] for row in written["rows"]} == outcome.manifest.counts["by_script"]
    assert written["size"] == outcome.manifest.counts["tokens"]
    assert "Korean subwords" in caplog.text


def test_a_corpus_with_too_few_pairs_gives_a_smaller_vocabulary_and_a_warning(tmp_path, caplog):
    make_corpus(tmp_path)
    outcome = run(make_recipe(), "v", tmp_path)
    assert outcome.manifest.counts["requested"] == 300
    assert outcome.manifest.counts["tokens"] < 300
    assert f"gives {outcome.manifest.counts['tokens']} tokens instead of 300" in caplog.text


def test_a_finished_vocabulary_is_left_alone_and_another_setting_or_corpus_is_refused(tmp_path):
    make_corpus(tmp_path)
    assert not run(make_recipe(), "v", tmp_path).was_done
    assert run(make_recipe(), "v", tmp_path).was_done
    with pytest.raises(ConfigError, match="lowercase: was false, now true"):
        run(make_recipe(lowercase=True), "v", tmp_path)
    (tmp_path / "corpus" / "c").rename(tmp_path / "corpus" / "before")
    make_corpus(tmp_path, shuffled_by=3)
    with pytest.raises(ConfigError, match="corpus/c"):
        run(make_recipe(), "v", tmp_path)


def test_an_unfinished_or_damaged_corpus_is_refused(tmp_path):
    with pytest.raises(DataError, match="did not finish"):
        run(make_recipe(), "v", tmp_path)
    make_corpus(tmp_path)
    with (tmp_path / "corpus" / "c" / "train.jsonl").open("ab") as file:
        file.write(b"\n")
    with pytest.raises(DataError, match=r"train\.jsonl has"):
        run(make_recipe(), "v", tmp_path)


def test_too_small_a_size_is_refused_with_the_needs_of_each_part(tmp_path):
    make_corpus(tmp_path)
    with pytest.raises(DataError, match=r"5 special, 281 unused tokens and protected words\); raise size"):
        run(make_recipe(unused_tokens=280, protected_words=["이부프로펜"]), "v", tmp_path)


def test_protected_words_that_can_not_be_a_token_are_reported_all_at_once(tmp_path):
    make_corpus(tmp_path)
    words = ["이부프로펜", "r/o", "\u110b\u1175부프로펜", "가" * 101]
    with pytest.raises(ConfigError) as error:
        run(make_recipe(protected_words=words), "v", tmp_path)
    assert str(error.value).splitlines() == [
        "3 protected word(s) can't be one token each; remove or change them",
        "  protected_words.1 is split into 3 words at spaces and punctuation",
        "  protected_words.2 repeats protected_words.0",
        "  protected_words.3 is longer than 100 characters",
    ]
    assert not (tmp_path / "vocabulary" / "v").exists()


def test_other_tokenizers_are_measured_on_the_same_text(tmp_path):
    make_corpus(tmp_path, held_out="정상 zzz.")
    base = write_base(tmp_path / "base", ["정", "##상", "zzz"])
    recipe = make_recipe(compare_with=[str(base)], example_terms=["정상"])
    outcome = run(recipe, "v", tmp_path)
    found = json.loads((outcome.folder / "fertility.json").read_text(encoding="utf-8"))
    assert list(found["tokenizers"]) == ["vocabulary/v", str(base)]
    new, other = (measures["by_language"]["mixed"] for measures in found["tokenizers"].values())
    assert (new["words"], new["whole"], new["unknown"]) == (2, 1, 2)  # zzz and its full stop are unknown
    assert (other["words"], other["whole"], other["unknown"]) == (2, 1, 1)
    assert found["examples"] == [{"text": "정상", "tokens": {"vocabulary/v": ["정상"], str(base): ["정", "##상"]}}]
    assert outcome.manifest.inputs[f"tokenizer {base}"]


# --------------------------------------------------------------------------------------------------------------- extend


def write_base(folder: Path, tokens: list[str], lowercase: bool = False) -> Path:
    folder.mkdir()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    save_tokenizer(build_tokenizer([*special, *tokens], lowercase), folder, config_of_new(lowercase))
    return folder


@pytest.fixture
def extended(tmp_path) -> manifest.Outcome:
    make_corpus(tmp_path)
    letters = sorted(set("".join(WORDS)))
    write_base(tmp_path / "base", [*letters, *("##" + letter for letter in letters), "폐렴"])
    terms = "code\tko\ten\n1\t폐렴\tpneumonia\n2\t폐암\tlung mass\n3\t\t\n4\t폐암\txylitis\n"
    (tmp_path / "terms.tsv").write_text(terms, encoding="utf-8")
    (tmp_path / "forced.csv").write_text("name\n이부프로펜\n", encoding="utf-8")
    return run(extend_recipe(tmp_path), "v", tmp_path)


def extend_recipe(data: Path, **changes) -> Recipe:
    terms = [{"path": "terms.tsv", "columns": ["ko", "en"]}]
    forced = [{"path": "forced.csv", "columns": ["name"]}]
    settings = {"mode": "extend", "corpus": "c", "base": "./base", "terms": terms, "forced_terms": forced}
    settings["max_words"] = 4
    return recipe_of({**settings, **changes}, data)


def test_an_extended_vocabulary_keeps_every_old_id_and_appends_the_terms(extended, tmp_path):
    old = AutoTokenizer.from_pretrained(tmp_path / "base").get_vocab()
    loaded = AutoTokenizer.from_pretrained(extended.folder)
    new = loaded.get_vocab()
    assert {token: new[token] for token in old} == old
    added = sorted(new.keys() - old.keys(), key=new.__getitem__)
    assert [new[token] for token in added] == list(range(len(old), len(new)))
    assert set(added) <= {"pneumonia", "폐암", "lung", "mass", "이부프로펜"}
    assert added[-1] == "이부프로펜"  # of the forced list, and not in the corpus
    assert len(added) == extended.manifest.counts["added"]
    assert loaded.tokenize("폐암이 폐렴이") == ["폐암", "##이", "폐렴", "##이"]
    assert (loaded.mask_token, loaded.pad_token_id, loaded.model_max_length) == ("[MASK]", 0, 512)


def test_the_outcome_of_every_term_is_counted_logged_by_row_and_written(extended, tmp_path, caplog):
    counts = extended.manifest.counts["terms"]
    assert [counts[outcome] for outcome in (KNOWN, EMPTY, DUPLICATE, RARE)] == [1, 2, 1, 1]
    lines = (extended.folder / "terms.csv").read_text(encoding="utf-8").splitlines()
    assert lines[1].startswith("terms.tsv,2,ko,폐렴,") and lines[1].endswith(",in base vocabulary")
    assert "terms.tsv,5,ko,,0,duplicate term" in lines
    with caplog.at_level("WARNING"):
        make_corpus(tmp_path / "again")
        run(extend_recipe(tmp_path), "v", tmp_path / "again")
    assert "terms.tsv: 1 row(s) empty: 4" in caplog.text
    assert "terms.tsv: 1 row(s) duplicate term: 5" in caplog.text


def test_extending_twice_gives_the_same_bytes(extended, tmp_path):
    make_corpus(tmp_path / "again", shuffled_by=7)
    again = run(extend_recipe(tmp_path), "v", tmp_path / "again")
    assert files(again.folder) == files(extended.folder)


def test_a_base_that_lower_cases_gets_terms_in_lower_case(tmp_path):
    make_corpus(tmp_path)
    write_base(tmp_path / "base", ["c", "t", "##t", "상", "##상"], lowercase=True)
    (tmp_path / "terms.tsv").write_text("ko\ten\nCT상\tLung\n", encoding="utf-8")
    outcome = run(extend_recipe(tmp_path, forced_terms=[]), "v", tmp_path)
    assert AutoTokenizer.from_pretrained(outcome.folder).tokenize("CT상 LUNG") == ["ct상", "lung"]


def test_a_changed_term_list_is_another_input(extended, tmp_path):
    with (tmp_path / "terms.tsv").open("a", encoding="utf-8") as file:
        file.write("5\t결핵\t\n")
    with pytest.raises(ConfigError, match=r"terms/terms\.tsv"):
        run(extend_recipe(tmp_path), "v", tmp_path)


def test_a_base_without_wordpiece_is_refused(tmp_path):
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    make_corpus(tmp_path)
    bpe = Tokenizer(BPE({"[PAD]": 0, "[UNK]": 1, "a": 2}, []))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, unk_token="[UNK]", pad_token="[PAD]")
    tokenizer.save_pretrained(tmp_path / "base")
    (tmp_path / "terms.tsv").write_text("ko\ten\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="base: its tokenizer is not WordPiece"):
        run(extend_recipe(tmp_path, forced_terms=[]), "v", tmp_path)


def test_a_missing_term_list_is_refused_before_anything_is_built(tmp_path):
    make_corpus(tmp_path)
    write_base(tmp_path / "base", ["a"])
    with pytest.raises(DataError, match=r"terms\.tsv does not exist"):
        run(extend_recipe(tmp_path), "v", tmp_path)
