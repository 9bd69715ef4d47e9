"""Checks of a whole task before anything is trained.

Problems name row and counts and state the requirement. They quote no cell, not even tags and scores: if a column is
shifted, any cell may hold a patient's words or number.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from bimed_dist.errors import DataError
from bimed_dist.evaluation.task import FINE_TUNED_KINDS, SIMILARITY_KINDS, Example, Kind, Task, TaskData

MAX_SHOWN = 20
MAX_CLASSES = 1_000


def row_problems(task: Task, data: TaskData) -> list[str]:
    """Check single rows, as read."""
    check = _CHECKS.get(task.kind)
    problems = []
    for rows in data.splits.values():
        for example in rows:
            if not all(text.strip() for text in example.texts) or not example.texts:
                problems.append(f"{example.id}: empty text")
            reason = check(example, data.labels, task.unit) if check else None
            if reason is not None:
                problems.append(f"{example.id}: {reason}")
    return problems


def _score_problem(example: Example, labels: Sequence[str], unit: str) -> str | None:
    score = example.target
    assert isinstance(score, float)
    if math.isnan(score):
        return "the score is not a number"
    return None if 0 <= score <= 5 else "the score is outside 0-5"


def _label_problem(example: Example, labels: Sequence[str], unit: str) -> str | None:
    assert isinstance(example.target, tuple)
    invalid = [label for label, value in zip(labels, example.target, strict=True) if value not in (0, 1)]
    return f"label not 0 or 1: {', '.join(invalid)}" if invalid else None


def _class_problem(example: Example, labels: Sequence[str], unit: str) -> str | None:
    return None if example.target else "no class"


def _tag_problem(example: Example, labels: Sequence[str], unit: str) -> str | None:
    tags = example.target
    assert isinstance(tags, tuple)
    units = len(example.texts) if unit == "word" else sum(map(len, example.texts))
    if len(tags) != units:
        return f"{len(tags)} tags for {units} {unit}s"
    malformed = [tag != "O" and (tag[:2] not in ("B-", "I-") or not tag[2:]) for tag in tags]
    if any(malformed):
        return _tag_summary(malformed, unit, "are not O, B-TYPE or I-TYPE")
    stray = [tag[:2] == "I-" and before[2:] != tag[2:] for before, tag in zip(("O", *tags[:-1]), tags, strict=True)]
    if any(stray):
        return _tag_summary(
            stray, unit, "are I- but continue no entity of their type; set tag_scheme if the file is IOB1"
        )
    return None


_CHECKS: dict[Kind, Callable[[Example, Sequence[str], str], str | None]] = {
    "sts": _score_problem,
    "sts_classes": _score_problem,
    "multilabel": _label_problem,
    "classification": _class_problem,
    "ner": _tag_problem,
}


def _tag_summary(invalid: Sequence[bool], unit: str, reason: str) -> str:
    return f"{sum(invalid)} of {len(invalid)} tags {reason}; the first at {unit} {invalid.index(True) + 1}"


def split_problems(task: Task, splits: Mapping[str, Sequence[Example]], labels: Sequence[str]) -> list[str]:
    """Check the splits after leaks were dropped and rows limited."""
    if task.kind == "nsp" and not splits["test"]:
        return ["no language has pairs of sentences from two held-out documents; hold out more documents"]
    needed = ("train", "dev", "test") if task.kind in FINE_TUNED_KINDS else ("test",)
    problems = [f"split {name} is empty" for name in dict.fromkeys((*needed, *splits)) if not splits.get(name)]
    if not problems and task.kind == "multilabel":
        problems += _absent_labels(splits["train"], labels)
    if not problems and task.kind == "ner":
        problems += _absent_types(splits)
    if not problems and task.kind in ("multilabel", "ner"):
        empty = [name for name, rows in splits.items() if not any(_has_label(example) for example in rows)]
        problems += [f"split {name}: no row has a label or entity, so F1 is undefined" for name in empty]
    if not problems and task.kind == "classification":
        problems += _absent_classes(splits, labels)
    if not problems and task.kind in SIMILARITY_KINDS:
        constant = [name for name, rows in splits.items() if len({example.target for example in rows}) < 2]
        problems += [f"split {name}: all scores are equal, so the correlation is undefined" for name in constant]
    return problems


def _absent_labels(train: Sequence[Example], labels: Sequence[str]) -> Iterator[str]:
    for i, label in enumerate(labels):
        for value in {0, 1} - {example.target[i] for example in train}:
            yield f"split train: no row has {label}={value}; give more rows or drop the label"


def _absent_classes(splits: Mapping[str, Sequence[Example]], labels: Sequence[str]) -> Iterator[str]:
    """Classes are counted but not named: if a column is shifted, they are a patient's words."""
    if len(labels) < 2:
        yield "there is only one class"
    if len(labels) > MAX_CLASSES:
        yield f"there are {len(labels)} classes, more than {MAX_CLASSES}; is it the right column?"
    known = {example.target for example in splits["train"]}
    for name, rows in splits.items():
        unseen = [example.id for example in rows if example.target not in known]
        if unseen:
            yield f"split {name}: {len(unseen)} rows have a class that train lacks, the first {unseen[0]}"


def _absent_types(splits: Mapping[str, Sequence[Example]]) -> Iterator[str]:
    known = {tag for example in splits["train"] for tag in _types(example)}
    for name, rows in splits.items():
        unseen = [example.id for example in rows if not _types(example) <= known]
        if unseen:
            yield f"split {name}: {len(unseen)} rows have an entity type that train lacks, the first {unseen[0]}"


def _types(example: Example) -> set[str]:
    return {tag[2:] for tag in example.target if tag != "O"}


def _has_label(example: Example) -> bool:
    return any(value not in (0, "O") for value in example.target)


def raise_problems(problems: Mapping[str, Sequence[str]], subject: str) -> None:
    """Raises DataError with the first problems of every task, if there are any."""
    total = sum(map(len, problems.values()))
    if not total:
        return
    lines = []
    for task, task_problems in problems.items():
        lines += [f"  {problem}" for problem in task_problems[:MAX_SHOWN]]
        lines += [f"  {task}: ... and {len(task_problems) - MAX_SHOWN} more"] if len(task_problems) > MAX_SHOWN else []
    raise DataError(f"{subject}: {total} problem(s); fix the files and run again\n" + "\n".join(lines))
