"""Near-duplicates: MinHash signatures of documents, and an index that says which came before (LSH by bands).

`signature` is a pure function of the text, so that workers compute it; the index is fed in document order by one
process. A document is dropped for the kept document that is most like it, so that a chain of small changes does not
drop what is far from everything that was kept.

rensa (MIT, Rust, no dependencies) makes the signatures; the index is ours, because the libraries' own keep an object or
a vector for each band of a document, and none says which document was found first.
"""

from collections.abc import Sequence

import numpy as np
import rensa
from numpy.typing import NDArray

from bimed_dist.corpus.windows import units, window_hashes

SHINGLE = 8
"""Letters and digits in a row, where a Hangul syllable counts as two; chosen by trial (docs/screening.md)."""
HASHES = 128
"""Minima per signature: the similarity that is read from it has a standard error of at most 0.044."""
RECALL = 0.99
"""Least share of the pairs exactly at the threshold that meet in at least one band."""
_SEED = 20251
_SLOTS = 8
_FILLED = 0.6
"""Share of the slots that may be taken before the table doubles."""
_NONE = -1
_NO_WINDOW = 0xFFFF
"""What every minimum is where there are no letters or digits; such a text is like no other."""

Signature = NDArray[np.uint16]
"""HASHES minima, of which 16 bits are kept: unequal minima agree by chance once in 65,536."""


def signature(paragraphs: Sequence[str]) -> Signature:
    """Signature of the set of all windows of SHINGLE places; a shorter text is one window."""
    row = units(" ".join(paragraphs))
    shingles = window_hashes(row, min(SHINGLE, max(1, len(row))))
    ends = np.array([0, len(shingles)])
    minima = rensa.RMinHash.digest_matrix_from_flat_token_hashes(shingles, ends, HASHES, _SEED)
    return np.array(minima.to_rows()[0], np.uint32).astype(np.uint16)


def similarity(first: Signature, second: Signature) -> float:
    """Estimated share of windows that two texts have in common (Jaccard)."""
    return float((first == second).mean())


def bands_for(threshold: float) -> tuple[int, int]:
    """(bands, rows per band): the longest bands with which a pair at the threshold is found in RECALL of all cases."""
    for rows in range(HASHES, 1, -1):
        if 1 - (1 - threshold**rows) ** (HASHES // rows) >= RECALL:
            return HASHES // rows, rows
    return HASHES, 1


class NearDuplicates:
    """Kept documents by the hashes of their bands: an open hash table of document numbers per band.

    Takes 400 to 700 bytes a document at the default threshold, 1,000 for the moments at which it grows.
    """

    def __init__(self, threshold: float) -> None:
        """`threshold` is the least similarity in (0, 1] at which the later document is dropped."""
        self._threshold = threshold
        self._bands, self._rows = bands_for(threshold)
        self._factors = np.random.default_rng(_SEED).integers(0, 2**64, self._rows, np.uint64) | np.uint64(1)
        self._documents: list[int] = []
        self._signatures = np.empty((1024, HASHES), np.uint16)
        self._table = self._empty_table(1024)

    def kept(self, signature: Signature, document: int) -> int | None:
        """The number of the earlier document that this one repeats; None for one that is kept, which is remembered."""
        if (signature == _NO_WINDOW).all():
            return None
        rows = signature[: self._bands * self._rows].reshape(self._bands, self._rows)
        buckets = self._buckets(rows, self._table.shape[1])
        met = self._table[np.arange(self._bands), buckets]
        candidates = np.unique(met[met != _NONE])
        if len(candidates):
            shares = (self._signatures[candidates] == signature).mean(axis=1)
            best = int(shares.argmax())
            if shares[best] >= self._threshold:
                return self._documents[candidates[best]]
        self._remember(signature, document, buckets)
        return None

    @property
    def nbytes(self) -> int:
        """Bytes of the signatures and the table."""
        return self._signatures.nbytes + self._table.nbytes

    def _remember(self, signature: Signature, document: int, buckets: NDArray[np.intp]) -> None:
        number = len(self._documents)
        self._documents.append(document)
        if number == len(self._signatures):
            self._signatures = np.concatenate([self._signatures, np.empty((number // 4, HASHES), np.uint16)])
        self._signatures[number] = signature
        if number + 1 <= _FILLED * self._table.shape[1] * _SLOTS:
            _insert(self._table, buckets, number)
        else:
            self._table = self._rebuilt(2 * self._table.shape[1])

    def _rebuilt(self, buckets: int) -> NDArray[np.int32]:
        """A table with more buckets, as if all documents had been put into it in their order."""
        table = self._empty_table(buckets)
        for band in range(self._bands):  # one after the other: hashes take eight bytes a row
            rows = self._signatures[: len(self._documents), band * self._rows : (band + 1) * self._rows]
            of_band = self._buckets(rows, buckets)
            order = np.argsort(of_band, kind="stable")
            in_order = of_band[order]
            slots = np.arange(len(order)) - np.searchsorted(in_order, in_order)
            fits = slots < _SLOTS
            table[band, in_order[fits], slots[fits]] = order[fits]
        return table

    def _empty_table(self, buckets: int) -> NDArray[np.int32]:
        return np.full((self._bands, buckets, _SLOTS), _NONE, np.int32)

    def _buckets(self, rows: NDArray[np.uint16], buckets: int) -> NDArray[np.intp]:
        """The bucket of each band of `rows` (bands, rows of a band), by a hash; `buckets` is a power of two."""
        hashes = (rows.astype(np.uint64) + np.uint64(1)) @ self._factors
        return ((hashes ^ (hashes >> np.uint64(29))) % np.uint64(buckets)).astype(np.intp)


def _insert(table: NDArray[np.int32], buckets: NDArray[np.intp], number: int) -> None:
    """Put `number` into the first free slot of each band's bucket; a full bucket is left as it is.

    Buckets overflow where thousands of documents share a band (the frame of a form). Their other bands find them, and
    the work per document stays bounded.
    """
    bands = np.arange(len(table))
    free = table[bands, buckets] == _NONE
    open_ = free.any(axis=1)
    table[bands[open_], buckets[open_], free.argmax(axis=1)[open_]] = number
