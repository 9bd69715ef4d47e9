"""Bootstrap: scores of all models on the same resamples of a split.

A model's score on a resample is the mean over its seeds of the metric on the same items. The unit that is drawn is the
item, or the document or patient if items of one document are dependent (cluster bootstrap).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bimed_dist.evaluation.metrics.ranking import metrics_from_counts
from bimed_dist.evaluation.metrics.sums import Arrays, Samples, item_sums, metrics_from_sums
from bimed_dist.evaluation.task import Kind

RESAMPLES = 10_000
RANKED_RESAMPLES = 1_000
"""The first of the resamples, for metrics that depend on the order of items, which are expensive."""
BLOCK = 1_000_000
"""Counts (resamples x units) in memory at a time; a few copies of 8 MB."""


@dataclass(frozen=True)
class PredictionSums:
    """The predictions of one model with one seed, in the form that resampling needs."""

    sums: np.ndarray
    """(U, K) sums over the items of each unit."""
    from_sums: Callable[[np.ndarray], Samples]
    """(B, K) sums -> metrics of B samples."""
    from_counts: Callable[[np.ndarray], Samples] = lambda counts: {}
    """(U, B) counts of the units -> more metrics of B samples."""


def prediction_sums(
    kind: Kind, gold: Arrays, predicted: Arrays, labels: Sequence[str], units: Sequence[str] | None = None
) -> PredictionSums:
    """Return the sums by unit; `units` names the document or patient of each item, None if every item is a unit."""
    sums = item_sums(kind, gold, predicted, labels)
    unit_of_item = np.arange(len(sums))
    if units is not None:
        sums, unit_of_item = sum_by_unit(sums, units)
    return PredictionSums(
        sums,
        lambda sample_sums: metrics_from_sums(kind, sample_sums, labels),
        lambda counts: metrics_from_counts(kind, gold, predicted, labels, counts[unit_of_item]),
    )


def sum_by_unit(sums: np.ndarray, units: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return ((U, K) sums over the items of each unit, (N,) unit number of each item) from (N, K) sums of items."""
    _, unit = np.unique(np.asarray(units), return_inverse=True)
    total = np.zeros((unit.max() + 1, sums.shape[1]))
    np.add.at(total, unit, sums)
    return total, unit


def resample_counts(units: int, seed: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield blocks of (B, U) counts, RESAMPLES rows in all: how often each unit is in a resample of U units."""
    rng = np.random.default_rng(list(seed))
    rows = max(1, BLOCK // units)
    for start in range(0, RESAMPLES, rows):
        size = min(rows, RESAMPLES - start)
        drawn = rng.integers(units, size=(size, units), dtype=np.int32) + np.arange(size)[:, None] * units
        yield np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units).astype(np.float64)


def resample(models: Mapping[str, Sequence[PredictionSums]], seed: Sequence[int]) -> dict[str, Samples]:
    """Return every metric of each model on the same resamples, as the mean over its seeds.

    models: model -> predictions of each of its seeds. Values are (RESAMPLES,), or (RANKED_RESAMPLES,) for metrics that
    depend on the order of items. Empty for every model if there is a single unit.
    """
    every = [predictions for per_seed in models.values() for predictions in per_seed]
    if not every or any(len(predictions.sums) < 2 for predictions in every):
        return {model: {} for model in models}
    (units,) = {len(predictions.sums) for predictions in every}
    side_by_side = np.hstack([predictions.sums for predictions in every])
    ends = np.cumsum([predictions.sums.shape[1] for predictions in every])[:-1]
    blocks: list[list[Samples]] = [[] for _ in every]
    drawn = 0
    for counts in resample_counts(units, seed):
        ranked = np.ascontiguousarray(counts[: max(0, RANKED_RESAMPLES - drawn)].T)
        drawn += len(counts)
        for predictions, samples, sums in zip(every, blocks, np.hsplit(counts @ side_by_side, ends), strict=True):
            samples.append(predictions.from_sums(sums) | (predictions.from_counts(ranked) if ranked.size else {}))
    values = iter([_concatenate(samples) for samples in blocks])
    return {model: _mean([next(values) for _ in per_seed]) for model, per_seed in models.items()}


def _concatenate(blocks: Sequence[Samples]) -> Samples:
    return {metric: np.concatenate([block[metric] for block in blocks if metric in block]) for metric in blocks[0]}


def _mean(per_seed: Sequence[Samples]) -> Samples:
    return {metric: np.mean([samples[metric] for samples in per_seed], axis=0) for metric in per_seed[0]}
