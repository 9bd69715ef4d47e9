import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimed_dist.language import (
    Letters,
    Mixing,
    add_letters,
    add_mixing,
    bins_of,
    code_mixing,
    count_letters,
    language_of,
)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("양측 폐에 다발성 결절이 관찰됨.", "ko"),
        ("추적 검사에서 이전과 비교하여 크기가 다소 감소한 것으로 보이는 결절이 CT상 남아 있음.", "ko"),
        ("No evidence of pulmonary embolism.", "en"),
        ("Señales de neumonía bilateral, sin derrame.", "en"),
        ("Referred from the department of pulmonology of the university hospital (서울).", "en"),
        ("환자는 chest CT상 both lung에 multiple metastatic nodule 소견 보임.", "mixed"),
        ("COVID-19 확진자", "mixed"),
        ("Cold intolerance 및 febrile sense는 denial함.", "mixed"),
        ("RUL에 GGO.", "mixed"),
        ("120/80 mmHg", "en"),
        ("12.3 (10-20) ±2 ② ½", "other"),
        ("", "other"),
        ("肺炎の疑い", "other"),
        ("肺癌 의심", "other"),
        ("폐암(肺癌) 의심", "ko"),
    ],
)
def test_language_by_script(text, language):
    assert language_of(count_letters(text)) == language


def test_latin_script_is_the_language_that_a_source_says_it_is():
    counts = count_letters("Señales de neumonía bilateral, sin derrame.")
    assert (language_of(counts), language_of(counts, "es")) == ("en", "es")
    assert language_of(count_letters("결절이 관찰됨."), "nl") == "ko"
    assert language_of(count_letters("환자는 chest CT상 nodule 소견 보임."), "nl") == "mixed"


def test_letters_are_counted_by_script_and_digits_are_none():
    assert count_letters("한글ㅋ abç 中 12 ①_") == Letters(hangul=3, latin=3, other=1)


def test_a_tenth_of_the_rarer_script_makes_a_text_mixed_where_a_syllable_counts_as_two_letters():
    assert language_of(Letters(hangul=9, latin=2, other=0)) == "mixed"
    assert language_of(Letters(hangul=10, latin=2, other=0)) == "ko"
    assert language_of(Letters(hangul=1, latin=18, other=0)) == "mixed"
    assert language_of(Letters(hangul=1, latin=19, other=0)) == "en"


def test_a_document_of_korean_and_english_sentences_is_mixed():
    sentences = ["폐렴 의심.", "No pneumonia."]
    assert language_of(add_letters(map(count_letters, sentences))) == "mixed"
    assert add_letters([]) == Letters(0, 0, 0)


# --------------------------------------------------------------------------------------------------------- code mixing


@pytest.mark.parametrize(
    ("text", "mixing"),
    [
        ("환자는 chest CT상 both lung에 nodule 보임.", Mixing(hangul=7, latin=21, switches=6, words=7)),
        ("양측 폐에 결절.", Mixing(6, 0, 0, 3)),
        ("No effusion.", Mixing(0, 10, 0, 2)),
        ("CT", Mixing(0, 2, 0, 1)),
        ("CT상", Mixing(1, 2, 1, 1)),
        ("폐(lung)와", Mixing(2, 4, 2, 1)),
        ("A형 간염 3.5 (B형)", Mixing(4, 2, 3, 3)),
        ("12.3 ± 肺", Mixing(0, 0, 0, 0)),
        ("", Mixing()),
    ],
)
def test_mixing_counts_letters_switches_and_words(text, mixing):
    assert code_mixing(text) == mixing


def test_the_minority_share_counts_a_syllable_as_two_letters():
    assert code_mixing("폐 lung").minority_share == 2 / 6
    assert code_mixing("lung").minority_share == code_mixing("폐").minority_share == Mixing().minority_share == 0
    assert code_mixing("폐폐 lung").minority_share == 0.5


def test_switches_are_given_per_100_words():
    assert code_mixing("CT상 both lung에 결절 있음").switches_per_100_words == 100 * 3 / 5
    assert Mixing().switches_per_100_words == 0


@given(st.lists(st.text(alphabet="가힣aZ é1.肺\n"), max_size=5))
def test_a_document_is_the_sum_of_its_sentences(sentences):
    total = add_mixing(map(code_mixing, sentences))
    assert total.hangul == sum(count_letters(s).hangul for s in sentences)
    assert total.switches == sum(code_mixing(s).switches for s in sentences)
    assert 0 <= total.minority_share <= 0.5


@given(st.text(alphabet="가힣aZ é1.肺\n"))
def test_mixing_does_not_depend_on_the_direction_of_reading(text):
    assert code_mixing(text) == code_mixing(text[::-1])


@pytest.mark.parametrize(
    ("mixing", "bins"),
    [
        (Mixing(), (0, 0)),
        (Mixing(hangul=5, latin=0, words=3), (0, 0)),
        (Mixing(1, 98, switches=1, words=11), (1, 1)),
        (Mixing(1, 38, switches=1, words=10), (2, 2)),
        (Mixing(1, 18, switches=2, words=8), (3, 3)),
        (Mixing(1, 8, switches=4, words=8), (4, 4)),
    ],
)
def test_a_value_on_the_border_of_two_bins_is_in_the_upper_one(mixing, bins):
    assert bins_of(mixing) == bins
