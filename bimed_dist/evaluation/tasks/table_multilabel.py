"""Texts with yes/no labels from any csv or tsv: the recipe names files, the text and a column of 0 and 1 per label."""

from bimed_dist.evaluation.readers.tables import read_multilabel
from bimed_dist.evaluation.task import Task

TASK = Task(
    kind="multilabel",
    title="Texts with yes/no labels",
    language="any",
    citation="files named in the recipe",
    licence="not stated",
    labels_from="not stated",
    labels_by="people",
    source="path",
    load=read_multilabel,
    needs="table",
)
