"""TaskData from csv and tsv files whose columns are named by the task's file or by the recipe.

Missing splits are drawn by hash: dev is 10 % of train if a test split is given, and a single file without a split
column becomes 80 % train, 10 % dev, 10 % test. Rows of one group (patient, hospital) stay together.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from bimed_dist.errors import ConfigError, DataError
from bimed_dist.evaluation.preparation.splitting import hash_split
from bimed_dist.evaluation.readers.rows import number_or_nan, read_table, zero_or_one
from bimed_dist.evaluation.task import Example, Kind, TaskData, TaskInputs
from bimed_dist.recipe.evaluation import TableSettings

SPLIT_NAMES = {
    "train": ("train", "training"),
    "dev": ("dev", "val", "valid", "validation", "development"),
    "test": ("test", "internal"),
    "external": ("external",),
}
HASHED_SHARES = {"dev": 0.1, "test": 0.1}
Splits = dict[str, tuple[Example, ...]]
Target = float | tuple[int, ...] | str


def read_multilabel(inputs: TaskInputs, table: TableSettings | None = None) -> TaskData:
    """multilabel: one text, and a 0/1 column per label."""
    table = table or _recipe_table(inputs, texts=1, targets=None)
    splits, notes = _read_splits(inputs, table, "multilabel", lambda cells: tuple(map(zero_or_one, cells)))
    return TaskData(splits, table.label_columns, notes)


def read_scored_pairs(inputs: TaskInputs, table: TableSettings | None = None) -> TaskData:
    """sts: two texts and a column with the score."""
    table = table or _recipe_table(inputs, texts=2, targets=1)
    splits, notes = _read_splits(inputs, table, "sts", lambda cells: number_or_nan(cells[0]))
    return TaskData(splits, notes=notes)


def read_classification(inputs: TaskInputs, table: TableSettings | None = None) -> TaskData:
    """classification: one text and a column with its class. The positive class of two comes last."""
    table = table or _recipe_table(inputs, texts=1, targets=1)
    splits, notes = _read_splits(inputs, table, "classification", lambda cells: cells[0].strip())
    classes = sorted({example.target for rows in splits.values() for example in rows if example.target})
    if table.positive_class is not None:
        if table.positive_class not in classes or len(classes) != 2:
            raise DataError(
                f"table.positive_class is not one of two classes; column {table.label_columns[0]} has {len(classes)}"
            )
        classes.sort(key=table.positive_class.__eq__)
    return TaskData(splits, tuple(classes), notes)


def _recipe_table(inputs: TaskInputs, texts: int, targets: int | None) -> TableSettings:
    """Return the recipe's table. Raises ConfigError if it does not suit the kind of task."""
    assert inputs.table is not None
    for name, columns, needed in (
        ("text_columns", inputs.table.text_columns, texts),
        ("label_columns", inputs.table.label_columns, targets),
    ):
        if needed is not None and len(columns) != needed:
            raise ConfigError(f"table.{name} has {len(columns)} columns, this task needs {needed}")
    return inputs.table


def _read_splits(
    inputs: TaskInputs, table: TableSettings, kind: Kind, target: Callable[[Sequence[str]], Target]
) -> tuple[Splits, tuple[str, ...]]:
    """Return (splits, notes for the report); `target` makes a row's target of its cells."""
    rows_of: dict[str, list[Example]] = {}
    for file in table.files:
        for split, example in _file_rows(inputs, table, file, target):
            rows_of.setdefault(split, []).append(example)
    splits, notes = assign_missing_splits(kind, {split: tuple(rows) for split, rows in rows_of.items()})
    return splits, (*notes, *_group_notes(splits, table.group_column))


def _file_rows(
    inputs: TaskInputs, table: TableSettings, file: str, target: Callable[[Sequence[str]], Target]
) -> list[tuple[str, Example]]:
    """Return (split, example) of every row of one file."""
    extra = [name for name in (table.split_column if file == "all" else None, table.group_column) if name is not None]
    columns = (*table.text_columns, *table.label_columns, *extra)
    texts_end, targets_end = len(table.text_columns), len(table.text_columns) + len(table.label_columns)
    split_of = {name: split for split, names in SPLIT_NAMES.items() for name in names} | dict(table.split_values)
    rows = []
    for place, cells in read_table(inputs.folder / table.files[file], columns, inputs.problems, table.encoding):
        split: str | None = "all" if file == "all" else file
        if file == "all" and table.split_column is not None:
            cell = cells[targets_end].strip()
            split = split_of.get(cell, split_of.get(cell.lower()))
        if split is None:
            inputs.problems.add(
                place, f"column {table.split_column} names no known split; map its values in table.split_values"
            )
            continue
        group = cells[-1].strip() if table.group_column is not None else ""
        if table.group_column is not None and not group:
            inputs.problems.add(place, f"column {table.group_column} is empty")
        texts = tuple(cell.strip() for cell in cells[:texts_end])
        rows.append((split, Example(place, texts, target(cells[texts_end:targets_end]), document=group)))
    return rows


def assign_missing_splits(kind: Kind, splits: Splits) -> tuple[Splits, tuple[str, ...]]:
    """Return (the splits with dev and test, if missing, drawn by hash; a note on that)."""
    rest = splits.pop("all", ())
    if rest and ("train" in splits or "test" in splits):
        raise ConfigError("files: `all` can't be given together with train or test")
    source = rest or splits.get("train", ())
    shares = {split: share for split, share in HASHED_SHARES.items() if split not in splits}
    if not source or not shares:
        return splits, ()
    drawn = hash_split(kind, source, shares, rest="train")
    listed = ", ".join(f"{split} {share:.0%}" for split, share in shares.items())
    return {**splits, **drawn}, (f"{listed} of the rows without a split, chosen by hash",)


def _group_notes(splits: Mapping[str, Sequence[Example]], column: str | None) -> tuple[str, ...]:
    if column is None:
        return ()
    splits_of = Counter(group for rows in splits.values() for group in {example.document for example in rows})
    shared = sum(count > 1 for count in splits_of.values())
    test_groups = len({example.document for example in splits.get("test", ())})
    note = (
        f"rows belong to {len(splits_of):,} groups (column {column}, {test_groups:,} of them in test), which the "
        "intervals resample as units"
    )
    if shared:
        note += f"; {shared} of them have rows in more than one split, so the splits are not independent"
    return (note,)
