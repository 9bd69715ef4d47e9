"""Scores of one set of predictions.

Gold and predictions are one array of numbers per item:

| kind | gold | predicted |
|---|---|---|
| sts, sts_classes | [score] | [score] |
| multilabel | 0 or 1 per label | probability per label |
| classification | [class number] | probability per class; of two classes also the `with_screening` columns |
| ner | tag number per unit, see `tag_names` | tag number per unit |
| mlm | unused | the sums in MLM_SUMS |
| nsp | [1 for IsNext, else 0] | [probability of IsNext] |
| retrieval | unused | [rank of the second text, rank of the first] |

Metrics are defined once, in `sums` and `ranking`; a single set is a sample that holds every item once. Tests compare
them with scipy, scikit-learn and seqeval.
"""

from collections.abc import Sequence

import numpy as np

from bimed_dist.errors import DataError
from bimed_dist.evaluation.metrics.definitions import METRICS
from bimed_dist.evaluation.metrics.ranking import metrics_from_counts
from bimed_dist.evaluation.metrics.sums import Arrays, item_sums, metrics_from_sums
from bimed_dist.evaluation.task import MAIN_METRIC, SIMILARITY_KINDS, Kind

CALIBRATION_BINS = 10
_UNDEFINED = {
    "pearson": "scores or predictions are all equal, so the correlation is undefined",
    "macro_f1": "no row has any label, so macro F1 is undefined",
    "bits_per_character": "no word could be masked: the held-out documents are too few or too short",
}
_ORDER = list(METRICS)


def scores(kind: Kind, gold: Arrays, predicted: Arrays, labels: Sequence[str] = ()) -> dict[str, float]:
    """Return every metric that is defined, main metric first and single labels last.

    Raises DataError if the main metric is undefined or predicted scores are not finite.
    """
    if kind in SIMILARITY_KINDS and not np.isfinite(np.concatenate(predicted)).all():
        raise DataError("predictions are not finite: the fine-tuning diverged; try a smaller learning rate")
    sums = item_sums(kind, gold, predicted, labels).sum(axis=0, keepdims=True)
    every_item_once = np.ones((len(predicted), 1))
    samples = {
        **metrics_from_sums(kind, sums, labels),
        **metrics_from_counts(kind, gold, predicted, labels, every_item_once),
    }
    values = {name: float(sample[0]) for name, sample in samples.items() if np.isfinite(sample[0])}
    main = MAIN_METRIC[kind]
    if main not in values:
        raise DataError(_UNDEFINED.get(main, f"{main} is undefined for these rows"))
    if kind == "classification":
        probabilities = np.stack(predicted)[:, : len(labels)].astype(float)
        correct = probabilities.argmax(axis=1) == np.concatenate(gold)
        values["ece"] = calibration_error(correct, probabilities.max(axis=1))
    return {name: values[name] for name in sorted(values, key=lambda name: _place(name, main))}


def _place(name: str, main: str) -> tuple[bool, bool, int]:
    """Sort key: the main metric, then metrics of all labels, then of single labels, each in the order of METRICS."""
    base, _, label = name.partition(":")
    return name != main, bool(label), _ORDER.index(base) if base in METRICS else len(_ORDER)


def calibration_error(correct: np.ndarray, confidence: np.ndarray) -> float:
    """Return the expected calibration error over ten bins of equal width (Guo et al. 2017, equation 3).

    correct, confidence: (N,). It is not resampled: it is biased upwards in resamples.
    """
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=correct.astype(float) - confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(correct))
