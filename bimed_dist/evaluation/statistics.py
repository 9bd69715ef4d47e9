"""Spread over seeds, intervals over test items, tests between models.

Two kinds of chance are kept apart: seeds (mean and standard deviation of the values) and test items (bootstrap). A
model's score on a resample is the mean over its seeds of the metric on the same items.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bimed_dist.evaluation.metrics import main_of_sums
from bimed_dist.evaluation.task import Kind

RESAMPLES = 1_000
CONFIDENCE = 0.95


def mean_and_sd(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n - 1); none for a single value, which has no spread."""
    array = np.asarray(values, dtype=float)
    return float(array.mean()), float(array.std(ddof=1)) if len(array) > 1 else None


def resample_counts(items: int, seed: Sequence[int], resamples: int = RESAMPLES) -> np.ndarray:
    """(B, N): how often each item is in each resample of N items with replacement."""
    rng = np.random.default_rng(list(seed))
    return rng.multinomial(items, np.full(items, 1 / items), size=resamples).astype(np.float64)


def resampled(kind: Kind, sums_per_seed: Sequence[np.ndarray], counts: np.ndarray) -> np.ndarray:
    """(B,) main metric of each resample, mean over seeds."""
    return np.mean([main_of_sums(kind, counts @ sums) for sums in sums_per_seed], axis=0)


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


def compare(difference: float, adapted: np.ndarray, foundation: np.ndarray) -> Comparison:
    """Paired bootstrap: both models are scored on the same resamples.

    p is twice the smaller share of resamples on either side of zero (Efron and Tibshirani 1993, chapter 16), with one
    added to both counts so that it is never 0 (Davison and Hinkley 1997, equation 4.11).
    """
    differences = adapted - foundation
    if not np.isfinite(differences).all():
        return Comparison(difference, None, None)
    below, above = int((differences <= 0).sum()), int((differences >= 0).sum())
    p = min(1.0, 2 * (min(below, above) + 1) / (len(differences) + 1))
    return Comparison(difference, interval(differences), p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Holm 1979), in the order given."""
    order = np.argsort(p_values, kind="stable")
    corrected = [0.0] * len(order)
    reached = 0.0
    for rank, index in enumerate(order):
        reached = max(reached, min(1.0, (len(order) - rank) * p_values[index]))
        corrected[index] = reached
    return corrected
