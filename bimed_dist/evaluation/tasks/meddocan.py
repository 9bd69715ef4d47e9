"""MEDDOCAN: made-up identities in Spanish clinical cases, BRAT; the published development folder, dealt by case."""

from functools import partial

from bimed_dist.evaluation.readers.entities import read_entities
from bimed_dist.evaluation.task import Task
from bimed_dist.recipe.evaluation import EntitySettings

FILES = EntitySettings(files={"all": "dev/brat"})

TASK = Task(
    kind="ner",
    title="MEDDOCAN: identities in Spanish clinical cases",
    language="es",
    citation="Marimon et al. 2019, MEDDOCAN, IberLEF",
    licence="CC BY 4.0",
    labels_from="annotators, on identities that were put in by hand",
    labels_by="people",
    source="path",
    load=partial(read_entities, settings=FILES),
    published={
        "dev/brat": "2348c0aeca3290f1",
    },
)
