"""NUBes by specialty: cardiology, neurology, urology, ... of Spanish health records."""

from functools import partial

from bimed_dist.evaluation.readers.nubes import CITATION, LICENCE, PUBLISHED, read_documents
from bimed_dist.evaluation.task import Task

TASK = Task(
    kind="classification",
    title="NUBes: specialties of Spanish health records",
    language="es",
    citation=CITATION,
    licence=LICENCE,
    labels_from="the department that the record was written in",
    labels_by="people",
    source="path",
    load=partial(read_documents, part=1),
    published=PUBLISHED,
)
