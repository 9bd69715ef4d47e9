"""MedSTS translated into Korean, in the csv of KM-BERT's program: 2,393 / 728 pairs.

By position: number, `train` or `test`, anything, score, two sentences; cp949, or UTF-8 where somebody converted it.
Dev is taken out of train by hash: KM-BERT had none.
"""

from bimed_dist.errors import DataError
from bimed_dist.evaluation.preparation.splitting import hash_split
from bimed_dist.evaluation.readers.rows import number_or_nan
from bimed_dist.evaluation.task import Example, Task, TaskData, TaskInputs
from bimed_dist.files.tables import TableFile, read_rows

DEV_SHARE = 0.1
CELLS = 6


def load(inputs: TaskInputs) -> TaskData:
    """Reads the one csv of the folder."""
    paths = sorted(inputs.folder.glob("*.csv"))
    if len(paths) != 1:
        raise DataError(f"{inputs.folder} has {len(paths)} csv files, needed one; check `path`")
    parts: dict[str, list[Example]] = {"train": [], "test": []}
    table = TableFile.whole(paths[0])
    rows = read_rows(table, inputs.problems)
    next(rows, None)
    for row in rows:
        place, cells = table.file.place(row.line), row.cells
        if len(cells) < CELLS:
            inputs.problems.add(place, f"{len(cells)} cells, needed {CELLS}")
        elif cells[1].strip() not in parts:
            inputs.problems.add(place, "the second cell is neither train nor test")
        else:
            pair = (cells[4].strip(), cells[5].strip())
            parts[cells[1].strip()].append(Example(place, pair, number_or_nan(cells[3])))
    dealt = hash_split("sts", parts["train"], {"dev": DEV_SHARE}, rest="train")
    note = f"dev is {DEV_SHARE:.0%} of the published training pairs, chosen by hash"
    return TaskData({"train": dealt["train"], "dev": dealt["dev"], "test": tuple(parts["test"])}, notes=(note,))


TASK = Task(
    kind="sts",
    title="MedSTS in Korean: clinical sentence similarity",
    language="ko",
    citation="Kim et al. 2022, KM-BERT, Scientific Reports 12:13847, doi 10.1038/s41598-022-17806-8",
    licence="data use agreement of Mayo Clinic",
    labels_from="mean of two medical experts on the English pairs; translated by machine and corrected by hand",
    labels_by="people",
    source="path",
    load=load,
)
