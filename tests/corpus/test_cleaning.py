import unicodedata
from collections import Counter

import pytest

from bimed_dist.corpus.cleaning import clean
from bimed_dist.recipe.corpus import CleaningSettings

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


def test_each_rule_counts_its_changes_and_can_be_switched_off():
    text = {
        "invisible": ("a\u200bb", "ab"),
        "hangul_fillers": ("빈\u3164칸", "빈 칸"),
        "full_width": ("ＣＴ　３．５％", "CT 3.5%"),
        "compatibility_jamo": ("ㅎㅏㄴㄱㅡㄹ", "한글"),
        "nfc": (unicodedata.normalize("NFD", "한글 é"), "한글 é"),
        "whitespace": ("a  b\tc", "a b c"),
    }
    for rule, (messy, cleaned) in text.items():
        changed = Counter()
        assert clean(messy, changed=changed) == cleaned
        assert changed[rule] == 1
        off = Counter()
        without = clean(messy, CleaningSettings(**{rule: False}), off)
        assert without != cleaned and off[rule] == 0


def test_half_a_character_is_removed_whatever_the_switches_since_no_file_can_hold_it():
    changed = Counter()
    assert clean("lone \ud800x\u200by", CleaningSettings(invisible=False), changed) == "lone x\u200by"
    assert changed["invisible"] == 1


def test_text_that_is_clean_is_left_alone_and_counted_nowhere():
    changed = Counter()
    assert clean(SENTENCE, changed=changed) == SENTENCE
    assert not changed


@pytest.mark.parametrize(
    ("typed", "spelled"),
    [
        ("ㅎㅏㄴㄱㅡㄹ", "한글"),
        ("ㄷㅏㄺ", "닭"),
        ("ㄱㅏㅅㅡㅁ", "가슴"),
        ("ㅋㅋㅋ ㅠㅠ ㄱ. ㅇㅋ", "ㅋㅋㅋ ㅠㅠ ㄱ. ㅇㅋ"),
        ("ㅇㅏㄸ", "아ㄸ"),
        ("\uffb7\uffc2", "아"),
    ],
)
def test_letters_typed_one_by_one_become_the_syllables_they_spell(typed, spelled):
    assert clean(typed) == spelled
