"""Scores from numbers, through scipy, scikit-learn and seqeval. No torch, no files.

Not `evaluate.Metric` modules: importing `evaluate` loads torch, and its metrics write what they are given to a cache
in the user's home, where predictions on patient text have no business.

Predictions and gold are one array of numbers per item:
sts: [score]; sts_classes: gold [score], predicted [class]; multilabel: [probability or 0/1 of each label];
classification: gold [class number], predicted [probability of each class], and of two classes behind them for each of
SPECIFICITIES 1 where the second class is found at its threshold, else 0, and NaN where there is no threshold;
ner: [tag number of each unit], 0 = O, then B-, I- of each type;
mlm: the sums in MLM_SUMS; retrieval: [rank of the second text, rank of the first];
nsp: [probability of IsNext], gold [1 or 0].

`metric_sums` has the same metrics for thousands of samples of the items at once.
"""

import warnings
from collections.abc import Sequence

import numpy as np
from scipy import stats
from seqeval.metrics.v1 import precision_recall_fscore_support  # strict mode's own function
from seqeval.scheme import IOB2
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    hamming_loss,
    roc_auc_score,
)

from bimed_dist.errors import DataError
from bimed_dist.evaluation.task import PAIRS, Kind

THRESHOLD = 0.5
SPECIFICITIES = (0.9, 0.95)
"""Those that screening thresholds are aimed at."""
CALIBRATION_BINS = 10
MLM_SUMS = ("bits", "characters", "nats", "pieces", "right_pieces", "words", "right_words")
Arrays = Sequence[np.ndarray]


def scores(kind: Kind, gold: Arrays, predicted: Arrays, labels: Sequence[str] = ()) -> dict[str, float]:
    """Every metric of a kind, main metric first. Raises DataError where the main metric is undefined."""
    if kind in PAIRS:
        return _sts(np.concatenate(gold), np.concatenate(predicted))
    if kind == "multilabel":
        return _multilabel(np.stack(gold), np.stack(predicted), labels)
    if kind == "classification":
        every = np.stack(predicted).astype(float)
        of_gold = np.concatenate(gold).astype(int)
        return _classification(of_gold, every[:, : len(labels)], every[:, len(labels) :], labels)
    if kind == "ner":
        return _ner(gold, predicted, labels)
    if kind == "mlm":
        return _mlm(np.stack(predicted).sum(axis=0))
    if kind == "retrieval":
        return _retrieval(np.stack(predicted), labels)
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
    """F1 at threshold 0.5, Hamming loss, and AUROC and average precision, which need no threshold.

    A label that no row has is left out of macro F1 (where scikit-learn counts 0, so that perfect answers would score
    less than 1) and has no F1; predicting it lowers micro F1 and subset accuracy. AUROC and average precision are over
    the labels that some rows have and others don't.
    """
    gold, decided = gold.astype(int), (predicted >= THRESHOLD).astype(int)
    there = gold.any(axis=0)
    if not there.any():
        raise DataError("no row has any label: macro F1 does not exist")
    per_label = f1_score(gold, decided, average=None, zero_division=0)
    ranked = np.flatnonzero(there & ~gold.all(axis=0))
    auroc = {labels[i]: float(roc_auc_score(gold[:, i], predicted[:, i])) for i in ranked}
    precision = {labels[i]: float(average_precision_score(gold[:, i], predicted[:, i])) for i in ranked}
    macro = {"macro_auroc": auroc, "macro_average_precision": precision}
    return {
        "macro_f1": float(per_label[there].mean()),
        "micro_f1": float(f1_score(gold, decided, average="micro", zero_division=0)),
        **{name: float(np.mean(list(values.values()))) for name, values in macro.items() if values},
        "hamming_loss": float(hamming_loss(gold, decided)),
        "subset_accuracy": float(accuracy_score(gold, decided)),
        **{f"f1:{label}": float(f1) for label, f1, known in zip(labels, per_label, there, strict=True) if known},
        **{f"auroc:{label}": value for label, value in auroc.items()},
        **{f"average_precision:{label}": value for label, value in precision.items()},
        **{f"hamming_loss:{label}": float((gold[:, i] != decided[:, i]).mean()) for i, label in enumerate(labels)},
    }


def best_thresholds(gold: np.ndarray, predicted: np.ndarray) -> list[float]:
    """(L,) for (N, L): the threshold of each label with the best F1; 0.5 for a label that no row or every row has.

    Between two predicted values the middle is taken, of equally good thresholds the one nearest to 0.5.
    """
    thresholds = []
    for of_gold, values in zip(gold.T == 1, predicted.T.astype(float), strict=True):
        if of_gold.all() or not of_gold.any():
            thresholds.append(THRESHOLD)
            continue
        distinct = np.unique(values)
        tried = np.append((distinct[1:] + distinct[:-1]) / 2, [distinct[0] / 2, THRESHOLD])
        decided = values[None, :] >= tried[:, None]
        f1 = 2 * (decided & of_gold).sum(axis=1) / (decided.sum(axis=1) + of_gold.sum())
        best = tried[f1 >= f1.max() - 1e-12]
        thresholds.append(float(best[np.abs(best - THRESHOLD).argmin()]))
    return thresholds


def moved_to_half(predicted: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """(L,) or (N, L) probabilities on a scale where 0.5 is the threshold of each label; their order stays."""
    t = np.clip(np.asarray(thresholds, dtype=float), 1e-6, 1 - 1e-6)
    p = np.asarray(predicted, dtype=float)
    return np.where(p >= t, 0.5 + 0.5 * (p - t) / (1 - t), np.minimum(0.5 * p / t, np.nextafter(0.5, 0)))


def screening_thresholds(is_gold: np.ndarray, probability: np.ndarray) -> list[float | None]:
    """For each of SPECIFICITIES the lowest threshold whose excess is found in so few rows of the other class.

    None where there are no such rows.
    """
    others = np.sort(probability[~is_gold])[::-1]
    allowed = [int(np.floor((1 - s) * len(others) + 1e-9)) for s in SPECIFICITIES]
    return [float(others[n]) if n < len(others) else None for n in allowed]


def with_screening(predicted: np.ndarray, thresholds: Sequence[float | None]) -> np.ndarray:
    """(4,) from the (2,) probabilities of two classes: what is found at each threshold stands behind them."""
    return np.append(predicted, [np.nan if t is None else float(predicted[1] > t) for t in thresholds])


def _classification(
    gold: np.ndarray, predicted: np.ndarray, found: np.ndarray, classes: Sequence[str]
) -> dict[str, float]:
    """Decided by the most probable class. Of two classes the last is the one looked for, as in patient screening.

    Macro F1 is over the classes that some row has. Ranking metrics of more than two classes are means over each class
    against the rest. Brier score: mean squared distance to the truth, of two classes that of the one looked for.
    """
    decided = predicted.argmax(axis=1)
    is_gold, is_decided = (np.eye(len(classes), dtype=int)[numbers] for numbers in (gold, decided))
    there = is_gold.any(axis=0)
    f1 = f1_score(is_gold, is_decided, average=None, zero_division=0)
    squares = ((predicted - is_gold) ** 2).sum(axis=1).mean()
    right = decided == gold
    return {
        "macro_f1": float(f1[there].mean()),
        "accuracy": float(right.mean()),
        **(
            _ranking(is_gold, predicted) if len(classes) > 2 else _screening(is_gold[:, 1] == 1, predicted[:, 1], found)
        ),
        "brier_score": float(squares / (2 if len(classes) == 2 else 1)),
        "ece": calibration_error(right, predicted.max(axis=1)),
        **{f"f1:{name}": float(value) for name, value, known in zip(classes, f1, there, strict=True) if known},
    }


def _ranking(is_gold: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    ranked = np.flatnonzero(is_gold.any(axis=0) & ~is_gold.all(axis=0))
    if not len(ranked):
        return {}
    return {
        "macro_auroc": float(np.mean([roc_auc_score(is_gold[:, i], predicted[:, i]) for i in ranked])),
        "macro_average_precision": float(
            np.mean([average_precision_score(is_gold[:, i], predicted[:, i]) for i in ranked])
        ),
    }


def _screening(is_gold: np.ndarray, probability: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """Nothing where all rows are of one class. Both shares are of the rows at hand, at thresholds from elsewhere."""
    if is_gold.all() or not is_gold.any():
        return {}
    shares = {}
    for specificity, at in zip(SPECIFICITIES, found.T, strict=False):
        if np.isfinite(at).all():
            shares[f"sensitivity_at_dev_specificity_{specificity}"] = float(at[is_gold].mean())
            shares[f"specificity_at_dev_specificity_{specificity}"] = float(1 - at[~is_gold].mean())
    return {
        "auroc": float(roc_auc_score(is_gold, probability)),
        "average_precision": float(average_precision_score(is_gold, probability)),
        **shares,
    }


def calibration_error(right: np.ndarray, confidence: np.ndarray) -> float:
    """Expected calibration error over ten bins of equal width (Guo et al. 2017, equation 3)."""
    number = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.bincount(number, weights=right.astype(float) - confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(right))


def tag_names(types: Sequence[str]) -> tuple[str, ...]:
    """O, then B- and I- of each type: the tag numbers' names."""
    return ("O", *(f"{prefix}-{name}" for name in types for prefix in ("B", "I")))


def _ner(gold: Arrays, predicted: Arrays, types: Sequence[str]) -> dict[str, float]:
    """Entity precision, recall and F1 (micro) by seqeval, strict IOB2: borders and type must agree.

    class_f1: mean over the types of F1 of single units (words or characters), without their borders, which for words
    is what KM-BERT reports as F1 (Kim et al. 2022). It is higher and says less.
    """
    names = tag_names(types)
    both = [[[names[int(number)] for number in item] for item in items] for items in (gold, predicted)]
    precision, recall, f1, _ = precision_recall_fscore_support(*both, average="micro", scheme=IOB2, zero_division=0)
    classes = [(np.concatenate(items).astype(int) + 1) // 2 for items in (gold, predicted)]
    there = np.unique(classes[0][classes[0] > 0])
    scores = {"f1": float(f1), "precision": float(precision), "recall": float(recall)}
    if len(there):
        scores["class_f1"] = float(f1_score(*classes, labels=there, average="macro", zero_division=0))
    return scores


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


def _retrieval(ranks: np.ndarray, sides: Sequence[str]) -> dict[str, float]:
    first, second = (side.lower() for side in sides)
    return {
        "accuracy": float((ranks == 1).mean()),
        "mean_reciprocal_rank": float((1 / ranks).mean()),
        f"{first}_to_{second}_accuracy": float((ranks[:, 0] == 1).mean()),
        f"{second}_to_{first}_accuracy": float((ranks[:, 1] == 1).mean()),
    }


def _nsp(gold: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    right = (predicted >= THRESHOLD) == (gold == 1)
    return {
        "accuracy": float(right.mean()),
        "is_next_accuracy": float(right[gold == 1].mean()),
        "not_next_accuracy": float(right[gold == 0].mean()),
        "mean_next_probability": float(predicted[gold == 1].mean()),
        "mean_random_probability": float(predicted[gold == 0].mean()),
    }


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
