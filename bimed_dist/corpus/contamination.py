"""Texts of evaluation tasks in the corpus: found by windows of text they share, reported, and taken out.

A row of a task counts as leaked into a document where the document holds most of the row's text, not where both use a
stock phrase. Windows are those of `windows`: case, blanks and punctuation play no part. Rows that are shorter than a
window are compared with whole sentences; rows of hardly any text are not compared, and counted.

Translations: a row that is found stands for its translation too (KorSTS for STS-B, line by line), so that English text
in the corpus is reported for the Korean task whose source it is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WINDOW = 40
"""Letters and digits in a row, Hangul syllables counted as two: some seven words."""
STRIDE = 4
"""Every fourth window of a row is remembered; documents are read at every place."""
SHORTEST = 16
"""Places that a row needs to be compared at all: `여자가 웃는다` has 12 and says nothing about where it is from."""
_PREFILTER_BITS = 24


class TaskText(NamedTuple):
    """One text of one row of a task."""

    task: str
    """Name in the recipe."""
    split: str
    row: str
    """File and line; never text."""
    text: str
    through: str = ""
    """Name of the parallel task whose text this is; empty where it is the task's own."""


@dataclass(frozen=True)
class TaskTexts:
    """What the corpus stage gets from the evaluation half: see `evaluation.corpus_texts`."""

    inputs: Mapping[str, str]
    """Digest of every folder that the texts come from; changed tasks make another corpus."""
    texts: Iterable[TaskText]
    """May be read more than once."""


class Overlap(NamedTuple):
    """A row of a task whose text a document holds."""

    task: str
    split: str
    row: str
    through: str
    share: float
    """Share of the row's text that the document holds."""


class Screened(NamedTuple):
    overlaps: list[Overlap]
    share: float
    """Share of the document's letters and digits that are text of leaked rows."""
    remaining: list[list[str]]
    """The document's paragraphs without the sentences that are mostly text of leaked rows; nothing where most of the
    document is."""


@dataclass(frozen=True)
class TaskIndex:
    """Windows of all rows, as arrays that processes can map into memory."""

    hashes: NDArray[np.uint64]
    """Sorted and distinct."""
    starts: NDArray[np.int64]
    """Where in `rows` the rows of a hash start; one longer than `hashes`."""
    rows: NDArray[np.int32]
    """Numbers of the rows that hold the window."""
    windows: NDArray[np.int32]
    """Windows of each row that are in `hashes`."""
    labels: tuple[tuple[str, str, str, str], ...]
    """Task, split, row and `through` of each row."""
    too_short: int
    """Rows that were not compared."""
