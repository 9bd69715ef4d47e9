"""KLUE-NER: 5,000 Korean sentences with six entity types, tagged by character.

Scored as character spans, as KLUE does. Particles are glued to Korean entities (61 % of the entities here end inside an
eojeol, and 448 eojeols hold two or more), so that word tags would score an entity with its particle as the entity,
and lose the second of two. A model labels its own pieces; a piece's label holds for every character that the piece
covers, so that the spans compare between vocabularies. A vocabulary whose pieces run over the border of entity and
particle pays for it.
"""

from bimed_dist.evaluation.preparation.splitting import hash_split
from bimed_dist.evaluation.readers.entities import join_characters, read_characters
from bimed_dist.evaluation.readers.rows import entity_types
from bimed_dist.evaluation.task import Example, Task, TaskData, TaskInputs

FILE_NAME = "klue-ner-v1.1_dev.tsv"
TRAIN_NAME = "klue-ner-v1.1_train.tsv"
DEV_SHARE = 0.1
TEST_SHARE = 0.1


def load(inputs: TaskInputs) -> TaskData:
    """Reads the published training and development files (KLUE's test labels are not open).

    The development file is the test split where there is the training file, and is split by hash where there is not.
    """

    def sentences(name: str) -> list[Example]:
        return list(join_characters(read_characters(inputs.folder / name, inputs.problems), inputs.problems))

    published = sentences(FILE_NAME)
    if (inputs.folder / TRAIN_NAME).exists():
        parts = {**hash_split("ner", sentences(TRAIN_NAME), {"dev": DEV_SHARE}, rest="train"), "test": tuple(published)}
        note = f"KLUE's development file is the test split; dev is {DEV_SHARE:.0%} of its training file, chosen by hash"
    else:
        parts = hash_split("ner", published, {"dev": DEV_SHARE, "test": TEST_SHARE}, rest="train")
        note = "KLUE's development file alone, split 80/10/10 by hash: not comparable with KLUE's leaderboard"
    splits = {name: parts[name] for name in ("train", "dev", "test")}
    return TaskData(splits, entity_types(list(splits.values())), (note,))


TASK = Task(
    kind="ner",
    title="KLUE-NER: Korean named entities",
    language="ko",
    citation="Park et al. 2021, KLUE, NeurIPS Datasets and Benchmarks",
    licence="CC BY-SA 4.0",
    labels_from="crowd annotation, reviewed",
    labels_by="people",
    source="path",
    load=load,
    unit="character",
    published={
        "klue-ner-v1.1_dev.tsv": "0f4d5e818f7b82d2",
    },
)
