"""Prepare the tasks of a recipe: read -> drop duplicates and leaks -> limit -> check -> seal the test splits."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from bimed_dist.errors import ConfigError, DataError
from bimed_dist.evaluation.models.rules import apply_keyword_rules
from bimed_dist.evaluation.preparation.folds import assign_folds, drop_unsplittable_types, fold_splits, pooled_rows
from bimed_dist.evaluation.preparation.inputs import check_settings, published_notes, task_folder, task_inputs
from bimed_dist.evaluation.preparation.prepared import PreparedTask, RuleResult, SealedSplits
from bimed_dist.evaluation.preparation.splitting import content_key, drop_leaks, limit_rows
from bimed_dist.evaluation.preparation.validation import raise_problems, row_problems, split_problems
from bimed_dist.evaluation.readers.held_out import drop_unpaired
from bimed_dist.evaluation.task import FINE_TUNED_KINDS, Example, Kind, Task, TaskData
from bimed_dist.evaluation.tasks import TASKS
from bimed_dist.manifest import digest_of, input_digest, verified
from bimed_dist.recipe.evaluation import TaskSettings
from bimed_dist.recipe.recipe import Recipe

ADVICE_FOR_FOLDS: dict[Kind, str] = {
    "ner": "; take fewer folds, or leave rare types out (entities.types)",
    "multilabel": "; take fewer folds, or leave rare labels out (table.label_columns)",
    "classification": "; take fewer folds, or leave rare classes out",
}
"""What to do about labels that are too rare for every fold."""
Splits = Mapping[str, tuple[Example, ...]]


def prepare_tasks(recipe: Recipe, work: Path) -> dict[str, PreparedTask]:
    """Prepare every task of the recipe.

    Raises ConfigError for wrong settings, then DataError for wrong data, each with the problems of all tasks.
    """
    assert recipe.evaluation is not None
    tasks = recipe.evaluation.tasks
    check_settings(tasks)
    prepared: dict[str, PreparedTask] = {}
    problems: dict[str, list[str]] = {name: [] for name in tasks}
    for name, settings in tasks.items():
        try:
            prepared[name], task_problems = _prepare(name, settings, recipe, work)
        except (ConfigError, DataError) as error:
            task_problems = [str(error)]
        problems[name] += [f"{name}: {problem}" for problem in task_problems]
    for name, settings in tasks.items():
        if settings.also_test_on and name in prepared:
            # A task that could not be read has been reported.
            tested_on = {
                other: prepared[other]
                for other in settings.also_test_on
                if other in prepared and "test" in prepared[other].rows
            }
            prepared[name], task_problems = with_tests_of(prepared[name], tested_on)
            problems[name] += [f"{name}: also_test_on: {problem}" for problem in task_problems]
    raise_problems(problems, "evaluation data")
    return prepared


def _prepare(name: str, settings: TaskSettings, recipe: Recipe, work: Path) -> tuple[PreparedTask, list[str]]:
    """Return the task and the problems of its data."""
    task, data, problems = _read(settings, recipe, work)
    prepared, splits = _clean(name, task, settings, data)
    splits_by_fold: dict[str, Splits] = {"": splits}
    if settings.folds is not None:
        if task.kind == "ner":
            splits, notes = drop_unsplittable_types(splits)
            prepared = replace(prepared, notes=(*prepared.notes, *notes))
        folds = assign_folds(task.kind, splits, settings.folds)
        splits_by_fold = {f"fold={i + 1}": fold_splits(folds, i) for i in range(settings.folds)}
        prepared = _with_folds(prepared, splits_by_fold, "external" in splits)
    if not problems:
        for fold, fold_split in splits_by_fold.items():
            place, advice = (f"{fold}: ", ADVICE_FOR_FOLDS.get(task.kind, "")) if fold else ("", "")
            problems += [f"{place}{problem}{advice}" for problem in split_problems(task, fold_split, data.labels)]
    return prepared, problems


def _read(settings: TaskSettings, recipe: Recipe, work: Path) -> tuple[Task, TaskData, list[str]]:
    """Read a task and check its rows. Raises DataError if its files are missing or not those of `sha256`."""
    task = replace(TASKS[settings.task], **settings.description.model_dump(exclude_none=True))
    folder = task_folder(settings, recipe, work)
    if task.source == "corpus":
        verified(folder)
    if settings.sha256 is not None and not (digest := input_digest(folder)).startswith(settings.sha256):
        raise DataError(f"the files in {folder} have the SHA-256 {digest[:16]}, the recipe says {settings.sha256}")
    inputs = task_inputs(settings, recipe, folder)
    data = task.load(inputs)
    data = replace(data, notes=(*published_notes(task, folder), *data.notes))
    problems = inputs.problems.lines() + row_problems(task, data)
    unknown = [label for label in settings.keyword_rules if label not in data.labels]
    problems += [f"keyword_rules: there is no label {label}" for label in unknown]
    absent = sorted(set(settings.max_rows) - set(data.splits))
    problems += [f"max_rows: the task has no split {split}" for split in absent]
    return task, data, problems


def _clean(name: str, task: Task, settings: TaskSettings, data: TaskData) -> tuple[PreparedTask, Splits]:
    """Drop duplicates and leaks, limit the rows, seal the test splits."""
    cleaned = drop_leaks(task.kind, data.splits)
    splits = {
        split: limit_rows(task.kind, rows, settings.max_rows.get(split)) for split, rows in cleaned.splits.items()
    }
    notes = data.notes
    if cleaned.contradictory:
        notes += (
            f"{cleaned.contradictory:,} of {cleaned.duplicates:,} dropped duplicates contradict the row that was kept: "
            "the same text with another label",
        )
    if task.kind == "nsp":
        splits["test"], pair_notes = drop_unpaired(splits["test"])
        notes += pair_notes
    notes += _row_notes(
        task, splits if settings.folds is None else {"all folds": tuple(pooled_rows(splits))}, data.labels
    )
    is_trained = task.kind in FINE_TUNED_KINDS
    tested = {split: rows for split, rows in splits.items() if split not in ("train", "dev")}
    prepared = PreparedTask(
        name=name,
        task=task,
        settings=settings,
        labels=data.labels,
        notes=notes,
        train=splits.get("train", ()),
        dev=splits.get("dev", ()),
        sealed=SealedSplits(tested if is_trained else {}),
        zero_shot_rows=() if is_trained else splits["test"],
        rows=_sizes(splits),
        read=_sizes(data.splits),
        dropped={"duplicates": cleaned.duplicates, "leaked": cleaned.leaked},
        kept_of=_sizes(cleaned.splits),
        digest=_digest(data.labels, splits),
        rules=_rule_results(task, settings, data.labels, tested),
    )
    return prepared, splits


def _with_folds(prepared: PreparedTask, splits_by_fold: Mapping[str, Splits], has_external: bool) -> PreparedTask:
    notes = [
        f"{len(splits_by_fold)}-fold cross-validation over the rows of all splits: every row is tested once, rows of "
        "one document or patient are in one fold, and learning rate and epochs are chosen on the next fold"
    ]
    if has_external:
        notes.append("the external split is not used with folds")
    tested = tuple(example for splits in splits_by_fold.values() for example in splits["test"])
    return replace(
        prepared,
        notes=(*notes, *prepared.notes),
        train=(),
        dev=(),
        sealed=SealedSplits({}),
        rows={"test": len(tested)},
        kept_of={"test": len(tested)},
        rules=_rule_results(prepared.task, prepared.settings, prepared.labels, {"test": tested}),
        folds=tuple(
            replace(
                prepared,
                fold=fold,
                train=splits["train"],
                dev=splits["dev"],
                sealed=SealedSplits({"test": splits["test"]}),
                rows=_sizes(splits),
                digest=_digest(prepared.labels, splits),
                rules={},
            )
            for fold, splits in splits_by_fold.items()
        ),
    )


def with_tests_of(prepared: PreparedTask, others: Mapping[str, PreparedTask]) -> tuple[PreparedTask, list[str]]:
    """Return the task with the test splits of other tasks as `test of NAME`, and what does not fit.

    Training and development rows that are also in these test splits are dropped as leaked.
    """
    kind, labels = prepared.task.kind, prepared.labels
    suitable = kind, labels, prepared.task.unit
    unsuitable = [name for name, o in others.items() if (o.task.kind, o.labels, o.task.unit) != suitable]
    if unsuitable:
        return prepared, [f"{name} is of another kind or has other labels" for name in unsuitable]
    sealed_tests = {f"test of {name}": other.sealed for name, other in others.items()}
    test_keys = set().union(*(sealed.test_keys(kind) for sealed in sealed_tests.values()))
    kept = {
        split: tuple(example for example in rows if content_key(kind, example) not in test_keys)
        for split, rows in (("train", prepared.train), ("dev", prepared.dev))
    }
    leaked = {split: prepared.rows[split] - len(rows) for split, rows in kept.items()}
    total = sum(leaked.values())
    sealed = prepared.sealed.with_tests_of(sealed_tests)
    problems = sealed.problems(prepared.task, kept, labels) if total else []
    test_sizes = {f"test of {name}": other.rows["test"] for name, other in others.items()}
    return replace(
        prepared,
        train=kept["train"],
        dev=kept["dev"],
        sealed=sealed,
        rows=prepared.rows | _sizes(kept) | test_sizes,
        dropped=prepared.dropped | {"leaked": prepared.dropped["leaked"] + total},
        kept_of=prepared.kept_of | {split: prepared.kept_of[split] - n for split, n in leaked.items() if n},
        split_languages={f"test of {name}": other.task.language for name, other in others.items()},
        digest=digest_of([prepared.digest, {name: other.digest for name, other in others.items()}]),
    ), [f"without the rows that other test splits hold too, {problem}" for problem in problems]


def _sizes(splits: Splits) -> dict[str, int]:
    return {split: len(rows) for split, rows in splits.items()}


def _digest(labels: tuple[str, ...], splits: Splits) -> str:
    rows = {split: [_json_of(example) for example in rows] for split, rows in splits.items()}
    return digest_of({"labels": labels, "parts": rows})


def _json_of(example: Example) -> dict[str, Any]:
    """Return the example's fields, without an empty source."""
    return {name: value for name, value in asdict(example).items() if name != "source" or value}


def _rule_results(task: Task, settings: TaskSettings, labels: tuple[str, ...], splits: Splits) -> dict[str, RuleResult]:
    """Apply the keyword rules to each split."""
    keywords = {**task.keywords, **settings.keyword_rules}
    if not keywords:
        return {}
    return {
        split: RuleResult(
            gold=[np.asarray(example.target, dtype=np.float64) for example in rows],
            predicted=list(apply_keyword_rules([example.texts[0] for example in rows], keywords, labels)),
            examples=rows,
        )
        for split, rows in splits.items()
        if rows
    }


# ------------------------------------------------------------------------------------------------- notes for the report


def _row_notes(task: Task, splits: Splits, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a reader must know about dependent rows, the positive class and labels that a split lacks."""
    if task.kind == "retrieval":
        return ()
    if task.kind not in FINE_TUNED_KINDS:
        documents = len({example.document for example in splits["test"]})
        return (f"intervals and p are computed by resampling {documents} whole documents",)
    if task.kind == "ner" and task.source == "path":
        return (_document_note(splits),)
    if task.kind == "classification" and len(labels) == 2:
        counts = {split: sum(example.target == labels[1] for example in rows) for split, rows in splits.items()}
        shares = ", ".join(f"{count} of {len(splits[split])} in {split}" for split, count in counts.items())
        return (f"the positive class is {labels[1]}: {shares}",)
    if task.kind == "multilabel":
        return tuple(_missing_labels(splits, labels))
    return ()


def _missing_labels(splits: Splits, labels: tuple[str, ...]) -> Iterator[str]:
    for split, rows in splits.items():
        missing = [label for i, label in enumerate(labels) if not any(example.target[i] for example in rows)]
        if missing:
            yield f"{split}: no row has {', '.join(missing)}, which macro F1 leaves out"


def _document_note(splits: Splits) -> str:
    """Sentences of one document are dependent; the documents of tested splits are resampled if they are known."""
    rows = [example for split, examples in splits.items() if split not in ("train", "dev") for example in examples]
    documents = {example.document for example in rows} - {""}
    if not documents:
        return (
            "the files do not say which sentences belong to one document: single sentences are resampled, so that "
            "intervals are too narrow and p too small if sentences of a document are alike"
        )
    single = sum(not example.document for example in rows)
    without = f", and {single:,} sentences without a document" if single else ""
    return f"intervals and p are computed by resampling {len(documents):,} whole documents{without}"
