"""Language of a text by the script of its letters."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from bimed_dist.settings import Language

MIXED_SHARE = 0.1
"""Least share of the rarer script that makes a text mixed: one abbreviation in a long Korean sentence does not."""
HANGUL_WEIGHT = 2
"""A Hangul letter is a syllable: it counts as much as two Latin letters, so that a few particles make a text mixed."""

_HANGUL = re.compile("[가-힣ㄱ-ㆎ\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]+")
_LATIN = re.compile("[A-Za-z\xaa\xba\xc0-\xd6\xd8-\xf6\xf8-\u024f\u1e00-\u1effＡ-Ｚａ-ｚ]+")


class Letters(NamedTuple):
    """Number of letters per script."""

    hangul: int
    latin: int
    other: int


def count_letters(text: str) -> Letters:
    latin = _length(_LATIN, text)
    if text.isascii():
        return Letters(0, latin, 0)
    hangul = _length(_HANGUL, text)
    return Letters(hangul, latin, sum(map(str.isalpha, text)) - hangul - latin)


def language_of(letters: Letters) -> Language:
    """`ko` for Hangul, `en` for Latin script (whatever its language), `mixed` for both, `other` for anything else.

    A text is `other` where most of its letters, or all, are neither Hangul nor Latin.
    """
    known = letters.hangul + letters.latin
    if known <= letters.other:
        return "other"
    hangul, latin = HANGUL_WEIGHT * letters.hangul, letters.latin
    if min(hangul, latin) >= MIXED_SHARE * (hangul + latin):
        return "mixed"
    return "ko" if hangul > latin else "en"


def add_letters(counts: Iterable[Letters]) -> Letters:
    return Letters(*(sum(column) for column in zip((0, 0, 0), *counts, strict=True)))


def has_hangul(text: str) -> bool:
    return _HANGUL.search(text) is not None


def _length(pattern: re.Pattern[str], text: str) -> int:
    return sum(map(len, pattern.findall(text)))
