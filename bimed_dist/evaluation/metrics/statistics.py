"""Spread over seeds, intervals over resampled items, and tests between models.

Two sources of variation are kept apart: seeds (mean and standard deviation of the values) and test items
(`resampling`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
FEW_UNITS = 20
"""A bootstrap over fewer units underestimates their spread."""


def mean_and_sd(values: Sequence[float]) -> tuple[float, float | None]:
    """Return mean and sample standard deviation (n - 1), None for a single value."""
    array = np.asarray(values, dtype=float)
    return float(array.mean()), float(array.std(ddof=1)) if len(array) > 1 else None


def interval(resampled_values: np.ndarray) -> tuple[float, float] | None:
    """Return the percentile bootstrap interval; None if the metric is undefined on any resample."""
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
    """Two-sided; None if the metric is undefined on any resample."""


def compare(difference: float, adapted: np.ndarray, foundation: np.ndarray, units: int) -> Comparison:
    """Compare two models on the same resamples of `units` units (paired bootstrap).

    p inverts the percentile interval (Efron and Tibshirani 1993, chapter 13): it is one minus the level of the widest
    interval that excludes zero, which is twice the smaller share of resamples on either side of zero, with one added
    to both counts so that p is never 0. With 10,000 resamples the smallest p is 0.0002, which stays below 0.05 after
    Holm's correction for up to 250 tests. If all of a few units favour one model, no resample is on the other side; p
    is therefore not below 2^(1 - units), the smallest p of an exact two-sided sign-flip test over units.
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
    """Test whether two correlations with the same gold scores differ (Williams 1959, as Steiger 1980 recommends).

    first, second: correlation of each model's predictions with the gold; between: of both models' predictions with each
    other. None if undefined: fewer than four items, or predictions that are equal up to scale.
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
    """Return the difference of two correlations on Fisher's scale (Cohen 1988): 0.1 is small, 0.3 medium, 0.5 large."""
    return float(np.arctanh(first) - np.arctanh(second)) if max(abs(first), abs(second)) < 1 else None


def cohens_h(first: float, second: float) -> float:
    """Return the difference of two shares on the arcsine scale (Cohen 1988): 0.2 is small, 0.5 medium, 0.8 large."""
    return float(2 * np.arcsin(np.sqrt(first)) - 2 * np.arcsin(np.sqrt(second)))


def hedges_g(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return the difference of means over seeds, in standard deviations over seeds, bias-corrected (Hedges 1981).

    None if either model has a single seed, or if the values of both do not vary.
    """
    df = len(first) + len(second) - 2
    if min(len(first), len(second)) < 2:
        return None
    squares = sum(float(np.var(values, ddof=1)) * (len(values) - 1) for values in (first, second))
    if squares <= 0:
        return None
    return float((np.mean(first) - np.mean(second)) / np.sqrt(squares / df) * (1 - 3 / (4 * df - 1)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values with Holm's step-down correction (Holm 1979), in the given order."""
    order = np.argsort(p_values, kind="stable")
    corrected = [0.0] * len(order)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected
