"""The metrics of thousands of samples of the items at once, for bootstraps; `metrics` defines them, and tests compare.

Most are functions of sums over items (`item_sums`, `of_sums`), so that all resamples are one matrix product. Those that
follow the order of the items are reckoned from how often each item is in a sample (`of_counts`).

N items, K sums, B samples, L labels. A metric that a sample leaves undefined is NaN.
"""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from bimed_dist.evaluation.metrics.scores import MLM_SUMS, SPECIFICITIES, THRESHOLD, Arrays, entities
from bimed_dist.evaluation.task import PAIRS, Kind

OfSamples = dict[str, np.ndarray]
"""(B,) by metric."""


def item_sums(kind: Kind, gold: Arrays, predicted: Arrays, labels: Sequence[str] = ()) -> np.ndarray:
    """(N, K) numbers whose sums over any sample of items give the metrics of `of_sums` for that sample."""
    if kind in PAIRS:
        x, y = np.concatenate(gold).astype(float), np.concatenate(predicted).astype(float)
        # Correlation does not change by shifting, and centred sums keep their digits.
        x, y = x - x.mean(), y - y.mean()
        return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)
    if kind == "multilabel":
        positive, decided = np.stack(gold) == 1, np.stack(predicted) >= THRESHOLD
        exact = (positive == decided).all(axis=1)
        return np.column_stack([np.ones(len(exact)), exact, positive & decided, decided, positive]).astype(float)
    if kind == "classification":
        every = np.stack(predicted).astype(float)
        probabilities, found = every[:, : len(labels)], every[:, len(labels) :]
        of_class = np.eye(len(labels), dtype=bool)
        positive, decided = of_class[np.concatenate(gold).astype(int)], of_class[probabilities.argmax(axis=1)]
        squares = ((probabilities - positive) ** 2).sum(axis=1)
        sides = [found * positive[:, [-1]], (1 - found) * ~positive[:, [-1]]]
        return np.column_stack([np.ones(len(squares)), squares, positive & decided, decided, positive, *sides])
    if kind == "ner":
        return np.array([_entity_sums(*item, len(labels)) for item in zip(gold, predicted, strict=True)], dtype=float)
    if kind == "mlm":
        return np.stack(predicted).astype(float)
    if kind == "retrieval":
        ranks = np.stack(predicted).astype(float)
        return np.column_stack([np.ones(len(ranks)), ranks == 1, 1 / ranks]).astype(float)
    next_, probability = np.concatenate(gold) == 1, np.concatenate(predicted).astype(float)
    right = (probability >= THRESHOLD) == next_
    sides = [column for side in (next_, ~next_) for column in (side, right & side, probability * side)]
    return np.column_stack(sides).astype(float)


def _entity_sums(gold: np.ndarray, predicted: np.ndarray, types: int) -> list[int]:
    """Entities: right, expected, found; then units of each type: right, decided, expected."""
    expected, found = entities(gold), entities(predicted)
    classes, decided = ((np.asarray(tags).astype(int) + 1) // 2 for tags in (gold, predicted))
    right = classes[classes == decided]
    units = [np.bincount(of, minlength=types + 1)[1:].tolist() for of in (right, decided, classes)]
    return [len(expected & found), len(expected), len(found), *(n for counts in units for n in counts)]


def of_sums(kind: Kind, sums: np.ndarray, labels: Sequence[str] = ()) -> OfSamples:
    """Metrics of B samples from their (B, K) sums, named as `metrics.scores` names them."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if kind in PAIRS:
            return {"pearson": _pearson(*sums.T)}
        if kind == "multilabel":
            return _of_labels(sums, labels)
        if kind == "classification":
            return _of_classes(sums, labels)
        if kind == "ner":
            return _of_entities(sums, len(labels))
        if kind == "mlm":
            return _of_masked(dict(zip(MLM_SUMS, sums.T, strict=True)))
        if kind == "retrieval":
            return _of_ranks(sums, labels)
        return _of_next(sums)


def _pearson(n: np.ndarray, x: np.ndarray, y: np.ndarray, xx: np.ndarray, yy: np.ndarray, xy: np.ndarray) -> np.ndarray:
    return (n * xy - x * y) / np.sqrt((n * xx - x * x) * (n * yy - y * y))


def _of_labels(sums: np.ndarray, labels: Sequence[str]) -> OfSamples:
    n, exact = sums.T[:2]
    right, decided, positive = np.split(sums[:, 2:], 3, axis=1)
    wrong = (decided + positive - 2 * right) / n[:, None]
    return {
        "macro_f1": _macro(right, decided, positive),
        "micro_f1": _f1(right.sum(axis=1), decided.sum(axis=1) + positive.sum(axis=1)),
        "hamming_loss": wrong.mean(axis=1),
        "subset_accuracy": exact / n,
        **_by_label("f1", labels, np.where(positive > 0, 2 * right / (decided + positive), np.nan)),
        **_by_label("hamming_loss", labels, wrong),
    }


def _of_classes(sums: np.ndarray, labels: Sequence[str]) -> OfSamples:
    n, squares = sums.T[:2]
    right, decided, positive, found = np.split(sums[:, 2:], np.arange(1, 4) * len(labels), axis=1)
    left_out = found.shape[1] // 2
    shares = {}
    for i, specificity in enumerate(SPECIFICITIES[:left_out]):
        shares[f"sensitivity_at_dev_specificity_{specificity}"] = found[:, i] / positive[:, 1]
        shares[f"specificity_at_dev_specificity_{specificity}"] = found[:, left_out + i] / positive[:, 0]
    return {
        **shares,
        "macro_f1": _macro(right, decided, positive),
        "accuracy": right.sum(axis=1) / n,
        "brier_score": squares / n / (2 if right.shape[1] == 2 else 1),
        **_by_label("f1", labels, np.where(positive > 0, 2 * right / (decided + positive), np.nan)),
    }


def _of_entities(sums: np.ndarray, types: int) -> OfSamples:
    """0 where there is no entity and none was found, as seqeval has it."""
    right, expected, found = sums.T[:3]
    found_by_type = {"class_f1": _macro(*np.split(sums[:, 3:], 3, axis=1))} if types else {}
    return {
        "f1": _f1(right, expected + found),
        "precision": np.where(found > 0, right / found, 0.0),
        "recall": np.where(expected > 0, right / expected, 0.0),
        **found_by_type,
    }


def _of_masked(total: OfSamples) -> OfSamples:
    return {
        "bits_per_character": total["bits"] / total["characters"],
        "loss": total["nats"] / total["pieces"],
        "accuracy": total["right_pieces"] / total["pieces"],
        "word_accuracy": total["right_words"] / total["words"],
    }


def _of_ranks(sums: np.ndarray, sides: Sequence[str]) -> OfSamples:
    n, *first, one, other = sums.T
    found = {"accuracy": sum(first) / (2 * n), "mean_reciprocal_rank": (one + other) / (2 * n)}
    if sides:
        names = [side.lower() for side in sides]
        ways = (f"{names[0]}_to_{names[1]}", f"{names[1]}_to_{names[0]}")
        found |= {f"{way}_accuracy": hits / n for way, hits in zip(ways, first, strict=True)}
    return found


def _of_next(sums: np.ndarray) -> OfSamples:
    followed, right, sum_, others, right_others, sum_others = sums.T
    return {
        "accuracy": (right + right_others) / (followed + others),
        "is_next_accuracy": right / followed,
        "not_next_accuracy": right_others / others,
        "mean_next_probability": sum_ / followed,
        "mean_random_probability": sum_others / others,
    }


def _macro(right: np.ndarray, decided: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Mean F1 over the labels that a sample has."""
    there = positive > 0
    return np.where(there, 2 * right / (decided + positive), 0.0).sum(axis=1) / there.sum(axis=1)


def _f1(right: np.ndarray, both: np.ndarray) -> np.ndarray:
    return np.where(both > 0, 2 * right / both, 0.0)


def _by_label(metric: str, labels: Sequence[str], values: np.ndarray) -> OfSamples:
    return {f"{metric}:{label}": column for label, column in zip(labels, values.T, strict=False)}


def of_counts(kind: Kind, gold: Arrays, predicted: Arrays, labels: Sequence[str], counts: np.ndarray) -> OfSamples:
    """Metrics of the order of items. counts: (N, B), how often each item is in each sample."""
    if kind in PAIRS:
        return {"spearman": spearman(np.concatenate(gold), np.concatenate(predicted), counts)}
    if kind == "multilabel":
        is_gold, values = np.stack(gold) == 1, np.stack(predicted)
        found = {label: ranking(is_gold[:, i], values[:, i], counts) for i, label in enumerate(labels)}
        return {
            **_mean_ranking([pair for i, pair in enumerate(found.values()) if is_gold[:, i].any()]),
            **{f"auroc:{label}": auroc for label, (auroc, _) in found.items()},
            **{f"average_precision:{label}": precision for label, (_, precision) in found.items()},
        }
    if kind == "classification":
        of_class, values = np.concatenate(gold).astype(int), np.stack(predicted)
        if len(labels) == 2:
            auroc, precision = ranking(of_class == 1, values[:, 1], counts)
            return {"auroc": auroc, "average_precision": precision}
        return _mean_ranking([ranking(of_class == i, values[:, i], counts) for i in range(len(labels))])
    return {}


def _mean_ranking(found: Sequence[tuple[np.ndarray, np.ndarray]]) -> OfSamples:
    """Means over the labels that some items of a sample have and others don't."""
    if not found:
        return {}
    defined = np.sum([np.isfinite(auroc) for auroc, _ in found], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        auroc, precision = (np.nansum(values, axis=0) / defined for values in zip(*found, strict=True))
    return {"macro_auroc": auroc, "macro_average_precision": precision}


def ranking(is_gold: np.ndarray, values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """((B,) AUROC, (B,) average precision); items of equal value are decided together.

    counts: (N, B). NaN for samples whose items are all of one kind.
    """
    order, starts, ends = _falling(values)
    at = np.flatnonzero(is_gold[order])
    if not len(at):
        return np.full((2, counts.shape[1]), np.nan)
    # Of equal values, the first positive speaks for all.
    _, first = np.unique(starts[at], return_index=True)
    starts, ends = starts[at[first]], ends[at[first]]
    weights = _sums_of_runs(order[at], first, counts)
    cuts = np.unique(np.concatenate([[0], starts, ends]))
    sums = np.cumsum(_sums_of_runs(order, cuts, counts), axis=0)
    above = np.concatenate([np.zeros_like(sums[:1]), sums])
    found = np.cumsum(weights, axis=0)
    shown, shown_before = above[np.searchsorted(cuts, ends)], above[np.searchsorted(cuts, starts)]
    total, others = found[-1], above[-1] - found[-1]
    defined = (total > 0) & (others > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        false = shown + shown_before - 2 * found + weights
        auroc = 1 - np.einsum("nb,nb->b", weights, false) / (2 * total * others)
        # Items that are not in the sample may have none above them: 0 / 0, of weight 0.
        precision = np.einsum("nb,nb->b", weights, np.where(shown > 0, found / shown, 0.0)) / total
    return np.where(defined, auroc, np.nan), np.where(defined, precision, np.nan)


def _sums_of_runs(order: np.ndarray, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(runs, B) sums of the counts of the items in `order`, from each of `starts` to the next."""
    ones = np.ones(len(order))
    return sparse.csr_array((ones, order, np.append(starts, len(order))), shape=(len(starts), len(counts))) @ counts


def _falling(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(order of falling values; for each place in it, where its equals start and where they end)."""
    order = np.argsort(-values, kind="stable")
    first = np.flatnonzero(np.append(True, np.diff(values[order]) != 0))
    sizes = np.diff(np.append(first, len(order)))
    return order, np.repeat(first, sizes), np.repeat(first + sizes, sizes)


def _sums_before(counts: np.ndarray) -> np.ndarray:
    """(N + 1, B) sums of the counts above each place, and of all."""
    sums = np.zeros((len(counts) + 1, counts.shape[1]))
    np.cumsum(counts, axis=0, out=sums[1:])
    return sums


def spearman(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(B,) correlations of the ranks that the items have in each sample; equal values share their mean rank.

    counts: (N, B).
    """
    one, other = (_ranks_from_middle(values, counts) for values in (x, y))
    weighted = counts * one
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.einsum("nb,nb->b", weighted, one) * np.einsum("nb,nb,nb->b", counts, other, other)
        return np.einsum("nb,nb->b", weighted, other) / np.sqrt(spread)


def _ranks_from_middle(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(N, B) rank of each item in each sample, 0 for the middle one."""
    order, starts, ends = _falling(values)
    above = _sums_before(counts[order])
    ranks = np.empty_like(above[1:])
    ranks[order] = (above[starts] + above[ends] - above[-1]) / 2
    return ranks
