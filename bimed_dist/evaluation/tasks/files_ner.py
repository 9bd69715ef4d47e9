"""Entities tagged by word, from the files that the recipe names: BIO in columns or JSON lines, or BRAT."""

from bimed_dist.evaluation.readers.entities import read_entities
from bimed_dist.evaluation.task import Task

TASK = Task(
    kind="ner",
    title="Named entities",
    language="any",
    citation="files named in the recipe",
    licence="not stated",
    labels_from="not stated",
    labels_by="people",
    source="path",
    load=read_entities,
    needs="entities",
)
