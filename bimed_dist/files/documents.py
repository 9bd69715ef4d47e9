"""Documents of a corpus: as they are read or generated, and as a line of train.jsonl or held_out.jsonl."""

from dataclasses import dataclass
from typing import TypedDict


@dataclass(frozen=True)
class RawDocument:
    id: str
    """Place of the text (file, row) or its id there, never text. Rows of one document that are not adjacent come as
    several documents with the same id."""
    source: str
    paragraphs: tuple[str, ...]
    """Text as read; not yet normalised or split into sentences. A line break ends a sentence."""
    group: str | None = None
    """Patient, or another unit that must be on one side of the held-out split."""
    named: bool = False
    """Whether the id was read from the data, so that it may occur again."""


class Document(TypedDict):
    """One line of train.jsonl or held_out.jsonl."""

    id: str
    source: str
    language: str
    """Language of the whole text, see `language.language_of`."""
    paragraphs: list[list[str]]
    """Sentences of each paragraph."""
    languages: list[list[str]]
    """Language of each sentence, in the shape of `paragraphs`."""
