"""Tasks as the grid uses them: read, freed of leaks, limited, checked, and with the test splits sealed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bimed_dist.errors import ConfigError, DataError
from bimed_dist.evaluation.models.rules import apply_keyword_rules
from bimed_dist.evaluation.preparation.folds import dealt, every_row, turn, without_lone_types
from bimed_dist.evaluation.preparation.origins import check_settings, task_folder, task_inputs, unlike_published
from bimed_dist.evaluation.preparation.splitting import content_key, limited, without_leaks
from bimed_dist.evaluation.preparation.validation import raise_all, row_problems, split_problems
from bimed_dist.evaluation.readers.held_out import drop_unpaired
from bimed_dist.evaluation.task import FINE_TUNED_KINDS, Example, Kind, Task, TaskData
from bimed_dist.evaluation.tasks import TASKS
from bimed_dist.manifest import digest_of, input_digest, verified
from bimed_dist.recipe.evaluation import EvaluationSettings, TaskSettings
from bimed_dist.recipe.recipe import Recipe

LOST_IN_FOLDS: dict[Kind, str] = {
    "ner": "; take fewer folds, or leave rare types out (entities.types)",
    "multilabel": "; take fewer folds, or leave rare labels out (table.label_columns)",
    "classification": "; take fewer folds, or leave rare classes out",
}
"""What to do about labels that are too rare for every fold."""
VARIANTS = ("threshold", "long_texts", "pooling")


@dataclass(frozen=True)
class RuleResult:
    """What the rule baseline says; it learns nothing, so that it may see test rows before anything is chosen."""

    gold: list[np.ndarray]
    predicted: list[np.ndarray]
    examples: tuple[Example, ...]


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

    def test_keys(self, kind: Kind) -> set[str]:
        """Content keys of the test rows, by which leaks are found."""
        return {content_key(kind, example) for example in self._parts["test"]}

    def problems(self, task: Task, rest: Mapping[str, Sequence[Example]], labels: Sequence[str]) -> list[str]:
        """What is wrong with these splits beside the rest of the task's rows."""
        return split_problems(task, {**rest, **self._parts}, labels)

    def joined(self, others: "Mapping[str, SealedSplits]") -> "SealedSplits":
        """These splits and the test splits of others, by new names; sealed as before."""
        return SealedSplits({**self._parts, **{name: other._parts["test"] for name, other in others.items()}})


@dataclass(frozen=True)
class PreparedTask:
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
    rules: dict[str, RuleResult]
    """Test and external splits by the rule baseline; empty where the task has no rules."""
    split_languages: dict[str, str] = field(default_factory=dict)
    """Language of test splits of other tasks, where these models are tested on them too."""
    fold: str = ""
    """Which turn of a cross-validation this is."""
    folds: tuple["PreparedTask", ...] = ()
    """The turns of a cross-validation; this task itself has no rows to train on then."""

    @property
    def turns(self) -> tuple["PreparedTask", ...]:
        """What is trained and tested: the folds, or the task."""
        return self.folds or (self,)

    def variant(self) -> dict[str, str]:
        """Settings beside the grid that decide scores, as far as they are not the usual ones."""
        usual = {name: TaskSettings.model_fields[name].default for name in VARIANTS}
        return {name: getattr(self.settings, name) for name in VARIANTS if getattr(self.settings, name) != usual[name]}


def prepare_tasks(recipe: Recipe, work: Path) -> dict[str, PreparedTask]:
    """Every task of the recipe. Raises ConfigError, then DataError, with the problems of all tasks together."""
    assert recipe.evaluation is not None
    tasks = recipe.evaluation.tasks
    check_settings(tasks)
    prepared: dict[str, PreparedTask] = {}
    problems: dict[str, list[str]] = {name: [] for name in tasks}
    for name, settings in tasks.items():
        try:
            prepared[name] = _prepare(name, settings, recipe, work, problems[name])
        except (ConfigError, DataError) as error:
            problems[name].append(f"{name}: {error}")
    for name, settings in tasks.items():
        if settings.also_test_on and name in prepared:
            others = {o: prepared[o] for o in settings.also_test_on if o in prepared and "test" in prepared[o].rows}
            prepared[name], unsuitable = with_tests_of(prepared[name], others)
            problems[name] += [f"{name}: {problem}" for problem in unsuitable]
    raise_all(problems, "evaluation data")
    return prepared


def with_tests_of(prepared: PreparedTask, others: Mapping[str, PreparedTask]) -> tuple[PreparedTask, list[str]]:
    """(the task with the test splits of others as `test of NAME`, what does not fit).

    Training and development rows that stand in these test splits too are dropped as leaked.
    """
    alike = prepared.task.kind, prepared.labels, prepared.task.unit
    unlike = [name for name, o in others.items() if (o.task.kind, o.labels, o.task.unit) != alike]
    if unlike:
        return prepared, [f"also_test_on: {name} is of another kind or has other labels" for name in unlike]
    added = {f"test of {name}": other.sealed for name, other in others.items()}
    keys = set().union(*(sealed.test_keys(prepared.task.kind) for sealed in added.values()))
    train, dev = (
        tuple(example for example in part if content_key(prepared.task.kind, example) not in keys)
        for part in (prepared.train, prepared.dev)
    )
    lost = {"train": len(prepared.train) - len(train), "dev": len(prepared.dev) - len(dev)}
    leaked = sum(lost.values())
    kept_of = {split: prepared.kept_of[split] - number for split, number in lost.items() if number}
    sealed = prepared.sealed.joined(added)
    problems = sealed.problems(prepared.task, {"train": train, "dev": dev}, prepared.labels) if leaked else []
    sizes = {f"test of {name}": other.rows["test"] for name, other in others.items()}
    return replace(
        prepared,
        train=train,
        dev=dev,
        sealed=sealed,
        rows=prepared.rows | {"train": len(train), "dev": len(dev)} | sizes,
        dropped=prepared.dropped | {"leaked": prepared.dropped["leaked"] + leaked},
        kept_of=prepared.kept_of | kept_of,
        split_languages={f"test of {name}": other.task.language for name, other in others.items()},
        digest=digest_of([prepared.digest, {name: other.digest for name, other in others.items()}]),
    ), [f"also_test_on: without the rows that stand in other test splits too, {problem}" for problem in problems]


def task_grid(settings: EvaluationSettings, prepared: PreparedTask) -> dict[str, list[float] | list[int]] | None:
    """Candidates of a task, `learning_rates` and `epochs`: its own before the evaluation's; none if untrained."""
    if prepared.task.kind not in FINE_TUNED_KINDS:
        return None
    return {
        "learning_rates": list(prepared.settings.learning_rates or settings.learning_rates),
        "epochs": list(prepared.settings.epochs or settings.epochs),
    }


def task_seeds(settings: EvaluationSettings, prepared: PreparedTask) -> tuple[int, ...]:
    """What a task is done once for: the seeds, the repetitions of an intrinsic task, or 0 where nothing is drawn."""
    if prepared.task.kind == "retrieval" or prepared.task.needs == "terms":
        return (0,)
    if prepared.settings.repetitions is not None:
        return tuple(range(1, prepared.settings.repetitions + 1))
    return settings.seeds


def _prepare(name: str, settings: TaskSettings, recipe: Recipe, work: Path, problems: list[str]) -> PreparedTask:
    task = replace(TASKS[settings.task], **settings.description.model_dump(exclude_none=True))
    folder = task_folder(settings, recipe, work)
    if task.source == "corpus":
        verified(folder)
    if settings.sha256 is not None and not (found := input_digest(folder)).startswith(settings.sha256):
        raise DataError(f"the files in {folder} have the SHA-256 {found[:16]}, the recipe says {settings.sha256}")
    inputs = task_inputs(settings, recipe, folder)
    data = task.load(inputs)
    data = replace(data, notes=(*unlike_published(task, folder), *data.notes))
    own = inputs.problems.lines() + row_problems(task, data)
    own += [f"keyword_rules: there is no label {label}" for label in settings.keyword_rules if label not in data.labels]
    absent = sorted(set(settings.max_rows) - set(data.splits))
    own += [f"max_rows: the task has no split {split}" for split in absent]
    prepared, parts = _cleaned(name, task, settings, data)
    turns = {"": parts}
    if settings.folds is not None:
        if task.kind == "ner":
            parts, lost = without_lone_types(parts)
            prepared = replace(prepared, notes=(*prepared.notes, *lost))
        rows = dealt(task.kind, parts, settings.folds)
        turns = {f"fold={i + 1}": turn(rows, i) for i in range(settings.folds)}
        prepared = _with_folds(prepared, turns, "external" in parts)
    if not own:
        for fold, of_turn in turns.items():
            found = split_problems(task, of_turn, data.labels)
            own += [f"{fold}: {problem}{LOST_IN_FOLDS.get(task.kind, '')}" if fold else problem for problem in found]
    problems += [f"{name}: {problem}" for problem in own]
    return prepared


def _with_folds(
    prepared: PreparedTask, turns: Mapping[str, Mapping[str, tuple[Example, ...]]], external: bool
) -> PreparedTask:
    notes = [
        f"{len(turns)}-fold cross-validation over the rows of all splits, which are not used beyond that: every row is "
        "tested once, rows of one document or patient are in one fold, and the choice for a fold is made on the next"
    ]
    if external:
        notes.append("the external split is not used with folds")
    tested = tuple(example for of_turn in turns.values() for example in of_turn["test"])
    return replace(
        prepared,
        notes=(*notes, *prepared.notes),
        train=(),
        dev=(),
        sealed=SealedSplits({}),
        rows={"test": len(tested)},
        kept_of={"test": len(tested)},
        rules=rule_results(prepared.task, prepared.settings, prepared.labels, {"test": tested}),
        folds=tuple(
            replace(
                prepared,
                fold=fold,
                train=of_turn["train"],
                dev=of_turn["dev"],
                sealed=SealedSplits({"test": of_turn["test"]}),
                rows={split: len(part) for split, part in of_turn.items()},
                digest=_digest(prepared.labels, of_turn),
                rules={},
            )
            for fold, of_turn in turns.items()
        ),
    )


def _digest(labels: tuple[str, ...], parts: Mapping[str, tuple[Example, ...]]) -> str:
    return digest_of(
        {"labels": labels, "parts": {split: [_digested(example) for example in part] for split, part in parts.items()}}
    )


def _cleaned(
    name: str, task: Task, settings: TaskSettings, data: TaskData
) -> tuple[PreparedTask, dict[str, tuple[Example, ...]]]:
    cleaned = without_leaks(task.kind, data.splits)
    parts = {split: limited(task.kind, part, settings.max_rows.get(split)) for split, part in cleaned.parts.items()}
    notes = data.notes
    if cleaned.contradictory:
        notes += (
            f"{cleaned.contradictory:,} of the {cleaned.duplicates:,} duplicates that were dropped contradict the row "
            "that was kept: the same text with another label",
        )
    if task.kind == "nsp":
        parts["test"], left_out = drop_unpaired(parts["test"])
        notes += left_out
    # Folds put the splits together again.
    told = parts if settings.folds is None else {"all folds": tuple(every_row(parts))}
    notes += _split_notes(task, told, data.labels)
    tuned = task.kind in FINE_TUNED_KINDS
    closed = {split: part for split, part in parts.items() if split not in ("train", "dev")}
    prepared = PreparedTask(
        name=name,
        task=task,
        settings=settings,
        labels=data.labels,
        notes=notes,
        train=parts.get("train", ()),
        dev=parts.get("dev", ()),
        sealed=SealedSplits(closed if tuned else {}),
        intrinsic=() if tuned else parts["test"],
        rows={split: len(part) for split, part in parts.items()},
        read={split: len(part) for split, part in data.splits.items()},
        dropped={"duplicates": cleaned.duplicates, "leaked": cleaned.leaked},
        kept_of={split: len(part) for split, part in cleaned.parts.items()},
        digest=_digest(data.labels, parts),
        rules=rule_results(task, settings, data.labels, closed),
    )
    return prepared, parts


def _digested(example: Example) -> dict[str, Any]:
    """Without the source where there is none, as digests were before corpora told it."""
    found = asdict(example)
    return found if example.source else {name: value for name, value in found.items() if name != "source"}


def rule_results(
    task: Task, settings: TaskSettings, labels: tuple[str, ...], parts: Mapping[str, tuple[Example, ...]]
) -> dict[str, RuleResult]:
    """The rule baseline on each split."""
    keywords = {**task.keywords, **settings.keyword_rules}
    if not keywords:
        return {}
    return {
        split: RuleResult(
            gold=[np.asarray(example.target, dtype=np.float64) for example in part],
            predicted=list(apply_keyword_rules([example.texts[0] for example in part], keywords, labels)),
            examples=part,
        )
        for split, part in parts.items()
        if part
    }


def _split_notes(task: Task, parts: Mapping[str, tuple[Example, ...]], labels: tuple[str, ...]) -> tuple[str, ...]:
    """What a reader must know of the rows that were kept."""
    if task.kind == "retrieval":
        return ()
    if task.kind not in FINE_TUNED_KINDS:
        documents = len({example.document for example in parts["test"]})
        return (f"intervals and p resample whole documents, of which there are {documents}",)
    if task.kind == "ner" and task.source == "path":
        return tuple(_document_notes(parts))
    if task.kind == "classification" and len(labels) == 2:
        counts = {split: sum(example.target == labels[1] for example in part) for split, part in parts.items()}
        found = ", ".join(f"{count} of {len(parts[split])} in {split}" for split, count in counts.items())
        return (f"the class looked for is {labels[1]}: {found}",)
    if task.kind != "multilabel":
        return ()
    absent = {
        split: [label for i, label in enumerate(labels) if not any(example.target[i] for example in part)]
        for split, part in parts.items()
    }
    return tuple(
        f"{split}: no row has {', '.join(names)}; left out of macro F1" for split, names in absent.items() if names
    )


def _document_notes(parts: Mapping[str, tuple[Example, ...]]) -> Iterator[str]:
    """Sentences of one document are dependent, known or not; those of tested splits are resampled."""
    rows = [example for split, part in parts.items() if split not in ("train", "dev") for example in part]
    documents = {example.document for example in rows} - {""}
    if not documents:
        yield (
            "the files don't say which sentences are of one document: they are resampled one by one, so that intervals "
            "are too narrow and p too small as far as sentences of a document are alike"
        )
        return
    alone = sum(not example.document for example in rows)
    told = f", and {alone:,} sentences of none" if alone else ""
    yield f"intervals and p resample whole documents, of which there are {len(documents):,}{told}"
