"""NUBes by section: chief complaint, physical examination, progress, ... of Spanish health records."""

from functools import partial

from bimed_dist.evaluation.readers.nubes import CITATION, LICENCE, PUBLISHED, read_documents
from bimed_dist.evaluation.task import Task

TASK = Task(
    kind="classification",
    title="NUBes: sections of Spanish health records",
    language="es",
    citation=CITATION,
    licence=LICENCE,
    labels_from="the records' own headings",
    labels_by="people",
    source="path",
    load=partial(read_documents, part=2),
    published=PUBLISHED,
)
