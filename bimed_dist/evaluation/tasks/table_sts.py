"""Sentence pairs graded 0-5 from any csv or tsv: the recipe names files, the two sentences' columns and the score's."""

from bimed_dist.evaluation.readers.tables import read_scored_pairs
from bimed_dist.evaluation.task import Task

TASK = Task(
    kind="sts",
    title="Sentence similarity",
    language="any",
    citation="files named in the recipe",
    licence="not stated",
    labels_from="not stated",
    labels_by="people",
    source="path",
    load=read_scored_pairs,
    needs="table",
)
