"""The document that corpus readers and the synthetic generator yield."""

from dataclasses import dataclass


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
