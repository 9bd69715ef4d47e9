"""Metrics that depend on the order of items: AUROC, average precision, Spearman correlation.

They are computed from how often each of N items is in each of B samples, (N, B) counts. A metric that is undefined
for a sample is NaN.
"""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from bimed_dist.evaluation.metrics.sums import Arrays, Samples
from bimed_dist.evaluation.task import SIMILARITY_KINDS, Kind


def metrics_from_counts(
    kind: Kind, gold: Arrays, predicted: Arrays, labels: Sequence[str], counts: np.ndarray
) -> Samples:
    """Return the metrics of B samples; none for kinds without such metrics.

    AUROC and average precision need no threshold. Macro means are over the labels, or classes against the rest, that
    some rows of a sample have and others don't; of two classes the last is the positive one.
    """
    if kind in SIMILARITY_KINDS:
        return {"spearman": spearman(np.concatenate(gold), np.concatenate(predicted), counts)}
    if kind == "multilabel":
        is_gold, values = np.stack(gold) == 1, np.stack(predicted)
        by_label = {label: ranking(is_gold[:, i], values[:, i], counts) for i, label in enumerate(labels)}
        return {
            **_macro_means([pair for i, pair in enumerate(by_label.values()) if is_gold[:, i].any()]),
            **{f"auroc:{label}": auroc for label, (auroc, _) in by_label.items()},
            **{f"average_precision:{label}": precision for label, (_, precision) in by_label.items()},
        }
    if kind == "classification":
        gold_class, values = np.concatenate(gold).astype(int), np.stack(predicted)
        if len(labels) == 2:
            auroc, precision = ranking(gold_class == 1, values[:, 1], counts)
            return {"auroc": auroc, "average_precision": precision}
        return _macro_means([ranking(gold_class == i, values[:, i], counts) for i in range(len(labels))])
    return {}


def _macro_means(by_label: Sequence[tuple[np.ndarray, np.ndarray]]) -> Samples:
    if not by_label:
        return {}
    defined = np.sum([np.isfinite(auroc) for auroc, _ in by_label], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        auroc, precision = (np.nansum(values, axis=0) / defined for values in zip(*by_label, strict=True))
    return {"macro_auroc": auroc, "macro_average_precision": precision}


def ranking(is_gold: np.ndarray, values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (AUROC, average precision), each (B,); items of equal value are decided together.

    is_gold, values: (N,). Undefined for samples whose items are all positive or all negative.
    """
    order, starts, ends = _descending(values)
    positives = np.flatnonzero(is_gold[order])
    if not len(positives):
        return np.full((2, counts.shape[1]), np.nan)
    # Among equal values, the first positive stands for all.
    _, first = np.unique(starts[positives], return_index=True)
    starts, ends = starts[positives[first]], ends[positives[first]]
    weights = _segment_sums(order[positives], first, counts)
    cuts = np.unique(np.concatenate([[0], starts, ends]))
    sums = np.cumsum(_segment_sums(order, cuts, counts), axis=0)
    above = np.concatenate([np.zeros_like(sums[:1]), sums])
    true_positives = np.cumsum(weights, axis=0)
    predicted, predicted_before = above[np.searchsorted(cuts, ends)], above[np.searchsorted(cuts, starts)]
    positive, negative = true_positives[-1], above[-1] - true_positives[-1]
    is_defined = (positive > 0) & (negative > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        false_positives = predicted + predicted_before - 2 * true_positives + weights
        auroc = 1 - np.einsum("nb,nb->b", weights, false_positives) / (2 * positive * negative)
        # Items that are not in the sample may have none above them: 0 / 0, of weight 0.
        precision_at = np.where(predicted > 0, true_positives / predicted, 0.0)
        precision = np.einsum("nb,nb->b", weights, precision_at) / positive
    return np.where(is_defined, auroc, np.nan), np.where(is_defined, precision, np.nan)


def _segment_sums(order: np.ndarray, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the (S, B) sums of the counts of the items in `order`, from each of S `starts` to the next."""
    ones = np.ones(len(order))
    return sparse.csr_array((ones, order, np.append(starts, len(order))), shape=(len(starts), len(counts))) @ counts


def _descending(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (item at each place in descending order, where its ties start, where they end), each (N,)."""
    order = np.argsort(-values, kind="stable")
    first = np.flatnonzero(np.append(True, np.diff(values[order]) != 0))
    sizes = np.diff(np.append(first, len(order)))
    return order, np.repeat(first, sizes), np.repeat(first + sizes, sizes)


def spearman(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the (B,) correlations of the ranks that items have in each sample; ties share their mean rank."""
    x_ranks, y_ranks = (_centred_ranks(values, counts) for values in (x, y))
    weighted = counts * x_ranks
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.einsum("nb,nb->b", weighted, x_ranks) * np.einsum("nb,nb,nb->b", counts, y_ranks, y_ranks)
        return np.einsum("nb,nb->b", weighted, y_ranks) / np.sqrt(spread)


def _centred_ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the (N, B) rank of each item in each sample, 0 for the middle."""
    order, starts, ends = _descending(values)
    above = np.zeros((len(counts) + 1, counts.shape[1]))
    np.cumsum(counts[order], axis=0, out=above[1:])
    ranks = np.empty_like(above[1:])
    ranks[order] = (above[starts] + above[ends] - above[-1]) / 2
    return ranks
