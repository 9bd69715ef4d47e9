"""Named entities: published corpora, and files that the recipe's `entities` names.

Units that carry a tag are words. `files_ner_characters` tags characters instead, for languages that attach particles to
entities, such as Korean: a word tag would include the particle and lose the second entity of an eojeol.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from bimed_dist.evaluation.readers.entities import read_entities
from bimed_dist.evaluation.readers.rows import entity_types, read_bio
from bimed_dist.evaluation.task import Example, Task, TaskData, TaskInputs
from bimed_dist.recipe.evaluation import EntitySettings

FILES = Task(
    name="files_ner",
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
FILES_BY_CHARACTER = replace(
    FILES,
    name="files_ner_characters",
    title="Named entities by character",
    load=partial(read_entities, unit="character"),
    unit="character",
)


def load_bc5cdr(inputs: TaskInputs) -> TaskData:
    def sentences(path: Path) -> tuple[Example, ...]:
        rows = read_bio(path, inputs.problems)
        return tuple(Example(place, tuple(words), tuple(tags)) for place, words, tags in rows)

    files = {"train": "train.tsv", "dev": "devel.tsv", "test": "test.tsv"}
    splits = {split: sentences(inputs.folder / file) for split, file in files.items()}
    return TaskData(splits, entity_types(list(splits.values())))


# Sentences of 1,500 abstracts: 4,560 / 4,581 / 4,797.
BC5CDR = Task(
    name="bc5cdr",
    kind="ner",
    title="BC5CDR: chemicals and diseases in PubMed abstracts",
    language="en",
    citation="Li et al. 2016, Database baw068; split and format of Crichton et al. 2017, BMC Bioinformatics 18:368",
    licence="CC BY 4.0",
    labels_from="expert curators (CTD, MeSH)",
    labels_by="people",
    source="path",
    load=load_bc5cdr,
    published={
        "train.tsv": "b731361c0ed73afd",
        "devel.tsv": "b909de65c4f7e3c2",
        "test.tsv": "e41a2843a5fff0cd",
    },
)
# Three columns: word, something else, tag. KM-BERT reports `class_f1` as mean of five folds: F1 of the class of single
# words, without span boundaries. Types: body part BD, disease DS, symptom ST.
KMBERT_NER = Task(
    name="kmbert_ner",
    kind="ner",
    title="Korean medical entities of KM-BERT",
    language="ko",
    citation="Kim et al. 2022, KM-BERT, Scientific Reports 12:13847, doi 10.1038/s41598-022-17806-8",
    licence="the authors' own data",
    labels_from="annotators",
    labels_by="people",
    source="path",
    load=partial(read_entities, settings=EntitySettings(files={"train": "train.txt", "test": "test.txt"})),
)
# Seven types, JSON lines; the published dev file is the test split.
CT_EBM_SP_FILES = {"train": "train-7sgs-umls.json", "test": "dev-7sgs-umls.json"}
CT_EBM_SP = Task(
    name="ct_ebm_sp",
    kind="ner",
    title="CT-EBM-SP: entities of Spanish clinical trials",
    language="es",
    citation="Campillos-Llanos et al. 2021, BMC Medical Informatics and Decision Making 21:69",
    licence="CC BY-NC-SA 4.0",
    labels_from="annotators with UMLS, reviewed",
    labels_by="people",
    source="path",
    load=partial(read_entities, settings=EntitySettings(files=CT_EBM_SP_FILES, tag_scheme="IOB1")),
    published={
        "train-7sgs-umls.json": "143e61630a17f7e4",
        "dev-7sgs-umls.json": "9d6615c82b8ffec3",
    },
)
# BRAT; the published development folder alone, split by hash of the case.
MEDDOCAN = Task(
    name="meddocan",
    kind="ner",
    title="MEDDOCAN: identities in Spanish clinical cases",
    language="es",
    citation="Marimon et al. 2019, MEDDOCAN, IberLEF",
    licence="CC BY 4.0",
    labels_from="annotators, on identities that were inserted by hand",
    labels_by="people",
    source="path",
    load=partial(read_entities, settings=EntitySettings(files={"all": "dev/brat"})),
    published={"dev/brat": "2348c0aeca3290f1"},
)
# The published development file alone, split by hash.
SIMONERO_RO = Task(
    name="simonero_ro",
    kind="ner",
    title="SiMoNERo: entities of Romanian medical text",
    language="ro",
    citation="Mitrofan et al. 2019, MoNERo: a biomedical gold standard corpus for Romanian, BioNLP",
    licence="CC BY-SA 4.0",
    labels_from="annotators",
    labels_by="people",
    source="path",
    load=partial(read_entities, settings=EntitySettings(files={"all": "ro_simonero_dev.bio"}, tag_scheme="IOB1")),
    published={"ro_simonero_dev.bio": "e806d6b01c116a62"},
)
