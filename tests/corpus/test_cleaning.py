import unicodedata

import pytest

from bimed_dist.corpus.cleaning import changes_under_nfc, clean

SENTENCE = "환자는 chest CT상 both lung에 3.5 cm nodule, WBC 12.3 ×10³/µL, 38.2℃."


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        (SENTENCE, SENTENCE),
        (unicodedata.normalize("NFD", SENTENCE), SENTENCE),
        ("a\u200bb\ufeffc\x00d\x07e\u00adf", "abcdef"),
        ("tab\there\u00a0and\u3000there \x0bx", "tab here and there x"),
        ("  line one \r\n\n \t\n line two  ", "line one\nline two"),
        ("빈\u3164칸", "빈 칸"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("❤\ufe0f", "❤"),
        (" \u200b \n", ""),
    ],
)
def test_cleaning(text, cleaned):
    assert clean(text) == cleaned


def test_cleaning_twice_changes_nothing_more():
    messy = "\u1112\u200b\u1161\u11ab  a\u0301\u3164\t\n\n\u2028b"
    assert clean(messy) == "한 á\nb"
    assert clean(clean(messy)) == clean(messy)


def test_decomposed_text_is_told_from_composed_text():
    assert changes_under_nfc(unicodedata.normalize("NFD", "한글"))
    assert not changes_under_nfc("한글 µg ³")
