"""The evaluation stage: fills `WORK/evaluation`, which a killed run leaves to be continued by the next.

To try failed cells again, or to evaluate more tasks, models or seeds, remove `manifest.json`: finished cells are kept.
"""

import logging
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from bimed_dist import ranks
from bimed_dist.errors import ConfigError, DataError, Stopped, one_line
from bimed_dist.evaluation.grid import launched, workers
from bimed_dist.evaluation.grid.model_on_task import Candidate, ModelOnTask
from bimed_dist.evaluation.grid.progress import Progress
from bimed_dist.evaluation.grid.schedule import Schedule
from bimed_dist.evaluation.grid.task_result import TaskResult, collected, pooled
from bimed_dist.evaluation.models import loading as models
from bimed_dist.evaluation.preparation.inputs import task_folder
from bimed_dist.evaluation.preparation.prepared import PreparedTask, task_grid, task_seeds
from bimed_dist.evaluation.preparation.preparing import prepare_tasks
from bimed_dist.evaluation.results import summarise
from bimed_dist.hugging_face import for_split_words, load_config, load_tokenizer
from bimed_dist.manifest import (
    Manifest,
    Outcome,
    begin,
    finished,
    folder_lock,
    input_digest,
    verified,
    write_json,
    write_manifest,
)
from bimed_dist.processes import signals_handled
from bimed_dist.recipe.evaluation import EvaluationSettings
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.references import Located, data_path, locate
from bimed_dist.workspace import FOLDS, MANIFEST, RESULTS, SETTINGS, TRIAL_WEIGHTS, TRIALS, stage_folder

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Subject:
    """A model to evaluate, or why it can't be."""

    located: Located
    tokenizer: PreTrainedTokenizerBase | None
    config: Any
    parameters: int | None
    error: str | None


def run(recipe: Recipe, work: Path) -> Outcome:
    """Evaluate every model of the recipe on every task; of several launched processes the others call `follow`.

    Raises ConfigError or DataError, before anything is trained or written, for wrong settings and for all wrong data
    at once. A cell that fails is recorded and does not stop the others.
    """
    with launched.first():
        return _run(recipe, work)


def _run(recipe: Recipe, work: Path) -> Outcome:
    settings = recipe.evaluation
    if settings is None:
        raise ConfigError(f"recipe {recipe.name} has no `evaluation` section")
    folder = stage_folder(work, "evaluation")
    located = {label: locate(model.folder, recipe, work) for label, model in settings.models.items()}
    resolved = {"seed": recipe.seed, **settings.identity()}
    inputs = _inputs(settings, recipe, work, located)
    done = _finished(folder, resolved, inputs)
    if done is not None:
        return Outcome(folder, done, was_done=True)
    tasks = prepare_tasks(recipe, work)
    with folder_lock(folder):
        begin(folder, resolved, inputs)
        return _fill(folder, settings, resolved, inputs, tasks, located)


def _finished(folder: Path, resolved: Mapping[str, Any], inputs: Mapping[str, str]) -> Manifest | None:
    """What was begun with other settings goes on with these: a cell is trusted for its own settings and data alone."""
    if not (folder / MANIFEST).is_file():
        return None if (folder / SETTINGS).is_file() else finished(folder, resolved, inputs)
    try:
        return finished(folder, resolved, inputs)
    except ConfigError as error:
        raise ConfigError(
            f"{error}\nOr remove {folder / MANIFEST} and run again: cells that the change does not concern are kept"
        ) from None


def _fill(
    folder: Path,
    settings: EvaluationSettings,
    resolved: Mapping[str, Any],
    inputs: Mapping[str, str],
    tasks: Mapping[str, PreparedTask],
    located: Mapping[str, Located],
) -> Outcome:
    start = time.monotonic()
    subjects = {label: load_subject(place) for label, place in located.items()}
    measured = _measure(settings, tasks, subjects, folder)
    described = {label: _description(label, settings, subject) for label, subject in subjects.items()}
    results = summarise(settings, resolved["seed"], described, tasks, measured)
    write_json(folder / RESULTS, results)
    shutil.rmtree(folder / TRIAL_WEIGHTS, ignore_errors=True)
    manifest = write_manifest(
        folder,
        stage="evaluation",
        name="evaluation",
        settings=resolved,
        inputs=inputs,
        counts=_counts(results, folder),
        files=[path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST],
        seconds=time.monotonic() - start,
    )
    return Outcome(folder, manifest, was_done=False)


def _inputs(settings: EvaluationSettings, recipe: Recipe, work: Path, located: Mapping[str, Located]) -> dict[str, str]:
    inputs = {settings.models[label].folder: place.digest for label, place in located.items()}
    for task in settings.tasks.values():
        folder = task_folder(task, recipe, work)
        if task.corpus is not None:
            inputs[f"corpus/{task.corpus}"] = verified(folder).digest
        elif task.path is not None:
            inputs[f"data/{task.path}"] = input_digest(folder)
        if task.terms is not None:
            inputs[f"data/{task.terms.path}"] = input_digest(data_path(recipe, task.terms.path))
    return inputs


def load_subject(located: Located) -> Subject:
    try:
        tokenizer = load_tokenizer(located.location)
        config = load_config(located.location)
        models.check_vocabulary(located.location, config, tokenizer)
        models.drop_unknown_segments(config, tokenizer)
        return Subject(located, tokenizer, config, models.parameter_count(config), None)
    except DataError as error:
        logger.warning("not evaluated: %s", error)
        return Subject(located, None, None, None, one_line(error))


def _description(label: str, settings: EvaluationSettings, subject: Subject) -> dict[str, Any]:
    """Parameters and vocabulary are null where the model could not be loaded."""
    return {
        "folder": settings.models[label].folder,
        "adapted_from": settings.models[label].adapted_from,
        "digest": subject.located.digest,
        "parameters": subject.parameters,
        "vocabulary": None if subject.tokenizer is None else len(subject.tokenizer),
    }


def _candidates(settings: EvaluationSettings, prepared: PreparedTask) -> tuple[Candidate, ...]:
    """The grid of a task in the order of the recipe, learning rates first; empty for intrinsic tasks."""
    found = task_grid(settings, prepared)
    if found is None:
        return ()
    return tuple(Candidate(rate, number) for rate in found["learning_rates"] for number in found["epochs"])


def _measure(
    settings: EvaluationSettings, tasks: Mapping[str, PreparedTask], subjects: Mapping[str, Subject], folder: Path
) -> dict[tuple[str, str], TaskResult]:
    """Every model on every task, computed by workers or by all processes of a launch, and read from the records."""
    measured: dict[tuple[str, str], TaskResult] = {}
    pairs = []
    for name, prepared in tasks.items():
        if prepared.folds:
            write_folds(prepared, folder)
        for one in prepared.turns:
            encoded: dict[tuple[str, str], Any] = {}
            usable = {label: subject for label, subject in subjects.items() if subject.tokenizer is not None}
            pairs += [make_pair(settings, one, label, subject, folder, encoded) for label, subject in usable.items()]
        for label in subjects.keys() - usable.keys():
            failure = {"task": name, "model": label, "cell": "all", "error": subjects[label].error or ""}
            measured[name, label] = TaskResult(failures=[failure])
    schedule = Schedule(pairs)
    progress = Progress(schedule)
    largest = max((subject.parameters or 0 for subject in subjects.values()), default=0)
    with stoppable(folder), progress.bar:
        if ranks.world_size() > 1:
            launched.fill(schedule, progress.tell)
        else:
            workers.fill(schedule, settings.workers or workers.default_count(largest), progress.tell)
    turns: dict[tuple[str, str], list[tuple[ModelOnTask, TaskResult]]] = {}
    for number, pair in enumerate(pairs):
        found = collected(pair, schedule.records[number], schedule.chosen[number])
        turns.setdefault((pair.prepared.name, pair.label), []).append((pair, found))
        if number + 1 == len(pairs) or pairs[number + 1].prepared is not pair.prepared:
            pair.encoded.clear()
    for at, parts in turns.items():
        measured[at] = pooled(parts) if tasks[at[0]].folds else parts[0][1]
    return {(name, label): measured[name, label] for name in tasks for label in subjects}


def write_folds(prepared: PreparedTask, folder: Path) -> None:
    """`cells/TASK/folds.json`: the rows of each fold by file and line, and which fold chooses for it."""
    place = folder / TRIALS / prepared.name
    place.mkdir(parents=True, exist_ok=True)
    # A fold is the development split of the turn before it.
    written = {
        one.fold: {
            "rows": [example.id for example in prepared.folds[i - 1].dev],
            "chosen_on": prepared.folds[(i + 1) % len(prepared.folds)].fold,
        }
        for i, one in enumerate(prepared.folds)
    }
    write_json(place / FOLDS, {"schema": 1, "digest": prepared.digest, "folds": written})


@contextmanager
def stoppable(folder: Path) -> Iterator[None]:
    """SIGTERM and SIGINT end the stage with Stopped; what was computed is on disk.

    At once where workers compute, and at the next update where this process does.
    """

    def stop(number: int, _: object) -> None:
        reason = (
            f"stopped by {signal.Signals(number).name}; the cells that were finished are in {folder}, run the same "
            "command again to go on"
        )
        if ranks.world_size() == 1:
            raise Stopped(reason)
        ranks.request_stop(reason)

    with signals_handled(dict.fromkeys((signal.SIGTERM, signal.SIGINT), stop)):
        yield


def make_pair(
    settings: EvaluationSettings,
    prepared: PreparedTask,
    label: str,
    subject: Subject,
    folder: Path,
    encoded: dict[tuple[str, str], Any],
) -> ModelOnTask:
    words = prepared.task.kind in ("ner", "mlm")
    pair = ModelOnTask(
        prepared=prepared,
        label=label,
        location=subject.located.location,
        model_digest=subject.located.digest,
        tokenizer=for_split_words(subject.tokenizer) if words else subject.tokenizer,
        limit=models.token_limit(subject.config, subject.tokenizer, prepared.settings.max_length),
        candidates=_candidates(settings, prepared),
        seeds=task_seeds(settings, prepared),
        batch=settings.batch_size,
        folder=folder / TRIALS / prepared.name / prepared.fold / label,
        weights=folder / TRIAL_WEIGHTS,
        parameters=subject.parameters or 0,
        encoded=encoded,
    )
    pair.folder.mkdir(parents=True, exist_ok=True)
    return pair


def _counts(results: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    main: dict[str, dict[str, float]] = {}
    for row in results["scores"]:
        if row["main"]:
            main.setdefault(f"{row['task']}/{row['split']}", {})[row["model"]] = round(row["mean"], 4)
    return {
        "models": len(results["models"]),
        "tasks": len(results["tasks"]),
        "cells": sum(1 for _ in (folder / TRIALS).rglob("lr=*.json")),
        "failures": len(results["failures"]),
        "main_scores": main,
    }
