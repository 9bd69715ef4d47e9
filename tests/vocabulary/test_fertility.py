from collections import Counter

import pytest

from bimed_dist.vocabulary.fertility import count_texts, fertility
from bimed_dist.vocabulary.tokenizer import build_tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
HELD_OUT = [("book", "ko", "폐렴 폐."), ("web", "en", "CT x (CT)"), ("book", "ko", "폐 ·")]


@pytest.fixture
def found() -> dict:
    own = build_tokenizer([*SPECIAL, "폐", "##렴", "CT", ".", "(", ")", "·"], False)
    other = build_tokenizer([*SPECIAL, "폐렴", "폐", "C", "##T"], False)
    trained = {"폐렴": 5, "폐": 9, "CT": 7, "폐렴이": 2, "xylophone": 1}
    return fertility({"own": own, "other": other}, count_texts(HELD_OUT), trained, ["폐렴", "CT 폐"])


def test_texts_are_counted_per_source_and_language():
    assert count_texts(HELD_OUT) == {
        ("book", "ko"): Counter({"폐": 1, "폐렴": 1, "폐.": 1, "·": 1}),
        ("web", "en"): Counter({"CT": 1, "x": 1, "(CT)": 1}),
    }


def test_a_word_is_what_stands_between_blanks_without_the_punctuation_at_its_ends(found):
    ko = found["tokenizers"]["own"]["by_language"]["ko"]
    assert (ko["words"], ko["word_pieces"], ko["whole"]) == (3, 4, 2)
    assert ko["pieces_per_word"] == pytest.approx(4 / 3, abs=1e-6)
    assert ko["whole_share"] == pytest.approx(2 / 3, abs=1e-6)
    # 폐렴 is 6 bytes, 폐. 4, 폐 3 and the dot 2; punctuation is pieces but no word.
    assert (ko["pieces"], ko["unknown"], ko["bytes"], ko["bytes_per_piece"]) == (6, 0, 15, 2.5)


def test_unknown_pieces_are_no_whole_words(found):
    en = found["tokenizers"]["own"]["by_language"]["en"]
    assert (en["words"], en["whole"], en["unknown"], en["pieces"], en["unknown_share"]) == (3, 2, 1, 5, 0.2)


def test_every_tokenizer_is_measured_on_the_same_text_and_all_is_the_sum(found):
    for measures in found["tokenizers"].values():
        for field in ("words", "word_pieces", "whole", "pieces", "unknown", "bytes"):
            by_language, by_source = (
                sum(m[field] for m in measures[key].values()) for key in ("by_language", "by_source")
            )
            assert by_language == by_source == measures["all"][field]
    assert [m["all"]["words"] for m in found["tokenizers"].values()] == [6, 6]
    assert [m["size"] for m in found["tokenizers"].values()] == [12, 9]


def test_frequent_words_that_are_split_stand_by_language_most_frequent_first(found):
    assert found["still_split"] == {"ko": [{"word": "폐렴", "count": 5, "pieces": ["폐", "##렴"]}], "en": []}


def test_examples_show_the_pieces_of_every_tokenizer(found):
    assert found["examples"] == [
        {"text": "폐렴", "pieces": {"own": ["폐", "##렴"], "other": ["폐렴"]}},
        {"text": "CT 폐", "pieces": {"own": ["CT", "폐"], "other": ["C", "##T", "폐"]}},
    ]


def test_held_out_text_that_is_empty_gives_no_shares(found):
    own = build_tokenizer(SPECIAL, False)
    empty = fertility({"own": own}, {}, {}, [])["tokenizers"]["own"]["all"]
    assert (empty["words"], empty["pieces_per_word"], empty["unknown_share"]) == (0, None, None)
