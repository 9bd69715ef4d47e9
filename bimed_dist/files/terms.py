"""Term lists, read alike for the vocabulary's extension and for the evaluation's masked terms."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bimed_dist.files.lines import Problems
from bimed_dist.files.tables import TableFile, read_columns


class Term(NamedTuple):
    """One cell of a term list."""

    path: str
    """The list, as the recipe names it."""
    row: int
    """Line of the file in which the row starts."""
    column: str
    text: str
    """In NFC, without surrounding whitespace; empty if the cell is."""


def read_terms(path: Path, columns: Sequence[str], name: str) -> list[Term]:
    """Return the cells of the columns, row by row; `name` is the list's path in the recipe.

    Raises DataError with file and line for everything that is not a row of a table with these columns.
    """
    problems = Problems(f"term list {path}")
    rows = read_columns(TableFile.whole(path), columns, problems)
    terms = [
        Term(name, row.line, column, unicodedata.normalize("NFC", cell).strip())
        for row in rows
        for column, cell in zip(columns, row.cells, strict=True)
    ]
    problems.raise_any()
    return terms
