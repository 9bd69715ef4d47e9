"""Named entities: published corpora, and files that the recipe's `entities` names.

Units that carry a tag are words. `files_ner_characters` tags characters instead, for languages that attach particles to
entities, such as Korean: a word tag would include the particle and lose the second entity of an eojeol. A model tags
its own tokens; the tag of a token counts for all its characters, so that spans of different vocabularies compare. A
token that covers both the end of an entity and a particle costs the span.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from bimed_dist.evaluation.preparation.splitting import hash_split
from bimed_dist.evaluation.readers.entities import join_characters, read_characters, read_entities
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
    return TaskData(splits, entity_types(splits))


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

KLUE_DEV = "klue-ner-v1.1_dev.tsv"
KLUE_TRAIN = "klue-ner-v1.1_train.tsv"
KLUE_DEV_SHARE = 0.1
KLUE_TEST_SHARE = 0.1


def load_klue(inputs: TaskInputs) -> TaskData:
    """Read the published training and development files (KLUE's test labels are not open).

    The development file is the test split. If the training file is missing, it is split by hash instead.
    """

    def sentences(name: str) -> list[Example]:
        return list(join_characters(read_characters(inputs.folder / name, inputs.problems), inputs.problems))

    published = sentences(KLUE_DEV)
    if (inputs.folder / KLUE_TRAIN).exists():
        splits = hash_split("ner", sentences(KLUE_TRAIN), {"dev": KLUE_DEV_SHARE}, rest="train")
        splits["test"] = tuple(published)
        share = f"{KLUE_DEV_SHARE:.0%}"
        note = f"KLUE's development file is the test split; dev is {share} of its training file, chosen by hash"
    else:
        splits = hash_split("ner", published, {"dev": KLUE_DEV_SHARE, "test": KLUE_TEST_SHARE}, rest="train")
        note = "KLUE's development file alone, split 80/10/10 by hash: not comparable with KLUE's leaderboard"
    splits = {name: splits[name] for name in ("train", "dev", "test")}
    return TaskData(splits, entity_types(splits), (note,))


# 5,000 Korean sentences with six entity types, scored as character spans as KLUE does: 61 % of the entities end inside
# an eojeol, and 448 eojeols hold two or more.
KLUE_NER = Task(
    name="klue_ner",
    kind="ner",
    title="KLUE-NER: Korean named entities",
    language="ko",
    citation="Park et al. 2021, KLUE, NeurIPS Datasets and Benchmarks",
    licence="CC BY-SA 4.0",
    labels_from="crowd annotation, reviewed",
    labels_by="people",
    source="path",
    load=load_klue,
    unit="character",
    published={
        "klue-ner-v1.1_dev.tsv": "0f4d5e818f7b82d2",
    },
)
