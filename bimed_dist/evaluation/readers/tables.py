"""Splits from csv and tsv files whose columns are named, by a task's file or by the recipe.

Splits that are not given are dealt by hash: dev is 10 % of train where a test split is given, and a single file without
a split column becomes 80 % train, 10 % dev, 10 % test. Rows of one group (patient, hospital) stay together.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from bimed_dist.errors import ConfigError, DataError
from bimed_dist.evaluation.preparation.splitting import hash_split
from bimed_dist.evaluation.readers.rows import named_rows, number_or_nan, zero_or_one
from bimed_dist.evaluation.task import Example, Kind, TaskData, TaskInputs
from bimed_dist.recipe.evaluation import TableSettings

SPLIT_NAMES = {
    "train": ("train", "training"),
    "dev": ("dev", "val", "valid", "validation", "development"),
    "test": ("test", "internal"),
    "external": ("external",),
}
DEALT = {"dev": 0.1, "test": 0.1}
Parts = dict[str, tuple[Example, ...]]
Target = float | tuple[int, ...] | str


def labelled(inputs: TaskInputs, table: TableSettings | None = None) -> TaskData:
    """multilabel: one text, and a column of 0 and 1 per label."""
    table = table or required_table(inputs, texts=1, targets=None)
    parts, notes = split_rows(inputs, table, "multilabel", lambda cells: tuple(map(zero_or_one, cells)))
    return TaskData(parts, table.label_columns, notes)


def scored(inputs: TaskInputs, table: TableSettings | None = None) -> TaskData:
    """sts: two texts and a column with the score."""
    table = table or required_table(inputs, texts=2, targets=1)
    parts, notes = split_rows(inputs, table, "sts", lambda cells: number_or_nan(cells[0]))
    return TaskData(parts, notes=notes)


def classified(inputs: TaskInputs, table: TableSettings | None = None) -> TaskData:
    """classification: one text and a column with its class."""
    table = table or required_table(inputs, texts=1, targets=1)
    parts, notes = split_rows(inputs, table, "classification", lambda cells: cells[0].strip())
    classes = sorted({example.target for part in parts.values() for example in part if example.target})
    if table.positive_class is not None:
        if table.positive_class not in classes or len(classes) != 2:
            raise DataError(
                f"table.positive_class is not one of two classes; column {table.label_columns[0]} has {len(classes)}"
            )
        classes.sort(key=table.positive_class.__eq__)
    return TaskData(parts, tuple(classes), notes)


def required_table(inputs: TaskInputs, texts: int, targets: int | None) -> TableSettings:
    """The recipe's table. Raises ConfigError where it does not suit the kind of task."""
    assert inputs.table is not None
    if len(inputs.table.text_columns) != texts:
        raise ConfigError(
            f"table.text_columns has {len(inputs.table.text_columns)} columns, this kind of task needs {texts}"
        )
    if targets is not None and len(inputs.table.label_columns) != targets:
        raise ConfigError(
            f"table.label_columns has {len(inputs.table.label_columns)} columns, this task needs {targets}"
        )
    return inputs.table


def split_rows(
    inputs: TaskInputs, table: TableSettings, kind: Kind, target: Callable[[Sequence[str]], Target]
) -> tuple[Parts, tuple[str, ...]]:
    """(splits, what a reader must know of them)."""
    parts: dict[str, list[Example]] = {}
    for file in table.files:
        for split, example in _file_rows(inputs, table, file, target):
            parts.setdefault(split, []).append(example)
    whole = {split: tuple(rows) for split, rows in parts.items()}
    dealt, notes = deal_missing(kind, whole)
    return dealt, (*notes, *_group_notes(dealt, table.group_column))


def _file_rows(
    inputs: TaskInputs, table: TableSettings, file: str, target: Callable[[Sequence[str]], Target]
) -> list[tuple[str, Example]]:
    """(split, example) of every row of one file."""
    extra = [name for name in (table.split_column if file == "all" else None, table.group_column) if name is not None]
    names = (*table.text_columns, *table.label_columns, *extra)
    texts_end, targets_end = len(table.text_columns), len(table.text_columns) + len(table.label_columns)
    split_of = {name: split for split, given in SPLIT_NAMES.items() for name in given} | dict(table.split_values)
    found = []
    for place, cells in named_rows(inputs.folder / table.files[file], names, inputs.problems, table.encoding):
        split: str | None = "all" if file == "all" else file
        if file == "all" and table.split_column is not None:
            cell = cells[targets_end].strip()
            split = split_of.get(cell, split_of.get(cell.lower()))
        if split is None:
            inputs.problems.append(
                f"{place}: column {table.split_column} names no known split; table.split_values says what it is"
            )
            continue
        group = cells[-1].strip() if table.group_column is not None else ""
        if table.group_column is not None and not group:
            inputs.problems.append(f"{place}: column {table.group_column} is empty")
        texts = tuple(cell.strip() for cell in cells[:texts_end])
        found.append((split, Example(place, texts, target(cells[texts_end:targets_end]), document=group)))
    return found


def deal_missing(kind: Kind, parts: Parts) -> tuple[Parts, tuple[str, ...]]:
    """The same splits with what is missing of dev and test taken out by hash."""
    rest = parts.pop("all", ())
    if rest and ("train" in parts or "test" in parts):
        raise ConfigError("files: `all` can't stand beside train or test")
    source = rest or parts.get("train", ())
    shares = {split: share for split, share in DEALT.items() if split not in parts}
    if not source or not shares:
        return parts, ()
    dealt = hash_split(kind, source, shares, rest="train")
    told = ", ".join(f"{split} {share:.0%}" for split, share in shares.items())
    return {**parts, **dealt}, (f"{told} of the rows without a split, chosen by hash",)


def _group_notes(parts: Mapping[str, Sequence[Example]], column: str | None) -> tuple[str, ...]:
    if column is None:
        return ()
    seen = Counter(group for part in parts.values() for group in {example.document for example in part})
    shared = sum(count > 1 for count in seen.values())
    told = f"; {shared} of them have rows in more than one split, so that splits are not independent" if shared else ""
    of_test = len({example.document for example in parts.get("test", ())})
    of_column = f"column {column}, {of_test:,} of them in test"
    return (f"rows belong to {len(seen):,} groups ({of_column}), which the intervals resample as wholes{told}",)
