"""Quality filters: the name of the rule that a document breaks. A rule without a setting plays no part.

Shares are of characters that are not blanks, so that layout does not count.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from bimed_dist.recipe.corpus import QualitySettings

Rule = Literal["too_short", "too_long", "symbols", "repeated_lines", "repeated_words"]
WORDS_IN_A_ROW = 5
"""Words whose repetition counts: shorter runs repeat in any clinical text."""


def rejection(paragraphs: Sequence[str], settings: QualitySettings) -> Rule | None:
    """The first rule that a document (paragraphs as `clean` leaves them) breaks, or None for one that is kept."""
    characters = sum(map(_length, paragraphs))
    if characters < settings.least_characters:
        return "too_short"
    if settings.most_characters is not None and characters > settings.most_characters:
        return "too_long"
    if settings.most_symbols is not None and symbol_share(paragraphs) > settings.most_symbols:
        return "symbols"
    if settings.most_repeated_lines is not None and repeated_line_share(paragraphs) > settings.most_repeated_lines:
        return "repeated_lines"
    if settings.most_repeated_words is not None and repeated_word_share(paragraphs) > settings.most_repeated_words:
        return "repeated_words"
    return None


def symbol_share(paragraphs: Iterable[str]) -> float:
    """Share of the characters that are neither letters nor digits."""
    symbols = total = 0
    for paragraph in paragraphs:
        characters = _length(paragraph)
        total += characters
        symbols += characters - sum(map(str.isalnum, paragraph))
    return symbols / total if total else 0.0


def repeated_line_share(paragraphs: Iterable[str]) -> float:
    """Share of the characters that are in lines which stood in the document before."""
    seen: set[str] = set()
    repeated = total = 0
    for paragraph in paragraphs:
        for line in paragraph.split("\n"):
            total += _length(line)
            if line in seen:
                repeated += _length(line)
            seen.add(line)
    return repeated / total if total else 0.0


def repeated_word_share(paragraphs: Iterable[str]) -> float:
    """Share of the words that are part of a run of WORDS_IN_A_ROW words which the document holds more than once.

    After the n-gram rules of Rae et al. 2021 (Gopher, table A1), in words instead of characters.
    """
    words = [word for paragraph in paragraphs for word in paragraph.split()]
    runs = list(zip(*(words[start:] for start in range(WORDS_IN_A_ROW)), strict=False))
    often = Counter(runs)
    covered, repeated = 0, 0
    for start, run in enumerate(runs):
        if often[run] > 1:
            repeated += start + WORDS_IN_A_ROW - max(start, covered)
            covered = start + WORDS_IN_A_ROW
    return repeated / len(words) if words else 0.0


def _length(text: str) -> int:
    """Characters that are not blanks."""
    return sum(map(len, text.split()))
