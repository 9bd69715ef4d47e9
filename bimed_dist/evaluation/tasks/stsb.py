"""STS-B and KorSTS, its translation: 5,749 / 1,500 / 1,379 sentence pairs with scores from 0 to 5.

KorSTS is the open substitute for Korean MedSTS.
"""

from bimed_dist.evaluation.readers.rows import read_sts_file
from bimed_dist.evaluation.task import Task, TaskData, TaskInputs

SPLITS = ("train", "dev", "test")


def load_english(inputs: TaskInputs) -> TaskData:
    """Read sts-SPLIT.csv: tab-separated in spite of the name, no header; some rows have two more cells with sources."""
    return TaskData(
        {split: read_sts_file(inputs.folder / f"sts-{split}.csv", False, (7, 9), inputs.problems) for split in SPLITS}
    )


def load_korean(inputs: TaskInputs) -> TaskData:
    """Read sts-SPLIT.tsv with header lines, as in kakaobrain/KorNLUDatasets."""
    return TaskData(
        {split: read_sts_file(inputs.folder / f"sts-{split}.tsv", True, (7,), inputs.problems) for split in SPLITS}
    )


STSB = Task(
    name="stsb_en",
    kind="sts",
    title="STS-B: English sentence similarity",
    language="en",
    citation="Cer et al. 2017, SemEval-2017 Task 1",
    licence="mixed, by source of the sentences",
    labels_from="mean of crowd grades",
    labels_by="people",
    source="path",
    load=load_english,
    parallel="korsts",
    published={
        "sts-train.csv": "0f71910b59aa1ad9",
        "sts-dev.csv": "5d7e944d8b02734b",
        "sts-test.csv": "affe45928a66ee5a",
    },
)
KORSTS = Task(
    name="korsts",
    kind="sts",
    title="KorSTS: Korean sentence similarity",
    language="ko",
    citation="Ham et al. 2020, KorNLI and KorSTS, Findings of EMNLP",
    licence="CC BY-SA 4.0",
    labels_from="crowd grades of STS-B's English pairs; train translated by machine, dev and test by people",
    labels_by="people",
    source="path",
    load=load_korean,
    parallel="stsb_en",
    published={
        "sts-train.tsv": "b5aaa7f957d6ff46",
        "sts-dev.tsv": "d835b65b424401fb",
        "sts-test.tsv": "13f83a3440d9db52",
    },
)
