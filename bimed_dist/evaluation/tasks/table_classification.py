"""Texts of one class each from any csv or tsv: classification of documents, or screening of patients."""

from bimed_dist.evaluation.readers.tables import classified
from bimed_dist.evaluation.task import Task

TASK = Task(
    kind="classification",
    title="Texts by class",
    language="any",
    citation="files named in the recipe",
    licence="not stated",
    labels_from="not stated",
    labels_by="people",
    source="path",
    load=classified,
    needs="table",
)
