"""Quality filters. Whitespace is not counted as characters, so that layout has no influence."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from bimed_dist.recipe.corpus import QualitySettings

Rule = Literal["too_short", "too_long", "symbols", "repeated_lines", "repeated_words"]
RUN_WORDS = 5
"""Words of a run whose repetition counts; shorter runs repeat in any clinical text."""


def rejection(paragraphs: Sequence[str], settings: QualitySettings) -> Rule | None:
    """Return the first rule that a document (cleaned paragraphs) breaks, or None if it is kept."""
    characters = sum(map(_length, paragraphs))
    if characters < settings.min_characters:
        return "too_short"
    if settings.max_characters is not None and characters > settings.max_characters:
        return "too_long"
    shares: tuple[tuple[Rule, Callable[[Sequence[str]], float], float | None], ...] = (
        ("symbols", symbol_share, settings.max_symbol_share),
        ("repeated_lines", repeated_line_share, settings.max_repeated_line_share),
        ("repeated_words", repeated_word_share, settings.max_repeated_word_share),
    )
    for rule, share, limit in shares:
        if limit is not None and share(paragraphs) > limit:
            return rule
    return None


def symbol_share(paragraphs: Iterable[str]) -> float:
    """Return the share of characters that are neither letters nor digits."""
    symbols = total = 0
    for paragraph in paragraphs:
        characters = _length(paragraph)
        total += characters
        symbols += characters - sum(map(str.isalnum, paragraph))
    return symbols / total if total else 0.0


def repeated_line_share(paragraphs: Iterable[str]) -> float:
    """Return the share of characters in lines that repeat an earlier line of the document."""
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
    """Return the share of words in runs of RUN_WORDS words that the document holds more than once.

    After the n-gram rules of Rae et al. 2021 (Gopher, table A1), by words instead of characters.
    """
    words = [word for paragraph in paragraphs for word in paragraph.split()]
    runs = list(zip(*(words[start:] for start in range(RUN_WORDS)), strict=False))
    counts = Counter(runs)
    covered, repeated = 0, 0
    for start, run in enumerate(runs):
        if counts[run] > 1:
            repeated += start + RUN_WORDS - max(start, covered)
            covered = start + RUN_WORDS
    return repeated / len(words) if words else 0.0


def _length(text: str) -> int:
    """Count characters without whitespace."""
    return sum(map(len, text.split()))
