"""The evaluation stage: every model of a recipe on every task, in `WORK/evaluation`.

A run that was stopped is continued by the next one. To run failed trials again, or to evaluate more tasks, models or
seeds, remove `manifest.json`: finished trials are kept.
"""

import logging
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bimed_dist import ranks
from bimed_dist.errors import ConfigError, Stopped
from bimed_dist.evaluation.grid import launched, workers
from bimed_dist.evaluation.grid.model_on_task import ModelFolder, ModelOnTask, load_model_folder, model_on_task
from bimed_dist.evaluation.grid.progress import GridProgress
from bimed_dist.evaluation.grid.schedule import Schedule
from bimed_dist.evaluation.grid.task_result import TaskResult, collect_result, pool_folds
from bimed_dist.evaluation.preparation.inputs import task_folder
from bimed_dist.evaluation.preparation.prepared import PreparedTask
from bimed_dist.evaluation.preparation.preparing import prepare_tasks
from bimed_dist.evaluation.results import ResultsByTaskAndModel, build_results
from bimed_dist.evaluation.results_format import ModelEntry, Results
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


def run(recipe: Recipe, work: Path) -> Outcome:
    """Evaluate every model on every task; with several launched processes the others call `follow_rank_0`.

    Raises ConfigError for wrong settings and DataError for all problems of the data together, before anything is
    trained or written. A trial that fails is recorded and does not stop the others.
    """
    with launched.as_rank_0():
        settings = recipe.evaluation
        if settings is None:
            raise ConfigError(f"recipe {recipe.name} has no `evaluation` section")
        folder = stage_folder(work, "evaluation")
        located = {label: locate(model.folder, recipe, work) for label, model in settings.models.items()}
        identity = {"seed": recipe.seed, **settings.identity()}
        inputs = input_digests(recipe, work, located)
        manifest = _finished_manifest(folder, identity, inputs)
        if manifest is not None:
            return Outcome(folder, manifest, was_done=True)
        tasks = prepare_tasks(recipe, work)
        with folder_lock(folder):
            begin(folder, identity, inputs)
            start = time.monotonic()
            results = _evaluate(settings, recipe.seed, folder, tasks, located)
            write_json(folder / RESULTS, results)
            shutil.rmtree(folder / TRIAL_WEIGHTS, ignore_errors=True)
            manifest = write_manifest(
                folder,
                stage="evaluation",
                name="evaluation",
                settings=identity,
                inputs=inputs,
                counts=_counts(results, folder),
                files=[path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST],
                seconds=time.monotonic() - start,
            )
            return Outcome(folder, manifest, was_done=False)


def input_digests(recipe: Recipe, work: Path, located: Mapping[str, Located]) -> dict[str, str]:
    """Return the digest of every model, corpus, data folder and term list that the evaluation reads."""
    settings = recipe.evaluation
    assert settings is not None
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


def _finished_manifest(folder: Path, identity: Mapping[str, Any], inputs: Mapping[str, str]) -> Manifest | None:
    """Return the manifest if the evaluation is finished.

    An unfinished evaluation may be continued with other settings, since every trial is checked against its own key.
    Raises ConfigError if it was finished with other settings or inputs.
    """
    if not (folder / MANIFEST).is_file() and (folder / SETTINGS).is_file():
        return None
    try:
        return finished(folder, identity, inputs)
    except ConfigError as error:
        if not (folder / MANIFEST).is_file():
            raise
        raise ConfigError(
            f"{error}\nOr remove {folder / MANIFEST} and run again: trials that the change does not affect are kept"
        ) from None


# ---------------------------------------------------------------------------------------------------------- evaluation


def _evaluate(
    settings: EvaluationSettings,
    seed: int,
    folder: Path,
    tasks: Mapping[str, PreparedTask],
    located: Mapping[str, Located],
) -> Results:
    models = {label: load_model_folder(place) for label, place in located.items()}
    grid = _build_grid(settings, tasks, models, folder)
    for prepared in tasks.values():
        write_folds(prepared, folder)
    schedule = Schedule(grid)
    _run_trials(schedule, settings.workers, models, folder)
    results = _collect_results(schedule, tasks, models)
    entries = {label: _model_entry(settings, label, model) for label, model in models.items()}
    return build_results(settings, seed, entries, tasks, results)


def _build_grid(
    settings: EvaluationSettings, tasks: Mapping[str, PreparedTask], models: Mapping[str, ModelFolder], folder: Path
) -> list[ModelOnTask]:
    """Return an entry for every usable model on every task, or on every fold of a task."""
    grid: list[ModelOnTask] = []
    for prepared in (fold for task in tasks.values() for fold in task.trained_tasks):
        encoded: dict[tuple[str, str], Any] = {}
        grid += [
            model_on_task(settings, prepared, label, model, folder, encoded)
            for label, model in models.items()
            if model.error is None
        ]
    return grid


def write_folds(prepared: PreparedTask, folder: Path) -> None:
    """With folds, write `trials/TASK/folds.json`: rows of each fold (file and line), and which fold chooses."""
    if not prepared.folds:
        return
    # Each fold is the development split of the previous one (see preparation/folds.py).
    folds = {
        fold.fold: {
            "rows": [example.id for example in prepared.folds[i - 1].dev],
            "chosen_on": prepared.folds[(i + 1) % len(prepared.folds)].fold,
        }
        for i, fold in enumerate(prepared.folds)
    }
    write_json(folder / TRIALS / prepared.name / FOLDS, {"schema": 1, "digest": prepared.digest, "folds": folds})


def _run_trials(schedule: Schedule, count: int | None, models: Mapping[str, ModelFolder], folder: Path) -> None:
    """Run all waiting trials, by `count` workers or by all processes of a launch."""
    progress = GridProgress(schedule)
    with stoppable(folder), progress.bar:
        if ranks.world_size() > 1:
            launched.run_trials(schedule, progress.report)
        else:
            largest = max((model.parameters or 0 for model in models.values()), default=0)
            workers.run_trials(schedule, count or workers.default_count(largest), progress.report)


@contextmanager
def stoppable(folder: Path) -> Iterator[None]:
    """Make SIGTERM and SIGINT end the stage with Stopped; finished trials are on disk.

    Workers stop at once, processes of a launch at their next step.
    """

    def stop(number: int, _: object) -> None:
        reason = (
            f"stopped by {signal.Signals(number).name}; finished trials are in {folder}, run the same command again to "
            "continue"
        )
        if ranks.world_size() == 1:
            raise Stopped(reason)
        ranks.request_stop(reason)

    with signals_handled(dict.fromkeys((signal.SIGTERM, signal.SIGINT), stop)):
        yield


def _collect_results(
    schedule: Schedule, tasks: Mapping[str, PreparedTask], models: Mapping[str, ModelFolder]
) -> ResultsByTaskAndModel:
    """Return the result of every model on every task; folds are pooled."""
    by_fold: dict[tuple[str, str], list[tuple[ModelOnTask, TaskResult]]] = {}
    for index, entry in enumerate(schedule.grid):
        result = collect_result(entry, schedule.records[index], schedule.chosen[index])
        by_fold.setdefault((entry.prepared.name, entry.label), []).append((entry, result))
        if index + 1 == len(schedule.grid) or schedule.grid[index + 1].prepared is not entry.prepared:
            entry.encoded.clear()  # Rows of one task at a time are enough.
    results: dict[tuple[str, str], TaskResult] = {}
    for name, prepared in tasks.items():
        for label, model in models.items():
            if model.error is not None:
                failure = {"task": name, "model": label, "trial": "all", "error": model.error, "split": None}
                results[name, label] = TaskResult(failures=[failure])
            else:
                folds = by_fold[name, label]
                results[name, label] = pool_folds(folds) if prepared.folds else folds[0][1]
    return results


def _model_entry(settings: EvaluationSettings, label: str, model: ModelFolder) -> ModelEntry:
    return {
        "folder": settings.models[label].folder,
        "adapted_from": settings.models[label].adapted_from,
        "digest": model.located.digest,
        "parameters": model.parameters,
        "vocabulary": None if model.tokenizer is None else len(model.tokenizer),
    }


def _counts(results: Results, folder: Path) -> dict[str, Any]:
    main: dict[str, dict[str, float]] = {}
    for row in results["scores"]:
        if row["main"]:
            main.setdefault(f"{row['task']}/{row['split']}", {})[row["model"]] = round(row["mean"], 4)
    return {
        "models": len(results["models"]),
        "tasks": len(results["tasks"]),
        "trials": sum(1 for _ in (folder / TRIALS).rglob("lr=*.json")),
        "failures": len(results["failures"]),
        "main_scores": main,
    }
