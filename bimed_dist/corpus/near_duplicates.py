"""Near-duplicates: MinHash signatures of documents, and an index of earlier documents (LSH by bands).

`signature` is a pure function of the text, computed by the workers. One process feeds the index in document order. A
document is dropped only for a kept one, so that a chain of small changes does not drop documents that are unlike all
kept ones.

rensa (MIT, Rust, no dependencies) computes the signatures. The index is written here: those of libraries keep an object
or a vector per band of a document, and none returns which document came first.
"""

from collections.abc import Sequence

import numpy as np
import rensa
from numpy.typing import NDArray

from bimed_dist.corpus.windows import units, window_hashes

SHINGLE = 8
"""Consecutive letters and digits, a Hangul syllable counted as two; chosen by measurement (docs/screening.md)."""
HASHES = 128
"""Minima per signature; the estimated similarity has a standard error of at most 0.044."""
RECALL = 0.99
"""Share of pairs exactly at the threshold that must agree in at least one band."""
_SEED = 20251
_SLOTS = 8
_FILLED = 0.6
"""Load factor at which the table doubles."""
_NONE = -1
_NO_WINDOW = 0xFFFF
"""Value of every minimum of a text without letters and digits; such a text has no duplicates."""

Signature = NDArray[np.uint16]
"""(HASHES,) minima, of which 16 bits are kept: unequal ones agree by chance once in 65,536. The share of equal minima
estimates the Jaccard index of the windows of two texts."""


def signature(paragraphs: Sequence[str]) -> Signature:
    """Return the signature of the set of all windows of SHINGLE units; a shorter text is one window."""
    row = units(" ".join(paragraphs))
    shingles = window_hashes(row, min(SHINGLE, max(1, len(row))))
    ends = np.array([0, len(shingles)])
    minima = rensa.RMinHash.digest_matrix_from_flat_token_hashes(shingles, ends, HASHES, _SEED)
    return np.array(minima.to_rows()[0], np.uint32).astype(np.uint16)


def bands_for(threshold: float) -> tuple[int, int]:
    """Return (bands, rows per band), the longest bands that find RECALL of the pairs at the threshold."""
    for rows in range(HASHES, 1, -1):
        if 1 - (1 - threshold**rows) ** (HASHES // rows) >= RECALL:
            return HASHES // rows, rows
    return HASHES, 1


class NearDuplicates:
    """Kept documents by the hashes of their bands: one hash table of document numbers per band.

    Takes 400 to 700 bytes per document at the default threshold, 1,000 while it grows.
    """

    def __init__(self, threshold: float) -> None:
        """`threshold` in (0, 1]: similarity from which the later document is dropped."""
        self._threshold = threshold
        self._bands, self._rows = bands_for(threshold)
        self._factors = np.random.default_rng(_SEED).integers(0, 2**64, self._rows, np.uint64) | np.uint64(1)
        self._documents: list[int] = []
        self._signatures = np.empty((1024, HASHES), np.uint16)
        self._table = self._empty_table(1024)

    def find_or_add(self, signature: Signature, document: int) -> int | None:
        """Return the most similar earlier document above the threshold; if there is none, add this one, return None."""
        if (signature == _NO_WINDOW).all():
            return None
        rows = signature[: self._bands * self._rows].reshape(self._bands, self._rows)
        buckets = self._buckets(rows, self._table.shape[1])
        entries = self._table[np.arange(self._bands), buckets]
        candidates = np.unique(entries[entries != _NONE])
        if len(candidates):
            shares = (self._signatures[candidates] == signature).mean(axis=1)
            best = int(shares.argmax())
            if shares[best] >= self._threshold:
                return self._documents[candidates[best]]
        self._add(signature, document, buckets)
        return None

    @property
    def nbytes(self) -> int:
        """Bytes of signatures and table."""
        return self._signatures.nbytes + self._table.nbytes

    def _add(self, signature: Signature, document: int, buckets: NDArray[np.intp]) -> None:
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
        """Return a table with more buckets, filled in document order."""
        table = self._empty_table(buckets)
        for band in range(self._bands):  # one at a time: hashes take eight bytes per row
            rows = self._signatures[: len(self._documents), band * self._rows : (band + 1) * self._rows]
            band_buckets = self._buckets(rows, buckets)
            order = np.argsort(band_buckets, kind="stable")
            ordered = band_buckets[order]
            slots = np.arange(len(order)) - np.searchsorted(ordered, ordered)
            fits = slots < _SLOTS
            table[band, ordered[fits], slots[fits]] = order[fits]
        return table

    def _empty_table(self, buckets: int) -> NDArray[np.int32]:
        return np.full((self._bands, buckets, _SLOTS), _NONE, np.int32)

    def _buckets(self, rows: NDArray[np.uint16], buckets: int) -> NDArray[np.intp]:
        """Hash each band of `rows` (bands, rows of a band) to one of `buckets`, a power of two."""
        hashes = (rows.astype(np.uint64) + np.uint64(1)) @ self._factors
        return ((hashes ^ (hashes >> np.uint64(29))) % np.uint64(buckets)).astype(np.intp)


def _insert(table: NDArray[np.int32], buckets: NDArray[np.intp], number: int) -> None:
    """Write `number` into the first free slot of each band's bucket, unless the bucket is full.

    Buckets are full if many documents share a band (text of a form). Other bands find these documents, and the work per
    document stays bounded.
    """
    bands = np.arange(len(table))
    free = table[bands, buckets] == _NONE
    open_ = free.any(axis=1)
    table[bands[open_], buckets[open_], free.argmax(axis=1)[open_]] = number
