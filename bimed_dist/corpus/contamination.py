"""Texts of evaluation tasks in the corpus: found by shared windows of text, reported, and removed.

A row of a task counts as leaked into a document if the document holds most of the row's text; a shared stock phrase is
not enough. Windows are those of `windows`: case, whitespace and punctuation are ignored. Rows shorter than a window are
compared with whole sentences; very short rows are counted and not compared.

A row also stands for its translation (KorSTS for STS-B, line by line): English text in the corpus is reported for the
Korean task that was translated from it.
"""

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bimed_dist.corpus.windows import units, window_hashes
from bimed_dist.recipe.corpus import ContaminationSettings

WINDOW = 40
"""Consecutive letters and digits, a Hangul syllable counted as two; about seven words."""
STRIDE = 4
"""Every fourth window of a row is indexed; documents are searched at every position."""
SHORTEST = 16
"""Units of the shortest row that is compared. `여자가 웃는다` has 12 and could be from anywhere."""
MOSTLY = 0.5
"""Share of leaked text above which a sentence, or a whole document, is removed."""
_PREFILTER_BITS = 24
_FILES = ("hashes", "starts", "rows", "offsets", "lengths")
_LABELS = "rows.json"


class TaskText(NamedTuple):
    """One text of one row of a task."""

    task: str
    """Name in the recipe."""
    split: str
    row: str
    """File and line; never text."""
    text: str
    through: str = ""
    """Name of the parallel task whose text this is; empty for the task's own text."""


@dataclass(frozen=True)
class TaskTexts:
    """Texts of a recipe's tasks, from `evaluation.preparation.corpus_texts`."""

    inputs: Mapping[str, str]
    """Digest of every folder that the texts come from: other tasks give another corpus."""
    texts: Iterable[TaskText]
    """Can be iterated more than once."""


class Overlap(NamedTuple):
    """A leaked row."""

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
    removed: int
    """Number of sentences removed."""
    remaining: list[list[str]]
    """Paragraphs without the removed sentences; empty if the whole document was removed."""


@dataclass(frozen=True)
class TaskIndex:
    """Indexed windows of all rows, as arrays that processes map into memory."""

    hashes: NDArray[np.uint64]
    """Sorted and distinct."""
    starts: NDArray[np.int64]
    """Start in `rows` of the rows of each hash; one longer than `hashes`."""
    rows: NDArray[np.int32]
    """Numbers of the rows that hold a window."""
    offsets: NDArray[np.int32]
    """Start of the window in the row, in the order of `rows`."""
    lengths: NDArray[np.int32]
    """Units of each row; 0 for a row that is too short to be compared."""
    labels: tuple[tuple[str, str, str, str], ...]
    """Task, split, row and `through` of each text; a sentence pair has two texts."""

    @property
    def too_short(self) -> int:
        """Number of texts that are not compared."""
        return int((self.lengths == 0).sum())

    @functools.cached_property
    def _may_hold(self) -> NDArray[np.bool_]:
        """Prefilter by the first bits of a hash; it fits into the processor's cache and answers most look-ups."""
        table = np.zeros(1 << _PREFILTER_BITS, np.bool_)
        table[self.hashes >> np.uint64(64 - _PREFILTER_BITS)] = True
        return table

    def find(self, hashes: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return (positions of those `hashes` that are indexed, their positions in the index)."""
        candidates = np.flatnonzero(self._may_hold[hashes >> np.uint64(64 - _PREFILTER_BITS)])
        indices = np.searchsorted(self.hashes, hashes[candidates])
        indices[indices == len(self.hashes)] = 0
        same = self.hashes[indices] == hashes[candidates] if len(self.hashes) else np.zeros(0, np.bool_)
        return candidates[same], indices[same]

    def entries(self, indices: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return every row that holds one of the hashes: (position in `indices`, position in `rows` and `offsets`)."""
        counts = self.starts[indices + 1] - self.starts[indices]
        positions = np.repeat(np.arange(len(indices)), counts)
        inside = np.arange(len(positions)) - np.repeat(np.cumsum(counts) - counts, counts)
        return positions, np.repeat(self.starts[indices], counts) + inside

    def save(self, folder: Path) -> None:
        for name in _FILES:
            np.save(folder / f"{name}.npy", getattr(self, name))
        (folder / _LABELS).write_text(json.dumps(self.labels, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "TaskIndex":
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _FILES}
        labels = json.loads((folder / _LABELS).read_text(encoding="utf-8"))
        return cls(**arrays, labels=tuple(tuple(label) for label in labels))


def build_index(texts: Iterable[TaskText], splits: Sequence[str]) -> TaskIndex:
    """Index the rows of these splits."""
    labels, hashes, offsets, lengths = [], [np.empty(0, np.uint64)], [np.empty(0, np.int32)], []
    for text in texts:
        if text.split in splits:
            row = units(text.text)
            row_hashes, row_offsets = _row_windows(row)
            labels.append((text.task, text.split, text.row, text.through))
            hashes.append(row_hashes)
            offsets.append(row_offsets)
            lengths.append(len(row) if len(row_hashes) else 0)
    all_hashes = np.concatenate(hashes)
    order = np.argsort(all_hashes, kind="stable")
    distinct, first = np.unique(all_hashes[order], return_index=True)
    rows = np.repeat(np.arange(len(labels), dtype=np.int32), list(map(len, hashes[1:])))[order]
    return TaskIndex(
        hashes=distinct,
        starts=np.append(first, len(rows)).astype(np.int64),
        rows=rows,
        offsets=np.concatenate(offsets)[order],
        lengths=np.array(lengths, np.int32),
        labels=tuple(labels),
    )


def _row_windows(row: NDArray[np.uint32]) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Return (hashes, offsets) of the indexed windows of a row, including the last one; each hash once."""
    if len(row) < SHORTEST:
        return np.empty(0, np.uint64), np.empty(0, np.int32)
    hashes = window_hashes(row, min(WINDOW, len(row)))
    offsets = np.unique(np.append(np.arange(0, len(hashes), STRIDE), len(hashes) - 1))
    distinct, first = np.unique(hashes[offsets], return_index=True)
    return distinct, offsets[first].astype(np.int32)


def screen(paragraphs: Sequence[Sequence[str]], index: TaskIndex, settings: ContaminationSettings) -> Screened:
    """Find leaked rows in a document (sentences by paragraph) and remove their text if the settings ask for it."""
    sentences = [units(sentence) for paragraph in paragraphs for sentence in paragraph]
    unchanged = [list(paragraph) for paragraph in paragraphs]
    starts, hashes, widths = _document_hashes(sentences)
    positions, indices = index.find(hashes)
    leaked = _leaked_rows(index, indices, settings.min_row_share) if len(indices) else {}
    if not leaked:
        return Screened([], 0.0, 0, unchanged)
    overlaps = [Overlap(*index.labels[row], share=round(share, 4)) for row, share in leaked.items()]
    hits, entries = index.entries(indices)
    leaked_hits = positions[np.unique(hits[np.isin(index.rows[entries], list(leaked))])]
    starts, widths = starts[leaked_hits], widths[leaked_hits]
    lengths = np.array([len(sentence) for sentence in sentences])
    covered = _covered(starts, widths, lengths)
    share = float(covered.sum() / lengths.sum())
    if settings.action == "report":
        return Screened(overlaps, share, 0, unchanged)
    removed = np.ones(len(lengths), np.bool_) if share > MOSTLY else covered > MOSTLY * lengths
    keep = iter(~removed)
    remaining = [[sentence for sentence in paragraph if next(keep)] for paragraph in unchanged]
    return Screened(overlaps, share, int(removed.sum()), [paragraph for paragraph in remaining if paragraph])


def _document_hashes(
    sentences: Sequence[NDArray[np.uint32]],
) -> tuple[NDArray[np.intp], NDArray[np.uint64], NDArray[np.intp]]:
    """Return (starts, hashes, widths) of all windows, which may cross ends of sentences, and of short sentences."""
    row = np.concatenate([np.empty(0, np.uint32), *sentences])
    windows = window_hashes(row, WINDOW)
    starts = np.cumsum([0, *map(len, sentences)])
    short = [i for i, sentence in enumerate(sentences) if SHORTEST <= len(sentence) < WINDOW]
    whole = [window_hashes(sentences[i], len(sentences[i])) for i in short]
    return (
        np.concatenate([np.arange(len(windows)), starts[short]]).astype(np.intp),
        np.concatenate([windows, *whole]),
        np.concatenate([np.full(len(windows), WINDOW), [len(sentences[i]) for i in short]]).astype(np.intp),
    )


def _leaked_rows(index: TaskIndex, indices: NDArray[np.intp], min_share: float) -> dict[int, float]:
    """Return the rows of whose text at least `min_share` is in windows at these `indices`, with that share."""
    _, entries = index.entries(np.unique(indices))
    rows, offsets = index.rows[entries], index.offsets[entries]
    order = np.lexsort((offsets, rows))
    rows, offsets = rows[order], offsets[order]
    # A window counts up to the start of the next one, or to its own end.
    ends = np.minimum(WINDOW, index.lengths[rows])
    follows = np.append(rows[1:] == rows[:-1], False)
    steps = np.where(follows, np.minimum(np.append(offsets[1:], 0) - offsets, ends), ends)
    distinct, first = np.unique(rows, return_index=True)
    shares = np.add.reduceat(steps, first) / index.lengths[distinct]
    return {int(row): float(share) for row, share in zip(distinct, shares, strict=True) if share >= min_share}


def _covered(starts: NDArray[np.intp], widths: NDArray[np.intp], lengths: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return the number of units of each sentence that are in one of the windows."""
    steps = np.zeros(lengths.sum() + 1, np.int64)
    np.add.at(steps, starts, 1)
    np.add.at(steps, starts + widths, -1)
    inside = np.concatenate([[0], np.cumsum(np.cumsum(steps[:-1]) > 0)])
    ends = np.cumsum(lengths)
    return inside[ends] - inside[ends - lengths]
