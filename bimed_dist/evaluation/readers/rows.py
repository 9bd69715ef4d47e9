"""Readers for the formats of benchmarks. Broken rows are appended to `problems` by file and line and left out."""

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from bimed_dist.errors import DataError
from bimed_dist.evaluation.task import Example


def text_lines(path: Path, encoding: str = "utf-8") -> list[str]:
    """Lines of a text file. Only line feeds end a line: texts hold U+2028, where splitlines() would cut."""
    lines = [line.removesuffix("\r") for line in file_text(path, encoding).removeprefix("\ufeff").split("\n")]
    return lines[:-1] if lines[-1] == "" else lines


def file_text(path: Path, encoding: str = "utf-8") -> str:
    """The text of a file as it is, line ends and byte order mark included."""
    if not path.is_file():
        raise DataError(f"{path} does not exist; check the task's `path` and the recipe's `data`")
    raw = path.read_bytes()
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path} line {line}: not {encoding.upper()}; convert the file to {encoding.upper()}") from None


def scored_pairs(path: Path, header: bool, cells: Sequence[int], problems: list[str]) -> tuple[Example, ...]:
    """Rows of an STS-B style file: genre, filename, year, id, score, two sentences, perhaps more.

    Quotes are literal characters in these files, so they are cut at tabs, not read as csv.
    """
    examples = []
    for number, line in enumerate(text_lines(path), start=1):
        if header and number == 1:
            continue
        place = f"{path.name} line {number}"
        found = line.split("\t")
        if len(found) not in cells:
            problems.append(f"{place}: {len(found)} cells, needed {' or '.join(map(str, cells))}")
            continue
        score = number_or_nan(found[4])
        examples.append(Example(place, (found[5].strip(), found[6].strip()), score))
    return tuple(examples)


def number_or_nan(cell: str) -> float:
    """The number in a cell; NaN, which the checks report with its row, where there is none."""
    try:
        return float(cell)
    except ValueError:
        return math.nan


def labelled_texts(path: Path, text: str, labels: Sequence[str], problems: list[str]) -> tuple[Example, ...]:
    """Rows of a csv with one text column and one 0/1 column per label."""
    found = named_rows(path, (text, *labels), problems)
    return tuple(
        Example(place, (cells[0].strip(),), tuple(zero_or_one(cell) for cell in cells[1:])) for place, cells in found
    )


def named_rows(
    path: Path, names: Sequence[str], problems: list[str], encoding: str = "utf-8"
) -> Iterator[tuple[str, list[str]]]:
    """(place, cells of the named columns) of every row of a table whose first line names its columns."""
    rows = csv_rows(path, encoding) if path.suffix.lower() == ".csv" else _tab_rows(path, encoding)
    _, columns = next(rows, ("", []))
    columns = [column.strip() for column in columns]
    missing = [name for name in names if name not in columns]
    if missing:
        # Without a header the first line is somebody's report: it is counted, never shown.
        raise DataError(
            f"{path} has no column {', '.join(missing)}; its first line has {len(columns)} cells, is the header "
            "missing? Write a first line that names the columns"
        )
    twice = [name for name in names if columns.count(name) > 1]
    if twice:
        raise DataError(f"{path} has more than one column {', '.join(twice)}; give each its own name")
    at = [columns.index(name) for name in names]
    for place, row in rows:
        if len(row) != len(columns):
            problems.append(f"{place}: {len(row)} cells, needed {len(columns)}")
            continue
        yield place, [row[i] for i in at]


def _tab_rows(path: Path, encoding: str) -> Iterator[tuple[str, list[str]]]:
    for number, line in enumerate(text_lines(path, encoding), start=1):
        yield f"{path.name} line {number}", line.split("\t")


def csv_rows(path: Path, encoding: str) -> Iterator[tuple[str, list[str]]]:
    """(place, cells) of every row, the header's too."""
    csv.field_size_limit(2**31 - 1)  # The default of 128 KiB is less than a long report.
    # The csv module needs the line ends inside quoted fields, which text_lines removes at most in front of a line feed.
    reader = csv.reader((line + "\n" for line in text_lines(path, encoding)), strict=True)
    while True:
        place = f"{path.name} line {reader.line_num + 1}"
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise DataError(f"{place}: not csv ({error}); check the quotes") from None
        if row is None:
            return
        yield place, row


def zero_or_one(cell: str) -> int:
    """0 or 1; -1, which the checks report with its row, for anything else."""
    return {"0": 0, "1": 1, "0.0": 0, "1.0": 1}.get(cell.strip(), -1)


def bio_sentences(
    path: Path, problems: list[str], comment: str | None = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """(place, tokens, tags) of each sentence of a two-column file; empty lines end sentences.

    A token may be a blank (KLUE), so that only an entirely empty line is an end.
    """
    tokens: list[str] = []
    tags: list[str] = []
    place = ""
    for number, line in enumerate([*text_lines(path), ""], start=1):
        if comment is not None and line.startswith(comment):
            continue
        if line == "":
            if tokens:
                yield place, tokens, tags
            tokens, tags = [], []
            continue
        found = line.split("\t")
        if len(found) != 2 or found[0] == "":
            problems.append(f"{path.name} line {number}: {len(found)} cells, needed a token and a tag")
            continue
        if not tokens:
            place = f"{path.name} line {number}"
        tokens.append(found[0])
        tags.append(found[1])


def entity_types(parts: Sequence[Sequence[Example]]) -> tuple[str, ...]:
    return tuple(sorted({tag[2:] for part in parts for example in part for tag in example.target if tag != "O"}))
