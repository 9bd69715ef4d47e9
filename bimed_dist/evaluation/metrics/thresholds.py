"""Decision thresholds, chosen on the development split."""

from collections.abc import Sequence

import numpy as np

from bimed_dist.evaluation.metrics.definitions import SPECIFICITIES

THRESHOLD = 0.5
"""Probability from which a label counts as predicted, unless thresholds are tuned."""


def best_thresholds(gold: np.ndarray, predicted: np.ndarray) -> list[float]:
    """Return the threshold with the best F1 for each of L labels, from (N, L) gold and probabilities.

    A threshold lies midway between two predicted values; of equally good ones the nearest to 0.5 is taken. A label that
    no row or every row has keeps 0.5.
    """
    thresholds = []
    for is_gold, values in zip(gold.T == 1, predicted.T.astype(float), strict=True):
        if is_gold.all() or not is_gold.any():
            thresholds.append(THRESHOLD)
            continue
        distinct = np.unique(values)
        candidates = np.append((distinct[1:] + distinct[:-1]) / 2, [distinct[0] / 2, THRESHOLD])
        decided = values[None, :] >= candidates[:, None]
        f1 = 2 * (decided & is_gold).sum(axis=1) / (decided.sum(axis=1) + is_gold.sum())
        best = candidates[f1 >= f1.max() - 1e-12]
        thresholds.append(float(best[np.abs(best - THRESHOLD).argmin()]))
    return thresholds


def rescale_to_half(predicted: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Rescale (L,) or (N, L) probabilities so that each label's threshold becomes 0.5; their order is kept."""
    t = np.clip(np.asarray(thresholds, dtype=float), 1e-6, 1 - 1e-6)
    p = np.asarray(predicted, dtype=float)
    return np.where(p >= t, 0.5 + 0.5 * (p - t) / (1 - t), np.minimum(0.5 * p / t, np.nextafter(0.5, 0)))


def screening_thresholds(is_positive: np.ndarray, probability: np.ndarray) -> list[float | None]:
    """Return the lowest threshold that reaches each of SPECIFICITIES; rows above it are predicted positive.

    is_positive, probability: (N,). None if there is no negative row.
    """
    negative = np.sort(probability[~is_positive])[::-1]
    allowed = [int(np.floor((1 - s) * len(negative) + 1e-9)) for s in SPECIFICITIES]
    return [float(negative[n]) if n < len(negative) else None for n in allowed]


def with_screening(predicted: np.ndarray, thresholds: Sequence[float | None]) -> np.ndarray:
    """Append to the (2,) probabilities of two classes 1 or 0 per threshold: whether it is exceeded; NaN without one."""
    return np.append(predicted, [np.nan if t is None else float(predicted[1] > t) for t in thresholds])
