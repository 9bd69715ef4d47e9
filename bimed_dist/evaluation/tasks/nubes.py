"""NUBes: anonymised Spanish health records, classified by section or specialty.

File names hold both: `sample-001.cardi.chico.txt`. Each file has sentences of many patients and is split into documents
of LINES sentences.
"""

from dataclasses import replace
from functools import partial

from bimed_dist.errors import DataError
from bimed_dist.evaluation.preparation.splitting import hash_split
from bimed_dist.evaluation.task import Example, Task, TaskData, TaskInputs
from bimed_dist.files.lines import read_lines

LINES = 40
MIN_DOCUMENTS = 20
"""Classes with fewer documents are left out."""
DEV_SHARE, TEST_SHARE = 0.1, 0.2


def read_documents(inputs: TaskInputs, field: int) -> TaskData:
    """Classify documents by a dot-separated field of the file name; all documents of a file are in one split."""
    paths = sorted(inputs.folder.glob("SAMPLE-*/sample-*.*.*.txt"))
    if not paths:
        raise DataError(f"{inputs.folder} has no files SAMPLE-001/sample-001.SPECIALTY.SECTION.txt; check `path`")
    by_class: dict[str, list[Example]] = {}
    for path in paths:
        name = path.name.split(".")[field]
        lines = [line for line in read_lines(path) if line.strip()]
        for start in range(0, len(lines), LINES):
            place = f"{path.name} line {start + 1}"
            text = " ".join(lines[start : start + LINES])
            by_class.setdefault(name, []).append(Example(place, (text,), name, document=path.name))
    classes = tuple(sorted(name for name, rows in by_class.items() if len(rows) >= MIN_DOCUMENTS))
    rows = [example for name in classes for example in by_class[name]]
    splits = hash_split("classification", rows, {"dev": DEV_SHARE, "test": TEST_SHARE}, rest="train")
    small = sorted(set(by_class) - set(classes))
    notes = (f"documents of {LINES} sentences; split 70/10/20 by the hash of their file",)
    if small:
        notes += (f"classes with fewer than {MIN_DOCUMENTS} documents are left out: {', '.join(small)}",)
    return TaskData({split: splits[split] for split in ("train", "dev", "test")}, classes, notes)


SPECIALTIES = Task(
    name="nubes_specialties",
    kind="classification",
    title="NUBes: specialties of Spanish health records",
    language="es",
    citation="Lima Lopez et al. 2020, NUBes: a corpus of negation and uncertainty in Spanish clinical texts, LREC",
    licence="CC BY-SA 3.0 ES",
    labels_from="the department that the record was written in",
    labels_by="people",
    source="path",
    load=partial(read_documents, field=1),
    published={
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
    },
)
# Chief complaint, physical examination, progress, ...
SECTIONS = replace(
    SPECIALTIES,
    name="nubes_sections",
    title="NUBes: sections of Spanish health records",
    labels_from="the records' own headings",
    load=partial(read_documents, field=2),
)
