"""The attribution stage: models of a finished evaluation, explained on the same test rows, as one page.

The page holds text of the test split, so the pipeline never makes it. `summary.json` and the manifest hold numbers.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bimed_dist.attribution import page
from bimed_dist.attribution.explanation import (
    ExplainedModel,
    Explanation,
    explain,
    gold_outputs,
    outputs_to_explain,
    summarize,
)
from bimed_dist.attribution.summary_format import Summary
from bimed_dist.errors import ConfigError
from bimed_dist.evaluation.grid.model_on_task import ModelOnTask, Trial, load_model_folder, model_on_task
from bimed_dist.evaluation.grid.records import unpack
from bimed_dist.evaluation.grid.running import predict_with_thresholds, trained_model
from bimed_dist.evaluation.models.encoding import encode
from bimed_dist.evaluation.models.finetuning import predict
from bimed_dist.evaluation.preparation.preparing import prepare_tasks
from bimed_dist.evaluation.preparation.splitting import limit_rows
from bimed_dist.evaluation.task import Example
from bimed_dist.manifest import Outcome, build, verified, write_json
from bimed_dist.progress import Progress
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.recipe.report import AttributionSettings
from bimed_dist.references import locate
from bimed_dist.workspace import PAGE, SUMMARY, stage_folder

_log = logging.getLogger(__name__)
KINDS = ("sts", "multilabel", "classification")
"""Kinds of tasks with one answer, or one per label, for a whole text."""
TOLERANCE = 0.01
"""Largest difference of answers up to which a retrained model counts as the evaluated one: bf16 has three digits."""


def run(recipe: Recipe, name: str, work: Path) -> Outcome:
    """Build `attribution/NAME`. The chosen trial of every model is trained again, as the evaluation keeps no weights.

    Raises ConfigError if the task is of a kind that can't be explained, DataError if the evaluation is unfinished.
    """
    settings = recipe.attribution[name]
    evaluated = verified(stage_folder(work, "evaluation"))
    return build(
        stage_folder(work, "attribution", name),
        stage="attribution",
        settings={"seed": recipe.seed, **settings.identity()},
        inputs={"evaluation": evaluated.digest},
        make=lambda folder: _make(recipe, settings, work, folder),
    )


def _make(recipe: Recipe, settings: AttributionSettings, work: Path, folder: Path) -> Mapping[str, Any]:
    entries = load_models(recipe, settings, work)
    prepared = entries[0].prepared
    kind = prepared.task.kind
    if kind not in KINDS:
        raise ConfigError(
            f"attribution: evaluation.tasks.{settings.task} is of kind {kind}; choose a task of kind {', '.join(KINDS)}"
        )
    examples = limit_rows(kind, entries[0].open_test_splits()["test"], settings.rows)
    models, differences = [], {}
    for entry in entries:
        model, differences[entry.label] = retrain(entry, examples)
        models.append(model)
    outputs = [
        outputs_to_explain(
            kind,
            gold_outputs(kind, prepared.labels, example),
            [model.predicted[i] for model in models],
            [model.thresholds for model in models],
        )
        for i, example in enumerate(examples)
    ]
    explanations = _explain_all(models, examples, outputs)
    summary = {model.label: summarize([e for e in explanations if e.model == model.label]) for model in models}
    content: Summary = {
        "schema": 1,
        "task": settings.task,
        "models": summary,
        "difference_from_evaluation": differences,
    }
    write_json(folder / SUMMARY, content)
    html = page.html(recipe, settings, prepared, examples, explanations, summary, changed_models(differences))
    (folder / PAGE).write_text(html, encoding="utf-8")
    return {"rows": len(examples), "models": len(models), "explanations": len(explanations), "summary": summary}


def load_models(recipe: Recipe, settings: AttributionSettings, work: Path) -> list[ModelOnTask]:
    """Return the evaluated models on the task; of a cross-validation, on its first fold."""
    assert recipe.evaluation is not None  # the recipe refuses an attribution without evaluation
    prepared = prepare_tasks(recipe, work)[settings.task].trained_tasks[0]
    encoded: dict[tuple[str, str], Any] = {}
    entries = []
    for label in settings.models or recipe.evaluation.models:
        model = load_model_folder(locate(recipe.evaluation.models[label].folder, recipe, work))
        if model.tokenizer is None:
            raise ConfigError(f"attribution: model {label} can't be explained: {model.error}")
        if model.tokenizer.mask_token_id is None:
            raise ConfigError(f"attribution: the tokenizer of {label} has no mask token to hide words with")
        folder = stage_folder(work, "evaluation")
        entries.append(model_on_task(recipe.evaluation, prepared, label, model, folder, encoded))
    return entries


def retrain(entry: ModelOnTask, examples: tuple[Example, ...]) -> tuple[ExplainedModel, float | None]:
    """Train the chosen trial with the first seed again, with as many threads as the evaluation used.

    Also returns the largest difference between its answers and those that the evaluation stored, None if it stored
    none.
    """
    trial = Trial(entry.read_choice(), entry.seeds[0], test=True)
    _log.info("%s: training the chosen trial again, then explaining %d rows", entry.label, len(examples))
    development = entry.read_record(Trial(trial.candidate, trial.seed)) or {}
    with _threads_of(development):
        model = trained_model(entry, trial)
    task, pad_id = entry.prepared.task, entry.tokenizer.pad_token_id
    # The beginning of a long text, whatever the task does with the rest: tokens and words must be those of one row.
    rows = encode(entry.tokenizer, task.kind, task.unit, entry.prepared.labels, examples, entry.max_tokens).rows
    explained = ExplainedModel(
        label=entry.label,
        model=model,
        tokenizer=entry.tokenizer,
        max_length=entry.max_tokens,
        kind=task.kind,
        rows=rows,
        predicted=predict(model, task.kind, rows, [1] * len(rows), pad_id),
        thresholds=development.get("thresholds"),
    )
    difference = _difference_from_stored(entry, trial, model, examples)
    if difference is not None and difference > TOLERANCE:
        _log.warning(
            "%s, trained again, is not the model that was evaluated: its answers differ by %.3f",
            entry.label,
            difference,
        )
    return explained, difference


@contextmanager
def _threads_of(record: Mapping[str, Any]) -> Iterator[None]:
    """Use the recorded number of threads: another number changes the order of sums and so the trained weights."""
    threads = torch.get_num_threads()
    torch.set_num_threads(record["machine"]["threads"] if record else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _difference_from_stored(
    entry: ModelOnTask, trial: Trial, model: nn.Module, examples: tuple[Example, ...]
) -> float | None:
    record = entry.read_record(trial)
    if record is None:
        return None
    predictions = dict(zip(entry.open_test_splits()["test"], record["splits"]["test"]["predictions"], strict=True))
    stored = np.stack(unpack([predictions[example] for example in examples], np.float32))
    answers = np.stack(predict_with_thresholds(entry, trial, model, entry.encode(examples)))
    # Columns after the answers hold predictions at thresholds.
    columns = max(1, len(entry.prepared.labels))
    return float(np.abs(answers - stored)[:, :columns].max())


def changed_models(differences: Mapping[str, float | None]) -> list[str]:
    """Return the models whose answers differ from those that the evaluation scored."""
    return [label for label, difference in differences.items() if difference is not None and difference > TOLERANCE]


def _explain_all(
    models: Sequence[ExplainedModel], examples: Sequence[Example], outputs: Sequence[Sequence[int]]
) -> list[Explanation]:
    explanations = []
    with Progress("attribution", len(models) * sum(map(len, outputs)), "explanations") as progress:
        for model in models:
            for explanation in explain(model, examples, outputs):
                explanations.append(explanation)
                progress.advance(note=model.label)
    return explanations
