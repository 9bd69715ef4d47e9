"""Synthetic mixed-language clinical sentences with body parts (BD), diseases (DS) and symptoms (ST), tagged by word."""

from bimed_dist.evaluation.readers.synthetic import generate_entities
from bimed_dist.evaluation.task import Task

TASK = Task(
    kind="ner",
    title="Synthetic clinical entities: body part, disease, symptom",
    language="mixed",
    citation="made by bimed_dist.synthetic",
    licence="Apache-2.0, as this package",
    labels_from="the generated findings, never the text",
    labels_by="generator",
    source="synthetic",
    load=generate_entities,
)
