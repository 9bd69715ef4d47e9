"""KorSTS: 5,749 / 1,500 / 1,379 sentence pairs of STS-B in Korean, graded 0-5; the open stand-in for Korean MedSTS."""

from bimed_dist.evaluation.readers.rows import read_sts_file
from bimed_dist.evaluation.task import Task, TaskData, TaskInputs


def load(inputs: TaskInputs) -> TaskData:
    """Reads sts-train.tsv, sts-dev.tsv and sts-test.tsv, with header lines, as kakaobrain/KorNLUDatasets has them."""
    parts = {
        name: read_sts_file(inputs.folder / f"sts-{name}.tsv", header=True, cells=(7,), problems=inputs.problems)
        for name in ("train", "dev", "test")
    }
    return TaskData(parts)


TASK = Task(
    kind="sts",
    title="KorSTS: Korean sentence similarity",
    language="ko",
    citation="Ham et al. 2020, KorNLI and KorSTS, Findings of EMNLP",
    licence="CC BY-SA 4.0",
    labels_from="crowd grades of STS-B's English pairs; train translated by machine, dev and test by people",
    labels_by="people",
    source="path",
    load=load,
    parallel="stsb_en",
    published={
        "sts-train.tsv": "b5aaa7f957d6ff46",
        "sts-dev.tsv": "d835b65b424401fb",
        "sts-test.tsv": "13f83a3440d9db52",
    },
)
