"""Checks of a whole task before anything is trained.

Problems name the row, counts and what was needed. They quote no cell, tags and scores included: where a column is
shifted, any cell may hold a patient's words or number.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from bimed_dist.errors import DataError
from bimed_dist.evaluation.task import FINE_TUNED_KINDS, SIMILARITY_KINDS, Example, Kind, Task, TaskData

SHOWN = 20
MOST_CLASSES = 1_000


def row_problems(task: Task, data: TaskData) -> list[str]:
    """What is wrong with single rows, as read."""
    check = _CHECKS.get(task.kind)
    problems = []
    for part in data.splits.values():
        for example in part:
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
    wrong = [label for label, value in zip(labels, example.target, strict=True) if value not in (0, 1)]
    return f"label not 0 or 1: {', '.join(wrong)}" if wrong else None


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
        return _tags(malformed, unit, "are not O, B-TYPE or I-TYPE")
    alone = [tag[:2] == "I-" and before[2:] != tag[2:] for before, tag in zip(("O", *tags[:-1]), tags, strict=True)]
    if any(alone):
        return _tags(alone, unit, "have I- and continue no entity of their type, which begins with B-")
    return None


_CHECKS: dict[Kind, Callable[[Example, Sequence[str], str], str | None]] = {
    "sts": _score_problem,
    "sts_classes": _score_problem,
    "multilabel": _label_problem,
    "classification": _class_problem,
    "ner": _tag_problem,
}


def _tags(wrong: Sequence[bool], unit: str, what: str) -> str:
    return f"{sum(wrong)} of {len(wrong)} tags {what}; the first at {unit} {wrong.index(True) + 1}"


def split_problems(task: Task, parts: Mapping[str, Sequence[Example]], labels: Sequence[str]) -> list[str]:
    """What is wrong with the splits after leaks were dropped and rows limited."""
    if task.kind == "nsp" and not parts["test"]:
        return ["no language has pairs of sentences from two held-out documents; hold out more documents"]
    needed = ("train", "dev", "test") if task.kind in FINE_TUNED_KINDS else ("test",)
    problems = [f"split {name} is empty" for name in dict.fromkeys((*needed, *parts)) if not parts.get(name)]
    if not problems and task.kind == "multilabel":
        problems += _absent_labels(parts["train"], labels)
    if not problems and task.kind == "ner":
        problems += _absent_types(parts)
    if not problems and task.kind in ("multilabel", "ner"):
        empty = [name for name, part in parts.items() if not any(_has_label(example) for example in part)]
        problems += [f"split {name}: no row has any label or entity, so that no F1 exists" for name in empty]
    if not problems and task.kind == "classification":
        problems += _absent_classes(parts, labels)
    if not problems and task.kind in SIMILARITY_KINDS:
        constant = [name for name, part in parts.items() if len({example.target for example in part}) < 2]
        problems += [f"split {name}: all scores are equal, so that no correlation exists" for name in constant]
    return problems


def _absent_labels(train: Sequence[Example], labels: Sequence[str]) -> Iterator[str]:
    for i, label in enumerate(labels):
        for value in {0, 1} - {example.target[i] for example in train}:
            yield f"split train: no row has {label}={value}; give more rows or drop the label"


def _absent_classes(parts: Mapping[str, Sequence[Example]], labels: Sequence[str]) -> Iterator[str]:
    """Classes are counted, not named: a shifted column would put a patient's words there."""
    if len(labels) < 2:
        yield "there is one class only"
    if len(labels) > MOST_CLASSES:
        yield f"there are {len(labels)} classes, more than {MOST_CLASSES}; is it the right column?"
    known = {example.target for example in parts["train"]}
    for name, part in parts.items():
        lost = [example.id for example in part if example.target not in known]
        if lost:
            yield f"split {name}: {len(lost)} rows have a class that train has not, the first {lost[0]}"


def _absent_types(parts: Mapping[str, Sequence[Example]]) -> Iterator[str]:
    known = {tag for example in parts["train"] for tag in _types(example)}
    for name, part in parts.items():
        lost = [example.id for example in part if not _types(example) <= known]
        if lost:
            yield f"split {name}: {len(lost)} rows have a type of entity that train has not, the first {lost[0]}"


def _types(example: Example) -> set[str]:
    return {tag[2:] for tag in example.target if tag != "O"}


def _has_label(example: Example) -> bool:
    return any(value not in (0, "O") for value in example.target)


def raise_all(problems: Mapping[str, Sequence[str]], what: str) -> None:
    """DataError with the first problems of every task, if there are any."""
    total = sum(map(len, problems.values()))
    if not total:
        return
    lines = []
    for task, own in problems.items():
        lines += [f"  {problem}" for problem in own[:SHOWN]]
        lines += [f"  {task}: ... and {len(own) - SHOWN} more"] if len(own) > SHOWN else []
    raise DataError(f"{what}: {total} problem(s); mend the files and run again\n" + "\n".join(lines))
