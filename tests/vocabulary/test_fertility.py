from collections import Counter

import pytest

from bimed_dist.vocabulary.fertility import count_texts, fertility
from bimed_dist.vocabulary.report_format import ExampleTerm, Fertility, Fit, SplitWord, TokenizerFit
from bimed_dist.vocabulary.tokenizer import build_tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
HELD_OUT = [("book", "ko", "폐렴 폐."), ("web", "en", "CT x (CT)"), ("book", "ko", "폐 ·")]


@pytest.fixture
def measured() -> dict:
    new = build_tokenizer([*SPECIAL, "폐", "##렴", "CT", ".", "(", ")", "·"], False)
    other = build_tokenizer([*SPECIAL, "폐렴", "폐", "C", "##T"], False)
    training_words = {"폐렴": 5, "폐": 9, "CT": 7, "폐렴이": 2, "xylophone": 1}
    return fertility({"new": new, "other": other}, count_texts(HELD_OUT), training_words, ["폐렴", "CT 폐"])


def test_texts_are_counted_per_source_and_language():
    assert count_texts(HELD_OUT) == {
        ("book", "ko"): Counter({"폐": 1, "폐렴": 1, "폐.": 1, "·": 1}),
        ("web", "en"): Counter({"CT": 1, "x": 1, "(CT)": 1}),
    }


def test_fertility_has_exactly_the_declared_fields(measured):
    contents = (
        (Fertility, [measured]),
        (TokenizerFit, measured["tokenizers"].values()),
        (Fit, [measured["tokenizers"]["new"]["all"], measured["tokenizers"]["other"]["by_source"]["book"]]),
        (SplitWord, measured["still_split"]["ko"]),
        (ExampleTerm, measured["examples"]),
    )
    for declared, objects in contents:
        assert objects and all(content.keys() == declared.__annotations__.keys() for content in objects)


def test_a_word_is_a_text_between_spaces_without_the_punctuation_at_its_ends(measured):
    ko = measured["tokenizers"]["new"]["by_language"]["ko"]
    assert (ko["words"], ko["word_tokens"], ko["whole"]) == (3, 4, 2)
    assert ko["tokens_per_word"] == pytest.approx(4 / 3, abs=1e-6)
    assert ko["whole_share"] == pytest.approx(2 / 3, abs=1e-6)
    # 폐렴 is 6 bytes, 폐. 4, 폐 3 and the dot 2; punctuation is tokens but not a word.
    assert (ko["tokens"], ko["unknown"], ko["bytes"], ko["bytes_per_token"]) == (6, 0, 15, 2.5)


def test_an_unknown_token_is_not_a_whole_word(measured):
    en = measured["tokenizers"]["new"]["by_language"]["en"]
    assert (en["words"], en["whole"], en["unknown"], en["tokens"], en["unknown_share"]) == (3, 2, 1, 5, 0.2)


def test_every_tokenizer_is_measured_on_the_same_text_and_all_is_the_sum(measured):
    for measures in measured["tokenizers"].values():
        for field in ("words", "word_tokens", "whole", "tokens", "unknown", "bytes"):
            by_language, by_source = (
                sum(m[field] for m in measures[key].values()) for key in ("by_language", "by_source")
            )
            assert by_language == by_source == measures["all"][field]
    assert [m["all"]["words"] for m in measured["tokenizers"].values()] == [6, 6]
    assert [m["size"] for m in measured["tokenizers"].values()] == [12, 9]


def test_split_words_are_listed_by_language_most_frequent_first(measured):
    assert measured["still_split"] == {"ko": [{"word": "폐렴", "count": 5, "tokens": ["폐", "##렴"]}], "en": []}


def test_examples_show_the_tokens_of_every_tokenizer(measured):
    assert measured["examples"] == [
        {"text": "폐렴", "tokens": {"new": ["폐", "##렴"], "other": ["폐렴"]}},
        {"text": "CT 폐", "tokens": {"new": ["CT", "폐"], "other": ["C", "##T", "폐"]}},
    ]


def test_empty_held_out_text_gives_no_shares(measured):
    new = build_tokenizer(SPECIAL, False)
    empty = fertility({"new": new}, {}, {}, [])["tokenizers"]["new"]["all"]
    assert (empty["words"], empty["tokens_per_word"], empty["unknown_share"]) == (0, None, None)
