"""Cross-validation: rows dealt into folds by content, every fold the test split once.

The folds of a task take turns: fold i is the test split, the fold after it the development split that learning rate and
epochs are chosen on, the others the training split. So the choice is nested in every turn, and no row is scored by a
model that it trained or chose. All published splits but `external` are put together first.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from bimed_dist.evaluation.splitting import content_key
from bimed_dist.evaluation.task import Example, Kind


def fold_of(kind: Kind, example: Example, folds: int) -> int:
    """0 to folds - 1. Rows of one document (or patient) share a fold; adding rows moves no other row."""
    key = example.document or content_key(kind, example)
    return int(hashlib.sha256(f"fold {key}".encode()).hexdigest()[:12], 16) % folds


def every_row(parts: Mapping[str, Sequence[Example]]) -> Iterator[Example]:
    """The rows that folds are made of, in the order of the published splits."""
    return (example for split, part in parts.items() if split != "external" for example in part)


def dealt(kind: Kind, parts: Mapping[str, Sequence[Example]], folds: int) -> list[tuple[Example, ...]]:
    """The rows of each fold, in the order of the published splits."""
    rows: list[list[Example]] = [[] for _ in range(folds)]
    for example in every_row(parts):
        rows[fold_of(kind, example, folds)].append(example)
    return [tuple(fold) for fold in rows]


def turn(rows: Sequence[tuple[Example, ...]], number: int) -> dict[str, tuple[Example, ...]]:
    """The splits of one turn."""
    test, dev = number, (number + 1) % len(rows)
    train = tuple(e for i, fold in enumerate(rows) for e in fold if i not in (test, dev))
    return {"train": train, "dev": rows[dev], "test": rows[test]}
