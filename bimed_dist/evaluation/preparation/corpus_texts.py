"""The texts of a recipe's tasks, for the corpus stage to look for: all that the corpus half sees of this one.

Reads files and loads no torch. Intrinsic tasks are left out, whose text is the corpus itself.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import bimed_dist
from bimed_dist.corpus.contamination import TaskText, TaskTexts
from bimed_dist.errors import ConfigError, DataError
from bimed_dist.evaluation.preparation.origins import check_settings, task_inputs
from bimed_dist.evaluation.preparation.validation import raise_all
from bimed_dist.evaluation.task import Example, Kind
from bimed_dist.evaluation.tasks import TASKS
from bimed_dist.manifest import digest_of, input_digest
from bimed_dist.recipe.evaluation import TaskSettings
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.references import data_path

logger = logging.getLogger(__name__)

Parts = Mapping[str, tuple[Example, ...]]


def task_texts(recipe: Recipe) -> TaskTexts:
    """Texts of every row of every task that has texts of its own.

    Raises ConfigError for settings that do not fit; reading raises DataError with the problems of all tasks together.
    """
    tasks = recipe.evaluation.tasks if recipe.evaluation else {}
    check_settings(tasks)
    with_texts = {name: settings for name, settings in tasks.items() if TASKS[settings.task].source != "corpus"}
    inputs = {f"task/{name}": _digest(settings, recipe) for name, settings in with_texts.items()}
    return TaskTexts(inputs, _Texts(recipe, with_texts))


def _digest(settings: TaskSettings, recipe: Recipe) -> str:
    if settings.path is not None:
        files = input_digest(data_path(recipe, settings.path))
        chosen = [part.model_dump(mode="json") for part in (settings.table, settings.entities) if part is not None]
        return digest_of([files, *chosen]) if chosen else files
    return digest_of(
        {"task": settings.task, "seed": recipe.seed, "rows": settings.max_rows, "version": bimed_dist.__version__}
    )


@dataclass(frozen=True)
class _Texts:
    """Reads the tasks anew each time it is gone through."""

    recipe: Recipe
    tasks: Mapping[str, TaskSettings]

    def __iter__(self) -> Iterator[TaskText]:
        parts = self._read()
        for name, own in parts.items():
            task = TASKS[self.tasks[name].task]
            yield from _rows(name, own, own, task.kind, through="")
            others = [other for other in parts if self.tasks[other].task == task.parallel]
            if task.parallel is not None and not others:
                logger.info(
                    "%s: its parallel task %s is not in the recipe, so leaks through that language are not seen",
                    name,
                    task.parallel,
                )
            for other in others:
                _check_alignment(name, own, other, parts[other])
                yield from _rows(name, own, parts[other], task.kind, through=other)

    def _read(self) -> dict[str, Parts]:
        parts: dict[str, Parts] = {}
        problems: dict[str, list[str]] = {}
        for name, settings in self.tasks.items():
            folder = None if settings.path is None else data_path(self.recipe, settings.path)
            inputs = task_inputs(settings, self.recipe, folder)
            problems[name] = []
            try:
                parts[name] = TASKS[settings.task].load(inputs).splits
            except (ConfigError, DataError) as error:
                problems[name].append(f"{name}: {error}")
            problems[name] += [f"{name}: {problem}" for problem in inputs.problems.lines()]
        raise_all(problems, "evaluation data, which the corpus is searched for")
        return parts


def _check_alignment(name: str, own: Parts, other: str, texts: Parts) -> None:
    sizes, others = ({split: len(rows) for split, rows in parts.items()} for parts in (own, texts))
    if sizes != others:
        raise DataError(
            f"{name} and {other} should be the same rows in two languages, but have {sizes} and {others} rows; "
            "take both from the origins that the task files name"
        )


def _rows(name: str, own: Parts, texts: Parts, kind: Kind, through: str) -> Iterator[TaskText]:
    """Every text of `texts` under the row of `own` that stands in its place."""
    for split, examples in own.items():
        for example, other in zip(examples, texts[split], strict=True):
            for text in [" ".join(other.texts)] if kind == "ner" else other.texts:
                yield TaskText(name, split, example.id, text, through)
