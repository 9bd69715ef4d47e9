"""Sentence similarity from 0 to 5: STS-B and MedSTS in English and Korean.

KorSTS, the translation of STS-B, is the open substitute for Korean MedSTS. MedSTS comes as the original files, in
BLUE's split and in KM-BERT's translation; if no dev split is published, it is taken out of train by hash.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from bimed_dist.errors import DataError
from bimed_dist.evaluation.preparation.splitting import hash_split
from bimed_dist.evaluation.readers.rows import number_or_nan, read_sts_file
from bimed_dist.evaluation.readers.tables import read_scored_pairs
from bimed_dist.evaluation.task import Example, Task, TaskData, TaskInputs
from bimed_dist.files.lines import Problems, read_lines
from bimed_dist.files.tables import TableFile, read_rows
from bimed_dist.recipe.evaluation import TableSettings

SPLITS = ("train", "dev", "test")


def load_stsb(inputs: TaskInputs) -> TaskData:
    """Read sts-SPLIT.csv: tab-separated in spite of the name, no header; some rows have two more cells with sources."""
    return TaskData(
        {split: read_sts_file(inputs.folder / f"sts-{split}.csv", False, (7, 9), inputs.problems) for split in SPLITS}
    )


def load_korsts(inputs: TaskInputs) -> TaskData:
    """Read sts-SPLIT.tsv with header lines, as in kakaobrain/KorNLUDatasets."""
    return TaskData(
        {split: read_sts_file(inputs.folder / f"sts-{split}.tsv", True, (7,), inputs.problems) for split in SPLITS}
    )


# 5,749 / 1,500 / 1,379 pairs, as in KorSTS.
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
    load=load_stsb,
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
    load=load_korsts,
    parallel="stsb_en",
    published={
        "sts-train.tsv": "b5aaa7f957d6ff46",
        "sts-dev.tsv": "d835b65b424401fb",
        "sts-test.tsv": "13f83a3440d9db52",
    },
)

MEDSTS_DEV_SHARE = 0.1
MEDSTS_KO_CELLS = 6


def load_medsts(inputs: TaskInputs) -> TaskData:
    """Read *train*.txt, *test*.txt and, if it exists, *test*.gs*.txt with the scores of the test pairs."""
    train = _read_pairs(_only_file(inputs.folder, "train"), None, inputs.problems)
    scores = [path for path in sorted(inputs.folder.glob("*.txt")) if _has_scores(path)]
    test_scores = [path for path in scores if "test" in path.name.lower()]
    if len(test_scores) > 1 or (scores and not test_scores and not all("train" in p.name.lower() for p in scores)):
        raise DataError(
            f"{inputs.folder} has {len(scores)} files with scores (gs), {len(test_scores)} of them named test; keep the"
            " one of the test pairs, with test in its name"
        )
    test = _read_pairs(_only_file(inputs.folder, "test"), test_scores[0] if test_scores else None, inputs.problems)
    return _with_dev(train, test)


def _with_dev(train: list[Example], test: list[Example]) -> TaskData:
    splits = hash_split("sts", train, {"dev": MEDSTS_DEV_SHARE}, rest="train")
    note = f"dev is {MEDSTS_DEV_SHARE:.0%} of the published training pairs, chosen by hash"
    return TaskData({"train": splits["train"], "dev": splits["dev"], "test": tuple(test)}, notes=(note,))


def _has_scores(path: Path) -> bool:
    return "gs" in path.stem.lower().split(".")


def _only_file(folder: Path, split: str) -> Path:
    paths = [path for path in sorted(folder.glob("*.txt")) if split in path.name.lower() and not _has_scores(path)]
    if len(paths) != 1:
        raise DataError(f"{folder} has {len(paths)} files *{split}*.txt, needed one; check `path`")
    return paths[0]


def _read_pairs(path: Path, score_file: Path | None, problems: Problems) -> list[Example]:
    """Read sentence, sentence and score, separated by tabs; scores may be in a second file, line by line."""
    lines = read_lines(path)
    scores = read_lines(score_file) if score_file is not None else None
    if scores is not None and len(scores) != len(lines):
        raise DataError(f"{score_file.name} has {len(scores)} lines but {path.name} has {len(lines)}; check both")
    needed = 3 if scores is None else 2
    examples = []
    for number, line in enumerate(lines, start=1):
        place = f"{path.name} line {number}"
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) < needed or any(cells[3:]):
            problems.add(place, f"{len(cells)} cells, needed {needed}")
            continue
        score = number_or_nan(cells[2] if scores is None else scores[number - 1])
        examples.append(Example(place, (cells[0], cells[1]), score))
    return examples


def load_medsts_ko(inputs: TaskInputs) -> TaskData:
    """Read the only csv of the folder. Columns: number, `train` or `test`, anything, score, two sentences."""
    paths = sorted(inputs.folder.glob("*.csv"))
    if len(paths) != 1:
        raise DataError(f"{inputs.folder} has {len(paths)} csv files, needed one; check `path`")
    splits: dict[str, list[Example]] = {"train": [], "test": []}
    table = TableFile.whole(paths[0])
    rows = read_rows(table, inputs.problems)
    next(rows, None)
    for row in rows:
        place, cells = table.file.place(row.line), row.cells
        if len(cells) < MEDSTS_KO_CELLS:
            inputs.problems.add(place, f"{len(cells)} cells, needed {MEDSTS_KO_CELLS}")
        elif cells[1].strip() not in splits:
            inputs.problems.add(place, "the second cell is neither train nor test")
        else:
            pair = (cells[4].strip(), cells[5].strip())
            splits[cells[1].strip()].append(Example(place, pair, number_or_nan(cells[3])))
    return _with_dev(splits["train"], splits["test"])


MEDSTS = Task(
    name="medsts",
    kind="sts",
    title="MedSTS: English clinical sentence similarity",
    language="en",
    citation="Wang et al. 2020, MedSTS, Language Resources and Evaluation 54, doi 10.1007/s10579-018-9431-1",
    licence="data use agreement of Mayo Clinic",
    labels_from="mean of two medical experts",
    labels_by="people",
    source="path",
    load=load_medsts,
)
BLUE_FILES = TableSettings(
    files={split: f"{split}.tsv" for split in ("train", "dev", "test")},
    text_columns=("sentence1", "sentence2"),
    label_columns=("score",),
)
# 675 / 75 / 318 pairs.
MEDSTS_BLUE = replace(
    MEDSTS,
    name="medsts_blue",
    title="MedSTS in BLUE: English clinical sentence similarity",
    citation="Wang et al. 2020, MedSTS; split of Peng et al. 2019, BLUE, arXiv:1906.05474",
    load=partial(read_scored_pairs, table=BLUE_FILES),
)
# 2,393 / 728 pairs; KM-BERT had no dev split.
MEDSTS_KO = replace(
    MEDSTS,
    name="medsts_ko",
    title="MedSTS in Korean: clinical sentence similarity",
    language="ko",
    citation="Kim et al. 2022, KM-BERT, Scientific Reports 12:13847, doi 10.1038/s41598-022-17806-8",
    labels_from="mean of two medical experts on the English pairs; translated by machine and corrected by hand",
    load=load_medsts_ko,
)
# As KM-BERT learns it. Correlations are not comparable with `medsts_ko`: a class has only the values 0 to 5.
MEDSTS_KO_SIX = replace(
    MEDSTS_KO, name="medsts_ko_six", kind="sts_classes", title="MedSTS in Korean as six classes (as KM-BERT)"
)
