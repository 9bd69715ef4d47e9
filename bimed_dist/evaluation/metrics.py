"""Scores from numbers, through scipy, scikit-learn and seqeval. No torch, no files.

Not `evaluate.Metric` modules: importing `evaluate` loads torch, and its metrics write what they are given to a cache
in the user's home, where predictions on patient text have no business.

Predictions and gold are one array of numbers per item:
sts: [score]; multilabel: [probability or 0/1 of each label]; ner: [tag number of each unit], 0 = O, then B-, I- of
each type;
mlm: the sums in MLM_SUMS; nsp: [probability of IsNext], gold [1 or 0].

Main metrics are functions of sums over items. `item_sums` and `main_of_sums` expose that, so that a bootstrap over
thousands of resamples is one matrix product.
"""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats
from seqeval.metrics.v1 import precision_recall_fscore_support  # strict mode's own function
from seqeval.scheme import IOB2
from sklearn.metrics import accuracy_score, f1_score

from bimed_dist.errors import DataError
from bimed_dist.evaluation.task import Kind

THRESHOLD = 0.5
MLM_SUMS = ("bits", "characters", "nats", "pieces", "right_pieces", "words", "right_words")
Arrays = Sequence[np.ndarray]


def scores(kind: Kind, gold: Arrays, predicted: Arrays, labels: Sequence[str] = ()) -> dict[str, float]:
    """Every metric of a kind, main metric first. Raises DataError where the main metric is undefined."""
    if kind == "sts":
        return _sts(np.concatenate(gold), np.concatenate(predicted))
    if kind == "multilabel":
        return _multilabel(np.stack(gold), np.stack(predicted), labels)
    if kind == "ner":
        return _ner(gold, predicted, labels)
    if kind == "mlm":
        return _mlm(np.stack(predicted).sum(axis=0))
    return _nsp(np.concatenate(gold), np.concatenate(predicted))


def _sts(gold: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Pearson and Spearman correlation."""
    if not np.isfinite(predicted).all():
        raise DataError("predictions are not finite: the fine-tuning diverged; try a smaller learning rate")
    with warnings.catch_warnings():
        # Told by the error below, for a correlation with a constant does not exist.
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        pearson = float(stats.pearsonr(gold, predicted).statistic)
        spearman = float(stats.spearmanr(gold, predicted).statistic)
    if np.isnan(pearson):
        raise DataError("scores or predictions are all equal: a correlation does not exist")
    return {"pearson": pearson, "spearman": spearman}


def _multilabel(gold: np.ndarray, predicted: np.ndarray, labels: Sequence[str]) -> dict[str, float]:
    """F1 at threshold 0.5.

    A label that no row has is left out of macro F1 (where scikit-learn counts 0, so that perfect answers would score
    less than 1) and has no F1; predicting it lowers micro F1 and subset accuracy.
    """
    gold, decided = gold.astype(int), (predicted >= THRESHOLD).astype(int)
    there = gold.any(axis=0)
    if not there.any():
        raise DataError("no row has any label: macro F1 does not exist")
    per_label = f1_score(gold, decided, average=None, zero_division=0)
    return {
        "macro_f1": float(per_label[there].mean()),
        "micro_f1": float(f1_score(gold, decided, average="micro", zero_division=0)),
        "subset_accuracy": float(accuracy_score(gold, decided)),
        **{f"f1:{label}": float(f1) for label, f1, known in zip(labels, per_label, there, strict=True) if known},
    }


def tag_names(types: Sequence[str]) -> tuple[str, ...]:
    """O, then B- and I- of each type: the tag numbers' names."""
    return ("O", *(f"{prefix}-{name}" for name in types for prefix in ("B", "I")))


def _ner(gold: Arrays, predicted: Arrays, types: Sequence[str]) -> dict[str, float]:
    """Entity precision, recall and F1 (micro) by seqeval, strict IOB2: borders and type must agree."""
    names = tag_names(types)
    both = [[[names[int(number)] for number in item] for item in items] for items in (gold, predicted)]
    precision, recall, f1, _ = precision_recall_fscore_support(*both, average="micro", scheme=IOB2, zero_division=0)
    return {"f1": float(f1), "precision": float(precision), "recall": float(recall)}


def _mlm(sums: np.ndarray) -> dict[str, float]:
    total = dict(zip(MLM_SUMS, sums.tolist(), strict=True))
    if not total["characters"] or not total["pieces"]:
        raise DataError("no word could be masked: the held-out documents are too few or too short")
    return {
        "bits_per_character": total["bits"] / total["characters"],
        "loss": total["nats"] / total["pieces"],
        "accuracy": total["right_pieces"] / total["pieces"],
        "word_accuracy": total["right_words"] / total["words"],
    }


def _nsp(gold: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    right = (predicted >= THRESHOLD) == (gold == 1)
    return {
        "accuracy": float(right.mean()),
        "is_next_accuracy": float(right[gold == 1].mean()),
        "not_next_accuracy": float(right[gold == 0].mean()),
    }


def item_sums(kind: Kind, gold: Arrays, predicted: Arrays) -> np.ndarray:
    """(N items, K) numbers whose sums over any sample of items give the main metric of that sample."""
    if kind == "sts":
        x, y = np.concatenate(gold).astype(float), np.concatenate(predicted).astype(float)
        # Correlation does not change by shifting, and centred sums keep their digits.
        x, y = x - x.mean(), y - y.mean()
        return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)
    if kind == "multilabel":
        positive, decided = np.stack(gold) == 1, np.stack(predicted) >= THRESHOLD
        return np.concatenate([positive & decided, decided, positive], axis=1).astype(float)
    if kind == "ner":
        counts = []
        for expected, found in zip(map(entities, gold), map(entities, predicted), strict=True):
            counts.append((len(expected & found), len(expected) + len(found)))
        return np.array(counts, dtype=float)
    if kind == "mlm":
        return np.stack(predicted)[:, :2].astype(float)
    right = (np.concatenate(predicted) >= THRESHOLD) == (np.concatenate(gold) == 1)
    return np.stack([right, np.ones_like(right)], axis=1).astype(float)


def main_of_sums(kind: Kind, sums: np.ndarray) -> np.ndarray:
    """Main metric of B samples from their (B, K) sums; NaN where a sample leaves it undefined."""
    rules: dict[Kind, Callable[[np.ndarray], np.ndarray]] = {
        "sts": _pearson_of_sums,
        "multilabel": _macro_f1_of_sums,
        "ner": _f1_of_sums,
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        return rules.get(kind, _ratio_of_sums)(sums)


def _pearson_of_sums(sums: np.ndarray) -> np.ndarray:
    n, x, y, xx, yy, xy = sums.T
    return (n * xy - x * y) / np.sqrt((n * xx - x * x) * (n * yy - y * y))


def _macro_f1_of_sums(sums: np.ndarray) -> np.ndarray:
    both, decided, positive = np.split(sums, 3, axis=1)
    there = positive > 0
    return np.where(there, 2 * both / (decided + positive), 0.0).sum(axis=1) / there.sum(axis=1)


def _f1_of_sums(sums: np.ndarray) -> np.ndarray:
    """0 where there is no entity and none was found, as seqeval has it."""
    return np.where(sums[:, 1] > 0, 2 * sums[:, 0] / sums[:, 1], 0.0)


def _ratio_of_sums(sums: np.ndarray) -> np.ndarray:
    return sums[:, 0] / sums[:, 1]


def entities(tags: np.ndarray) -> set[tuple[int, int, int]]:
    """(start, end, type) of entities in tag numbers, strict IOB2: I- that continues nothing belongs to no entity."""
    found = set()
    start = kind = -1
    for position, tag in enumerate([*np.asarray(tags).astype(int).tolist(), 0]):
        continues = start >= 0 and tag > 0 and tag % 2 == 0 and (tag - 1) // 2 == kind
        if continues:
            continue
        if start >= 0:
            found.add((start, position, kind))
        start, kind = (position, (tag - 1) // 2) if tag % 2 == 1 else (-1, -1)
    return found
