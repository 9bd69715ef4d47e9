"""SiMoNERo: Romanian medical sentences; the published development file alone, dealt by hash."""

from functools import partial

from bimed_dist.evaluation.readers.entities import read_entities
from bimed_dist.evaluation.task import Task
from bimed_dist.recipe.evaluation import EntitySettings

FILES = EntitySettings(files={"all": "ro_simonero_dev.bio"}, tag_scheme="IOB1")

TASK = Task(
    kind="ner",
    title="SiMoNERo: entities of Romanian medical text",
    language="ro",
    citation="Mitrofan et al. 2019, MoNERo: a biomedical gold standard corpus for Romanian, BioNLP",
    licence="CC BY-SA 4.0",
    labels_from="annotators",
    labels_by="people",
    source="path",
    load=partial(read_entities, settings=FILES),
    published={
        "ro_simonero_dev.bio": "e806d6b01c116a62",
    },
)
