"""Unicode and whitespace: the same text always becomes the same characters. Case, digits and units are kept."""

import re
import unicodedata
from collections import Counter

from bimed_dist.recipe.corpus import CleaningSettings

# Control and format characters, variation selectors, lone surrogates and tags: nothing that a reader would see.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]+"
)
# Halves of characters above U+FFFF, from JSON that was cut. No file can hold them, so they are always removed.
SURROGATES = re.compile("[\ud800-\udfff]+")
# Hangul fillers are letters in Unicode, and spaces to the people who type them.
_FILLERS = re.compile("[\u115f\u1160\u3164\uffa0]+")
_FULL_WIDTH = re.compile("[\uff01-\uff5e\uffa1-\uffdc\uffe0-\uffe6]+")
_LOOSE_SYLLABLE = re.compile("([ㄱ-ㅎ])([ㅏ-ㅣ])([ㄱ-ㅎ](?![ㅏ-ㅣ]))?")
_LEADS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_TAILS = "\0ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
# Whitespace that needs work; most text has none of it.
_ODD_WHITESPACE = re.compile(r"[^\S\n ]|  |\n | \n|\n\n")
_WHITESPACE = re.compile(r"[^\S\n]+")

_ALL_RULES = CleaningSettings()


def clean(text: str, rules: CleaningSettings = _ALL_RULES, changed: Counter[str] | None = None) -> str:
    """Return the text in NFC, without invisible characters, with single spaces, and without empty lines.

    Line breaks are kept. Counts in `changed` which rules changed the text.
    """
    counts = Counter() if changed is None else changed
    text = _replace("invisible", _INVISIBLE if rules.invisible else SURROGATES, "", text, counts)
    if not text.isascii():
        text = _compose(text, rules, counts)
    if rules.whitespace and _ODD_WHITESPACE.search(text):
        counts["whitespace"] += 1
        text = _WHITESPACE.sub(" ", text)
    if "\n" not in text:
        return text.strip()
    lines = (line.strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def _compose(text: str, rules: CleaningSettings, counts: Counter[str]) -> str:
    if rules.hangul_fillers:
        text = _replace("hangul_fillers", _FILLERS, " ", text, counts)
    if rules.full_width and _FULL_WIDTH.search(text):
        counts["full_width"] += 1
        text = _FULL_WIDTH.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    if rules.compatibility_jamo and _LOOSE_SYLLABLE.search(text):
        counts["compatibility_jamo"] += 1
        text = _LOOSE_SYLLABLE.sub(_syllable, text)
    if rules.nfc and not unicodedata.is_normalized("NFC", text):
        counts["nfc"] += 1
        text = unicodedata.normalize("NFC", text)
    return text


def _replace(rule: str, pattern: re.Pattern[str], replacement: str, text: str, counts: Counter[str]) -> str:
    if not pattern.search(text):
        return text
    counts[rule] += 1
    return pattern.sub(replacement, text)


def _syllable(match: re.Match[str]) -> str:
    """Compose letters that were typed one by one (Unicode 3.12, Hangul composition)."""
    lead, vowel, tail = match.groups(default="")
    rest = "" if not tail or tail in _TAILS else tail
    tail_index = _TAILS.index(tail) if tail and not rest else 0
    if lead not in _LEADS:
        return match[0]
    return chr(0xAC00 + (_LEADS.index(lead) * 21 + ord(vowel) - ord("ㅏ")) * 28 + tail_index) + rest
