"""Cross-validation: rows dealt into folds by content, labels spread over them, every fold the test split once.

The folds of a task take turns: fold i is the test split, the fold after it the development split that learning rate and
epochs are chosen on, the others the training split. So the choice is nested in every turn, and no row is scored by a
model that it trained or chose. All published splits but `external` are put together first.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from bimed_dist.evaluation.preparation.splitting import content_key
from bimed_dist.evaluation.readers.entities import only_types
from bimed_dist.evaluation.task import SIMILARITY_KINDS, Example, Kind


def every_row(parts: Mapping[str, Sequence[Example]]) -> Iterator[Example]:
    """The rows that folds are made of, in the order of the published splits."""
    return (example for split, part in parts.items() if split != "external" for example in part)


def dealt(kind: Kind, parts: Mapping[str, Sequence[Example]], folds: int) -> list[tuple[Example, ...]]:
    """The rows of each fold, in the order of the published splits. Rows of one document (or patient) share a fold."""
    units: dict[str, list[Example]] = defaultdict(list)
    for example in every_row(parts):
        units[_unit(kind, example)].append(example)
    fold_of = _by_hash(units, folds) if kind in SIMILARITY_KINDS else _stratified(kind, units, folds)
    rows: list[list[Example]] = [[] for _ in range(folds)]
    for example in every_row(parts):
        rows[fold_of[_unit(kind, example)]].append(example)
    return [tuple(fold) for fold in rows]


def without_lone_types(parts: Mapping[str, Sequence[Example]]) -> tuple[dict[str, tuple[Example, ...]], list[str]]:
    """ner: (the same rows without the entities of types that a single document or sentence has, what to tell of them).

    Such a type is either trained or tested, never both.
    """
    units: dict[str, set[str]] = defaultdict(set)
    for example in every_row(parts):
        for name in _labels("ner", example):
            units[name].add(_unit("ner", example))
    kept = [name for name, of_type in units.items() if len(of_type) > 1]
    lost = len(units) - len(kept)
    if not lost:
        return dict(parts), []
    found = {split: tuple(only_types(example, kept) for example in part) for split, part in parts.items()}
    before, after = (sum(tag[:2] == "B-" for e in every_row(rows) for tag in e.target) for rows in (parts, found))
    told = f"{lost} type(s) of entities, which a single document or sentence has, can't be trained and tested: "
    return found, [told + f"{before - after:,} entities are left out"]


def _unit(kind: Kind, example: Example) -> str:
    return example.document or content_key(kind, example)


def _hash(key: str) -> int:
    return int(hashlib.sha256(f"fold {key}".encode()).hexdigest()[:12], 16)


def _by_hash(units: Mapping[str, Sequence[Example]], folds: int) -> dict[str, int]:
    """Scores have no classes to deal by; adding rows moves no other row."""
    return {key: _hash(key) % folds for key in units}


def _stratified(kind: Kind, units: Mapping[str, Sequence[Example]], folds: int) -> dict[str, int]:
    """Labels, classes or types of entities spread over the folds, the rarest first (after Sechidis et al. 2011).

    Each unit goes where its rarest label has the fewest rows, those of the folds on both sides counted half: a fold is
    tested by a model that saw neither it nor the next. Among equals the smallest fold is taken. Decided by content.
    """
    labels = {key: Counter(label for row in rows for label in _labels(kind, row)) for key, rows in units.items()}
    common = Counter(label for of_unit in labels.values() for label in of_unit)
    rarest = {key: min(of_unit, key=lambda label: (common[label], label)) for key, of_unit in labels.items()}
    held: dict[str, list[int]] = {label: [0] * folds for label in common}
    sizes = [0] * folds
    found = {}
    for key in sorted(units, key=lambda key: (common[rarest[key]], rarest[key], _hash(key))):
        have = held[rarest[key]]
        near = [2 * have[i] + have[i - 1] + have[(i + 1) % folds] for i in range(folds)]
        fold = min(range(folds), key=lambda i: (near[i], sizes[i], i))
        for label, rows in labels[key].items():
            held[label][fold] += rows
        sizes[fold] += len(units[key])
        found[key] = fold
    return found


def _labels(kind: Kind, example: Example) -> set[str]:
    """What must be spread; a row without any label is of a kind of its own."""
    if kind == "classification":
        return {str(example.target)}
    if kind == "multilabel":
        return {str(i) for i, value in enumerate(example.target) if value} or {""}
    return {tag[2:] for tag in example.target if tag != "O"} or {""}


def turn(rows: Sequence[tuple[Example, ...]], number: int) -> dict[str, tuple[Example, ...]]:
    """The splits of one turn."""
    test, dev = number, (number + 1) % len(rows)
    train = tuple(e for i, fold in enumerate(rows) for e in fold if i not in (test, dev))
    return {"train": train, "dev": rows[dev], "test": rows[test]}
