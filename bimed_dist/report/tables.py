"""Tables as values, and how they are written as CSV and as aligned text.

A cell has a text for readers and, if it is a number, the full value for CSV. `page` writes HTML and Markdown.
"""

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from bimed_dist.report.text import DASH, decimal, percent


@dataclass(frozen=True)
class Cell:
    text: str
    value: Any = None
    """For CSV; None writes the text."""
    kind: Literal["text", "number", "failed", "missing"] = "text"
    best: bool = False
    change: Literal["", "gain", "loss"] = ""
    """Colours a significant difference."""
    detail: str = ""
    """A second, smaller line."""
    note: str = ""
    """Shown below the table with the letter `mark`."""
    mark: str = ""


@dataclass(frozen=True)
class Table:
    name: str
    """Also the name of its CSV file."""
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[tuple[str, str], ...] = ()
    """(mark, text)"""
    grouped: int = 0
    """Number of leading columns whose equal cells in consecutive rows are shown as one."""

    def is_numeric(self, column: int) -> bool:
        kinds = {row[column].kind for row in self.rows}
        return "number" in kinds or kinds <= {"failed", "missing"}

    def row_spans(self) -> list[list[int]]:
        """Return, for each row, how many rows each grouped cell covers; 0 if a cell above covers it."""
        spans = [[1] * self.grouped for _ in self.rows]
        starts = [0] * self.grouped
        for i in range(1, len(self.rows)):
            for column in range(self.grouped):
                if self._shown(i, column) != self._shown(starts[column], column):
                    # Columns to the right start a new group as well.
                    starts[column:] = [i] * (self.grouped - column)
                    break
                spans[starts[column]][column] += 1
                spans[i][column] = 0
        return spans

    def _shown(self, row: int, column: int) -> tuple[Any, ...]:
        cell = self.rows[row][column]
        return cell.text, cell.value, cell.detail


def make_table(
    name: str, caption: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]], grouped: int = 0
) -> Table:
    """Return a table whose cell notes are marked a, b, c, ... and listed; equal notes share a mark."""
    marks: dict[str, str] = {}
    marked = tuple(
        tuple(replace(c, mark=marks.setdefault(c.note, _letter(len(marks)))) if c.note else c for c in row)
        for row in rows
    )
    return Table(name, caption, tuple(columns), marked, tuple((mark, note) for note, mark in marks.items()), grouped)


def _letter(index: int) -> str:
    return (_letter(index // 26 - 1) if index >= 26 else "") + "abcdefghijklmnopqrstuvwxyz"[index % 26]


# --------------------------------------------------------------------------------------------------------------- cells


def text_cell(value: Any) -> Cell:
    return Cell(str(value))


def empty_cell() -> Cell:
    return Cell(DASH, "", "missing")


def count_cell(value: int | None) -> Cell:
    return empty_cell() if value is None else Cell(f"{value:,}", value, "number")


def share_cell(value: float | None, digits: int = 2) -> Cell:
    return empty_cell() if value is None else Cell(percent(value, digits), value, "number")


def decimal_cell(value: float | None) -> Cell:
    return empty_cell() if value is None else Cell(decimal(value), value, "number")


# -------------------------------------------------------------------------------------------------------- text and CSV


def table_csv(table: Table) -> str:
    return csv_text(table.columns, [[c.text if c.value is None else c.value for c in row] for row in table.rows])


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([csv_cell(value) for value in header])
    writer.writerows([csv_cell(value) for value in row] for row in rows)
    return buffer.getvalue()


def csv_cell(value: Any) -> str:
    """Return the value as text that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    content = str(value)
    if content[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(content):
        return "'" + content
    return content


def _is_number(content: str) -> bool:
    try:
        float(content)
    except ValueError:
        return False
    return True


def aligned(lines: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """Pad columns to equal width on a terminal, which shows a Hangul syllable two columns wide.

    right: for each column, whether it is aligned to the right.
    """
    widths = [max(display_width(line[i]) for line in lines) for i in range(len(right))]

    def padded(cell: str, i: int) -> str:
        space = " " * (widths[i] - display_width(cell))
        return space + cell if right[i] else cell + space

    return ["  ".join(padded(cell, i) for i, cell in enumerate(line)).rstrip() for line in lines]


def display_width(line: str) -> int:
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)
