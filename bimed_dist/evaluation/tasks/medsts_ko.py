"""MedSTS translated into Korean, in the csv of KM-BERT's program: 2,393 / 728 pairs.

By position: number, `train` or `test`, anything, score, two sentences; cp949, or UTF-8 where somebody converted it.
Dev is taken out of train by hash: KM-BERT had none.
"""

from bimed_dist.errors import DataError
from bimed_dist.evaluation.preparation.splitting import hash_split
from bimed_dist.evaluation.readers.rows import csv_rows, number_or_nan
from bimed_dist.evaluation.task import Example, Task, TaskData, TaskInputs

DEV_SHARE = 0.1
CELLS = 6


def load(inputs: TaskInputs) -> TaskData:
    """Reads the one csv of the folder."""
    paths = sorted(inputs.folder.glob("*.csv"))
    if len(paths) != 1:
        raise DataError(f"{inputs.folder} has {len(paths)} csv files, needed one; check `path`")
    parts: dict[str, list[Example]] = {"train": [], "test": []}
    rows = csv_rows(paths[0], encoding_of(paths[0].read_bytes()))
    next(rows, None)
    for place, cells in rows:
        if len(cells) < CELLS:
            inputs.problems.append(f"{place}: {len(cells)} cells, needed {CELLS}")
        elif cells[1].strip() not in parts:
            inputs.problems.append(f"{place}: the second cell is neither train nor test")
        else:
            pair = (cells[4].strip(), cells[5].strip())
            parts[cells[1].strip()].append(Example(place, pair, number_or_nan(cells[3])))
    dealt = hash_split("sts", parts["train"], {"dev": DEV_SHARE}, rest="train")
    note = f"dev is {DEV_SHARE:.0%} of the published training pairs, chosen by hash"
    return TaskData({"train": dealt["train"], "dev": dealt["dev"], "test": tuple(parts["test"])}, notes=(note,))


def encoding_of(raw: bytes) -> str:
    """cp949 unless the bytes are UTF-8, which Korean in cp949 never is by chance."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return "cp949"
    return "utf-8"


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
