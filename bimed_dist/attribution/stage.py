"""The attribution stage: models of a finished evaluation, explained on the same test rows, as one page.

The page holds text of the test split and is never made by the pipeline. `summary.json` and the manifest hold numbers.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from bimed_dist.attribution import faithfulness, page
from bimed_dist.attribution.faithfulness import RANDOM, Curves, area
from bimed_dist.attribution.gradients import METHODS, attributed
from bimed_dist.attribution.words import Words, sums_of_words, words_of_pieces
from bimed_dist.errors import ConfigError
from bimed_dist.evaluation import stage as evaluation
from bimed_dist.evaluation.grid import model_on_task as grid
from bimed_dist.evaluation.grid import records
from bimed_dist.evaluation.grid.model_on_task import ModelOnTask, Trial
from bimed_dist.evaluation.metrics.thresholds import THRESHOLD
from bimed_dist.evaluation.models.encoding import EncodedRow, encode
from bimed_dist.evaluation.models.finetuning import predict
from bimed_dist.evaluation.preparation.prepared import prepare_tasks
from bimed_dist.evaluation.preparation.splitting import limited
from bimed_dist.evaluation.task import Example
from bimed_dist.language import count_letters, language_of
from bimed_dist.manifest import Outcome, build, verified, write_json
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.recipe.report import AttributionSettings
from bimed_dist.references import locate
from bimed_dist.workspace import PAGE, SUMMARY, stage_folder

logger = logging.getLogger(__name__)
EXPLAINED = ("sts", "multilabel", "classification")
"""Kinds with one answer a text."""
LABELS_SHOWN = 3
"""Of a row's labels, and as many that are found although the row has them not."""
LANGUAGES = ("ko", "en", "mixed", "other")
RANDOM_SEED = 0
SAME = 0.01
"""Difference of answers up to which a model counts as the one that was evaluated: bf16 has three digits."""


@dataclass(frozen=True)
class Trained:
    """The chosen cell of a pair, trained again."""

    pair: ModelOnTask
    model: nn.Module
    rows: list[EncodedRow]
    predicted: list[np.ndarray]
    """Of each row that is explained."""
    thresholds: tuple[float, ...] | None
    """multilabel: from which probability on each label is found, where the development split chose it; else 0.5."""
    off: float | None
    """Largest difference to the predictions that the evaluation stored; none where it stored none."""


@dataclass(frozen=True)
class Explanation:
    """One answer of one model on one row."""

    model: str
    row: int
    output: int
    predicted: float
    """Probability of the label or class, or score 0-5."""
    threshold: float | None
    """Probability from which on the label is found, where the development split chose it."""
    words: Words
    scores: dict[str, np.ndarray]
    """(W,) attribution of each word by method."""
    gap: float
    """Of the integral, as a share of what it should add up to."""
    curves: dict[str, Curves]
    """By method, and in random order: answers with more and more words masked, or shown."""
    random_weights: dict[str, float | None]
    """By method: rank correlation with the attribution of the same model with random weights."""


def run(recipe: Recipe, name: str, work: Path) -> Outcome:
    """Build WORK/attribution/NAME. The chosen cell of every model is trained again, as evaluation keeps no weights.

    Raises ConfigError where the task has no single answers to explain, DataError where the evaluation is unfinished.
    """
    settings = recipe.attribution[name]
    evaluated = verified(stage_folder(work, "evaluation"))

    def make(folder: Path) -> Mapping[str, Any]:
        return _make(recipe, settings, work, folder)

    return build(
        stage_folder(work, "attribution", name),
        stage="attribution",
        settings={"seed": recipe.seed, **settings.model_dump(mode="json")},
        inputs={"evaluation": evaluated.digest},
        make=make,
    )


def _make(recipe: Recipe, settings: AttributionSettings, work: Path, folder: Path) -> Mapping[str, Any]:
    pairs = _pairs(recipe, settings, work)
    task = pairs[0].prepared.task
    if task.kind not in EXPLAINED:
        raise ConfigError(
            f"attribution: evaluation.tasks.{settings.task} is of kind {task.kind}; choose a task of kind "
            f"{', '.join(EXPLAINED)}"
        )
    examples = limited(task.kind, pairs[0].opened()["test"], settings.max_rows)
    trained = [_trained(pair, examples) for pair in pairs]
    labels = pairs[0].prepared.labels
    shown = [
        outputs_to_show(
            task.kind,
            answers_of(task.kind, labels, example),
            [one.predicted[i] for one in trained],
            [one.thresholds for one in trained],
        )
        for i, example in enumerate(examples)
    ]
    found = [explanation for one in trained for explanation in _explained(one, examples, shown)]
    summary = {pair.label: summary_of([e for e in found if e.model == pair.label]) for pair in pairs}
    off = {one.pair.label: one.off for one in trained}
    write_json(folder / SUMMARY, {"schema": 1, "task": settings.task, "models": summary, "off_stored": off})
    others = others_than_evaluated(off)
    html = page.html(recipe, settings, pairs[0].prepared, examples, found, summary, others, LABELS_SHOWN)
    (folder / PAGE).write_text(html, encoding="utf-8")
    return {"rows": len(examples), "models": len(pairs), "explanations": len(found), "summary": summary}


def _pairs(recipe: Recipe, settings: AttributionSettings, work: Path) -> list[ModelOnTask]:
    whole = recipe.evaluation
    assert whole is not None
    # Of a cross-validation, the first fold.
    prepared = prepare_tasks(recipe, work)[settings.task].turns[0]
    encoded: dict[tuple[str, str], Any] = {}
    pairs = []
    for label in settings.models or whole.models:
        subject = evaluation.load_subject(locate(whole.models[label].folder, recipe, work))
        if subject.tokenizer is None:
            raise ConfigError(f"attribution: model {label} can't be explained: {subject.error}")
        if subject.tokenizer.mask_token_id is None:
            raise ConfigError(f"attribution: the tokenizer of {label} has no mask token, which stands for no word")
        pairs.append(evaluation.make_pair(whole, prepared, label, subject, stage_folder(work, "evaluation"), encoded))
    return pairs


def _trained(pair: ModelOnTask, examples: tuple[Example, ...]) -> Trained:
    """The model of the chosen cell with the first seed, by as many threads as the evaluation trained it with."""
    cell = Trial(pair.chosen(), pair.seeds[0], test=True)
    logger.info("%s: the chosen cell is trained again, then %d rows are explained", pair.label, len(examples))
    developed = pair.record(Trial(cell.candidate, cell.seed)) or {}
    with _threads_of(developed):
        model = grid.trained_model(pair, cell)
    kind, pad_id = pair.prepared.task.kind, pair.tokenizer.pad_token_id
    # The head of a long text, whatever the task does with the rest: its pieces and words must be those of one row.
    rows = encode(pair.tokenizer, kind, pair.prepared.task.unit, pair.prepared.labels, examples, pair.limit).rows
    predicted = predict(model, kind, rows, [1] * len(rows), pad_id)
    off = _off_stored(pair, cell, model, examples)
    if off is not None and off > SAME:
        logger.warning(
            "%s, trained again, is not the model that was evaluated: answers are off by %.3f", pair.label, off
        )
    thresholds = tuple(developed["thresholds"]) if "thresholds" in developed else None
    return Trained(pair, model, rows, predicted, thresholds, off)


@contextmanager
def _threads_of(record: Mapping[str, Any]) -> Iterator[None]:
    """Sums over other threads are other sums, so that training ends at other weights."""
    before = torch.get_num_threads()
    torch.set_num_threads(record["machine"]["threads"] if record else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _off_stored(pair: ModelOnTask, cell: Trial, model: nn.Module, examples: tuple[Example, ...]) -> float | None:
    record = pair.record(cell)
    if record is None:
        return None
    stored = dict(zip(pair.opened()["test"], record["splits"]["test"]["predictions"], strict=True))
    before = np.stack(records.unpacked([stored[example] for example in examples], np.float32))
    now = np.stack(grid.cell_predictions(pair, cell, model, pair.encode(examples)))
    # Behind the answers may stand what is found at thresholds.
    answers = max(1, len(pair.prepared.labels))
    return float(np.abs(now - before)[:, :answers].max())


def others_than_evaluated(off: Mapping[str, float | None]) -> list[str]:
    """Models that are not, as far as their answers tell, those which the evaluation scored."""
    return [label for label, difference in off.items() if difference is not None and difference > SAME]


def _explained(trained: Trained, examples: tuple[Example, ...], shown: Sequence[Sequence[int]]) -> list[Explanation]:
    """shown: outputs to explain of each example."""
    drawn_anew = faithfulness.with_random_weights(trained.model, RANDOM_SEED)
    found = []
    with tqdm(total=sum(map(len, shown)), desc=trained.pair.label, unit=" explanations", disable=None) as progress:
        for number, example in enumerate(examples):
            for explanation in _of_row(trained, drawn_anew, number, example, shown[number]):
                found.append(explanation)
                progress.update()
    return found


def _of_row(
    trained: Trained, drawn_anew: nn.Module, number: int, example: Example, outputs: Sequence[int]
) -> Iterator[Explanation]:
    pair, model, row = trained.pair, trained.model, trained.rows[number]
    mask_id, kind = pair.tokenizer.mask_token_id, pair.prepared.task.kind
    texts = example.texts if len(example.texts) == 2 else example.texts[0]
    encoding = pair.tokenizer([texts], truncation=True, max_length=pair.limit).encodings[0]
    words = words_of_pieces(example.texts, encoding.sequence_ids, encoding.offsets)

    def curves(*orders: np.ndarray) -> Curves:
        return faithfulness.curves(model, row, words, orders, mask_id, kind)

    at_random = curves(*faithfulness.random_orders(words))  # most of the passes, the same for all outputs and methods
    for output in outputs:
        attribution, other = (attributed(one, row, words.of_piece >= 0, mask_id, output) for one in (model, drawn_anew))
        scores = {method: sums_of_words(attribution.pieces[method], words) for method in METHODS}
        others = {method: sums_of_words(other.pieces[method], words) for method in METHODS}
        drawn = {method: curves(faithfulness.falling(scores[method], words)).of(output) for method in METHODS}
        yield Explanation(
            model=pair.label,
            row=number,
            output=output,
            predicted=float(trained.predicted[number][output]),
            threshold=None if trained.thresholds is None else trained.thresholds[output],
            words=words,
            scores=scores,
            gap=abs(attribution.gap) / max(abs(attribution.change), 1e-9),
            curves={**drawn, RANDOM: at_random.of(output)},
            random_weights={
                method: faithfulness.rank_correlation(scores[method], others[method]) for method in METHODS
            },
        )


def answers_of(kind: str, labels: Sequence[str], example: Example) -> tuple[float, ...]:
    """What each output of the model should have said: the score, or 0 or 1 for every label or class."""
    if kind == "sts":
        return (example.target,)
    return tuple(int(label == example.target) for label in labels) if kind == "classification" else example.target


def outputs_to_show(
    kind: str,
    gold: Sequence[float],
    predicted: Sequence[np.ndarray],
    thresholds: Sequence[Sequence[float] | None],
) -> list[int]:
    """The same for every model: the score; the row's class and what any model takes it for; or the first LABELS_SHOWN
    of the row's labels and the LABELS_SHOWN likeliest of those that any model finds wrongly, of a row with neither what
    each model finds likeliest.

    predicted, thresholds: of each model; without thresholds a label is found from 0.5 on.
    """
    if kind == "sts":
        return [0]
    true = [i for i, value in enumerate(gold) if value]
    likeliest = [int(np.argmax(values)) for values in predicted]
    if kind == "classification":
        return list(dict.fromkeys([*true, *likeliest]))
    found = [values >= (THRESHOLD if t is None else t) for values, t in zip(predicted, thresholds, strict=True)]
    wrong = np.flatnonzero(np.any(found, axis=0) & (np.asarray(gold) == 0)).tolist()
    wrong.sort(key=lambda i: -max(values[i] for values in predicted))
    return [*true[:LABELS_SHOWN], *wrong[:LABELS_SHOWN]] or sorted(set(likeliest))


def summary_of(found: Sequence[Explanation]) -> dict[str, Any]:
    """Means over the explanations of one model: areas under the curves, sanity check, gap, weight by language."""
    summary: dict[str, Any] = {"explanations": len(found), "gap": float(np.median([e.gap for e in found]))}
    at_random = {f"random_{name}": value for name, value in _mean_areas(found, RANDOM).items()}
    for method in METHODS:
        known = [r for e in found if (r := e.random_weights[method]) is not None]
        summary[method] = {
            **_mean_areas(found, method),
            **at_random,
            "random_weights": float(np.mean(known)) if known else None,
            "weight_by_language": weight_by_language(found, method),
        }
    return summary


def _mean_areas(found: Sequence[Explanation], order: str) -> dict[str, float]:
    drawn = [e.curves[order] for e in found]
    return {name: float(np.mean([area(getattr(c, name)) for c in drawn])) for name in Curves._fields}


def weight_by_language(found: Sequence[Explanation], method: str) -> dict[str, float]:
    """Share of the attribution, signs left out, that words of each language got."""
    totals = dict.fromkeys(LANGUAGES, 0.0)
    for explanation in found:
        words = [word for text in explanation.words.texts for word in text]
        for word, score in zip(words, np.abs(np.nan_to_num(explanation.scores[method])), strict=True):
            totals[language_of(count_letters(word))] += float(score)
    whole = sum(totals.values())
    return {language: total / whole if whole else 0.0 for language, total in totals.items()}
