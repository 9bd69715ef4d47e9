"""A text as a sequence of units (letters and digits), and hashes of its windows.

Case, whitespace, punctuation and Unicode forms are ignored, so copies of a text with other spacing have the same
windows. A Hangul syllable is two units, because it carries as much content as two or three Latin letters: windows of
one width then hold about as much content in Korean as in English.
"""

import functools
import unicodedata

import numpy as np
from numpy.typing import NDArray

from bimed_dist.language import HANGUL_WEIGHT

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_FINISH = np.uint64(0xBF58476D1CE4E5B9)
_SHIFT = np.uint64(31)
_FIRST_SYLLABLE, _LAST_SYLLABLE = ord("가"), ord("힣")


def units(text: str) -> NDArray[np.uint32]:
    """Return the code points of letters and digits after NFKC and case folding; a Hangul syllable twice."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    codes = np.frombuffer(folded.encode("utf-32-le", "surrogatepass"), np.uint32)
    codes = codes[_is_letter_or_digit()[np.minimum(codes, 0xFFFF)]]
    hangul = (codes >= _FIRST_SYLLABLE) & (codes <= _LAST_SYLLABLE)
    return np.repeat(codes, np.where(hangul, HANGUL_WEIGHT, 1)) if hangul.any() else codes


@functools.cache
def _is_letter_or_digit() -> NDArray[np.bool_]:
    """Return a table for the code points below U+FFFF; its last entry holds for all others, which count as letters."""
    return np.array([*(chr(code).isalnum() for code in range(0xFFFF)), True])


def window_hashes(row: NDArray[np.uint32], width: int) -> NDArray[np.uint64]:
    """Return the hash of each window of `width` units, by its first unit; empty if the row is shorter.

    The hash is a polynomial in 2^64 arithmetic, combined from windows whose widths are powers of two.
    """
    count = len(row) - width + 1
    if width < 1 or count < 1:
        return np.empty(0, np.uint64)
    result, done = np.zeros(count, np.uint64), 0
    power, span = row.astype(np.uint64) + np.uint64(1), 1
    factor = _MULTIPLIER
    with np.errstate(over="ignore"):
        while done < width:
            if width & span:
                result = result * factor + power[done : done + count]
                done += span
            power = power[:-span] * factor + power[span:] if 2 * span <= width else power
            span, factor = 2 * span, factor * factor
        result *= _FINISH
    return result ^ (result >> _SHIFT)
