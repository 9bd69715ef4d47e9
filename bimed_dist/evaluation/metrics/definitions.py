"""Every metric: its name in results.json, its title in the report, and its direction. No torch, no numpy.

Scores are written in the order of METRICS.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

SPECIFICITIES = (0.9, 0.95)
"""Specificities on the development split at which screening thresholds are set."""
MLM_SUMS = ("bits", "characters", "nats", "tokens", "correct_tokens", "words", "correct_words")
"""Sums over the masked words of one window: the predictions of kind mlm."""


@dataclass(frozen=True)
class Metric:
    name: str
    title: str
    lower_is_better: bool = False


_SHARES = [
    Metric(f"{share}_at_dev_specificity_{value}", f"{share.capitalize()} (threshold: {value:.0%} specificity on dev)")
    for value in SPECIFICITIES
    for share in ("sensitivity", "specificity")
]
METRICS = {
    metric.name: metric
    for metric in (
        # Similarity.
        Metric("pearson", "Pearson"),
        Metric("spearman", "Spearman"),
        # Entities. F1 is also given for single labels and classes.
        Metric("f1", "F1"),
        Metric("precision", "Precision"),
        Metric("recall", "Recall"),
        Metric("class_f1", "Class F1 per word or character"),
        # Masked-LM evaluation, next sentences and retrieval.
        Metric("bits_per_character", "Bits per character", lower_is_better=True),
        Metric("loss", "Loss", lower_is_better=True),
        Metric("accuracy", "Accuracy"),
        Metric("word_accuracy", "Word accuracy"),
        Metric("is_next_accuracy", "Accuracy on IsNext pairs"),
        Metric("not_next_accuracy", "Accuracy on NotNext pairs"),
        Metric("mean_next_probability", "Mean P(IsNext) of IsNext pairs"),
        Metric("mean_random_probability", "Mean P(IsNext) of NotNext pairs", lower_is_better=True),
        Metric("mean_reciprocal_rank", "Mean reciprocal rank"),
        # Classification, single-label and multi-label.
        Metric("macro_f1", "Macro F1"),
        Metric("micro_f1", "Micro F1"),
        Metric("auroc", "AUROC"),
        Metric("average_precision", "Average precision"),
        Metric("macro_auroc", "Macro AUROC"),
        Metric("macro_average_precision", "Macro average precision"),
        *_SHARES,
        Metric("hamming_loss", "Hamming loss", lower_is_better=True),
        Metric("subset_accuracy", "Subset accuracy"),
        Metric("brier_score", "Brier score", lower_is_better=True),
        Metric("ece", "Calibration error (ECE)", lower_is_better=True),
    )
}
_DIRECTION = re.compile("(.+)_to_(.+)_accuracy")


def find_metric(name: str) -> Metric:
    """Return the metric of a score.

    `METRIC:LABEL` is the metric of a single label; `A_to_B_accuracy` is retrieval in one direction.
    Raises KeyError for an unknown name.
    """
    base = name.partition(":")[0]
    if direction := _DIRECTION.fullmatch(base):
        return Metric(base, f"Accuracy, {direction[1].capitalize()} to {direction[2].capitalize()}")
    return METRICS[base]


def tag_names(types: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the tag numbers: O, then B- and I- of each entity type."""
    return ("O", *(f"{prefix}-{name}" for name in types for prefix in ("B", "I")))
