"""Language of a text by the script of its letters."""

import bisect
import itertools
import math
import re
from collections.abc import Iterable
from typing import NamedTuple

MIXED_SHARE = 0.1
"""Smallest share of the rarer script in a mixed text: one abbreviation in a long Korean sentence stays below it."""
HANGUL_WEIGHT = 2
"""A Hangul letter is a syllable and counts as two Latin letters, so a few particles make a text mixed."""

_HANGUL = re.compile("[가-힣ㄱ-ㆎ\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]+")
_LATIN = re.compile("[A-Za-z\xaa\xba\xc0-\xd6\xd8-\xf6\xf8-\u024f\u1e00-\u1effＡ-Ｚａ-ｚ]+")
_EITHER = re.compile(f"(?P<hangul>{_HANGUL.pattern})|(?P<latin>{_LATIN.pattern})")


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


def language_of(letters: Letters, latin_language: str = "en") -> str:
    """Return `ko` for Hangul, `latin_language` for Latin script, `mixed` for both, else `other`.

    `other`: no letters, or at least half of them are neither Hangul nor Latin.
    """
    known = letters.hangul + letters.latin
    if known <= letters.other:
        return "other"
    hangul, latin = HANGUL_WEIGHT * letters.hangul, letters.latin
    if min(hangul, latin) >= MIXED_SHARE * (hangul + latin):
        return "mixed"
    return "ko" if hangul > latin else latin_language


def add_letters(counts: Iterable[Letters]) -> Letters:
    return Letters(*(sum(column) for column in zip((0, 0, 0), *counts, strict=True)))


def has_hangul(text: str) -> bool:
    return _HANGUL.search(text) is not None


class Mixing(NamedTuple):
    """Counts of code-mixing; those of a document are the sums over its sentences."""

    hangul: int = 0
    latin: int = 0
    switches: int = 0
    """Changes from Hangul to Latin script or back, also inside a word (`CT상`)."""
    words: int = 0
    """Words, separated by spaces, that hold a letter of either script."""

    @property
    def minority_share(self) -> float:
        """Share of the rarer script in [0, 0.5]; a Hangul letter counts HANGUL_WEIGHT."""
        hangul = HANGUL_WEIGHT * self.hangul
        return min(hangul, self.latin) / (hangul + self.latin) if hangul + self.latin else 0.0

    @property
    def switches_per_100_words(self) -> float:
        return 100 * self.switches / self.words if self.words else 0.0


MIXING_BINS = {
    "minority_share": {"0": 0.0, "<5 %": 0.05, "<10 %": 0.1, "<20 %": 0.2, ">=20 %": math.inf},
    "switches_per_100_words": {"0": 0.0, "<10": 10.0, "<25": 25.0, "<50": 50.0, ">=50": math.inf},
}
"""Histogram of each measure: label of a bin -> upper bound (exclusive); the first bin holds only 0."""
BINS = 5


def bins_of(mixing: Mixing) -> tuple[int, int]:
    """Return the index of the bin of each measure, in the order of MIXING_BINS."""
    share, switches = (
        0 if value == 0 else bisect.bisect_right(list(bins.values()), value)
        for value, bins in zip(
            (mixing.minority_share, mixing.switches_per_100_words), MIXING_BINS.values(), strict=True
        )
    )
    return share, switches


def code_mixing(text: str) -> Mixing:
    """Count the mixing of one sentence. Spaces, digits and other scripts between letters are no switch."""
    letters = count_letters(text)
    words = sum(1 for word in text.split() if _EITHER.search(word))
    if not (letters.hangul and letters.latin):
        return Mixing(letters.hangul, letters.latin, 0, words)
    runs = [match.lastgroup for match in _EITHER.finditer(text)]
    switches = sum(before != after for before, after in itertools.pairwise(runs))
    return Mixing(letters.hangul, letters.latin, switches, words)


def add_mixing(counts: Iterable[Mixing]) -> Mixing:
    return Mixing(*(sum(column) for column in zip(Mixing(), *counts, strict=True)))


def _length(pattern: re.Pattern[str], text: str) -> int:
    return sum(map(len, pattern.findall(text)))
