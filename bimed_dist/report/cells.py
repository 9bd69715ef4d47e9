"""Tables as values, how numbers are written in them, and their form as CSV and aligned text.

A cell has a text for readers and, where it is a number, the full value for CSV. HTML and Markdown are made in `page`.
"""

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

LANGUAGES = {
    "ko": "Korean",
    "en": "English",
    "nl": "Dutch",
    "ro": "Romanian",
    "es": "Spanish",
    "mixed": "mixed",
    "other": "other",
    "any": "any language",
}
METRICS = {
    "f1": "F1",
    "auroc": "AUROC",
    "ece": "ECE",
    "mlm": "MLM",
    "nsp": "NSP",
    "sop": "SOP",
}
DASH = "–"


@dataclass(frozen=True)
class Cell:
    text: str
    value: Any = None
    """For CSV; None means the text."""
    kind: Literal["text", "number", "failed", "missing"] = "text"
    best: bool = False
    detail: str = ""
    """A second, smaller line."""
    note: str = ""
    """Told below the table, behind `mark`."""
    mark: str = ""


@dataclass(frozen=True)
class Table:
    name: str
    """Also the name of its CSV file."""
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[tuple[str, str], ...] = ()
    """(mark, text) of the notes that cells refer to."""
    grouped: bool = False
    """Equal first cells of consecutive rows are one cell."""

    def numeric(self, column: int) -> bool:
        kinds = {row[column].kind for row in self.rows}
        return "number" in kinds or kinds <= {"failed", "missing"}


def make_table(
    name: str, caption: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]], grouped: bool = False
) -> Table:
    """A table whose cell notes are marked a, b, c, ... and listed; equal notes share a mark."""
    marks: dict[str, str] = {}
    marked = tuple(
        tuple(replace(c, mark=marks.setdefault(c.note, _letter(len(marks)))) if c.note else c for c in row)
        for row in rows
    )
    return Table(name, caption, tuple(columns), marked, tuple((mark, note) for note, mark in marks.items()), grouped)


def _letter(index: int) -> str:
    return (_letter(index // 26 - 1) if index >= 26 else "") + "abcdefghijklmnopqrstuvwxyz"[index % 26]


# ------------------------------------------------------------------------------------------------------ how to write it


def decimal(value: float) -> str:
    """Three decimals; one from 100 on."""
    return f"{value:,.{1 if abs(value) >= 100 else 3}f}".replace("-", "−")


def signed(value: float) -> str:
    return ("+" if value > 0 else "") + decimal(value)


def p_value(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def metric_name(metric: str) -> str:
    words = [METRICS.get(word, word) for word in metric.split("_")]
    # Of results before thresholds came from the development split.
    of_test = " (test ROC)" if metric.startswith("sensitivity_at_specificity") else ""
    return capitalised(" ".join(words)) + of_test


def capitalised(words: str) -> str:
    return words[:1].upper() + words[1:]


def language_name(language: str) -> str:
    return LANGUAGES.get(language, language)


def text(value: Any) -> Cell:
    return Cell(str(value))


def count(value: int | None) -> Cell:
    return Cell(DASH, "", "missing") if value is None else Cell(f"{value:,}", value, "number")


def share(value: float | None, digits: int = 2) -> Cell:
    return Cell(DASH, "", "missing") if value is None else Cell(f"{value:.{digits}%}", value, "number")


def measure(value: float | None) -> Cell:
    return Cell(DASH, "", "missing") if value is None else Cell(decimal(value), value, "number")


def nothing() -> Cell:
    return Cell(DASH, "", "missing")


# --------------------------------------------------------------------------------------------------------- text and CSV


def table_csv(table: Table) -> str:
    return csv_text(table.columns, [[c.text if c.value is None else c.value for c in row] for row in table.rows])


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([csv_cell(value) for value in header])
    writer.writerows([csv_cell(value) for value in row] for row in rows)
    return buffer.getvalue()


def csv_cell(value: Any) -> str:
    """The value as text that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    written = str(value)
    if written[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(written):
        return "'" + written
    return written


def _is_number(written: str) -> bool:
    try:
        float(written)
    except ValueError:
        return False
    return True


def aligned(lines: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """Pad columns to equal width on a terminal, where a Hangul syllable takes two places."""
    widths = [max(display_width(line[i]) for line in lines) for i in range(len(right))]

    def padded(cell: str, i: int) -> str:
        space = " " * (widths[i] - display_width(cell))
        return space + cell if right[i] else cell + space

    return ["  ".join(padded(cell, i) for i, cell in enumerate(line)).rstrip() for line in lines]


def display_width(line: str) -> int:
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def plural(number: int, noun: str) -> str:
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{ending}"
