"""BRAT, and BIO by character (KLUE's columns, JSON lines), scored as character spans.

For languages that glue particles to entities, such as Korean.

A word tag would score an entity together with its particle, and lose the second entity of an eojeol.
"""

from dataclasses import replace
from functools import partial

from bimed_dist.evaluation.readers.entities import read_entities
from bimed_dist.evaluation.tasks import files_ner

TASK = replace(
    files_ner.TASK,
    title="Named entities by character",
    load=partial(read_entities, unit="character"),
    unit="character",
)
