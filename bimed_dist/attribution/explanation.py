"""Explanations of single answers: which answers are explained, what an explanation holds, and means over many."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn
from transformers import PreTrainedTokenizerBase

from bimed_dist.attribution import faithfulness
from bimed_dist.attribution.faithfulness import RANDOM, Curves
from bimed_dist.attribution.gradients import attribute_tokens
from bimed_dist.attribution.summary_format import LANGUAGES, METHODS, MethodSummary, ModelSummary
from bimed_dist.attribution.words import Words, word_scores, words_of_tokens
from bimed_dist.evaluation.metrics.thresholds import THRESHOLD
from bimed_dist.evaluation.models.encoding import EncodedRow
from bimed_dist.evaluation.task import Example
from bimed_dist.language import count_letters, language_of

LABELS_SHOWN = 3
"""Multi-label: labels of a row that are explained, and as many false positives."""
RANDOM_SEED = 0


@dataclass(frozen=True)
class Explanation:
    """One answer of one model on one row."""

    model: str
    row: int
    output: int
    predicted: float
    """Probability of the label or class, or score from 0 to 5."""
    threshold: float | None
    """Probability from which on the label is predicted, if it was chosen on the development split."""
    words: Words
    scores: dict[str, np.ndarray]
    """Method -> (W,) attribution of each word."""
    convergence_delta: float
    """Error of the integral, as a share of the change that the integrated gradients should add up to."""
    curves: dict[str, Curves]
    """Method, or `random` order -> answers with more and more words masked, or shown."""
    random_weights: dict[str, float | None]
    """Method -> rank correlation with the attribution of the same model with random weights."""


@dataclass(frozen=True)
class ExplainedModel:
    """A fine-tuned model and its answers on the rows to explain."""

    label: str
    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    max_length: int
    kind: str
    rows: list[EncodedRow]
    predicted: list[np.ndarray]
    """(outputs,) probabilities or score of each row."""
    thresholds: Sequence[float] | None
    """Multi-label: threshold of each label if they were chosen on the development split."""


def explain(
    model: ExplainedModel, examples: Sequence[Example], outputs: Sequence[Sequence[int]]
) -> Iterator[Explanation]:
    """Explain the given outputs of each example."""
    redrawn = faithfulness.with_random_weights(model.model, RANDOM_SEED)
    for number, example in enumerate(examples):
        yield from _explain_row(model, redrawn, number, example, outputs[number])


def _explain_row(
    model: ExplainedModel, redrawn: nn.Module, number: int, example: Example, outputs: Sequence[int]
) -> Iterator[Explanation]:
    row, mask_id = model.rows[number], model.tokenizer.mask_token_id
    texts = example.texts if len(example.texts) == 2 else example.texts[0]
    encoding = model.tokenizer([texts], truncation=True, max_length=model.max_length).encodings[0]
    words = words_of_tokens(example.texts, encoding.sequence_ids, encoding.offsets)

    def curves(*orders: np.ndarray) -> Curves:
        return faithfulness.mean_curves(model.model, row, words, orders, mask_id, model.kind)

    random_curves = curves(*faithfulness.random_orders(words))  # most of the passes; the same for all outputs
    for output in outputs:
        tokens, redrawn_tokens = (
            attribute_tokens(module, row, words.of_token >= 0, mask_id, output) for module in (model.model, redrawn)
        )
        scores = {method: word_scores(tokens.scores[method], words) for method in METHODS}
        redrawn_scores = {method: word_scores(redrawn_tokens.scores[method], words) for method in METHODS}
        ordered = {m: curves(faithfulness.descending_order(scores[m], words)).of(output) for m in METHODS}
        yield Explanation(
            model=model.label,
            row=number,
            output=output,
            predicted=float(model.predicted[number][output]),
            threshold=None if model.thresholds is None else model.thresholds[output],
            words=words,
            scores=scores,
            convergence_delta=abs(tokens.convergence_delta) / max(abs(tokens.change), 1e-9),
            curves={**ordered, RANDOM: random_curves.of(output)},
            random_weights={m: faithfulness.rank_correlation(scores[m], redrawn_scores[m]) for m in METHODS},
        )


def gold_outputs(kind: str, labels: Sequence[str], example: Example) -> tuple[float, ...]:
    """Return the correct value of each output: the score, or 0 or 1 for every label or class."""
    if kind == "sts":
        return (example.target,)
    return tuple(int(label == example.target) for label in labels) if kind == "classification" else example.target


def outputs_to_explain(
    kind: str,
    gold: Sequence[float],
    predicted: Sequence[np.ndarray],
    thresholds: Sequence[Sequence[float] | None],
) -> list[int]:
    """Return the outputs of a row to explain, the same for every model.

    `sts`: the score. `classification`: the row's class and each model's most likely class. `multilabel`: the first
    LABELS_SHOWN labels of the row, then the LABELS_SHOWN most likely false positives of any model; if there is neither,
    each model's most likely label.

    `predicted` and `thresholds` have one entry per model; without thresholds, a label is predicted from 0.5 on.
    """
    if kind == "sts":
        return [0]
    correct = [i for i, value in enumerate(gold) if value]
    most_likely = [int(np.argmax(values)) for values in predicted]
    if kind == "classification":
        return list(dict.fromkeys([*correct, *most_likely]))
    positive = [values >= (THRESHOLD if t is None else t) for values, t in zip(predicted, thresholds, strict=True)]
    false = np.flatnonzero(np.any(positive, axis=0) & (np.asarray(gold) == 0)).tolist()
    false.sort(key=lambda i: -max(values[i] for values in predicted))
    return [*correct[:LABELS_SHOWN], *false[:LABELS_SHOWN]] or sorted(set(most_likely))


def summarize(explanations: Sequence[Explanation]) -> ModelSummary:
    """Return means over explanations of one model."""
    return {
        "explanations": len(explanations),
        "convergence_delta": float(np.median([e.convergence_delta for e in explanations])),
        **{method: _summarize_method(explanations, method) for method in METHODS},
    }


def _summarize_method(explanations: Sequence[Explanation], method: str) -> MethodSummary:
    correlations = [r for e in explanations if (r := e.random_weights[method]) is not None]
    return {
        **_mean_areas(explanations, method),
        **{f"random_{name}": value for name, value in _mean_areas(explanations, RANDOM).items()},
        "random_weights": float(np.mean(correlations)) if correlations else None,
        "weight_by_language": weight_by_language(explanations, method),
    }


def _mean_areas(explanations: Sequence[Explanation], order: str) -> dict[str, float]:
    curves = [e.curves[order] for e in explanations]
    return {name: float(np.mean([faithfulness.area(getattr(c, name)) for c in curves])) for name in Curves._fields}


def weight_by_language(explanations: Sequence[Explanation], method: str) -> dict[str, float]:
    """Return the share of the absolute attribution on words of each language."""
    totals = dict.fromkeys(LANGUAGES, 0.0)
    for explanation in explanations:
        words = [word for text in explanation.words.texts for word in text]
        for word, score in zip(words, np.abs(np.nan_to_num(explanation.scores[method])), strict=True):
            totals[language_of(count_letters(word))] += float(score)
    total = sum(totals.values())
    return {language: weight / total if total else 0.0 for language, weight in totals.items()}
