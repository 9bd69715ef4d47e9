"""Named entities from the files that people hold: BIO in columns, BIO in JSON lines, BRAT standoff.

By the name: `.json` and `.jsonl` are JSON lines, a folder is BRAT, everything else has columns, the token first and the
tag last, with others between that are not read. Splits that are not given are dealt by hash as in `tables`.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bimed_dist.errors import DataError
from bimed_dist.evaluation.readers.rows import bio_sentences, entity_types, file_text, text_lines
from bimed_dist.evaluation.readers.tables import deal_missing
from bimed_dist.evaluation.task import Example, TaskData, TaskInputs
from bimed_dist.recipe.evaluation import EntitySettings

Unit = Literal["word", "character"]
_WORD = re.compile(r"\w+|[^\w\s]")
_SPANS = re.compile(r"(\S+) (\d+ \d+(?:;\d+ \d+)*)")


def tagged(inputs: TaskInputs, unit: Unit = "word", settings: EntitySettings | None = None) -> TaskData:
    """ner: sentences with a tag per unit, from the files that a task or the recipe names."""
    settings = settings or inputs.entities
    assert settings is not None and inputs.folder is not None
    counts = Counts()
    parts = {
        split: tuple(sentences(inputs.folder / file, unit, inputs.problems, counts))
        for split, file in settings.files.items()
    }
    if settings.tag_scheme == "IOB1":
        parts = {split: tuple(begun(e, counts) for e in part) for split, part in parts.items()}
    if settings.types is not None:
        parts = {split: tuple(only_types(e, settings.types) for e in part) for split, part in parts.items()}
    parts, notes = deal_missing("ner", parts)
    return TaskData(parts, entity_types(list(parts.values())), (*notes, *counts.notes(unit)))


@dataclass
class Counts:
    """What standoff has and tags can't say."""

    entities: int = 0
    nested: int = 0
    inside: int = 0
    gaps: int = 0
    lines: int = 0
    begun: int = 0

    def notes(self, unit: Unit) -> tuple[str, ...]:
        told = {
            "lie inside or across longer ones and are left out": self.nested,
            f"begin or end inside a {unit} and are widened to it": self.inside,
            "have gaps, which are filled": self.gaps,
            "go over a line end and are left out": self.lines,
        }
        begun = (f"{self.begun:,} tags I- that continue no entity begin one",) if self.begun else ()
        return (*begun, *(f"{n:,} of {self.entities:,} entities {what}" for what, n in told.items() if n))


def sentences(path: Path, unit: Unit, problems: list[str], counts: Counts) -> Iterator[Example]:
    if path.is_dir():
        return brat_lines(path, unit, problems, counts)
    is_json = path.suffix.lower() in (".json", ".jsonl")
    if unit == "character":
        return joined_characters(
            json_sentences(path, problems) if is_json else character_sentences(path, problems), problems
        )
    return json_sentences(path, problems) if is_json else column_sentences(path, problems)


def character_sentences(path: Path, problems: list[str]) -> Iterator[Example]:
    """A character and its tag a line, as KLUE has it: blanks are characters too, and lines that begin with ## notes."""
    for place, characters, tags in bio_sentences(path, problems, comment="##"):
        yield Example(place, tuple(characters), tuple(tags))


def joined_characters(examples: Iterator[Example], problems: list[str]) -> Iterator[Example]:
    """Sentences whose texts are characters as sentences of eojeols."""
    for example in examples:
        if any(len(character) != 1 for character in example.texts):
            problems.append(
                f"{example.id}: tokens of several characters, needed one a tag; is it a file for `files_ner`?"
            )
            continue
        words, tags = eojeols(example.texts, example.target)
        yield replace(example, texts=words, target=tags)


def eojeols(characters: Sequence[str], tags: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(words, tag of every character of the words): blanks end words and carry no tag."""
    words = "".join(characters).split()
    kept: list[str] = []
    begins = ""  # Two entities that KLUE published begin with a blank, whose B- belongs to the next character.
    for character, tag in zip(characters, tags, strict=True):
        if not character.strip():
            begins = tag if tag.startswith("B-") else ""
            continue
        kept.append("B-" + tag[2:] if begins and tag == "I-" + begins[2:] else tag)
        begins = ""
    return tuple(words), tuple(kept)


def column_sentences(path: Path, problems: list[str]) -> Iterator[Example]:
    """Two columns or more, cut by tabs or blanks; empty lines end sentences.

    -DOCSTART- lines begin documents; a single one, as some programs write, is a heading.
    """
    lines = text_lines(path)
    has_documents = sum("-DOCSTART-" in line for line in lines) > 1
    words: list[str] = []
    tags: list[str] = []
    place = document = ""
    for number, line in enumerate([*lines, ""], start=1):
        cells = line.split("\t") if "\t" in line else line.split()
        if not line.strip():
            if words:
                yield Example(place, tuple(words), tuple(tags), document=document)
            words, tags = [], []
        elif "-DOCSTART-" in line:
            document = f"{path.name} line {number}" if has_documents else ""
        elif len(cells) < 2 or not cells[0].strip():
            problems.append(f"{path.name} line {number}: {len(cells)} cells, needed a token and a tag")
        else:
            place = place if words else f"{path.name} line {number}"
            words.append(cells[0].strip())
            tags.append(cells[-1].strip())


def json_sentences(path: Path, problems: list[str]) -> Iterator[Example]:
    """One object a line with `tokens` and `ner_tags` (or `tags`) of equal length, perhaps with the id of `document`."""
    for number, line in enumerate(text_lines(path), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
            words, tags = found["tokens"], found.get("ner_tags", found.get("tags"))
            document = str(found.get("document", ""))
            same = len(words) == len(tags) and all(isinstance(cell, str) for cell in (*words, *tags))
        except (ValueError, KeyError, TypeError, AttributeError):
            same = False
        if not same:
            problems.append(f"{path.name} line {number}: not an object with as many words in tokens as in ner_tags")
            continue
        yield Example(f"{path.name} line {number}", tuple(words), tuple(tags), document=document)


def brat_lines(folder: Path, unit: Unit, problems: list[str], counts: Counts) -> Iterator[Example]:
    """Lines of every .txt of a folder with the entities of the .ann beside it; lines of a file are dependent.

    Raises DataError where there is no pair of files.
    """
    paths = sorted(folder.rglob("*.txt"))
    if not paths:
        raise DataError(f"{folder} has no .txt files with .ann beside them; check the task's files")
    for path in paths:
        place = path.relative_to(folder).as_posix()
        # As it is: offsets count carriage returns and a byte order mark too.
        text = file_text(path).replace("\ufeff", " ")
        kept = _longest(list(_entities(path.with_suffix(".ann"), text, problems, counts)), counts)
        start = 0
        for number, line in enumerate(text.split("\n"), start=1):
            end = start + len(line)
            if line.strip():
                inside = [(b - start, e - start, name) for b, e, name in kept if start <= b and e <= end]
                words, tags = tagged_line(line, inside, unit, counts)
                yield Example(f"{place} line {number}", words, tags, document=place)
            counts.lines += sum(start <= b < end < e for b, e, _ in kept)
            start = end + 1


def _entities(path: Path, text: str, problems: list[str], counts: Counts) -> Iterator[tuple[int, int, str]]:
    """(start, end, type) of the T lines; others are relations, attributes and notes."""
    for number, line in enumerate(text_lines(path), start=1):
        cells = line.split("\t")
        if not cells[0].startswith("T"):
            continue
        found = _SPANS.fullmatch(cells[1].strip()) if len(cells) > 1 else None
        offsets = [int(n) for n in re.findall(r"\d+", found[2])] if found else []
        if not offsets or offsets != sorted(offsets) or offsets[0] == offsets[-1] or offsets[-1] > len(text):
            problems.append(f"{path.name} line {number}: no entity with offsets inside the text")
            continue
        if len(offsets) == 2 and len(cells) > 2 and text[slice(*offsets)].split() != cells[2].split():
            problems.append(f"{path.name} line {number}: something else stands at these offsets of the text")
            continue
        counts.entities += 1
        counts.gaps += len(offsets) > 2
        yield offsets[0], offsets[-1], found[1]


def _longest(entities: Sequence[tuple[int, int, str]], counts: Counts) -> list[tuple[int, int, str]]:
    """Entities without those that a longer one, or an equally long one before it, overlaps."""
    kept: list[tuple[int, int, str]] = []
    for entity in sorted(entities, key=lambda e: (e[0] - e[1], e[0], e[2])):
        if any(entity[0] < end and start < entity[1] for start, end, _ in kept):
            counts.nested += 1
        else:
            kept.append(entity)
    return sorted(kept)


def tagged_line(
    line: str, entities: Sequence[tuple[int, int, str]], unit: Unit, counts: Counts
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(words, tag of every unit). Words are eojeols where characters carry the tags, so that particles stay outside."""
    spans = [match.span() for match in (_WORD if unit == "word" else re.compile(r"\S+")).finditer(line)]
    words = tuple(line[begin:end] for begin, end in spans)
    units = spans if unit == "word" else [(at, at + 1) for begin, end in spans for at in range(begin, end)]
    tags = ["O"] * len(units)
    for start, end, name in entities:
        covered = [i for i, (begin, stop) in enumerate(units) if begin < end and start < stop]
        if not covered:
            continue
        counts.inside += units[covered[0]][0] < start or units[covered[-1]][1] > end
        for i in covered:
            tags[i] = f"I-{name}"
        tags[covered[0]] = f"B-{name}"
    return words, tuple(tags)


def begun(example: Example, counts: Counts) -> Example:
    """The sentence with B- for every I- that continues no entity of its type."""
    tags = [
        "B-" + tag[2:] if tag.startswith("I-") and before[2:] != tag[2:] else tag
        for before, tag in zip(("O", *example.target[:-1]), example.target, strict=True)
    ]
    counts.begun += sum(tag != old for tag, old in zip(tags, example.target, strict=True))
    return replace(example, target=tuple(tags))


def only_types(example: Example, types: Sequence[str]) -> Example:
    tags = tuple(tag if tag[2:] in types else "O" for tag in example.target)
    return replace(example, target=tags)
