"""STS-B: 5,749 / 1,500 / 1,379 English sentence pairs graded 0-5, the pairs that KorSTS translates."""

from bimed_dist.evaluation.readers.rows import read_sts_file
from bimed_dist.evaluation.task import Task, TaskData, TaskInputs


def load(inputs: TaskInputs) -> TaskData:
    """Reads sts-train.csv, sts-dev.csv and sts-test.csv: tab-separated in spite of the name, no header.

    Some rows have two more cells, where the sentences came from.
    """
    parts = {
        name: read_sts_file(inputs.folder / f"sts-{name}.csv", header=False, cells=(7, 9), problems=inputs.problems)
        for name in ("train", "dev", "test")
    }
    return TaskData(parts)


TASK = Task(
    kind="sts",
    title="STS-B: English sentence similarity",
    language="en",
    citation="Cer et al. 2017, SemEval-2017 Task 1",
    licence="mixed, by source of the sentences",
    labels_from="mean of crowd grades",
    labels_by="people",
    source="path",
    load=load,
    parallel="korsts",
    published={
        "sts-train.csv": "0f71910b59aa1ad9",
        "sts-dev.csv": "5d7e944d8b02734b",
        "sts-test.csv": "affe45928a66ee5a",
    },
)
