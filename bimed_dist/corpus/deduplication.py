"""Decisions over all documents, in the order of the corpus and from their indexes alone: which are duplicates, and
which are held out."""

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
    """Number of the earlier document with the same or nearly the same text; KEPT if there is none."""
    near: NDArray[np.bool_]
    """Whether the text is only nearly the same."""
    held_out: NDArray[np.bool_]
    scattered: int
    """Documents that share their id with an earlier one that is not adjacent."""


def text_digest(paragraphs: Iterable[str]) -> bytes:
    """Return the SHA-256 of the text, ignoring case, whitespace and paragraph breaks."""
    return hashlib.sha256(" ".join(" ".join(paragraphs).casefold().split()).encode()).digest()


def held_out_position(seed: int, digest: bytes) -> float:
    """Return the position of a text in [0, 1), by its digest alone. Below the held-out share it is held out."""
    return (int.from_bytes(hashlib.sha256(b"%d:" % seed + digest).digest()[:8], "big") >> 11) / 2**53


def decide(parts: Sequence[Path], settings: CorpusSettings) -> Decisions:
    """Find duplicates and split the corpus.

    Memory per document: 140 bytes, with near-duplicates 400 to 700 more, 1,000 while their table grows.
    """
    values, _ = index.digests(parts, "digest")
    first = first_of_equal(values)
    repeats = np.where(first == np.arange(len(first)), KEPT, first)
    near = np.zeros(len(first), bool)
    if settings.near_duplicates is not None:
        near = _mark_near_duplicates(parts, repeats, settings.near_duplicates.threshold)
    positions, scattered = _positions(parts)
    return Decisions(repeats, near, held_out_mask(positions, repeats == KEPT, settings.held_out_share), scattered)


def first_of_equal(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return, for each row of (n, 2), the number of the first equal row."""
    order = np.lexsort((values[:, 1], values[:, 0]))  # stable: equal rows stay in order
    if not len(order):
        return order
    starts = np.concatenate([[True], (np.diff(values[order], axis=0) != 0).any(axis=1)])
    first = np.empty_like(order)
    first[order] = order[np.flatnonzero(starts)[np.cumsum(starts) - 1]]
    return first


def _mark_near_duplicates(parts: Sequence[Path], repeats: NDArray[np.int64], threshold: float) -> NDArray[np.bool_]:
    """Enter near-duplicates of kept documents into `repeats`. Returns a mask of them."""
    near = np.zeros(len(repeats), bool)
    seen = NearDuplicates(threshold)
    number = 0
    for part in parts:
        for signature in index.signatures(part):
            if repeats[number] == KEPT:
                earlier = seen.find_or_add(signature, number)
                if earlier is not None:
                    repeats[number], near[number] = earlier, True
            number += 1
    return near


def _positions(parts: Sequence[Path]) -> tuple[NDArray[np.float64], int]:
    """Return (position of each document, number of scattered ones). Without groups, an id has one position."""
    positions = index.column(parts, "position")
    names, named = index.digests(parts, "name")
    ungrouped = np.flatnonzero(named & ~index.column(parts, "grouped"))
    first = ungrouped[first_of_equal(names[ungrouped])]
    scattered = int((first != ungrouped).sum())
    positions[ungrouped] = positions[first]
    return positions, scattered


def held_out_mask(positions: NDArray[np.float64], kept: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """Return a mask of the held-out documents: those whose position is below the share.

    If a side would be empty, it gets the documents nearest to the border, with their group. The held-out side stays
    empty if the share is 0 or all documents are in one group.
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
