import json
import random
import unicodedata
from collections import Counter

import pytest
from tokenizers.pre_tokenizers import BertPreTokenizer
from transformers import AutoTokenizer

from bimed_dist.vocabulary.tokenizer import build_tokenizer, config_of_new, save_tokenizer, text_normalizer
from bimed_dist.vocabulary.tokens import SCRIPTS, composition, format_composition, script_of
from bimed_dist.vocabulary.training import train_vocabulary
from bimed_dist.vocabulary.words import split_chunks

TEXT = """
환자는 chest CT상 both lung에 multiple metastatic nodule 소견 보임. 우상엽에 3.5 cm 크기의 GGO, (WBC 12,300/µL) 38.2℃
폐렴 의심되어 추적검사 권유함 Café naïve HTN(+) r/o LN≥1.0cm 肺癌 “정상” No evidence of pulmonary embolism, q.d. ㅋㅋ 값
"""
CHUNKS = TEXT.split()
SENTENCES = [" ".join(random.Random(seed).choices(CHUNKS, k=12)) for seed in range(200)]


def words_of(sentences: list[str], lowercase: bool) -> Counter[str]:
    chunks = Counter(" ".join(sentences).split())
    return split_chunks(chunks, text_normalizer(lowercase), BertPreTokenizer())


def train(lowercase: bool):
    words = words_of(SENTENCES[:150], lowercase)
    return build_tokenizer(train_vocabulary(words, 400, 2).tokens, lowercase)


@pytest.fixture(scope="module", params=[False, True], ids=["cased", "lower case"])
def saved(request, tmp_path_factory):
    tokenizer = train(request.param)
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(tokenizer, folder, config_of_new(request.param))
    return tokenizer, folder


def test_auto_tokenizer_gives_the_ids_of_training_also_with_a_bert_config_and_after_saving_again(saved):
    tokenizer, folder = saved
    expected = [tokenizer.encode(text).ids for text in SENTENCES]
    assert AutoTokenizer.from_pretrained(folder)(SENTENCES)["input_ids"] == expected
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}), encoding="utf-8")
    reloaded = AutoTokenizer.from_pretrained(folder)
    assert reloaded(SENTENCES)["input_ids"] == expected
    reloaded.save_pretrained(folder / "again")
    assert AutoTokenizer.from_pretrained(folder / "again")(SENTENCES)["input_ids"] == expected


def test_composed_and_decomposed_text_have_the_same_ids_and_hangul_stays_whole(saved):
    loaded = AutoTokenizer.from_pretrained(saved[1])
    decomposed = [unicodedata.normalize("NFD", text) for text in SENTENCES]
    assert loaded(SENTENCES)["input_ids"] == loaded(decomposed)["input_ids"]
    assert loaded.tokenize(unicodedata.normalize("NFD", "환자")) == loaded.tokenize("환자")
    assert not any("\u1100" <= character <= "\u11ff" for character in "".join(loaded.get_vocab()))


def test_special_tokens_have_the_ids_and_positions_of_bert(saved):
    loaded = AutoTokenizer.from_pretrained(saved[1])
    assert loaded.convert_tokens_to_ids(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]) == [0, 1, 2, 3, 4]
    assert (loaded.pad_token_id, loaded.mask_token_id, loaded.model_max_length) == (0, 4, 512)
    pair = loaded("폐렴", "CT")
    first, second = (len(loaded.tokenize(text)) for text in ("폐렴", "CT"))
    assert [pair["input_ids"][i] for i in (0, first + 1, first + second + 2)] == [2, 3, 3]
    assert pair["token_type_ids"] == [0] * (first + 2) + [1] * (second + 1)


def test_vocab_txt_lists_the_tokens_in_the_order_of_their_ids(saved):
    tokenizer, folder = saved
    lines = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    assert [tokenizer.token_to_id(line) for line in lines] == list(range(tokenizer.get_vocab_size()))


def test_case_and_accents_are_kept_unless_lower_case_is_set():
    cased, lower = train(False), train(True)
    assert cased.encode("CT").ids != cased.encode("ct").ids
    assert lower.encode("CT Café").ids == lower.encode("ct café").ids
    assert lower.encode("café").ids != lower.encode("cafe").ids


def test_words_are_counted_as_the_tokenizer_splits_them():
    words = words_of(["CT상 r/o 폐렴.", "폐렴, CT상"], lowercase=False)
    assert words == {"CT상": 2, "r": 1, "/": 1, "o": 1, "폐렴": 2, ".": 1, ",": 1}


@pytest.mark.parametrize(
    ("token", "script"),
    [
        ("폐렴", "Korean subwords"),
        ("##렴", "Korean subwords"),
        ("##ㅋ", "Korean subwords"),
        ("lung", "English subwords"),
        ("##é", "English subwords"),
        ("CT상", "Korean-English subwords"),
        ("2차", "Korean subwords"),
        ("##癌", "other scripts"),
        ("##12", "digits"),
        ("②", "digits"),
        ("#", "symbols"),
        ("##℃", "symbols"),
        ("[MASK]", "special tokens"),
        ("[unused12]", "special tokens"),
    ],
)
def test_a_token_is_in_the_row_of_its_script(token, script):
    assert script_of(token) == script


def test_the_rows_of_the_composition_add_up_to_the_vocabulary():
    table = composition(["[PAD]", "[UNK]", "폐", "##렴", "lung", "1", ".", "肺"])
    assert [row["script"] for row in table["rows"]] == list(SCRIPTS)
    assert [row["tokens"] for row in table["rows"]] == [2, 1, 0, 1, 1, 1, 2]
    assert table["size"] == sum(row["tokens"] for row in table["rows"]) == 8
    assert table["rows"][0] == {"script": "Korean subwords", "tokens": 2, "share": 0.25}
    assert "Korean subwords                  2    25.00%" in format_composition(table)
