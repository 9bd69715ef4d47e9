"""KLUE-NER: 5,000 Korean sentences with six entity types, tagged by character.

Scored as character spans, as KLUE does. Particles are glued to Korean entities (61 % of the entities here end inside an
eojeol, and 448 eojeols hold two or more), so that word tags would score an entity with its particle as the entity,
and lose the second of two. A model labels its own pieces; a piece's label holds for every character that the piece
covers, so that the spans compare between vocabularies. A vocabulary whose pieces run over the border of entity and
particle pays for it.
"""

from collections.abc import Sequence

from bimed_dist.evaluation.reading import bio_sentences, entity_types
from bimed_dist.evaluation.splitting import hash_split
from bimed_dist.evaluation.task import Example, Origin, Splits, Task

FILE_NAME = "klue-ner-v1.1_dev.tsv"
DEV_SHARE = 0.1
TEST_SHARE = 0.1


def load(origin: Origin) -> Splits:
    """Reads the published development file (KLUE's test labels are not open) and splits it by hash."""
    sentences = bio_sentences(origin.folder / FILE_NAME, origin.problems, comment="##")
    examples = [Example(place, *eojeols(characters, tags)) for place, characters, tags in sentences]
    parts = hash_split("ner", examples, {"dev": DEV_SHARE, "test": TEST_SHARE}, rest="train")
    return Splits(
        {name: parts[name] for name in ("train", "dev", "test")},
        entity_types(list(parts.values())),
        ("KLUE's development file alone, split 80/10/10 by hash: not comparable with KLUE's leaderboard",),
    )


def eojeols(characters: Sequence[str], tags: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(words, tag of every character of the words): blanks end words and carry no tag."""
    words = "".join(characters).split()
    kept: list[str] = []
    begins = ""  # Two published entities begin with a blank, whose B- belongs to the next character.
    for character, tag in zip(characters, tags, strict=True):
        if not character.strip():
            begins = tag if tag.startswith("B-") else ""
            continue
        kept.append("B-" + tag[2:] if begins and tag == "I-" + begins[2:] else tag)
        begins = ""
    return tuple(words), tuple(kept)


TASK = Task(
    kind="ner",
    title="KLUE-NER: Korean named entities",
    language="ko",
    citation="Park et al. 2021, KLUE, NeurIPS Datasets and Benchmarks",
    licence="CC BY-SA 4.0",
    labels_from="crowd annotation, reviewed",
    source="path",
    load=load,
    unit="character",
)
