"""Rows of .csv and .tsv files, by the same rules for every stage.

* Names that end in `.csv` (also .gz) are csv: RFC 4180 quoting, checked strictly; a quoted cell may hold line ends,
  which become line feeds. All other files are cut at line ends and tabs.
* In tab-separated files a quote inside a cell is an ordinary character. A cell that is quoted as a whole, as
  spreadsheets export it, loses its quotes, except in benchmark files (`literal_quotes`): STS-B, KorSTS and their like
  are published with quotes that belong to the sentences, and scores in the literature are on those.
* The first line names the columns; names are compared in NFC without surrounding whitespace, and a needed column must
  be there exactly once. Blank lines are skipped. A row with another number of cells than the header is a problem.
"""

import csv
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from bimed_dist.errors import DataError
from bimed_dist.files.encodings import find_encoding
from bimed_dist.files.lines import END, LONGEST_LINE, Problems, SourceFile, Span, decoded_lines

Position = TypeVar("Position")


class Row(NamedTuple):
    line: int
    """Line in which the row starts."""
    last_line: int
    """Line in which it ends: another one only if a quoted cell of a csv holds line ends."""
    cells: list[str]


class TableFile(NamedTuple):
    """A span of a table with the encoding of its file."""

    file: SourceFile
    encoding: str
    declared: bool
    span: Span

    @classmethod
    def whole(cls, path: Path, encoding: str = "auto") -> "TableFile":
        """Return the whole file as a table; `auto` detects its encoding. Raises DataError if it does not exist."""
        if not path.is_file():
            raise DataError(f"{path} does not exist; check the path and the recipe's `data`")
        file = SourceFile(path, path.name)
        return cls(file, *find_encoding(file, encoding), Span(file.name, 0, END, 1))

    def lines(self, problems: Problems) -> Iterator[tuple[int, str]]:
        return decoded_lines(self.file, self.span, self.encoding, self.declared, problems)


def is_csv(name: str) -> bool:
    return name.lower().removesuffix(".gz").endswith(".csv")


def column_name(cell: str) -> str:
    """Normalise a column's name for comparison: names typed on macOS may be in NFD."""
    return unicodedata.normalize("NFC", cell).strip()


def read_columns(
    table: TableFile, columns: Sequence[str], problems: Problems, *, literal_quotes: bool = False
) -> Iterator[Row]:
    """Yield the named columns, in this order, of every row of a table.

    Rows with a wrong number of cells and lines that are not text go to `problems`. Raises DataError if a column is
    missing or there twice, or the quotes of a csv are broken.
    """
    rows = read_rows(table, problems, literal_quotes=literal_quotes)
    if table.span.first == 0:
        header = next(rows, None)
    else:
        start = table._replace(span=Span(table.file.name, 0, table.span.first, 1))
        header = next(read_rows(start, Problems(collect_only=True), literal_quotes=literal_quotes), None)
    names = [column_name(cell) for cell in header.cells] if header is not None else []
    indices = _column_indices(table.file, names, [column_name(column) for column in columns], problems)
    for row in rows:
        if len(row.cells) == len(names):
            yield Row(row.line, row.last_line, [row.cells[i] for i in indices])
        else:
            reason = f"{len(row.cells)} cells, the header line has {len(names)}"
            problems.add(table.file.place(row.line), reason)


def _column_indices(file: SourceFile, header: Sequence[str], columns: Sequence[str], problems: Problems) -> list[int]:
    wrong = [column for column in dict.fromkeys(columns) if header.count(column) != 1]
    if wrong:
        problems.raise_any()
        # Without a header the first line is somebody's text: it is counted, never shown.
        raise DataError(
            f"{file.path} needs each of the columns {', '.join(wrong)} once; its first line has {len(header)} cells. "
            "Is the header missing? Write a first line that names the columns, or correct the names in the recipe"
        )
    return [header.index(column) for column in columns]


def read_rows(table: TableFile, problems: Problems, *, literal_quotes: bool = False) -> Iterator[Row]:
    """Yield every row that is not blank, the header line first. Raises DataError if the quotes of a csv are broken."""
    try:
        for first, last, cells in split_rows(table.file.name, table.lines(problems), literal_quotes=literal_quotes):
            if cells:
                yield Row(first, last, cells)
    except BrokenTable as error:
        problems.raise_any()
        # What follows an open quote is lost, even if bad rows are skipped.
        place = f"{table.file.path} line {error.position}"
        raise DataError(f"{place}: not a table from here on ({error}); check the quotes") from None


class BrokenTable(Exception):
    """A csv can't be read beyond the row that starts at `position`."""

    def __init__(self, position: Any, reason: str) -> None:
        super().__init__(reason)
        self.position = position


def split_rows(
    name: str, lines: Iterable[tuple[Position, str]], *, literal_quotes: bool = False
) -> Iterator[tuple[Position, Position, list[str]]]:
    """Yield (position of the first line, position of the last line, cells) per row; a blank line has no cells.

    A position is any value that comes with a line, such as its number. Raises BrokenTable if quotes are broken.
    """
    if not is_csv(name):
        for position, line in lines:
            cells = line.rstrip("\r\n").split("\t") if line.strip() else []
            if '"' in line and not literal_quotes:
                cells = [_unquoted(cell) for cell in cells]
            yield position, position, cells
        return
    first = last = None

    def texts() -> Iterator[str]:
        nonlocal first, last
        for position, line in lines:
            last = position
            if first is None:
                first = position
            yield line[:-2] + "\n" if line.endswith("\r\n") else line

    csv.field_size_limit(LONGEST_LINE)  # The default of 128 KiB is less than a long report.
    rows = csv.reader(texts(), strict=True)
    while True:
        first = None
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise BrokenTable(first, str(error)) from None
        yield first, last, cells


def _unquoted(cell: str) -> str:
    quoted = len(cell) >= 2 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('""', "")
    return cell[1:-1].replace('""', '"') if quoted else cell
