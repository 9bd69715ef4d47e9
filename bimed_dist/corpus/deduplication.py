"""What is decided over all documents, from their indexes alone and in the order of the corpus: which repeats which, and
which side of the held-out split each is on."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bimed_dist.corpus import index
from bimed_dist.corpus.near_duplicates import NearDuplicates
from bimed_dist.recipe.corpus import CorpusSettings

KEPT = -1


class Decisions(NamedTuple):
    """One value per document, in the order of the corpus."""

    repeats: NDArray[np.int64]
    """The earlier document with the same text, or nearly the same; KEPT where there is none."""
    near: NDArray[np.bool_]
    """Whether the text is only nearly the same."""
    held_out: NDArray[np.bool_]
    scattered: int
    """Documents with the id of an earlier one that does not stand next to them."""


def text_digest(paragraphs: Iterable[str]) -> bytes:
    """SHA-256 of the text without differences in case, blanks and paragraph breaks."""
    return hashlib.sha256(" ".join(" ".join(paragraphs).casefold().split()).encode()).digest()


def held_out_position(seed: int, digest: bytes) -> float:
    """Place of a text in [0, 1): below the share, it is held out. Other texts, files and their order play no part."""
    return (int.from_bytes(hashlib.sha256(b"%d:" % seed + digest).digest()[:8], "big") >> 11) / 2**53


def decide(parts: Sequence[Path], settings: CorpusSettings) -> Decisions:
    """Takes 140 bytes per document, and near-duplicates 400 to 700 more, 1,000 when their table grows."""
    values, _ = index.digests(parts, "digest")
    first = first_of_equal(values)
    repeats = np.where(first == np.arange(len(first)), KEPT, first)
    near = np.zeros(len(first), bool)
    if settings.near_duplicates is not None:
        near = _near(parts, repeats, settings.near_duplicates.threshold)
    positions, scattered = _positions(parts)
    return Decisions(repeats, near, sides(positions, repeats == KEPT, settings.held_out_share), scattered)


def first_of_equal(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """For each row of (n, 2) the number of the first equal row."""
    order = np.lexsort((values[:, 1], values[:, 0]))  # stable: equal rows stay in order
    if not len(order):
        return order
    starts = np.concatenate([[True], (np.diff(values[order], axis=0) != 0).any(axis=1)])
    first = np.empty_like(order)
    first[order] = order[np.flatnonzero(starts)[np.cumsum(starts) - 1]]
    return first


def _near(parts: Sequence[Path], repeats: NDArray[np.int64], threshold: float) -> NDArray[np.bool_]:
    """Notes near-duplicates of kept documents in `repeats`, and says which they are."""
    near = np.zeros(len(repeats), bool)
    seen = NearDuplicates(threshold)
    number = 0
    for part in parts:
        for signature in index.signatures(part):
            if repeats[number] == KEPT:
                earlier = seen.kept(signature, number)
                if earlier is not None:
                    repeats[number], near[number] = earlier, True
            number += 1
    return near


def _positions(parts: Sequence[Path]) -> tuple[NDArray[np.float64], int]:
    """Position of each document; that of the first one where documents have the same id and no group."""
    positions = index.column(parts, "position")
    names, named = index.digests(parts, "name")
    ungrouped = np.flatnonzero(named & ~index.column(parts, "grouped"))
    first = ungrouped[first_of_equal(names[ungrouped])]
    scattered = int((first != ungrouped).sum())
    positions[ungrouped] = positions[first]
    return positions, scattered


def sides(positions: NDArray[np.float64], kept: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """Which documents are held out: those below the share.

    Training text is always needed, and held-out text unless the share is 0 or all documents are in one group. Where
    one side has none, it gets the documents nearest to the border, with their group.
    """
    held_out = positions < share
    places = np.unique(positions[kept])
    if len(places) == 0:
        return held_out
    if places[0] >= share and len(places) > 1 and share > 0:
        held_out = positions <= places[0]
    elif places[-1] < share:
        held_out = positions < places[-1]
    return held_out
