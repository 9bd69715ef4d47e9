"""Cross-validation: rows are assigned to folds by content, with labels stratified; every fold is the test split once.

If fold i is the test split, fold i + 1 is the development split, on which learning rate and epochs are chosen, and the
others are the training split. So the choice is nested, and no row is scored by a model that was trained or chosen on
it. The rows of all published splits except `external` are pooled first.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from bimed_dist.evaluation.preparation.splitting import content_key
from bimed_dist.evaluation.readers.entities import only_types
from bimed_dist.evaluation.task import SIMILARITY_KINDS, Example, Kind


def pooled_rows(splits: Mapping[str, Sequence[Example]]) -> Iterator[Example]:
    """Return the rows that folds are made of, in the order of the published splits."""
    return (example for split, rows in splits.items() if split != "external" for example in rows)


def assign_folds(kind: Kind, splits: Mapping[str, Sequence[Example]], folds: int) -> list[tuple[Example, ...]]:
    """Return the rows of each fold in the order of the published splits; a document or patient stays in one fold."""
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in pooled_rows(splits):
        groups[_group(kind, example)].append(example)
    fold_of = _by_hash(groups, folds) if kind in SIMILARITY_KINDS else _stratified(kind, groups, folds)
    rows: list[list[Example]] = [[] for _ in range(folds)]
    for example in pooled_rows(splits):
        rows[fold_of[_group(kind, example)]].append(example)
    return [tuple(fold) for fold in rows]


def fold_splits(folds: Sequence[tuple[Example, ...]], number: int) -> dict[str, tuple[Example, ...]]:
    """Return train, dev and test if fold `number` is tested."""
    test, dev = number, (number + 1) % len(folds)
    train = tuple(example for i, rows in enumerate(folds) for example in rows if i not in (test, dev))
    return {"train": train, "dev": folds[dev], "test": folds[test]}


def drop_unsplittable_types(
    splits: Mapping[str, Sequence[Example]],
) -> tuple[dict[str, tuple[Example, ...]], list[str]]:
    """ner: drop entities of types that only one document or sentence has, which is either trained or tested on.

    Returns the rows and notes for the report.
    """
    groups: dict[str, set[str]] = defaultdict(set)
    for example in pooled_rows(splits):
        for name in _labels("ner", example):
            groups[name].add(_group("ner", example))
    kept_types = [name for name, holders in groups.items() if len(holders) > 1]
    lost = len(groups) - len(kept_types)
    if not lost:
        return dict(splits), []
    kept = {split: tuple(only_types(example, kept_types) for example in rows) for split, rows in splits.items()}
    before, after = (sum(tag[:2] == "B-" for e in pooled_rows(rows) for tag in e.target) for rows in (splits, kept))
    return kept, [
        f"{lost} type(s) of entities occur in a single document or sentence and can't be both trained and tested: "
        f"{before - after:,} entities are left out"
    ]


def _group(kind: Kind, example: Example) -> str:
    return example.document or content_key(kind, example)


def _hash(key: str) -> int:
    return int(hashlib.sha256(f"fold {key}".encode()).hexdigest()[:12], 16)


def _by_hash(groups: Mapping[str, Sequence[Example]], folds: int) -> dict[str, int]:
    """Return the fold of each group. Scores have no classes to stratify; adding rows moves no other row."""
    return {key: _hash(key) % folds for key in groups}


def _stratified(kind: Kind, groups: Mapping[str, Sequence[Example]], folds: int) -> dict[str, int]:
    """Return the fold of each group with labels, classes or entity types spread evenly (after Sechidis et al. 2011).

    Groups with the rarest labels come first. Each goes to the fold with the fewest rows of its rarest label, where rows
    of both neighbouring folds count half, because a fold is tested by a model that saw neither it nor the next one.
    Ties go to the smallest fold.
    """
    labels = {key: Counter(label for row in rows for label in _labels(kind, row)) for key, rows in groups.items()}
    common = Counter(label for group_labels in labels.values() for label in group_labels)
    rarest = {key: min(group_labels, key=lambda label: (common[label], label)) for key, group_labels in labels.items()}
    rows_with: dict[str, list[int]] = {label: [0] * folds for label in common}
    sizes = [0] * folds
    fold_of = {}
    for key in sorted(groups, key=lambda key: (common[rarest[key]], rarest[key], _hash(key))):
        counts = rows_with[rarest[key]]
        load = [2 * counts[i] + counts[i - 1] + counts[(i + 1) % folds] for i in range(folds)]
        fold = min(range(folds), key=lambda i: (load[i], sizes[i], i))
        for label, rows in labels[key].items():
            rows_with[label][fold] += rows
        sizes[fold] += len(groups[key])
        fold_of[key] = fold
    return fold_of


def _labels(kind: Kind, example: Example) -> set[str]:
    """Return the labels to stratify by; rows without any label form a class of their own."""
    if kind == "classification":
        return {str(example.target)}
    if kind == "multilabel":
        return {str(i) for i, value in enumerate(example.target) if value} or {""}
    return {tag[2:] for tag in example.target if tag != "O"} or {""}
