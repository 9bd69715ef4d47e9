"""From sources to parts, the units of work, in the order of the corpus.

A part is a few small files or a run of lines of a large one. Cuts are between documents, so a part can be read alone,
and depend only on the input, not on processes or machines.
"""

import itertools
import json
import operator
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bimed_dist.corpus import columns
from bimed_dist.files.encodings import find_encoding
from bimed_dist.files.lines import (
    BOM,
    END,
    SourceFile,
    Span,
    raw_lines,
    source_files,
    stamp,
)
from bimed_dist.files.tables import BrokenTable, column_name, split_rows
from bimed_dist.recipe.corpus import (
    ColumnSource,
    EncodedSource,
    FileSource,
    JsonLinesSource,
    MimicSource,
    RowSource,
    Source,
    SyntheticSource,
    TableSource,
    TextSource,
)

PART_BYTES = 1 << 23
"""Approximate text of one part; 8 MiB take one core some seconds and little memory."""
MAX_PARTS_OF_ZIPPED_FILE = 32
"""A gzip file can only be read from its start, so every part of it unzips all earlier text."""
_UNZIPPED = 4
"""Approximate bytes of text per byte of a zipped file."""
_SYNTHETIC_BYTES = 500
"""Approximate bytes of a generated document."""
_ENDINGS: dict[type, tuple[str, ...]] = {
    TextSource: (".txt", ".txt.gz"),
    JsonLinesSource: (".jsonl", ".jsonl.gz"),
    TableSource: (".csv", ".csv.gz", ".tsv", ".tsv.gz"),
    MimicSource: (".csv", ".csv.gz"),
}


class FilePlan(NamedTuple):
    """One file with its encoding and the spans at which it may be cut."""

    name: str
    path: str
    size: int
    changed: int
    encoding: str
    declared: bool
    spans: list[Span]

    @property
    def source_file(self) -> SourceFile:
        return SourceFile(Path(self.path), self.name)


class Part(NamedTuple):
    number: int
    source: str
    files: list[FilePlan]
    bytes: int

    def task(self) -> dict[str, Any]:
        return {**self._asdict(), "files": [file._asdict() for file in self.files]}

    @classmethod
    def from_task(cls, task: dict[str, Any]) -> "Part":
        files = [FilePlan(**{**file, "spans": [Span(*span) for span in file["spans"]]}) for file in task["files"]]
        return cls(**{**task, "files": files})


def list_files(source: FileSource, path: Path) -> list[SourceFile]:
    """Return the files of a source, sorted by name."""
    if isinstance(source, ColumnSource):
        return columns.list_files(source, path)
    return source_files(path, _ENDINGS[type(source)])


def survey(source: FileSource, file: SourceFile) -> FilePlan:
    """Find the encoding and the spans of one file; reads all of it."""
    size, changed = stamp(file.path)
    if isinstance(source, ColumnSource):
        spans = columns.spans(source, file, PART_BYTES)
        return FilePlan(file.name, str(file.path), size, changed, "", True, spans)
    assert isinstance(source, EncodedSource)
    encoding = find_encoding(file, source.encoding)
    cuts = [(0, 1), *_cuts(source, file, encoding.name)] if _text_bytes(file, size) > PART_BYTES else [(0, 1)]
    if file.zipped:
        cuts = cuts[:: -(-len(cuts) // MAX_PARTS_OF_ZIPPED_FILE)]
    ends = [*(offset for offset, _ in cuts[1:]), END]
    spans = [Span(file.name, first, end, line) for (first, line), end in zip(cuts, ends, strict=True)]
    return FilePlan(file.name, str(file.path), size, changed, *encoding, spans)


def make_parts(source: Source, files: Sequence[FilePlan], first_number: int) -> Iterator[Part]:
    """Yield the parts of one source, each of whole files or of one span of a file."""
    if isinstance(source, SyntheticSource):
        yield Part(first_number, source.name, [], source.documents * _SYNTHETIC_BYTES)
        return
    numbers = itertools.count(first_number)
    waiting: list[FilePlan] = []
    waiting_bytes = 0
    for file in files:
        text_bytes = _text_bytes(file.source_file, file.size)
        if waiting and waiting_bytes + text_bytes > PART_BYTES:
            yield Part(next(numbers), source.name, waiting, waiting_bytes)
            waiting, waiting_bytes = [], 0
        if len(file.spans) == 1:
            waiting.append(file)
            waiting_bytes += text_bytes
            continue
        for span in file.spans:
            yield Part(next(numbers), source.name, [file._replace(spans=[span])], text_bytes // len(file.spans))
    if waiting:
        yield Part(next(numbers), source.name, waiting, waiting_bytes)


def _text_bytes(file: SourceFile, size: int) -> int:
    return size * _UNZIPPED if file.zipped else size


Record = tuple[int, int, Any]
"""Offset and number of a record's first line, and the value by which records of one document are recognised."""


def _cuts(source: EncodedSource, file: SourceFile, encoding: str) -> list[tuple[int, int]]:
    """Return (offset, line) of the records at which a file may be cut."""
    if isinstance(source, TextSource):
        if source.document == "file":
            return []
        records: Iterator[Record] = _lines(file)
        if source.document == "line":
            return _far_apart(records, lambda previous, record: False)
        return _far_apart(records, lambda previous, line: bool(previous.strip()))
    assert isinstance(source, RowSource)
    rows = _ids(source, file, encoding)
    if source.id is None:
        return _far_apart(rows, lambda previous, record: False)
    # Blank lines and rows without an id are dropped when they are read, so they do not separate documents.
    return _far_apart((row for row in rows if row[2]), operator.eq)


def _far_apart(records: Iterator[Record], same_document: Callable[[Any, Any], bool]) -> list[tuple[int, int]]:
    """Return (offset, line) of records at least PART_BYTES apart, each the first of its document."""
    cuts: list[tuple[int, int]] = []
    last = 0
    previous = None
    for offset, line, record in records:
        if offset - last >= PART_BYTES and previous is not None and not same_document(previous, record):
            cuts.append((offset, line))
            last = offset
        previous = record
    return cuts


def _lines(file: SourceFile) -> Iterator[tuple[int, int, bytes]]:
    return raw_lines(file, Span(file.name, 0, END, 1))


def _ids(source: RowSource, file: SourceFile, encoding: str) -> Iterator[tuple[int, int, str]]:
    """Yield offset, line and id of every row; an empty id if there is none, which is reported when the row is read."""
    if isinstance(source, JsonLinesSource):
        for offset, number, line in _lines(file):
            yield offset, number, _field(_text(offset, line, encoding), source.id) if source.id else ""
        return
    lines = (((offset, number), _text(offset, line, encoding)) for offset, number, line in _lines(file))
    rows = split_rows(file.name, lines)
    header: list[str] = []
    column = None
    try:
        for (offset, number), _, cells in rows:
            if header:
                yield offset, number, "" if column is None or len(cells) != len(header) else id_of(cells[column])
            elif cells:
                header = [column_name(cell) for cell in cells]
                id_name = column_name(source.id or "")
                column = header.index(id_name) if id_name in header else None
    except BrokenTable:
        return  # Reported when the row is read.


def _field(line: str, name: str) -> str:
    try:
        return id_of(json.loads(line)[name])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def id_of(value: Any) -> str:
    """Return a field's value as id or group; empty if it can't be one."""
    return str(value).strip() if isinstance(value, str | int) else ""


def _text(offset: int, line: bytes, encoding: str) -> str:
    return (line if offset else line.removeprefix(BOM)).decode(encoding, errors="replace")
