"""Rows of benchmark files in fixed formats. A broken row is added to `problems`, with file and line, and left out."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bimed_dist.evaluation.task import Example
from bimed_dist.files.lines import Problems, read_lines
from bimed_dist.files.tables import TableFile, read_columns


def read_sts_file(path: Path, header: bool, cells: Sequence[int], problems: Problems) -> tuple[Example, ...]:
    """Return the pairs of an STS-B style file: genre, filename, year, id, score, two sentences, perhaps more.

    `cells` are the row lengths that occur. Lines are cut at tabs and quotes are literal, even in files named .csv.
    """
    examples = []
    for number, line in enumerate(read_lines(path), start=1):
        if header and number == 1:
            continue
        place = f"{path.name} line {number}"
        row = line.split("\t")
        if len(row) not in cells:
            problems.add(place, f"{len(row)} cells, needed {' or '.join(map(str, cells))}")
            continue
        examples.append(Example(place, (row[5].strip(), row[6].strip()), number_or_nan(row[4])))
    return tuple(examples)


def number_or_nan(cell: str) -> float:
    """Return the number in a cell; NaN, which the checks report with its row, if there is none."""
    try:
        return float(cell)
    except ValueError:
        return math.nan


def read_labelled_texts(path: Path, text: str, labels: Sequence[str], problems: Problems) -> tuple[Example, ...]:
    """Return the rows of a csv with one text column and one 0/1 column per label."""
    return tuple(
        Example(place, (cells[0].strip(),), tuple(zero_or_one(cell) for cell in cells[1:]))
        for place, cells in read_table(path, (text, *labels), problems)
    )


def read_table(
    path: Path, columns: Sequence[str], problems: Problems, encoding: str = "utf-8"
) -> Iterator[tuple[str, list[str]]]:
    """Yield (place, cells of the named columns) for every row; quotes in tab-separated files are literal."""
    table = TableFile.whole(path, encoding)
    for row in read_columns(table, columns, problems, literal_quotes=True):
        yield table.file.place(row.line), row.cells


def zero_or_one(cell: str) -> int:
    """Return 0 or 1; -1, which the checks report with its row, for anything else."""
    return {"0": 0, "1": 1, "0.0": 0, "1.0": 1}.get(cell.strip(), -1)


def read_bio(path: Path, problems: Problems, comment: str | None = None) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield (place, tokens, tags) for each sentence of a two-column file; empty lines end sentences.

    A token may be a space (KLUE), so only an entirely empty line is an end.
    """
    tokens: list[str] = []
    tags: list[str] = []
    place = ""
    for number, line in enumerate([*read_lines(path), ""], start=1):
        if comment is not None and line.startswith(comment):
            continue
        if line == "":
            if tokens:
                yield place, tokens, tags
            tokens, tags = [], []
            continue
        cells = line.split("\t")
        if len(cells) != 2 or cells[0] == "":
            problems.add(f"{path.name} line {number}", f"{len(cells)} cells, needed a token and a tag")
            continue
        if not tokens:
            place = f"{path.name} line {number}"
        tokens.append(cells[0])
        tags.append(cells[1])


def entity_types(splits: Mapping[str, Sequence[Example]]) -> tuple[str, ...]:
    return tuple(sorted({tag[2:] for rows in splits.values() for row in rows for tag in row.target if tag != "O"}))
