"""Sources to raw documents: text files, JSON lines, tables and the synthetic generator.

Every document's id says where it came from: `file`, `file:line`, or the value of the source's id field. In a paragraph
a line break ends a sentence; readers replace the breaks that don't. What is wrong with a source is collected, up to 20
problems, and raised as one DataError with file and line.
"""

import csv
import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bimed_dist.config import FileSource, JsonLinesSource, Source, SyntheticSource, TableSource, TextSource
from bimed_dist.corpus import synthetic
from bimed_dist.corpus.documents import RawDocument
from bimed_dist.corpus.files import SourceFile, decoded_lines, source_files
from bimed_dist.corpus.problems import Problems

_BLANK_LINE = re.compile(r"\n\s*\n")
# A line that starts with a list mark is an item of its own, even where other line breaks only wrap the text.
_WRAP = re.compile(r"\n(?!\s*(?:(?:[-*•·▪○●■▶※]|[(#]?\d{1,2}[.)]|#\d{1,2})\s|[①-⑳]))")

Row = tuple[str, Mapping[str, Any]]
"""Place (`file:line`) and fields."""


def read(source: Source, path: Path | None, seed: int) -> Iterator[RawDocument]:
    """Documents of a source in the order of its files and rows; `path` is None for a synthetic one.

    Raises DataError with up to 20 problems, at the latest after the last document.
    """
    if isinstance(source, SyntheticSource):
        return synthetic.documents(seed, source.documents, source.languages, source.name)
    assert path is not None
    return (document for document in _all_documents(source, path) if _position(document.id) < source.share)


def _position(document_id: str) -> float:
    """Place of a document in [0, 1), by its id."""
    return int.from_bytes(hashlib.sha256(document_id.encode()).digest()[:6], "big") / 2**48


def _all_documents(source: FileSource, path: Path) -> Iterator[RawDocument]:
    problems = Problems(source.name)
    if isinstance(source, TextSource):
        for file in source_files(path, (".txt",)):
            yield from _text_documents(source, file, problems)
    elif isinstance(source, JsonLinesSource):
        files = source_files(path, (".jsonl", ".jsonl.gz"))
        rows = itertools.chain.from_iterable(_json_rows(file, problems) for file in files)
        yield from _row_documents(source, rows, problems)
    else:
        files = source_files(path, (".csv", ".csv.gz", ".tsv", ".tsv.gz"))
        rows = itertools.chain.from_iterable(_table_rows(source, file, problems) for file in files)
        yield from _row_documents(source, rows, problems)
    problems.raise_any()


def paragraphs_of(text: str) -> list[str]:
    """Paragraphs of a field: separated by blank lines; single line breaks are blanks, but for list items."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    return [_WRAP.sub(" ", part) for part in _BLANK_LINE.split(text) if part]


# ----------------------------------------------------------------------------------------------------------------- text


def _text_documents(source: TextSource, file: SourceFile, problems: Problems) -> Iterator[RawDocument]:
    lines = decoded_lines(file, problems)
    if source.document == "line":
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield RawDocument(f"{file.name}:{number}", source.name, (line.strip(),))
        return
    blocks = ((number, _block_text(block, source.line_break)) for number, block in _blocks(lines))
    if source.document == "paragraph":
        for number, text in blocks:
            yield RawDocument(f"{file.name}:{number}", source.name, (text,))
    else:
        yield RawDocument(file.name, source.name, tuple(text for _, text in blocks))


def _blocks(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Runs of lines between blank lines, with the number of their first line."""
    block: list[str] = []
    first = 0
    for number, line in enumerate(lines, start=1):
        if line.strip():
            first = first if block else number
            block.append(line.strip())
        elif block:
            yield first, block
            block = []
    if block:
        yield first, block


def _block_text(lines: list[str], line_break: str) -> str:
    text = "\n".join(lines)
    return text if line_break == "sentence" else _WRAP.sub(" ", text)


# ------------------------------------------------------------------------------------------------------ JSON and tables


def _json_rows(file: SourceFile, problems: Problems) -> Iterator[Row]:
    for number, line in enumerate(decoded_lines(file, problems), start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except json.JSONDecodeError as error:
            problems.add(f"{file.name}, line {number}: not JSON at column {error.colno} ({error.msg})")
            continue
        if not isinstance(fields, dict):
            problems.add(f"{file.name}, line {number}: a JSON {type(fields).__name__}; each line must be an object")
            continue
        yield f"{file.name}:{number}", fields


def _table_rows(source: TableSource, file: SourceFile, problems: Problems) -> Iterator[Row]:
    rows = _cells(file, problems)
    _, header = next(rows, (0, []))
    needed = [*source.text, *([source.id] if source.id else [])]
    missing = [column for column in dict.fromkeys(needed) if header.count(column) != 1]
    if missing:
        # Without a header the first line is somebody's text: it is counted, never shown.
        problems.add(
            f"{file.name}: needs each of the columns {missing} once; its first line has {len(header)} cells, is the "
            "header missing? Write a first line that names the columns, or correct the names in the recipe"
        )
        return
    for number, cells in rows:
        if len(cells) == len(header):
            yield f"{file.name}:{number}", dict(zip(header, cells, strict=True))
        else:
            problems.add(f"{file.name}, line {number}: {len(cells)} cells, the header line has {len(header)}")


def _cells(file: SourceFile, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """(number of the row's last line, cells); blank lines are skipped.

    Cells of a .tsv can't hold tabs or line breaks (IANA text/tab-separated-values), so a quote there is a character; a
    cell that is quoted as a whole is taken out of its quotes all the same.
    """
    lines = decoded_lines(file, problems)
    if file.path.name.removesuffix(".gz").endswith(".tsv"):
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, [_unquoted(cell) for cell in line.rstrip("\r\n").split("\t")]
        return
    csv.field_size_limit(2**31 - 1)  # The default of 128 KiB is less than a long report.
    rows = csv.reader(lines, strict=True)
    while True:
        try:
            cells = next(rows, None)
        except csv.Error as error:
            problems.add(f"{file.name}, line {rows.line_num}: not a table from here on ({error}); check the quotes")
            return
        if cells is None:
            return
        if cells:
            yield rows.line_num, cells


def _unquoted(cell: str) -> str:
    whole = len(cell) >= 2 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('""', "")
    return cell[1:-1].replace('""', '"') if whole else cell


def _row_documents(
    source: JsonLinesSource | TableSource, rows: Iterable[Row], problems: Problems
) -> Iterator[RawDocument]:
    documents: dict[str, list[str]] = {}
    for place, fields in rows:
        texts = _texts(source, place, fields, problems)
        paragraphs = [paragraph for text in texts for paragraph in paragraphs_of(text)]
        if source.id is None:
            yield RawDocument(place, source.name, tuple(paragraphs))
            continue
        value = fields.get(source.id)
        if isinstance(value, str | int) and str(value).strip():
            documents.setdefault(str(value).strip(), []).extend(paragraphs)
        else:
            problems.add(f"{place}: field {source.id!r} names the document, but is missing, empty or not text")
    for name, paragraphs in documents.items():
        yield RawDocument(name, source.name, tuple(paragraphs))


def _texts(
    source: JsonLinesSource | TableSource, place: str, fields: Mapping[str, Any], problems: Problems
) -> list[str]:
    missing = [name for name in source.text if name not in fields]
    if missing:
        problems.add(f"{place}: has no field {missing} among its {len(fields)} fields; correct the names in the recipe")
        return []
    wrong = {name: type(fields[name]).__name__ for name in source.text if not isinstance(fields[name], str)}
    if wrong:
        problems.add(f"{place}: text is needed in {wrong}; where there is none, write an empty text")
        return []
    return [fields[name] for name in source.text]
