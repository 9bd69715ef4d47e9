"""The lexicon's tables: one entry a line, columns parted by `|`, variants of a column by `,`."""

from collections.abc import Iterator


def rows(table: str, columns: int) -> Iterator[list[str]]:
    for line in table.strip().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) != columns:
            raise ValueError(f"{len(cells)} columns, not {columns}: {line}")
        yield cells


def variants(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split(",") if part.strip())
