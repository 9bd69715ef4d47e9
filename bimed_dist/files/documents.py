"""The record that readers yield and the corpus stage turns into sentences."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RawDocument:
    id: str
    """Says where the text came from (file, row), never what it says. Rows of one document that do not follow each other
    come as several documents with the same id."""
    source: str
    paragraphs: tuple[str, ...]
    """Text as read; not yet normalised or split into sentences. A line break ends a sentence."""
    group: str | None = None
    """Patient, or whatever else must be on one side of the held-out split."""
    named: bool = False
    """Whether the id was read from the document, so that it may come again."""
