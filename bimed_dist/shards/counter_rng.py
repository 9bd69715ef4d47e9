"""Counter-based random numbers: every draw is a hash of its key and counter, so there is no state to save or seek.

splitmix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators") as a function of a counter. For
one key it is a bijection of the counter: draws never tie, and sorting them gives the same permutation on every machine.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

UInt64Array = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S32 = (np.uint64(s) for s in (27, 30, 31, 32))


def key(purpose: str, *, seed: int, epoch: int) -> np.uint64:
    """Return the key of one purpose in one epoch; draws of different purposes are independent."""
    return np.uint64(int.from_bytes(hashlib.sha256(f"{purpose}/{seed}/{epoch}".encode()).digest()[:8], "little"))


def draws(keys: np.uint64 | UInt64Array, counters: NDArray[np.integer]) -> UInt64Array:
    """Return 64 random bits for each counter; `keys` is one key or one per counter."""
    z = counters.astype(np.uint64)
    z *= _GOLDEN
    z += keys
    z ^= z >> _S30
    z *= _FIRST
    z ^= z >> _S27
    z *= _SECOND
    z ^= z >> _S31
    return z


def below(bits: UInt64Array, bound: int | NDArray[np.integer]) -> NDArray[np.int64]:
    """Return uniform integers in [0, bound), from the upper 32 bits; `bound` is less than 2**32."""
    return (((bits >> _S32) * np.asarray(bound).astype(np.uint64)) >> _S32).astype(np.int64)


def permutation(key: np.uint64, count: int) -> NDArray[np.int64]:
    """Return the integers below `count` in random order."""
    return np.argsort(draws(key, np.arange(count)))
