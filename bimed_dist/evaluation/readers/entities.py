"""Named entities from BIO in columns, BIO in JSON lines and BRAT standoff.

`.json` and `.jsonl` are JSON lines and a folder is BRAT. All other files have columns, the token first and the tag
last; columns between them are ignored. Missing splits are drawn by hash as in `tables`.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bimed_dist.errors import DataError
from bimed_dist.evaluation.readers.rows import entity_types, read_bio
from bimed_dist.evaluation.readers.tables import assign_missing_splits
from bimed_dist.evaluation.task import Example, TaskData, TaskInputs
from bimed_dist.files.lines import Problems, read_lines
from bimed_dist.recipe.evaluation import EntitySettings

Unit = Literal["word", "character"]
"""What carries one tag. With characters, words are eojeols, so that particles stay outside of entities."""
_WORD = re.compile(r"\w+|[^\w\s]")
_EOJEOL = re.compile(r"\S+")
_SPANS = re.compile(r"(\S+) (\d+ \d+(?:;\d+ \d+)*)")


def read_entities(inputs: TaskInputs, unit: Unit = "word", settings: EntitySettings | None = None) -> TaskData:
    """ner: sentences with a tag per unit, from the files that a task or the recipe names."""
    settings = settings or inputs.entities
    assert settings is not None and inputs.folder is not None
    counts = Counts()
    splits = {
        split: tuple(_sentences(inputs.folder / file, unit, inputs.problems, counts))
        for split, file in settings.files.items()
    }
    if settings.tag_scheme == "IOB1":
        splits = {split: tuple(begin_stray(e, counts) for e in rows) for split, rows in splits.items()}
    if settings.types is not None:
        splits = {split: tuple(only_types(e, settings.types) for e in rows) for split, rows in splits.items()}
    splits, notes = assign_missing_splits("ner", splits)
    return TaskData(splits, entity_types(splits), (*notes, *counts.notes(unit)))


@dataclass
class Counts:
    """Entities that BIO tags can't express as they were annotated."""

    entities: int = 0
    nested: int = 0
    partial: int = 0
    discontinuous: int = 0
    multiline: int = 0
    stray: int = 0

    def notes(self, unit: Unit) -> tuple[str, ...]:
        reasons = {
            "lie inside or across longer ones and are left out": self.nested,
            f"begin or end inside a {unit} and are widened to it": self.partial,
            "have gaps, which are filled": self.discontinuous,
            "span a line end and are left out": self.multiline,
        }
        stray = (f"{self.stray:,} tags I- that continue no entity begin one",) if self.stray else ()
        return (*stray, *(f"{n:,} of {self.entities:,} entities {reason}" for reason, n in reasons.items() if n))


def _sentences(path: Path, unit: Unit, problems: Problems, counts: Counts) -> Iterator[Example]:
    if path.is_dir():
        return read_brat(path, unit, problems, counts)
    is_json = path.suffix.lower() in (".json", ".jsonl")
    if unit == "character":
        return join_characters(
            read_json_lines(path, problems) if is_json else read_characters(path, problems), problems
        )
    return read_json_lines(path, problems) if is_json else read_columns(path, problems)


def read_characters(path: Path, problems: Problems) -> Iterator[Example]:
    """One character and its tag per line, as in KLUE: spaces are characters too, and lines that begin with ## notes."""
    for place, characters, tags in read_bio(path, problems, comment="##"):
        yield Example(place, tuple(characters), tuple(tags))


def join_characters(examples: Iterator[Example], problems: Problems) -> Iterator[Example]:
    """Turn sentences whose texts are characters into sentences of eojeols."""
    for example in examples:
        if any(len(character) != 1 for character in example.texts):
            problems.add(example.id, "tokens of several characters, needed one per tag; is it a file for `files_ner`?")
            continue
        words, tags = join_eojeols(example.texts, example.target)
        yield replace(example, texts=words, target=tags)


def join_eojeols(characters: Sequence[str], tags: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (words, tag of every character of the words): spaces end words and carry no tag."""
    words = "".join(characters).split()
    kept: list[str] = []
    begins = ""  # Two entities that KLUE published begin with a space, whose B- belongs to the next character.
    for character, tag in zip(characters, tags, strict=True):
        if not character.strip():
            begins = tag if tag.startswith("B-") else ""
            continue
        kept.append("B-" + tag[2:] if begins and tag == "I-" + begins[2:] else tag)
        begins = ""
    return tuple(words), tuple(kept)


def read_columns(path: Path, problems: Problems) -> Iterator[Example]:
    """Two columns or more, separated by tabs or spaces; empty lines end sentences.

    -DOCSTART- lines begin documents. A single one, which some programs write, is a heading.
    """
    lines = read_lines(path)
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
            problems.add(f"{path.name} line {number}", f"{len(cells)} cells, needed a token and a tag")
        else:
            place = place if words else f"{path.name} line {number}"
            words.append(cells[0].strip())
            tags.append(cells[-1].strip())


def read_json_lines(path: Path, problems: Problems) -> Iterator[Example]:
    """One object per line: `tokens` and `ner_tags` (or `tags`) of equal length, and optionally a `document` id."""
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            words, tags = fields["tokens"], fields.get("ner_tags", fields.get("tags"))
            document = str(fields.get("document", ""))
            valid = len(words) == len(tags) and all(isinstance(cell, str) for cell in (*words, *tags))
        except (ValueError, KeyError, TypeError, AttributeError):
            valid = False
        place = f"{path.name} line {number}"
        if valid:
            yield Example(place, tuple(words), tuple(tags), document=document)
        else:
            problems.add(place, "not an object with as many words in tokens as in ner_tags")


def read_brat(folder: Path, unit: Unit, problems: Problems, counts: Counts) -> Iterator[Example]:
    """Lines of every .txt of a folder with the entities of its .ann; lines of one file are one document.

    Raises DataError if there are no .txt files.
    """
    paths = sorted(folder.rglob("*.txt"))
    if not paths:
        raise DataError(f"{folder} has no .txt files (with their .ann); check the task's files")
    for path in paths:
        place = path.relative_to(folder).as_posix()
        text = _brat_text(path)
        entities = _longest(list(_brat_entities(path.with_suffix(".ann"), text, problems, counts)), counts)
        start = 0
        for number, line in enumerate(text.split("\n"), start=1):
            end = start + len(line)
            if line.strip():
                inside = [(b - start, e - start, name) for b, e, name in entities if start <= b and e <= end]
                words, tags = _tag_line(line, inside, unit, counts)
                yield Example(f"{place} line {number}", words, tags, document=place)
            counts.multiline += sum(start <= b < end < e for b, e, _ in entities)
            start = end + 1


def _brat_text(path: Path) -> str:
    """Return a text as it is: BRAT's offsets count carriage returns and the byte-order mark too."""
    raw = path.read_bytes()
    try:
        return raw.decode().replace("\ufeff", " ")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path} line {line}: not UTF-8; convert the file to UTF-8") from None


def _brat_entities(path: Path, text: str, problems: Problems, counts: Counts) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, type) of the T lines; other lines are relations, attributes and notes."""
    for number, line in enumerate(read_lines(path), start=1):
        cells = line.split("\t")
        if not cells[0].startswith("T"):
            continue
        place = f"{path.name} line {number}"
        match = _SPANS.fullmatch(cells[1].strip()) if len(cells) > 1 else None
        offsets = [int(n) for n in re.findall(r"\d+", match[2])] if match else []
        if not offsets or offsets != sorted(offsets) or offsets[0] == offsets[-1] or offsets[-1] > len(text):
            problems.add(place, "not an entity with offsets inside the text")
            continue
        if len(offsets) == 2 and len(cells) > 2 and text[slice(*offsets)].split() != cells[2].split():
            problems.add(place, "the text has other characters at these offsets")
            continue
        counts.entities += 1
        counts.discontinuous += len(offsets) > 2
        yield offsets[0], offsets[-1], match[1]


def _longest(entities: Sequence[tuple[int, int, str]], counts: Counts) -> list[tuple[int, int, str]]:
    """Return the entities that no longer one, and no equally long earlier one, overlaps."""
    kept: list[tuple[int, int, str]] = []
    for entity in sorted(entities, key=lambda e: (e[0] - e[1], e[0], e[2])):
        if any(entity[0] < end and start < entity[1] for start, end, _ in kept):
            counts.nested += 1
        else:
            kept.append(entity)
    return sorted(kept)


def _tag_line(
    line: str, entities: Sequence[tuple[int, int, str]], unit: Unit, counts: Counts
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (words, tag of every unit) of a line."""
    spans = [match.span() for match in (_WORD if unit == "word" else _EOJEOL).finditer(line)]
    words = tuple(line[start:end] for start, end in spans)
    units = spans if unit == "word" else [(i, i + 1) for start, end in spans for i in range(start, end)]
    tags = ["O"] * len(units)
    for start, end, name in entities:
        covered = [i for i, (first, last) in enumerate(units) if first < end and start < last]
        if not covered:
            continue
        counts.partial += units[covered[0]][0] < start or units[covered[-1]][1] > end
        for i in covered:
            tags[i] = f"I-{name}"
        tags[covered[0]] = f"B-{name}"
    return words, tuple(tags)


def begin_stray(example: Example, counts: Counts) -> Example:
    """Replace I- by B- in every tag that continues no entity of its type, as in IOB1."""
    tags = [
        "B-" + tag[2:] if tag.startswith("I-") and previous[2:] != tag[2:] else tag
        for previous, tag in zip(("O", *example.target[:-1]), example.target, strict=True)
    ]
    counts.stray += sum(tag != old for tag, old in zip(tags, example.target, strict=True))
    return replace(example, target=tuple(tags))


def only_types(example: Example, types: Sequence[str]) -> Example:
    return replace(example, target=tuple(tag if tag[2:] in types else "O" for tag in example.target))
