"""KLUE-NER: 5,000 Korean sentences with six entity types, tagged by character.

Scored as character spans, as KLUE does. Korean attaches particles to entities: 61 % of the entities here end inside an
eojeol, and 448 eojeols hold two or more. Word tags would include the particle in the entity and lose the second entity.
A model tags its own tokens; the tag of a token counts for all its characters, so that spans of different vocabularies
compare. A token that covers both the end of an entity and a particle costs the span.
"""

from bimed_dist.evaluation.preparation.splitting import hash_split
from bimed_dist.evaluation.readers.entities import join_characters, read_characters
from bimed_dist.evaluation.readers.rows import entity_types
from bimed_dist.evaluation.task import Example, Task, TaskData, TaskInputs

DEV_NAME = "klue-ner-v1.1_dev.tsv"
TRAIN_NAME = "klue-ner-v1.1_train.tsv"
DEV_SHARE = 0.1
TEST_SHARE = 0.1


def load(inputs: TaskInputs) -> TaskData:
    """Read the published training and development files (KLUE's test labels are not open).

    The development file is the test split. If the training file is missing, it is split by hash instead.
    """

    def sentences(name: str) -> list[Example]:
        return list(join_characters(read_characters(inputs.folder / name, inputs.problems), inputs.problems))

    published = sentences(DEV_NAME)
    if (inputs.folder / TRAIN_NAME).exists():
        splits = hash_split("ner", sentences(TRAIN_NAME), {"dev": DEV_SHARE}, rest="train")
        splits["test"] = tuple(published)
        note = f"KLUE's development file is the test split; dev is {DEV_SHARE:.0%} of its training file, chosen by hash"
    else:
        splits = hash_split("ner", published, {"dev": DEV_SHARE, "test": TEST_SHARE}, rest="train")
        note = "KLUE's development file alone, split 80/10/10 by hash: not comparable with KLUE's leaderboard"
    splits = {name: splits[name] for name in ("train", "dev", "test")}
    return TaskData(splits, entity_types(list(splits.values())), (note,))


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
    load=load,
    unit="character",
    published={
        "klue-ner-v1.1_dev.tsv": "0f4d5e818f7b82d2",
    },
)
