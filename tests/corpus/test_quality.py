import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bimed_dist.corpus.quality import rejection, repeated_line_share, repeated_word_share, symbol_share
from bimed_dist.recipe.corpus import QualitySettings

OFF = {"min_characters": 0, "max_symbol_share": None, "max_repeated_line_share": None, "max_repeated_word_share": None}
DOCUMENTS = st.lists(st.text(alphabet="가a1 .\n-", max_size=40), max_size=6)


def only(**rule) -> QualitySettings:
    return QualitySettings(**{**OFF, **rule})


def test_length_counts_characters_without_whitespace():
    text = ["폐렴 의심\n추적", "끝"]  # 7 characters
    assert rejection(text, only(min_characters=7)) is None
    assert rejection(text, only(min_characters=8)) == "too_short"
    assert rejection(text, only(max_characters=7)) is None
    assert rejection(text, only(max_characters=6)) == "too_long"


def test_symbols_are_neither_letters_nor_digits_nor_whitespace():
    text = ["혈압 120/80 (좌)"]  # 혈압12080좌 and /()
    assert symbol_share(text) == 3 / 11
    assert rejection(text, only(max_symbol_share=3 / 11)) is None
    assert rejection(text, only(max_symbol_share=0.27)) == "symbols"


def test_repeated_lines_count_from_their_second_time():
    text = ["결과 정상\n특이 소견 없음", "결과 정상"]  # 4 + 6 + 4 characters
    assert repeated_line_share(text) == 4 / 14
    assert rejection(text, only(max_repeated_line_share=0.2)) == "repeated_lines"


def test_repeated_words_are_those_of_runs_of_five_that_stand_twice():
    run = "a b c d e"
    assert repeated_word_share([run]) == 0
    assert repeated_word_share([f"{run} x {run} y"]) == 10 / 12
    assert repeated_word_share(["a a a a a a"]) == 1
    assert repeated_word_share(["a b c d x a b c d"]) == 0
    assert rejection([f"{run} x {run} y"], only(max_repeated_word_share=0.8)) == "repeated_words"


def test_the_first_rule_that_is_broken_is_named():
    assert rejection(["--"], QualitySettings(min_characters=3)) == "too_short"
    assert rejection(["---"], QualitySettings(min_characters=3)) == "symbols"


def test_clinical_text_passes_the_default_rules():
    notes = (
        ["혈압 120/80 mmHg, 맥박 72회/분, 체온 36.5℃", "C/C) dyspnea (+), cough (-/-), sputum (+)"],
        ["WBC 12.3 (H)\nHb 10.1 (L)\nPLT 230\nCRP 5.4 (H)"],
        ["흉수 없음."],
    )
    assert [rejection(note, QualitySettings()) for note in notes] == [None] * 3


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ([""], "too_short"),
        (["||--||==||--||"], "symbols"),
        (["광고 문의"] * 10, "repeated_lines"),
        (["다음 환자 분 들어 오세요 " * 20], "repeated_words"),
    ],
)
def test_unreadable_text_breaks_the_default_rules(text, rule):
    assert rejection(text, QualitySettings()) == rule


@given(DOCUMENTS)
def test_shares_are_shares_and_no_rule_drops_nothing(paragraphs):
    for share in (symbol_share, repeated_line_share, repeated_word_share):
        assert 0 <= share(paragraphs) <= 1
    assert rejection(paragraphs, only()) is None


@given(DOCUMENTS, st.integers(0, 20))
def test_a_stricter_length_never_keeps_a_document_that_a_laxer_one_drops(paragraphs, least):
    lax = rejection(paragraphs, only(min_characters=least))
    assert lax is None or rejection(paragraphs, only(min_characters=least + 1)) == "too_short"


def test_shares_outside_0_to_1_are_refused():
    with pytest.raises(ValidationError):
        QualitySettings(max_symbol_share=1.5)
