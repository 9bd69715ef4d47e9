"""BC5CDR: chemicals and diseases in the sentences of 1,500 PubMed abstracts (4,560 / 4,581 / 4,797), tagged by word."""

from pathlib import Path

from bimed_dist.evaluation.readers.rows import entity_types, read_bio
from bimed_dist.evaluation.task import Example, Task, TaskData, TaskInputs

FILES = {"train": "train.tsv", "dev": "devel.tsv", "test": "test.tsv"}


def load(inputs: TaskInputs) -> TaskData:
    def sentences(path: Path) -> tuple[Example, ...]:
        found = read_bio(path, inputs.problems)
        return tuple(Example(place, tuple(words), tuple(tags)) for place, words, tags in found)

    parts = {name: sentences(inputs.folder / file) for name, file in FILES.items()}
    return TaskData(parts, entity_types(list(parts.values())))


TASK = Task(
    kind="ner",
    title="BC5CDR: chemicals and diseases in PubMed abstracts",
    language="en",
    citation="Li et al. 2016, Database baw068; split and format of Crichton et al. 2017, BMC Bioinformatics 18:368",
    licence="CC BY 4.0",
    labels_from="expert curators (CTD, MeSH)",
    labels_by="people",
    source="path",
    load=load,
    published={
        "train.tsv": "b731361c0ed73afd",
        "devel.tsv": "b909de65c4f7e3c2",
        "test.tsv": "e41a2843a5fff0cd",
    },
)
