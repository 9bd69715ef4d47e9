"""Words of a row and the tokens of each word. Words are separated by spaces, so a Korean word is an eojeol.

Shapes: T tokens of a row, W words over all texts of the row.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Words:
    texts: tuple[tuple[str, ...], ...]
    """Words of each text of a row."""
    of_token: np.ndarray
    """(T,) word of each token, numbered over all texts; -1 for tokens outside words, such as [CLS]."""

    @property
    def count(self) -> int:
        return sum(map(len, self.texts))

    @property
    def seen(self) -> np.ndarray:
        """(W,) bool: words that have a token; the others were truncated."""
        return np.isin(np.arange(self.count), self.of_token)


def words_of_tokens(
    texts: Sequence[str], text_of_token: Sequence[int | None], offsets: Sequence[tuple[int, int]]
) -> Words:
    """Split a row's texts into words and assign each token to a word, by its characters [begin, end) in its text."""
    spans = [[match.span() for match in re.finditer(r"\S+", text)] for text in texts]
    first_words = np.cumsum([0, *map(len, spans)])
    ends = [np.array([end for _, end in text_spans]) for text_spans in spans]
    of_token = np.full(len(offsets), -1)
    for token, (text, (begin, end)) in enumerate(zip(text_of_token, offsets, strict=True)):
        if text is not None and end > begin:
            # By its last character: byte-level tokens begin with the space before their word.
            word = int(np.searchsorted(ends[text], end))
            # Spaces after the last word belong to no word.
            of_token[token] = first_words[text] + word if word < len(spans[text]) else -1
    words = tuple(
        tuple(text[start:end] for start, end in text_spans) for text, text_spans in zip(texts, spans, strict=True)
    )
    return Words(words, of_token)


def word_scores(token_scores: np.ndarray, words: Words) -> np.ndarray:
    """Return the signed sum over the tokens of each word, (W,); NaN for truncated words."""
    sums = np.zeros(words.count)
    inside = words.of_token >= 0
    np.add.at(sums, words.of_token[inside], token_scores[inside])
    return np.where(words.seen, sums, np.nan)
