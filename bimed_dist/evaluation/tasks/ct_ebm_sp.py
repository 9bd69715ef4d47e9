"""CT-EBM-SP: Spanish clinical trials, seven types of entities, JSON lines; the published dev file is the test split."""

from functools import partial

from bimed_dist.evaluation.readers.entities import read_entities
from bimed_dist.evaluation.task import Task
from bimed_dist.recipe.evaluation import EntitySettings

FILES = EntitySettings(files={"train": "train-7sgs-umls.json", "test": "dev-7sgs-umls.json"}, tag_scheme="IOB1")

TASK = Task(
    kind="ner",
    title="CT-EBM-SP: entities of Spanish clinical trials",
    language="es",
    citation="Campillos-Llanos et al. 2021, BMC Medical Informatics and Decision Making 21:69",
    licence="CC BY-NC-SA 4.0",
    labels_from="annotators with UMLS, reviewed",
    labels_by="people",
    source="path",
    load=partial(read_entities, settings=FILES),
    published={
        "train-7sgs-umls.json": "143e61630a17f7e4",
        "dev-7sgs-umls.json": "9d6615c82b8ffec3",
    },
)
