"""Spans of files to raw documents: text files, JSON lines, tables, columnar files and the synthetic generator.

A document's id is `file`, `file:line` or the value of the source's id field. Problems are collected and raised as one
DataError with file and line (at most 20), or skipped with `bad_rows: skip`.
"""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bimed_dist.corpus import columns
from bimed_dist.corpus.cleaning import SURROGATES
from bimed_dist.corpus.planning import FilePlan, Part, id_of
from bimed_dist.files.documents import RawDocument
from bimed_dist.files.lines import Problems, Span, decoded_lines
from bimed_dist.files.tables import TableFile, read_columns
from bimed_dist.recipe.corpus import (
    ColumnSource,
    FileSource,
    JsonLinesSource,
    MimicSource,
    RowSource,
    Source,
    SyntheticSource,
    TableSource,
    TextSource,
)
from bimed_dist.synthetic.documents import generate_documents

LONGEST_DOCUMENT = 1 << 25
"""Most characters of one document; memory must hold several copies of it."""

FieldsOfRow = tuple[str, Mapping[str, Any]]
"""Id of a document that has no other (`file:line`, the line in which the row ends) and the fields by name."""


def read(source: Source, part: Part, seed: int, problems: Problems) -> Iterator[RawDocument]:
    """Yield the documents of one part in the order of files and rows, reduced to the source's `share`.

    Raises DataError with up to 20 problems, at the latest after the last document.
    """
    if isinstance(source, SyntheticSource):
        yield from generate_documents(seed, source.documents, source.languages, source.name, source.kinds)
        return
    for file in part.files:
        for span in file.spans:
            for document in _documents(source, file, span, problems):
                if _position(document.id) < source.share:
                    yield document
    problems.raise_any()


def _position(document_id: str) -> float:
    """Return the position of a document in [0, 1), by its id."""
    return int.from_bytes(hashlib.sha256(document_id.encode("utf-8", "replace")).digest()[:6], "big") / 2**48


def _documents(source: FileSource, file: FilePlan, span: Span, problems: Problems) -> Iterator[RawDocument]:
    if isinstance(source, ColumnSource):
        return _row_documents(source, columns.read_rows(source, file.source_file, span), problems)
    if isinstance(source, TableSource | MimicSource):
        return _row_documents(source, _table_rows(source, file, span, problems), problems)
    lines = decoded_lines(file.source_file, span, file.encoding, file.declared, problems)
    if isinstance(source, TextSource):
        return _text_documents(source, file, lines, problems)
    assert isinstance(source, JsonLinesSource)
    return _row_documents(source, _json_rows(file, lines, problems), problems)


# ----------------------------------------------------------------------------------------------------------------- text


def _text_documents(
    source: TextSource, file: FilePlan, lines: Iterable[tuple[int, str]], problems: Problems
) -> Iterator[RawDocument]:
    if source.document == "line":
        for number, line in lines:
            if line.strip():
                yield RawDocument(f"{file.name}:{number}", source.name, (line.strip(),))
    elif source.document == "paragraph":
        for number, text in _blocks(lines):
            yield RawDocument(f"{file.name}:{number}", source.name, (text,))
    else:
        text: list[str] = []
        size = 0
        for _, line in lines:
            text.append(line)
            size += len(line)
            if size > LONGEST_DOCUMENT:
                reason = f"a document of more than {LONGEST_DOCUMENT:,} characters"
                problems.add(file.name, f"{reason}; set `document: paragraph` or `line`")
                return
        yield RawDocument(file.name, source.name, ("".join(text),))


def _blocks(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Yield (number of the first line, text) of lines between blank lines."""
    block: list[str] = []
    first = 0
    for number, line in lines:
        if line.strip():
            first = first if block else number
            block.append(line)
        elif block:
            yield first, "".join(block)
            block = []
    if block:
        yield first, "".join(block)


# ------------------------------------------------------------------------------------------------------ JSON and tables


def _json_rows(file: FilePlan, lines: Iterable[tuple[int, str]], problems: Problems) -> Iterator[FieldsOfRow]:
    for number, line in lines:
        if not line.strip():
            continue
        place = file.source_file.place(number)
        try:
            fields = json.loads(line)
        except json.JSONDecodeError as error:
            problems.add(place, f"not JSON at column {error.colno} ({error.msg})")
            continue
        except RecursionError:
            problems.add(place, "JSON that is nested too deeply")
            continue
        if isinstance(fields, dict):
            yield f"{file.name}:{number}", fields
        else:
            problems.add(place, f"a JSON {type(fields).__name__}; each line must be an object")


def _table_rows(source: RowSource, file: FilePlan, span: Span, problems: Problems) -> Iterator[FieldsOfRow]:
    columns = [name for name in dict.fromkeys((*source.text, source.id, source.group)) if name]
    table = TableFile(file.source_file, file.encoding, file.declared, span)
    for row in read_columns(table, columns, problems):
        yield f"{file.name}:{row.last_line}", dict(zip(columns, row.cells, strict=True))


def _row_documents(
    source: RowSource | ColumnSource, rows: Iterable[FieldsOfRow], problems: Problems
) -> Iterator[RawDocument]:
    """Yield one document per row, or per run of rows with the same id."""
    for (name, group), run in itertools.groupby(_named_rows(source, rows, problems), key=lambda row: row[0]):
        texts: list[str] = []
        size = 0
        for _, row_texts in run:
            texts += row_texts
            size += sum(map(len, row_texts))
            if size > LONGEST_DOCUMENT:
                reason = f"a document of more than {LONGEST_DOCUMENT:,} characters; is its id field right?"
                problems.add(f"source {source.name}", reason)
                texts, size = [], 0
        yield RawDocument(name, source.name, tuple(texts), group, named=source.id is not None)


def _named_rows(
    source: RowSource | ColumnSource, rows: Iterable[FieldsOfRow], problems: Problems
) -> Iterator[tuple[tuple[str, str | None], tuple[str, ...]]]:
    """Yield ((id or place, group), texts) for every good row."""
    for place, fields in rows:
        texts = _texts(source, place, fields, problems)
        id = place if source.id is None else _id(source, source.id, place, fields, problems)
        group = None if source.group is None else _id(source, source.group, place, fields, problems)
        if texts is not None and id is not None and (group is not None or source.group is None):
            yield (id, group), texts


def _texts(
    source: RowSource | ColumnSource, place: str, fields: Mapping[str, Any], problems: Problems
) -> tuple[str, ...] | None:
    """Return the texts of a row, None if it is bad. Null is an empty text; a missing field is a problem."""
    missing = [name for name in source.text if name not in fields]
    if missing:
        problems.add(place, f"none of its {len(fields)} fields is {missing}; correct the names in the recipe")
        return None
    texts = ["" if fields[name] is None else fields[name] for name in source.text]
    wrong = {
        name: type(text).__name__ for name, text in zip(source.text, texts, strict=True) if not isinstance(text, str)
    }
    if wrong:
        problems.add(place, f"not text: {wrong}; for no text, write null or an empty text")
        return None
    return tuple(texts)


def _id(
    source: RowSource | ColumnSource, field: str, place: str, fields: Mapping[str, Any], problems: Problems
) -> str | None:
    name = id_of(fields.get(field))
    if name and not SURROGATES.search(name):
        return name
    role = "id" if field == source.id else "group"
    problems.add(place, f"field {field!r}, the {role}, is missing, empty or not valid Unicode")
    return None
