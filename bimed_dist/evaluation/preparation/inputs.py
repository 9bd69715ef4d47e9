"""The inputs of a task: which settings it takes, where its files are, what its `load` gets. Imports no torch."""

from collections.abc import Mapping
from pathlib import Path

from bimed_dist.errors import ConfigError
from bimed_dist.evaluation.task import FINE_TUNED_KINDS, Kind, Task, TaskInputs
from bimed_dist.evaluation.tasks import TASKS
from bimed_dist.files.terms import read_terms
from bimed_dist.manifest import input_digest
from bimed_dist.recipe.base import TermList
from bimed_dist.recipe.evaluation import TableSettings, TaskSettings, given_twice
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.references import data_path
from bimed_dist.workspace import stage_folder

KINDS_OF_SETTING: dict[str, tuple[Kind, ...]] = {
    "keyword_rules": ("multilabel",),
    "threshold": ("multilabel",),
    "long_texts": ("multilabel", "classification"),
    "pooling": ("sts", "sts_classes", "multilabel", "classification"),
    "also_test_on": FINE_TUNED_KINDS,
    "repetitions": ("mlm", "nsp"),
}
"""Settings that only some kinds of task take."""


def check_settings(tasks: Mapping[str, TaskSettings]) -> None:
    """Raises ConfigError with the problems of the settings of all tasks."""
    problems = [
        f"  evaluation.tasks.{name}: {problem}" for name, settings in tasks.items() for problem in _problems(settings)
    ]
    for name, settings in tasks.items():
        for other in settings.also_test_on:
            if other not in tasks.keys() - {name}:
                problems.append(f"  evaluation.tasks.{name}: also_test_on: {other} is not another task")
            elif settings.folds is not None or tasks[other].folds is not None:
                problems.append(f"  evaluation.tasks.{name}: also_test_on: neither task can have folds")
    if problems:
        raise ConfigError(f"{len(problems)} problem(s) in the evaluation's tasks\n" + "\n".join(problems))


def _problems(settings: TaskSettings) -> list[str]:
    task = TASKS.get(settings.task)
    if task is None:
        return [f"there is no task {settings.task}; there are {', '.join(sorted(TASKS))}"]
    problems = []
    for name in ("path", "corpus"):
        needed = task.source == name
        if needed != (getattr(settings, name) is not None):
            problems.append(f"task {settings.task} {'needs' if needed else 'takes no'} {name}")
    if task.kind not in FINE_TUNED_KINDS:
        unused = [name for name in ("learning_rates", "epochs", "folds") if getattr(settings, name) is not None]
        problems += [f"task {settings.task} trains nothing and takes no {name}" for name in unused]
    if settings.folds is not None and settings.max_rows and task.source != "synthetic":
        problems.append("folds use all rows, which `max_rows` can't limit")
    splits = {"train", "dev", "test", "external"} if task.kind in FINE_TUNED_KINDS else {"test"}
    problems += [f"max_rows: there is no split {split}" for split in sorted(set(settings.max_rows) - splits)]
    for name in ("table", "entities", "terms"):
        if (task.needs == name) != (getattr(settings, name) is not None):
            problems.append(f"task {settings.task} {'needs' if task.needs == name else 'takes no'} {name}")
    if settings.sha256 is not None and task.source != "path":
        problems.append(f"task {settings.task} reads no files and takes no sha256")
    for name, kinds in KINDS_OF_SETTING.items():
        default = TaskSettings.model_fields[name].get_default(call_default_factory=True)
        if getattr(settings, name) != default and task.kind not in kinds:
            problems.append(f"task {settings.task} is of kind {task.kind} and takes no {name}")
    if settings.repetitions is not None and task.needs == "terms":
        problems.append(f"task {settings.task} masks every term, so repetitions would be equal; remove `repetitions`")
    problems += given_twice(settings, ("learning_rates", "epochs"))
    return problems + (_table_problems(settings.task, task, settings.table) if settings.table is not None else [])


def _table_problems(name: str, task: Task, table: TableSettings) -> list[str]:
    problems = []
    if table.positive_class is not None and task.kind != "classification":
        problems.append(f"table.positive_class is one of two classes; task {name} is of kind {task.kind}: remove it")
    if table.split_column is not None and "all" not in table.files:
        problems.append(
            "table.split_column needs the file `all` in table.files; name that file, or remove split_column"
        )
    if table.split_values and table.split_column is None:
        problems.append("table.split_values needs table.split_column; name that column, or remove split_values")
    return problems


def task_folder(settings: TaskSettings, recipe: Recipe, work: Path) -> Path | None:
    """Return the folder of a task's files; None for synthetic tasks."""
    if settings.corpus is not None:
        return stage_folder(work, "corpus", settings.corpus)
    return None if settings.path is None else data_path(recipe, settings.path)


def published_notes(task: Task, folder: Path | None) -> tuple[str, ...]:
    """Return notes on files that differ from the published ones, which scores in the literature are computed on."""
    notes = []
    for name, expected in task.published.items():
        path = folder / name
        if path.exists() and not (digest := input_digest(path)).startswith(expected):
            notes.append(f"{name}: not the published files (digest {digest[: len(expected)]}, expected {expected})")
    return tuple(notes)


def task_inputs(settings: TaskSettings, recipe: Recipe, folder: Path | None) -> TaskInputs:
    """Return the argument of the task's `load`. Raises DataError if the term list can't be read."""
    return TaskInputs(
        folder=folder,
        seed=recipe.seed,
        rows=settings.max_rows,
        max_length=settings.max_length,
        table=settings.table,
        entities=settings.entities,
        terms=() if settings.terms is None else _terms(settings.terms, recipe),
    )


def _terms(terms: TermList, recipe: Recipe) -> tuple[str, ...]:
    """Return the terms of the named columns, each once."""
    cells = read_terms(data_path(recipe, terms.path), terms.columns, terms.path)
    return tuple(dict.fromkeys(cell.text for cell in cells if cell.text))
