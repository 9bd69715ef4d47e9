"""The record that readers yield and the corpus stage turns into sentences."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RawDocument:
    id: str
    """Unique within its source; says where the text came from (file, row), never what it says."""
    source: str
    paragraphs: tuple[str, ...]
    """Text as read; not yet normalised or split into sentences. A line break ends a sentence."""
