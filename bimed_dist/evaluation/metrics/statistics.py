"""Spread over seeds, intervals over test items, tests between models.

Two kinds of chance are kept apart: seeds (mean and standard deviation of the values) and test items (bootstrap). A
model's score on a resample is the mean over its seeds of the metric on the same items. What is drawn are units: rows,
or whole documents where rows of one document are dependent (cluster bootstrap).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

RESAMPLES = 10_000
RANKED = 1_000
"""Resamples, the first of them, for metrics of the order of items, which are dear."""
CONFIDENCE = 0.95
FEW_UNITS = 20
"""A bootstrap over fewer units understates their spread."""
BLOCK = 1_000_000
"""Counts (resamples x units) in memory at a time; a few copies of 8 MB."""


def mean_and_sd(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n - 1); none for a single value, which has no spread."""
    array = np.asarray(values, dtype=float)
    return float(array.mean()), float(array.std(ddof=1)) if len(array) > 1 else None


def sums_of_units(sums: np.ndarray, unit_of_item: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """((U, K) sums over the items of each unit, (N,) number of each item's unit), from (N, K) sums of items."""
    _, unit = np.unique(np.asarray(unit_of_item), return_inverse=True)
    total = np.zeros((unit.max() + 1, sums.shape[1]))
    np.add.at(total, unit, sums)
    return total, unit


def resample_counts(units: int, seed: Sequence[int]) -> Iterator[np.ndarray]:
    """Blocks of (B, U) counts, RESAMPLES rows in all: how often each unit is in a resample of U units."""
    rng = np.random.default_rng(list(seed))
    rows = max(1, BLOCK // units)
    for start in range(0, RESAMPLES, rows):
        size = min(rows, RESAMPLES - start)
        drawn = rng.integers(units, size=(size, units), dtype=np.int32) + np.arange(size)[:, None] * units
        yield np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units).astype(np.float64)


@dataclass(frozen=True)
class Run:
    """What one model with one seed said, as far as resampling needs it."""

    sums: np.ndarray
    """(U, K) sums over the items of each unit."""
    of_sums: Callable[[np.ndarray], dict[str, np.ndarray]]
    """(B, K) -> metrics of B samples."""
    of_counts: Callable[[np.ndarray], dict[str, np.ndarray]] = lambda counts: {}
    """(U, B), how often each unit is drawn -> more metrics of B samples."""


def resampled(runs: Mapping[str, Sequence[Run]], seed: Sequence[int]) -> dict[str, dict[str, np.ndarray]]:
    """Every metric of each model on the same resamples, mean over its seeds: (RESAMPLES,), or (RANKED,) of `of_counts`.

    runs: by model, one for each of its seeds.
    """
    every = [run for per_seed in runs.values() for run in per_seed]
    (units,) = {len(run.sums) for run in every}
    side_by_side = np.hstack([run.sums for run in every])
    ends = np.cumsum([run.sums.shape[1] for run in every])[:-1]
    blocks: list[list[dict[str, np.ndarray]]] = [[] for _ in every]
    drawn = 0
    for counts in resample_counts(units, seed):
        ranked = np.ascontiguousarray(counts[: max(0, RANKED - drawn)].T)
        drawn += len(counts)
        for run, found, sums in zip(every, blocks, np.hsplit(counts @ side_by_side, ends), strict=True):
            found.append(run.of_sums(sums) | (run.of_counts(ranked) if ranked.size else {}))
    values = iter([_joined(found) for found in blocks])
    return {model: _mean_of([next(values) for _ in per_seed]) for model, per_seed in runs.items()}


def _joined(blocks: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {metric: np.concatenate([block[metric] for block in blocks if metric in block]) for metric in blocks[0]}


def _mean_of(per_seed: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {metric: np.mean([of_seed[metric] for of_seed in per_seed], axis=0) for metric in per_seed[0]}


def interval(resampled_values: np.ndarray) -> tuple[float, float] | None:
    """Percentile bootstrap interval; none where some resamples leave the metric undefined."""
    if not np.isfinite(resampled_values).all():
        return None
    low, high = np.quantile(resampled_values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Comparison:
    difference: float
    """Adapted minus foundation."""
    interval: tuple[float, float] | None
    p: float | None
    """Two-sided; none where the bootstrap is undefined."""


def compare(difference: float, adapted: np.ndarray, foundation: np.ndarray, units: int) -> Comparison:
    """Paired bootstrap over so many units: both models are scored on the same resamples.

    p is the percentile interval inverted (Efron and Tibshirani 1993, chapter 13): one minus the level of the widest
    interval that leaves out zero, which is twice the smaller share of resamples on either side of zero, with one added
    to both counts so that it is never 0. The smallest p is 2 / (RESAMPLES + 1) = 0.0002: after Holm's correction over m
    tests it is 0.0002 m, below 0.05 up to 250 tests. Where all of a few units favour one model no resample is on the
    other side, however few they are: p is not below 2^(1 - units), the smallest that an exact two-sided test has which
    swaps the models' answers on whole units (sign flips), 0.0625 for five units.
    """
    differences = adapted - foundation
    if not np.isfinite(differences).all():
        return Comparison(difference, None, None)
    below, above = int((differences <= 0).sum()), int((differences >= 0).sum())
    p = min(1.0, max(2.0 ** (1 - units), 2 * (min(below, above) + 1) / (len(differences) + 1)))
    return Comparison(difference, interval(differences), p)


@dataclass(frozen=True)
class Williams:
    t: float
    df: int
    p: float
    """Two-sided."""


def williams(first: float, second: float, between: float, items: int) -> Williams | None:
    """Whether two correlations with the same gold scores differ (Williams 1959, as Steiger 1980 recommends it).

    first, second: correlation of each model's answers with the gold; between: of the two models' answers with each
    other. None where it does not exist: fewer than four items, or answers that are the same up to scale.
    """
    if items < 4:
        return None
    determinant = 1 - first**2 - second**2 - between**2 + 2 * first * second * between
    spread = 2 * (items - 1) / (items - 3) * determinant + ((first + second) / 2) ** 2 * (1 - between) ** 3
    if not spread > 1e-12:
        return None
    t = float((first - second) * np.sqrt((items - 1) * (1 + between) / spread))
    return Williams(t, items - 3, float(2 * stats.t.sf(abs(t), items - 3)))


def cohens_q(first: float, second: float) -> float | None:
    """Difference of two correlations on Fisher's scale (Cohen 1988): 0.1 is small, 0.3 medium, 0.5 large."""
    return float(np.arctanh(first) - np.arctanh(second)) if max(abs(first), abs(second)) < 1 else None


def cohens_h(first: float, second: float) -> float:
    """Difference of two shares on the arcsine scale (Cohen 1988): 0.2 is small, 0.5 medium, 0.8 large."""
    return float(2 * np.arcsin(np.sqrt(first)) - 2 * np.arcsin(np.sqrt(second)))


def hedges_g(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Difference of the means over seeds in standard deviations over seeds, without small-sample bias (Hedges 1981).

    None with a single seed for either, or where no seed made a difference.
    """
    df = len(first) + len(second) - 2
    if min(len(first), len(second)) < 2:
        return None
    squares = sum(float(np.var(values, ddof=1)) * (len(values) - 1) for values in (first, second))
    if squares <= 0:
        return None
    return float((np.mean(first) - np.mean(second)) / np.sqrt(squares / df) * (1 - 3 / (4 * df - 1)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Holm 1979), in the order given."""
    order = np.argsort(p_values, kind="stable")
    corrected = [0.0] * len(order)
    reached = 0.0
    for rank, index in enumerate(order):
        reached = max(reached, min(1.0, (len(order) - rank) * p_values[index]))
        corrected[index] = reached
    return corrected
