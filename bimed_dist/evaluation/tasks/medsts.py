"""MedSTS in its original files: sentence, sentence and score from 0 to 5, cut by tabs, without a header.

The challenge gave the test pairs without scores and the scores in a file of their own, one a line; both together, and
a test file that holds the scores, are read. Dev is taken out of train by hash.
"""

from pathlib import Path

from bimed_dist.errors import DataError
from bimed_dist.evaluation.preparation.splitting import hash_split
from bimed_dist.evaluation.readers.rows import number_or_nan
from bimed_dist.evaluation.task import Example, Task, TaskData, TaskInputs
from bimed_dist.files.lines import Problems, read_lines

DEV_SHARE = 0.1


def load(inputs: TaskInputs) -> TaskData:
    """Reads the one *train*.txt, the one *test*.txt and, where there is one, the one *test*.gs*.txt with its scores."""
    train = pairs(_only(inputs.folder, "train"), None, inputs.problems)
    scores = [path for path in sorted(inputs.folder.glob("*.txt")) if _is_scores(path)]
    of_test = [path for path in scores if "test" in path.name.lower()]
    if len(of_test) > 1 or (scores and not of_test and not all("train" in path.name.lower() for path in scores)):
        raise DataError(
            f"{inputs.folder} has {len(scores)} files with scores (gs), {len(of_test)} of them named test; leave the"
            " one of the test pairs, with test in its name"
        )
    test = pairs(_only(inputs.folder, "test"), of_test[0] if of_test else None, inputs.problems)
    parts = hash_split("sts", train, {"dev": DEV_SHARE}, rest="train")
    note = f"dev is {DEV_SHARE:.0%} of the published training pairs, chosen by hash"
    return TaskData({"train": parts["train"], "dev": parts["dev"], "test": test}, notes=(note,))


def _is_scores(path: Path) -> bool:
    return "gs" in path.stem.lower().split(".")


def _only(folder: Path, split: str) -> Path:
    paths = [path for path in sorted(folder.glob("*.txt")) if split in path.name.lower() and not _is_scores(path)]
    if len(paths) != 1:
        raise DataError(f"{folder} has {len(paths)} files *{split}*.txt, needed one; check `path`")
    return paths[0]


def pairs(path: Path, scores: Path | None, problems: Problems) -> tuple[Example, ...]:
    """Pairs with their scores, which stand in the third cell or on the same line of another file."""
    lines = read_lines(path)
    of_line = read_lines(scores) if scores is not None else None
    if of_line is not None and len(of_line) != len(lines):
        raise DataError(f"{scores.name} has {len(of_line)} lines, {path.name} {len(lines)}; they are not a pair")
    needed = 3 if of_line is None else 2
    examples = []
    for number, line in enumerate(lines, start=1):
        place = f"{path.name} line {number}"
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) < needed or any(cells[3:]):
            problems.add(place, f"{len(cells)} cells, needed {needed}")
            continue
        score = number_or_nan(cells[2] if of_line is None else of_line[number - 1])
        examples.append(Example(place, (cells[0], cells[1]), score))
    return tuple(examples)


TASK = Task(
    kind="sts",
    title="MedSTS: English clinical sentence similarity",
    language="en",
    citation="Wang et al. 2020, MedSTS, Language Resources and Evaluation 54, doi 10.1007/s10579-018-9431-1",
    licence="data use agreement of Mayo Clinic",
    labels_from="mean of two medical experts",
    labels_by="people",
    source="path",
    load=load,
)
