"""From pieces to words and back: words are what blanks part, which in Korean is the eojeol.

T pieces of a row, W words over all texts of the row.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Words:
    texts: tuple[tuple[str, ...], ...]
    """Words of each text of a row."""
    of_piece: np.ndarray
    """(T,) number of each piece's word, counted over all texts; -1 for pieces of no word, such as [CLS]."""

    @property
    def count(self) -> int:
        return sum(map(len, self.texts))

    @property
    def seen(self) -> np.ndarray:
        """(W,) bool: words that have a piece; the others were cut off."""
        return np.isin(np.arange(self.count), self.of_piece)


def words_of_pieces(
    texts: Sequence[str], text_of_piece: Sequence[int | None], offsets: Sequence[tuple[int, int]]
) -> Words:
    """The words of a row's texts, and which of them each piece is of, by its characters [begin, end) in its text."""
    spans = [[match.span() for match in re.finditer(r"\S+", text)] for text in texts]
    first = np.cumsum([0, *map(len, spans)])
    ends = [np.array([end for _, end in of_text]) for of_text in spans]
    of_piece = np.full(len(offsets), -1)
    for piece, (text, (begin, end)) in enumerate(zip(text_of_piece, offsets, strict=True)):
        if text is not None and end > begin:
            # By its last character: byte-level pieces begin with the blank before their word.
            word = int(np.searchsorted(ends[text], end))
            # Blanks behind the last word are of none.
            of_piece[piece] = first[text] + word if word < len(spans[text]) else -1
    words = tuple(tuple(text[start:end] for start, end in of_text) for text, of_text in zip(texts, spans, strict=True))
    return Words(words, of_piece)


def sums_of_words(pieces: np.ndarray, words: Words) -> np.ndarray:
    """(W,) sum over the pieces of each word, signs kept; NaN for words that the model did not see."""
    sums = np.zeros(words.count)
    inside = words.of_piece >= 0
    np.add.at(sums, words.of_piece[inside], pieces[inside])
    return np.where(words.seen, sums, np.nan)
