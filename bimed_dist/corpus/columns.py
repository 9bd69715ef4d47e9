"""Rows of parquet files and of folders saved by Hugging Face datasets, read by pyarrow, never a whole file at once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bimed_dist.errors import DataError
from bimed_dist.files.lines import SourceFile, Span, removed, source_files
from bimed_dist.recipe.corpus import ColumnSource

_ROWS_AT_ONCE = 256


def list_files(source: ColumnSource, path: Path) -> list[SourceFile]:
    files = source_files(path, (".parquet",) if source.kind == "parquet" else (".arrow",))
    # datasets stores the results of map() and filter() next to the data.
    return [file for file in files if not Path(file.name).name.startswith("cache-")]


def spans(source: ColumnSource, file: SourceFile, part_bytes: int) -> list[Span]:
    """Return runs of row groups (or record batches) of about `part_bytes`, cut between documents."""
    cuts = [(0, 1)]
    row, size, number = 1, 0, -1
    last_id: Any = None
    for number, (rows, num_bytes, first_id, final_id) in enumerate(_groups(source, file)):
        if size >= part_bytes and (first_id is None or first_id != last_id):
            cuts.append((number, row))
            size = 0
        row, size, last_id = row + rows, size + num_bytes, final_id
    ends = [*(first for first, _ in cuts[1:]), number + 1]
    return [Span(file.name, first, end, line) for (first, line), end in zip(cuts, ends, strict=True)]


def read_rows(source: ColumnSource, file: SourceFile, span: Span) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (`file:row`, fields) for each row of a span."""
    number = span.line
    for batch in _batches(source, file, span):
        with _readable(file):
            rows = batch.to_pylist()
        for fields in rows:
            yield f"{file.name}:{number}", fields
            number += 1


def _groups(source: ColumnSource, file: SourceFile) -> Iterator[tuple[int, int, Any, Any]]:
    """Yield rows, bytes, first and last id of every row group or record batch."""
    with _readable(file):
        if source.kind == "parquet":
            parquet = pq.ParquetFile(file.path)
            _check(file, [source.id] if source.id else [], parquet.schema_arrow.names)
            for number in range(parquet.num_row_groups):
                group = parquet.metadata.row_group(number)
                ids = parquet.read_row_group(number, [source.id]).column(0) if source.id and group.num_rows else ()
                yield group.num_rows, group.total_byte_size, *_ends(ids)
        else:
            for batch in _record_batches(file):
                ids = batch.column(source.id) if source.id and source.id in batch.schema.names else ()
                yield batch.num_rows, batch.nbytes, *_ends(ids)


def _ends(ids: Any) -> tuple[Any, Any]:
    return (ids[0].as_py(), ids[-1].as_py()) if len(ids) else (None, None)


def _batches(source: ColumnSource, file: SourceFile, span: Span) -> Iterator[pa.RecordBatch]:
    names = [name for name in dict.fromkeys((*source.text, source.id, source.group)) if name]
    with _readable(file):
        if source.kind == "parquet":
            parquet = pq.ParquetFile(file.path)
            _check(file, names, parquet.schema_arrow.names)
            groups = list(range(span.first, span.end))
            yield from parquet.iter_batches(_ROWS_AT_ONCE, row_groups=groups, columns=names)
            return
        for number, batch in enumerate(_record_batches(file)):
            if number >= span.end:
                return
            if number >= span.first:
                _check(file, names, batch.schema.names)
                for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
                    yield batch.select(names).slice(start, _ROWS_AT_ONCE)


def _record_batches(file: SourceFile) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(str(file.path)) as memory:
        yield from pa.ipc.open_stream(memory)


@contextmanager
def _readable(file: SourceFile) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise removed(file.path) from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
            raise  # The file is not the cause, but memory or permissions.
        # Arrow raises OSErrors without a number for damaged pages.
        raise DataError(f"{file.path} is damaged or of another format; copy it again") from None


def _check(file: SourceFile, needed: Sequence[str], found: Sequence[str]) -> None:
    missing = [name for name in needed if name not in found]
    if missing:
        raise DataError(f"{file.path} has no column {missing}, only {list(found)}; correct the names in the recipe")
