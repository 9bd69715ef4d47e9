"""Tasks as the grid uses them: read, freed of leaks, limited, checked, and with the test splits sealed."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bimed_dist.config import EvaluationSettings, Recipe, TaskSettings
from bimed_dist.errors import ConfigError, DataError
from bimed_dist.evaluation.folds import dealt, turn
from bimed_dist.evaluation.held_out import with_partners
from bimed_dist.evaluation.splitting import limited, without_leaks
from bimed_dist.evaluation.task import FINE_TUNED, Example, Origin, Splits, Task
from bimed_dist.evaluation.tasks import TASKS
from bimed_dist.evaluation.validation import raise_all, row_problems, split_problems
from bimed_dist.manifest import digest_of, verified
from bimed_dist.workspace import data_path

FEW_DOCUMENTS = 20
"""A bootstrap over fewer clusters understates their spread."""


class SealedSplits:
    """Test examples, which are handed out only against the written choice of (learning rate, epochs)."""

    def __init__(self, parts: Mapping[str, tuple[Example, ...]]) -> None:
        self._parts = dict(parts)

    def open(self, choice: Path, key: Mapping[str, Any]) -> dict[str, tuple[Example, ...]]:
        """The splits by name, if `choice` holds a choice made for `key` (task, model, digests, grid).

        Raises ConfigError where nothing was chosen, or for something else.
        """
        if not choice.is_file():
            raise ConfigError(f"test splits are closed: {choice} is not written; choose on the development split first")
        found = json.loads(choice.read_text(encoding="utf-8"))
        if found.get("key") != dict(key) or not found.get("chosen"):
            raise ConfigError(f"test splits are closed: {choice} is a choice for another model, data or grid")
        return dict(self._parts)


@dataclass(frozen=True)
class Prepared:
    name: str
    """Name in the recipe; `settings.task` names the file."""
    task: Task
    settings: TaskSettings
    labels: tuple[str, ...]
    notes: tuple[str, ...]
    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    sealed: SealedSplits
    """Test and external splits of fine-tuned tasks."""
    intrinsic: tuple[Example, ...]
    """Rows of intrinsic tasks, for which nothing is chosen."""
    rows: dict[str, int]
    read: dict[str, int]
    """Rows per split as they were read."""
    dropped: dict[str, int]
    kept_of: dict[str, int]
    """Rows per split after duplicates and leaks were dropped, before they were limited."""
    digest: str
    fold: str = ""
    """Which turn of a cross-validation this is."""
    folds: tuple["Prepared", ...] = ()
    """The turns of a cross-validation; this task itself has no rows to train on then."""

    @property
    def turns(self) -> tuple["Prepared", ...]:
        """What is trained and tested: the folds, or the task."""
        return self.folds or (self,)


def prepare_tasks(recipe: Recipe, work: Path) -> dict[str, Prepared]:
    """Every task of the recipe. Raises ConfigError, then DataError, with the problems of all tasks together."""
    assert recipe.evaluation is not None
    tasks = recipe.evaluation.tasks
    wrong = [f"  evaluation.tasks.{name}: {p}" for name, settings in tasks.items() for p in _setting_problems(settings)]
    if wrong:
        raise ConfigError(f"{len(wrong)} problem(s) in the evaluation's tasks\n" + "\n".join(wrong))
    prepared: dict[str, Prepared] = {}
    problems: dict[str, list[str]] = {name: [] for name in tasks}
    for name, settings in tasks.items():
        try:
            prepared[name] = _prepare(name, settings, recipe, work, problems[name])
        except DataError as error:
            problems[name].append(f"{name}: {error}")
    raise_all(problems, "evaluation data")
    return prepared


def _setting_problems(settings: TaskSettings) -> list[str]:
    task = TASKS.get(settings.task)
    if task is None:
        return [f"there is no task {settings.task}; there are {', '.join(sorted(TASKS))}"]
    problems = []
    for place, needed in (("path", task.source == "path"), ("corpus", task.source == "corpus")):
        given = getattr(settings, place) is not None
        if given != needed:
            problems.append(f"task {settings.task} {'needs' if needed else 'takes no'} {place}")
    if task.kind not in FINE_TUNED:
        useless = [place for place in ("learning_rates", "epochs") if getattr(settings, place) is not None]
        problems += [f"task {settings.task} trains nothing and takes no {place}" for place in useless]
    if settings.folds is not None and task.kind not in FINE_TUNED:
        problems.append(f"task {settings.task} trains nothing and takes no folds")
    if settings.folds is not None and settings.rows and task.source != "synthetic":
        problems.append("folds take all rows, `rows` can't limit them")
    known = {"train", "dev", "test", "external"} if task.kind in FINE_TUNED else {"test"}
    problems += [f"rows: there is no split {split}" for split in sorted(set(settings.rows) - known)]
    return problems


def task_folder(settings: TaskSettings, recipe: Recipe, work: Path) -> Path | None:
    """Where a task's files are; none for synthetic tasks."""
    if settings.corpus is not None:
        return work / "corpus" / settings.corpus
    return None if settings.path is None else data_path(recipe, settings.path)


def task_grid(settings: EvaluationSettings, prepared: Prepared) -> dict[str, list[float] | list[int]] | None:
    """Candidates of a task, `learning_rates` and `epochs`: its own before the evaluation's; none if untrained."""
    if prepared.task.kind not in FINE_TUNED:
        return None
    return {
        "learning_rates": list(prepared.settings.learning_rates or settings.learning_rates),
        "epochs": list(prepared.settings.epochs or settings.epochs),
    }


def _prepare(name: str, settings: TaskSettings, recipe: Recipe, work: Path, problems: list[str]) -> Prepared:
    task = TASKS[settings.task]
    folder = task_folder(settings, recipe, work)
    if task.source == "corpus":
        verified(folder)
    origin = Origin(folder, recipe.seed, settings.rows, settings.max_length)
    splits = task.load(origin)
    own = origin.problems + row_problems(task, splits)
    absent = sorted(set(settings.rows) - set(splits.parts))
    own += [f"rows: the task has no split {split}" for split in absent]
    prepared, parts = _cleaned(name, task, settings, splits)
    turns = {"": parts}
    if settings.folds is not None:
        rows = dealt(task.kind, parts, settings.folds)
        turns = {f"fold={i + 1}": turn(rows, i) for i in range(settings.folds)}
        prepared = _with_folds(prepared, turns, "external" in parts)
    if not own:
        for fold, of_turn in turns.items():
            found = split_problems(task, of_turn, splits.labels)
            own += [f"{fold}: {problem}" if fold else problem for problem in found]
    problems += [f"{name}: {problem}" for problem in own]
    return prepared


def _with_folds(prepared: Prepared, turns: Mapping[str, Mapping[str, tuple[Example, ...]]], external: bool) -> Prepared:
    notes = [
        f"{len(turns)}-fold cross-validation: every row is tested once, and the choice for a fold is made on the next"
    ]
    if external:
        notes.append("the external split is not used with folds")
    total = sum(len(of_turn["test"]) for of_turn in turns.values())
    return replace(
        prepared,
        notes=(*prepared.notes, *notes),
        train=(),
        dev=(),
        sealed=SealedSplits({}),
        rows={"test": total},
        kept_of={"test": total},
        folds=tuple(
            replace(
                prepared,
                fold=fold,
                train=of_turn["train"],
                dev=of_turn["dev"],
                sealed=SealedSplits({"test": of_turn["test"]}),
                rows={split: len(part) for split, part in of_turn.items()},
                digest=_digest(prepared.labels, of_turn),
            )
            for fold, of_turn in turns.items()
        ),
    )


def _digest(labels: tuple[str, ...], parts: Mapping[str, tuple[Example, ...]]) -> str:
    return digest_of(
        {"labels": labels, "parts": {split: [asdict(example) for example in part] for split, part in parts.items()}}
    )


def _cleaned(
    name: str, task: Task, settings: TaskSettings, splits: Splits
) -> tuple[Prepared, dict[str, tuple[Example, ...]]]:
    cleaned = without_leaks(task.kind, splits.parts)
    parts = {split: limited(task.kind, part, settings.rows.get(split)) for split, part in cleaned.parts.items()}
    notes = splits.notes
    if task.kind == "nsp":
        parts["test"], left_out = with_partners(parts["test"])
        notes += left_out
    notes += _split_notes(task, parts, splits.labels)
    tuned = task.kind in FINE_TUNED
    closed = {split: part for split, part in parts.items() if split not in ("train", "dev")}
    prepared = Prepared(
        name=name,
        task=task,
        settings=settings,
        labels=splits.labels,
        notes=notes,
        train=parts.get("train", ()),
        dev=parts.get("dev", ()),
        sealed=SealedSplits(closed if tuned else {}),
        intrinsic=() if tuned else parts["test"],
        rows={split: len(part) for split, part in parts.items()},
        read={split: len(part) for split, part in splits.parts.items()},
        dropped={"duplicates": cleaned.duplicates, "leaked": cleaned.leaked},
        kept_of={split: len(part) for split, part in cleaned.parts.items()},
        digest=_digest(splits.labels, parts),
    )
    return prepared, parts


def _split_notes(task: Task, parts: Mapping[str, tuple[Example, ...]], labels: tuple[str, ...]) -> tuple[str, ...]:
    """What a reader must know of the rows that were kept."""
    if task.kind not in FINE_TUNED:
        documents = len({example.document for example in parts["test"]})
        few = "" if documents >= FEW_DOCUMENTS else ": so few that the intervals are too narrow"
        return (f"intervals and p resample whole documents, of which there are {documents}{few}",)
    if task.kind != "multilabel":
        return ()
    absent = {
        split: [label for i, label in enumerate(labels) if not any(example.target[i] for example in part)]
        for split, part in parts.items()
    }
    return tuple(
        f"{split}: no row has {', '.join(names)}; left out of macro F1" for split, names in absent.items() if names
    )
