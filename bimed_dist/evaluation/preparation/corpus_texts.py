"""The texts of a recipe's tasks, which the corpus stage searches its documents for. Imports no torch.

Tasks on held-out documents are left out, because their text is the corpus itself.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import bimed_dist
from bimed_dist.corpus.contamination import TaskText, TaskTexts
from bimed_dist.errors import ConfigError, DataError
from bimed_dist.evaluation.preparation.inputs import check_settings, task_inputs
from bimed_dist.evaluation.preparation.validation import raise_problems
from bimed_dist.evaluation.task import Example, Kind
from bimed_dist.evaluation.tasks import TASKS
from bimed_dist.manifest import digest_of, input_digest
from bimed_dist.recipe.evaluation import TaskSettings
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.references import data_path

logger = logging.getLogger(__name__)

Splits = Mapping[str, tuple[Example, ...]]


def task_texts(recipe: Recipe) -> TaskTexts:
    """Return the texts of every row of every task that has files of its own or is generated.

    Raises ConfigError for wrong settings. Reading raises DataError with the problems of all tasks.
    """
    tasks = recipe.evaluation.tasks if recipe.evaluation else {}
    check_settings(tasks)
    with_texts = {name: settings for name, settings in tasks.items() if TASKS[settings.task].source != "corpus"}
    inputs = {f"task/{name}": _digest(settings, recipe) for name, settings in with_texts.items()}
    return TaskTexts(inputs, _Texts(recipe, with_texts))


def _digest(settings: TaskSettings, recipe: Recipe) -> str:
    if settings.path is not None:
        files = input_digest(data_path(recipe, settings.path))
        columns = [s.model_dump(mode="json") for s in (settings.table, settings.entities) if s is not None]
        return digest_of([files, *columns]) if columns else files
    return digest_of(
        {"task": settings.task, "seed": recipe.seed, "rows": settings.max_rows, "version": bimed_dist.__version__}
    )


@dataclass(frozen=True)
class _Texts:
    """Reads the tasks again for every iteration."""

    recipe: Recipe
    tasks: Mapping[str, TaskSettings]

    def __iter__(self) -> Iterator[TaskText]:
        splits_of = self._read()
        for name, splits in splits_of.items():
            task = TASKS[self.tasks[name].task]
            yield from _task_texts(name, splits, splits, task.kind, parallel="")
            parallels = [other for other in splits_of if self.tasks[other].task == task.parallel]
            if task.parallel is not None and not parallels:
                logger.info(
                    "%s: its parallel task %s is not in the recipe, so leaks in that language are not found",
                    name,
                    task.parallel,
                )
            for parallel in parallels:
                _check_alignment(name, splits, parallel, splits_of[parallel])
                yield from _task_texts(name, splits, splits_of[parallel], task.kind, parallel)

    def _read(self) -> dict[str, Splits]:
        splits_of: dict[str, Splits] = {}
        problems: dict[str, list[str]] = {}
        for name, settings in self.tasks.items():
            folder = None if settings.path is None else data_path(self.recipe, settings.path)
            inputs = task_inputs(settings, self.recipe, folder)
            problems[name] = []
            try:
                splits_of[name] = TASKS[settings.task].load(inputs).splits
            except (ConfigError, DataError) as error:
                problems[name].append(f"{name}: {error}")
            problems[name] += [f"{name}: {problem}" for problem in inputs.problems.lines()]
        raise_problems(problems, "evaluation data, which the corpus is searched for")
        return splits_of


def _check_alignment(name: str, splits: Splits, parallel: str, parallel_splits: Splits) -> None:
    sizes, parallel_sizes = ({split: len(rows) for split, rows in s.items()} for s in (splits, parallel_splits))
    if sizes != parallel_sizes:
        raise DataError(
            f"{name} and {parallel} should be the same rows in two languages, but have {sizes} and {parallel_sizes} "
            "rows; take both from the sources that docs/open_data.md names"
        )


def _task_texts(name: str, splits: Splits, text_splits: Splits, kind: Kind, parallel: str) -> Iterator[TaskText]:
    """Yield every text of `text_splits` under the row of `splits` at the same position."""
    for split, rows in splits.items():
        for example, with_text in zip(rows, text_splits[split], strict=True):
            for text in [" ".join(with_text.texts)] if kind == "ner" else with_text.texts:
                yield TaskText(name, split, example.id, text, parallel)
