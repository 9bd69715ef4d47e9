"""Texts of evaluation tasks in the corpus: found by windows of text they share, reported, and taken out.

A row of a task counts as leaked into a document where the document holds most of the row's text, not where both use a
stock phrase. Windows are those of `windows`: case, blanks and punctuation play no part. Rows that are shorter than a
window are compared with whole sentences; rows of hardly any text are not compared, and counted.

Translations: a row that is found stands for its translation too (KorSTS for STS-B, line by line), so that English text
in the corpus is reported for the Korean task whose source it is.
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
"""Letters and digits in a row, Hangul syllables counted as two: some seven words."""
STRIDE = 4
"""Every fourth window of a row is remembered; documents are read at every place."""
SHORTEST = 16
"""Places that a row needs to be compared at all: `여자가 웃는다` has 12 and says nothing about where it is from."""
MOSTLY = 0.5
"""Share of leaked text above which a sentence, or a whole document, is taken out."""
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
    removed: int
    """Sentences that were taken out."""
    remaining: list[list[str]]
    """The document's paragraphs without the sentences that were taken out; nothing where the whole document was."""


@dataclass(frozen=True)
class TaskIndex:
    """Windows of all rows, as arrays that processes can map into memory."""

    hashes: NDArray[np.uint64]
    """Sorted and distinct."""
    starts: NDArray[np.int64]
    """Where in `rows` the rows of each hash start; one longer than `hashes`."""
    rows: NDArray[np.int32]
    """Numbers of the rows that hold a window."""
    offsets: NDArray[np.int32]
    """Where in the row the window starts, in the order of `rows`."""
    lengths: NDArray[np.int32]
    """Places of each row; 0 for a row that is too short to be compared."""
    labels: tuple[tuple[str, str, str, str], ...]
    """Task, split, row and `through` of each text; a row of pairs has two."""

    @property
    def too_short(self) -> int:
        """Texts that are not compared."""
        return int((self.lengths == 0).sum())

    @functools.cached_property
    def _may_hold(self) -> NDArray[np.bool_]:
        """Whether any hash starts with these bits: answers most questions within the processor's cache."""
        table = np.zeros(1 << _PREFILTER_BITS, np.bool_)
        table[self.hashes >> np.uint64(64 - _PREFILTER_BITS)] = True
        return table

    def find(self, hashes: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """(places of those `hashes` that are in the index, where in the index they are)."""
        places = np.flatnonzero(self._may_hold[hashes >> np.uint64(64 - _PREFILTER_BITS)])
        at = np.searchsorted(self.hashes, hashes[places])
        at[at == len(self.hashes)] = 0
        same = self.hashes[at] == hashes[places] if len(self.hashes) else np.zeros(0, np.bool_)
        return places[same], at[same]

    def entries(self, found: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """(which of `found`, where in `rows` and `offsets`) of each pair of a found hash and a row that holds it."""
        counts = self.starts[found + 1] - self.starts[found]
        which = np.repeat(np.arange(len(found)), counts)
        inside = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        return which, np.repeat(self.starts[found], counts) + inside

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
    """Index of the rows of these splits."""
    labels, hashes, offsets, lengths = [], [np.empty(0, np.uint64)], [np.empty(0, np.int32)], []
    for text in texts:
        if text.split in splits:
            row = units(text.text)
            own, at = _row_windows(row)
            labels.append((text.task, text.split, text.row, text.through))
            hashes.append(own)
            offsets.append(at)
            lengths.append(len(row) if len(own) else 0)
    all_hashes = np.concatenate(hashes)
    order = np.argsort(all_hashes, kind="stable")
    distinct, first = np.unique(all_hashes[order], return_index=True)
    rows = np.repeat(np.arange(len(labels), dtype=np.int32), [len(own) for own in hashes[1:]])[order]
    return TaskIndex(
        hashes=distinct,
        starts=np.append(first, len(rows)).astype(np.int64),
        rows=rows,
        offsets=np.concatenate(offsets)[order],
        lengths=np.array(lengths, np.int32),
        labels=tuple(labels),
    )


def _row_windows(row: NDArray[np.uint32]) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """(hash, offset) of the windows that are remembered of a row, the last one always; each hash once."""
    if len(row) < SHORTEST:
        return np.empty(0, np.uint64), np.empty(0, np.int32)
    hashes = window_hashes(row, min(WINDOW, len(row)))
    offsets = np.unique(np.append(np.arange(0, len(hashes), STRIDE), len(hashes) - 1))
    distinct, first = np.unique(hashes[offsets], return_index=True)
    return distinct, offsets[first].astype(np.int32)


def screen(paragraphs: Sequence[Sequence[str]], index: TaskIndex, settings: ContaminationSettings) -> Screened:
    """What a document (sentences by paragraph) shares with the rows of the tasks, and what remains of it."""
    sentences = [units(sentence) for paragraph in paragraphs for sentence in paragraph]
    unchanged = [list(paragraph) for paragraph in paragraphs]
    starts, hashes, widths = _document_hashes(sentences)
    places, found = index.find(hashes)
    leaked = _leaked_rows(index, found, settings.row_share) if len(found) else {}
    if not leaked:
        return Screened([], 0.0, 0, unchanged)
    overlaps = [Overlap(*index.labels[row], share=round(part, 4)) for row, part in leaked.items()]
    which, entries = index.entries(found)
    of_leaked = np.unique(which[np.isin(index.rows[entries], list(leaked))])
    starts, widths = starts[places[of_leaked]], widths[places[of_leaked]]
    lengths = np.array([len(sentence) for sentence in sentences])
    covered = _covered(starts, widths, lengths)
    share = float(covered.sum() / lengths.sum())
    if settings.action == "report":
        return Screened(overlaps, share, 0, unchanged)
    out = np.ones(len(lengths), np.bool_) if share > MOSTLY else covered > MOSTLY * lengths
    keep = iter(~out)
    remaining = [[sentence for sentence in paragraph if next(keep)] for paragraph in unchanged]
    return Screened(overlaps, share, int(out.sum()), [paragraph for paragraph in remaining if paragraph])


def _document_hashes(
    sentences: Sequence[NDArray[np.uint32]],
) -> tuple[NDArray[np.intp], NDArray[np.uint64], NDArray[np.intp]]:
    """(start, hash, width) of all windows, which run over the ends of sentences, and of the short sentences."""
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


def _leaked_rows(index: TaskIndex, found: NDArray[np.intp], least: float) -> dict[int, float]:
    """Rows of whose text at least the share `least` lies in the windows found, each with its share."""
    _, entries = index.entries(np.unique(found))
    rows, offsets = index.rows[entries], index.offsets[entries]
    order = np.lexsort((offsets, rows))
    rows, offsets = rows[order], offsets[order]
    # A window counts from its start to the next one's, or to its own end.
    ends = np.minimum(WINDOW, index.lengths[rows])
    follows = np.append(rows[1:] == rows[:-1], False)
    steps = np.where(follows, np.minimum(np.append(offsets[1:], 0) - offsets, ends), ends)
    met, first = np.unique(rows, return_index=True)
    shares = np.add.reduceat(steps, first) / index.lengths[met]
    return {int(row): float(share) for row, share in zip(met, shares, strict=True) if share >= least}


def _covered(starts: NDArray[np.intp], widths: NDArray[np.intp], lengths: NDArray[np.intp]) -> NDArray[np.int64]:
    """How many places of each sentence lie in one of the windows."""
    steps = np.zeros(lengths.sum() + 1, np.int64)
    np.add.at(steps, starts, 1)
    np.add.at(steps, starts + widths, -1)
    inside = np.concatenate([[0], np.cumsum(np.cumsum(steps[:-1]) > 0)])
    ends = np.cumsum(lengths)
    return inside[ends] - inside[ends - lengths]
