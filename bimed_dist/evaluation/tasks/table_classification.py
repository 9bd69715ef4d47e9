"""Texts of one class each from any csv or tsv: classification of documents, or screening of patients."""

from bimed_dist.evaluation.readers.tables import read_classification
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
    load=read_classification,
    needs="table",
)
