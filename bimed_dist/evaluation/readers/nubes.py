"""NUBes: anonymised Spanish health records, whose file names tell section and specialty: `sample-001.cardi.chico.txt`.

Each file holds sentences of many patients, so that it is cut into documents of LINES sentences.
"""

from bimed_dist.errors import DataError
from bimed_dist.evaluation.preparation.splitting import hash_split
from bimed_dist.evaluation.task import Example, TaskData, TaskInputs
from bimed_dist.files.lines import read_lines

LINES = 40
FEWEST = 20
"""Documents of a class at least; smaller classes are left out."""
DEV_SHARE, TEST_SHARE = 0.1, 0.2
CITATION = "Lima Lopez et al. 2020, NUBes: a corpus of negation and uncertainty in Spanish clinical texts, LREC"
LICENCE = "CC BY-SA 3.0 ES"
PUBLISHED = {
    "SAMPLE-001": "079bd95094a908dd",
    "SAMPLE-002": "e613335f27d46394",
    "SAMPLE-003": "623143d85a29d000",
    "SAMPLE-004": "10e6b9de28d78ae0",
    "SAMPLE-005": "7252e3e9f3fea658",
    "SAMPLE-006": "36a46445865cda25",
    "SAMPLE-007": "f8dab72f568495eb",
    "SAMPLE-008": "f1dc20b6ec17d3c3",
    "SAMPLE-009": "4cfecfc14e61c370",
    "SAMPLE-010": "a10b9e53c7654066",
}


def read_documents(inputs: TaskInputs, part: int) -> TaskData:
    """Documents by the `part`-th field of the file name; all documents of a file are in one split."""
    paths = sorted(inputs.folder.glob("SAMPLE-*/sample-*.*.*.txt"))
    if not paths:
        raise DataError(f"{inputs.folder} has no files SAMPLE-001/sample-001.SPECIALTY.SECTION.txt; check `path`")
    found: dict[str, list[Example]] = {}
    for path in paths:
        name = path.name.split(".")[part]
        lines = [line for line in read_lines(path) if line.strip()]
        for start in range(0, len(lines), LINES):
            place = f"{path.name} line {start + 1}"
            text = " ".join(lines[start : start + LINES])
            found.setdefault(name, []).append(Example(place, (text,), name, document=path.name))
    classes = tuple(sorted(name for name, rows in found.items() if len(rows) >= FEWEST))
    rows = [example for name in classes for example in found[name]]
    parts = hash_split("classification", rows, {"dev": DEV_SHARE, "test": TEST_SHARE}, rest="train")
    small = sorted(set(found) - set(classes))
    notes = (f"documents of {LINES} sentences; split 70/10/20 by the hash of their file",)
    if small:
        notes += (f"classes with fewer than {FEWEST} documents are left out: {', '.join(small)}",)
    return TaskData({split: parts[split] for split in ("train", "dev", "test")}, classes, notes)
