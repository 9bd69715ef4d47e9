"""The evaluation stage: fills `WORK/evaluation`, which a killed run leaves to be continued by the next.

To try failed cells again, remove `manifest.json`: finished cells are kept.
"""

import json
import logging
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from bimed_dist.config import EvaluationSettings, Recipe
from bimed_dist.errors import ConfigError, DataError
from bimed_dist.evaluation import grid, models
from bimed_dist.evaluation.grid import Candidate, Measured, Pair
from bimed_dist.evaluation.preparation import Prepared, prepare_tasks, task_folder, task_grid, task_seeds
from bimed_dist.evaluation.results import summarise
from bimed_dist.manifest import (
    FILE_NAME,
    Outcome,
    begin,
    canonical_json,
    finished,
    input_digest,
    locked,
    verified,
    write_json,
    write_manifest,
)
from bimed_dist.tokenizer import load_tokenizer
from bimed_dist.workspace import Located, data_path, locate

logger = logging.getLogger(__name__)
RESULTS_NAME = "results.json"
WEIGHTS_NAME = "weights.partial"


@dataclass(frozen=True)
class Subject:
    """A model to evaluate, or why it can't be."""

    located: Located
    tokenizer: PreTrainedTokenizerBase | None
    config: Any
    parameters: int | None
    error: str | None


def run(recipe: Recipe, work: Path) -> Outcome:
    """Evaluate every model of the recipe on every task.

    Raises ConfigError or DataError, before anything is trained or written, for wrong settings and for all wrong data
    at once. A cell that fails is recorded and does not stop the others.
    """
    settings = recipe.evaluation
    if settings is None:
        raise ConfigError(f"recipe {recipe.name} has no `evaluation` section")
    folder = work / "evaluation"
    located = {label: locate(model.folder, recipe, work) for label, model in settings.models.items()}
    resolved = json.loads(canonical_json({"seed": recipe.seed, **settings.model_dump(mode="json")}))
    inputs = _inputs(settings, recipe, work, located)
    done = finished(folder, resolved, inputs)
    if done is not None:
        return Outcome(folder, done, was_done=True)
    tasks = prepare_tasks(recipe, work)
    with locked(folder):
        begin(folder, resolved, inputs)
        return _fill(folder, settings, resolved, inputs, tasks, located)


def _fill(
    folder: Path,
    settings: EvaluationSettings,
    resolved: Mapping[str, Any],
    inputs: Mapping[str, str],
    tasks: Mapping[str, Prepared],
    located: Mapping[str, Located],
) -> Outcome:
    start = time.monotonic()
    subjects = {label: _subject(place) for label, place in located.items()}
    measured = _measure(settings, tasks, subjects, folder)
    described = {label: _description(label, settings, subject) for label, subject in subjects.items()}
    results = summarise(settings, resolved["seed"], described, tasks, measured)
    write_json(folder / RESULTS_NAME, results)
    shutil.rmtree(folder / WEIGHTS_NAME, ignore_errors=True)
    manifest = write_manifest(
        folder,
        stage="evaluation",
        name="evaluation",
        settings=resolved,
        inputs=inputs,
        counts=_counts(results, folder),
        files=[path for path in folder.rglob("*") if path.is_file() and path.name != FILE_NAME],
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


def _subject(located: Located) -> Subject:
    try:
        tokenizer = load_tokenizer(located.location)
        config = models.load_config(located.location)
        models.check_vocabulary(located.location, config, tokenizer)
        return Subject(located, tokenizer, config, models.parameter_count(config), None)
    except DataError as error:
        logger.warning("not evaluated: %s", error)
        return Subject(located, None, None, None, models.one_line(error))


def _description(label: str, settings: EvaluationSettings, subject: Subject) -> dict[str, Any]:
    """Parameters and vocabulary are null where the model could not be loaded."""
    return {
        "folder": settings.models[label].folder,
        "adapted_from": settings.models[label].adapted_from,
        "digest": subject.located.digest,
        "parameters": subject.parameters,
        "vocabulary": None if subject.tokenizer is None else len(subject.tokenizer),
    }


def _candidates(settings: EvaluationSettings, prepared: Prepared) -> tuple[Candidate, ...]:
    """The grid of a task in the order of the recipe, learning rates first; empty for intrinsic tasks."""
    found = task_grid(settings, prepared)
    if found is None:
        return ()
    return tuple(Candidate(rate, number) for rate in found["learning_rates"] for number in found["epochs"])


class _Pace:
    """Log lines where there is no terminal, for which tqdm draws nothing and counts nothing."""

    def __init__(self, cells: int) -> None:
        self.cells_left = cells
        self.made = 0
        self.seconds = 0.0

    def begins(self, name: str, label: str, cells: int) -> None:
        logger.info("%s, %s begins: %d cells of %d left in all", name, label, cells, self.cells_left)

    def ends(self, name: str, label: str, cells: int, measured: Measured, seconds: float) -> None:
        """Time left is what a cell of this run took on average, for the cells whose grids have not begun."""
        self.cells_left -= cells
        self.made += measured.made
        self.seconds += seconds if measured.made else 0.0
        line = f"{name}, {label} ends: {measured.done} of {cells} cells done, {measured.made} of them now"
        line += f", {len(measured.failures)} failures, {tqdm.format_interval(seconds)}"
        if measured.best_dev is not None:
            line += f"; best dev score {measured.best_dev:.4f}"
        if self.made and self.cells_left:
            left = tqdm.format_interval(self.seconds / self.made * self.cells_left)
            line += f"; about {left} left for {self.cells_left} cells"
        logger.info(line)


def _measure(
    settings: EvaluationSettings, tasks: Mapping[str, Prepared], subjects: Mapping[str, Subject], folder: Path
) -> dict[tuple[str, str], Measured]:
    """Every model on every task, with one progress bar over all cells."""
    grids = {name: _candidates(settings, prepared) for name, prepared in tasks.items()}
    # One cell per candidate and seed, and one per seed for the test splits (or for an intrinsic score).
    seeds = {name: task_seeds(settings, prepared) for name, prepared in tasks.items()}
    cells = {name: (len(candidates) + 1) * len(seeds[name]) for name, candidates in grids.items()}
    total = sum(cells.values()) * len(subjects)
    measured = {}
    pace = _Pace(total)
    with tqdm(total=total, unit="cell", desc="evaluation", disable=None) as progress:
        for name, prepared in tasks.items():
            encoded: dict[tuple[str, str], Any] = {}
            for label, subject in subjects.items():
                progress.set_postfix_str(f"{name}, {label}")
                start = time.monotonic()
                if progress.disable:
                    pace.begins(name, label, cells[name])
                if subject.tokenizer is None:
                    failure = {"task": name, "model": label, "cell": "all", "error": subject.error or ""}
                    found = Measured(failures=[failure])
                    progress.update(cells[name])
                else:
                    pair = _pair(settings, prepared, label, subject, grids[name], folder, encoded)
                    found = (grid.fine_tuned if grids[name] else grid.untrained)(pair, progress)
                measured[name, label] = found
                if progress.disable:
                    pace.ends(name, label, cells[name], found, time.monotonic() - start)
    return measured


def _pair(
    settings: EvaluationSettings,
    prepared: Prepared,
    label: str,
    subject: Subject,
    candidates: tuple[Candidate, ...],
    folder: Path,
    encoded: dict[tuple[str, str], Any],
) -> Pair:
    pair = Pair(
        prepared=prepared,
        label=label,
        location=subject.located.location,
        model_digest=subject.located.digest,
        tokenizer=subject.tokenizer,
        limit=models.piece_limit(subject.config, subject.tokenizer, prepared.settings.max_length),
        candidates=candidates,
        seeds=task_seeds(settings, prepared),
        batch=settings.batch,
        folder=folder / "cells" / prepared.name / label,
        weights=folder / WEIGHTS_NAME,
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
        "cells": sum(1 for _ in (folder / "cells").rglob("lr=*.json")),
        "failures": len(results["failures"]),
        "main_scores": main,
    }
