"""Documents of a corpus: as they are read or generated, and as a line of train.jsonl or held_out.jsonl."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from bimed_dist.errors import DataError
from bimed_dist.progress import Progress


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


def read_documents(path: Path, progress: Progress | None = None) -> Iterator[Document]:
    """Yield the documents of train.jsonl or held_out.jsonl; `progress` counts bytes.

    Raises DataError at a line that is no document.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            yield parse_document(line, f"{path}, line {number}")
            if progress is not None:
                progress.advance(len(line))


def parse_document(line: bytes, place: str) -> Document:
    """Return the document in a line. Raises DataError, which begins with `place`, if it is none."""
    try:
        document: Document = json.loads(line)
        sentences, languages = (list(map(len, document[key])) for key in ("paragraphs", "languages"))
        if not (isinstance(document["source"], str) and isinstance(document["language"], str)):
            raise TypeError
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{place}: not a document ({type(error).__name__}); build the corpus again") from None
    if sentences != languages:
        raise DataError(f"{place}: sentences and languages don't match; build the corpus again")
    return document
