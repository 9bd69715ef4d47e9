"""Metrics that are functions of sums over items, of one set of items or of thousands of resamples at once.

`item_sums` gives every item K numbers. Their sums over a sample decide its metrics (`metrics_from_sums`), so that all
resamples are one matrix product. Metrics that depend on the order of items are in `ranking`.

N items, K sums, B samples, L labels. A metric that is undefined for a sample is NaN.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bimed_dist.evaluation.metrics.definitions import MLM_SUMS, SPECIFICITIES
from bimed_dist.evaluation.metrics.thresholds import THRESHOLD
from bimed_dist.evaluation.task import Kind

Arrays = Sequence[np.ndarray]
"""One array of numbers per item; see `scores`."""
Samples = dict[str, np.ndarray]
"""Metric -> (B,) values."""


def item_sums(kind: Kind, gold: Arrays, predicted: Arrays, labels: Sequence[str] = ()) -> np.ndarray:
    """Return the (N, K) numbers whose sums decide the metrics."""
    return _ITEM_SUMS[kind](gold, predicted, labels)


def metrics_from_sums(kind: Kind, sums: np.ndarray, labels: Sequence[str] = ()) -> Samples:
    """Return the metrics of B samples from their (B, K) sums."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return _METRICS[kind](sums, labels)


# ---------------------------------------------------------------------------------------------------------- similarity


def _similarity_sums(gold: Arrays, predicted: Arrays, _: Sequence[str]) -> np.ndarray:
    x, y = (_centred(np.concatenate(values).astype(float)) for values in (gold, predicted))
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)


def _centred(values: np.ndarray) -> np.ndarray:
    """Subtract the mean, which keeps the digits of the sums and no correlation depends on; exact 0 for a constant."""
    return values - (values.mean() if np.ptp(values) else values[0])


def _similarity(sums: np.ndarray, _: Sequence[str]) -> Samples:
    """Pearson correlation."""
    n, x, y, xx, yy, xy = sums.T
    return {"pearson": np.clip((n * xy - x * y) / np.sqrt((n * xx - x * x) * (n * yy - y * y)), -1, 1)}


# ------------------------------------------------------------------------------------------------------ classification


def _multilabel_sums(gold: Arrays, predicted: Arrays, _: Sequence[str]) -> np.ndarray:
    positive, decided = np.stack(gold) == 1, np.stack(predicted) >= THRESHOLD
    exact = (positive == decided).all(axis=1)
    return np.column_stack([np.ones(len(exact)), exact, positive & decided, decided, positive]).astype(float)


def _multilabel(sums: np.ndarray, labels: Sequence[str]) -> Samples:
    """F1 at threshold 0.5, Hamming loss and subset accuracy.

    Macro F1 is over the labels that some row of the sample has: scikit-learn counts 0 for the others, so that a perfect
    prediction would score less than 1. Predicting such a label lowers micro F1 and subset accuracy.
    """
    n, exact = sums.T[:2]
    correct, decided, positive = np.split(sums[:, 2:], 3, axis=1)
    wrong = (decided + positive - 2 * correct) / n[:, None]
    return {
        "macro_f1": _macro_f1(correct, decided, positive),
        "micro_f1": _f1(correct.sum(axis=1), decided.sum(axis=1) + positive.sum(axis=1)),
        "hamming_loss": wrong.mean(axis=1),
        "subset_accuracy": exact / n,
        **_by_label("f1", labels, _f1_of_labels(correct, decided, positive)),
        **_by_label("hamming_loss", labels, wrong),
    }


def _classification_sums(gold: Arrays, predicted: Arrays, labels: Sequence[str]) -> np.ndarray:
    columns = np.stack(predicted).astype(float)
    probabilities, screened = columns[:, : len(labels)], columns[:, len(labels) :]
    one_hot = np.eye(len(labels), dtype=bool)
    positive, decided = one_hot[np.concatenate(gold).astype(int)], one_hot[probabilities.argmax(axis=1)]
    squares = ((probabilities - positive) ** 2).sum(axis=1)
    screening = [screened * positive[:, [-1]], (1 - screened) * ~positive[:, [-1]]]
    return np.column_stack([np.ones(len(squares)), squares, positive & decided, decided, positive, *screening])


def _classification(sums: np.ndarray, labels: Sequence[str]) -> Samples:
    """Scores of the most probable class; macro F1 is over the classes that some row of the sample has.

    The last of two classes is the positive one. Sensitivity and specificity are measured on the sample's rows, at
    thresholds from the development split. Brier score: mean squared distance to the one-hot truth, halved for two
    classes.
    """
    n, squares = sums.T[:2]
    correct, decided, positive, screened = np.split(sums[:, 2:], np.arange(1, 4) * len(labels), axis=1)
    true_positives, true_negatives = np.split(screened, 2, axis=1)
    shares = {}
    for i, specificity in enumerate(SPECIFICITIES[: true_positives.shape[1]]):
        shares[f"sensitivity_at_dev_specificity_{specificity}"] = true_positives[:, i] / positive[:, 1]
        shares[f"specificity_at_dev_specificity_{specificity}"] = true_negatives[:, i] / positive[:, 0]
    return {
        "macro_f1": _macro_f1(correct, decided, positive),
        "accuracy": correct.sum(axis=1) / n,
        "brier_score": squares / n / (2 if len(labels) == 2 else 1),
        **shares,
        **_by_label("f1", labels, _f1_of_labels(correct, decided, positive)),
    }


def _macro_f1(correct: np.ndarray, decided: np.ndarray, positive: np.ndarray) -> np.ndarray:
    is_present = positive > 0
    return np.where(is_present, 2 * correct / (decided + positive), 0.0).sum(axis=1) / is_present.sum(axis=1)


def _f1_of_labels(correct: np.ndarray, decided: np.ndarray, positive: np.ndarray) -> np.ndarray:
    return np.where(positive > 0, 2 * correct / (decided + positive), np.nan)


def _f1(correct: np.ndarray, decided_and_positive: np.ndarray) -> np.ndarray:
    return np.where(decided_and_positive > 0, 2 * correct / decided_and_positive, 0.0)


def _by_label(metric: str, labels: Sequence[str], values: np.ndarray) -> Samples:
    return {f"{metric}:{label}": column for label, column in zip(labels, values.T, strict=True)}


# ------------------------------------------------------------------------------------------------------------ entities


def _entity_sums(gold: Arrays, predicted: Arrays, types: Sequence[str]) -> np.ndarray:
    rows = [_sums_of_tags(*item, len(types)) for item in zip(gold, predicted, strict=True)]
    return np.array(rows, dtype=float)


def _sums_of_tags(gold: np.ndarray, predicted: np.ndarray, types: int) -> list[int]:
    """Entities: correct, expected, predicted; then units of each type: correct, predicted, expected."""
    expected_entities, predicted_entities = entities(gold), entities(predicted)
    expected_type, predicted_type = ((np.asarray(tags).astype(int) + 1) // 2 for tags in (gold, predicted))
    correct_type = expected_type[expected_type == predicted_type]
    unit_types = (correct_type, predicted_type, expected_type)
    return [
        len(expected_entities & predicted_entities),
        len(expected_entities),
        len(predicted_entities),
        *(n for units in unit_types for n in np.bincount(units, minlength=types + 1)[1:].tolist()),
    ]


def entities(tags: np.ndarray) -> set[tuple[int, int, int]]:
    """Return (start, end, type) of each entity in tag numbers; an I- that continues no entity is ignored."""
    spans = set()
    start = kind = -1
    for position, tag in enumerate([*np.asarray(tags).astype(int).tolist(), 0]):
        continues = start >= 0 and tag > 0 and tag % 2 == 0 and (tag - 1) // 2 == kind
        if continues:
            continue
        if start >= 0:
            spans.add((start, position, kind))
        start, kind = (position, (tag - 1) // 2) if tag % 2 == 1 else (-1, -1)
    return spans


def _entities(sums: np.ndarray, types: Sequence[str]) -> Samples:
    """Entity precision, recall and F1 (micro), strict IOB2: borders and type must agree. 0 for 0 / 0, as in seqeval.

    class_f1: macro F1 of single units (words or characters) over the types, without borders; of words it is the F1 that
    KM-BERT reports (Kim et al. 2022). It is higher and says less.
    """
    correct, expected, predicted = sums.T[:3]
    return {
        "f1": _f1(correct, expected + predicted),
        "precision": np.where(predicted > 0, correct / predicted, 0.0),
        "recall": np.where(expected > 0, correct / expected, 0.0),
        **({"class_f1": _macro_f1(*np.split(sums[:, 3:], 3, axis=1))} if types else {}),
    }


# ---------------------------------------------------------------------- masked-LM evaluation, next sentences, retrieval


def _masked_word_sums(_: Arrays, predicted: Arrays, __: Sequence[str]) -> np.ndarray:
    return np.stack(predicted).astype(float)


def _masked_words(sums: np.ndarray, _: Sequence[str]) -> Samples:
    total = dict(zip(MLM_SUMS, sums.T, strict=True))
    return {
        "bits_per_character": total["bits"] / total["characters"],
        "loss": total["nats"] / total["tokens"],
        "accuracy": total["correct_tokens"] / total["tokens"],
        "word_accuracy": total["correct_words"] / total["words"],
    }


def _next_sentence_sums(gold: Arrays, predicted: Arrays, _: Sequence[str]) -> np.ndarray:
    is_next, probability = np.concatenate(gold) == 1, np.concatenate(predicted).astype(float)
    correct = (probability >= THRESHOLD) == is_next
    columns = [column for side in (is_next, ~is_next) for column in (side, correct & side, probability * side)]
    return np.column_stack(columns).astype(float)


def _next_sentences(sums: np.ndarray, _: Sequence[str]) -> Samples:
    next_, correct_next, probability_next, random, correct_random, probability_random = sums.T
    return {
        "accuracy": (correct_next + correct_random) / (next_ + random),
        "is_next_accuracy": correct_next / next_,
        "not_next_accuracy": correct_random / random,
        "mean_next_probability": probability_next / next_,
        "mean_random_probability": probability_random / random,
    }


def _retrieval_sums(_: Arrays, predicted: Arrays, __: Sequence[str]) -> np.ndarray:
    ranks = np.stack(predicted).astype(float)
    return np.column_stack([np.ones(len(ranks)), ranks == 1, 1 / ranks]).astype(float)


def _retrieval(sums: np.ndarray, sides: Sequence[str]) -> Samples:
    """Accuracy and mean reciprocal rank over both directions; sides: names of both languages."""
    n, forward, backward, forward_reciprocal, backward_reciprocal = sums.T
    first, second = (side.lower() for side in sides)
    return {
        "accuracy": (forward + backward) / (2 * n),
        "mean_reciprocal_rank": (forward_reciprocal + backward_reciprocal) / (2 * n),
        f"{first}_to_{second}_accuracy": forward / n,
        f"{second}_to_{first}_accuracy": backward / n,
    }


_ITEM_SUMS: Mapping[Kind, Callable[[Arrays, Arrays, Sequence[str]], np.ndarray]] = {
    "sts": _similarity_sums,
    "sts_classes": _similarity_sums,
    "multilabel": _multilabel_sums,
    "classification": _classification_sums,
    "ner": _entity_sums,
    "mlm": _masked_word_sums,
    "nsp": _next_sentence_sums,
    "retrieval": _retrieval_sums,
}
_METRICS: Mapping[Kind, Callable[[np.ndarray, Sequence[str]], Samples]] = {
    "sts": _similarity,
    "sts_classes": _similarity,
    "multilabel": _multilabel,
    "classification": _classification,
    "ner": _entities,
    "mlm": _masked_words,
    "nsp": _next_sentences,
    "retrieval": _retrieval,
}
