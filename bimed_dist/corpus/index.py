"""Index of the documents of a part: an Arrow file with one row per document, for steps that do not read the text."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bimed_dist.corpus.near_duplicates import HASHES
from bimed_dist.language import BINS, MIXING_BINS, Mixing

INDEX = "index.arrow"
KINDS = ("ko", "latin", "mixed", "other")
"""Languages of sentences; `latin` is the source's `latin_language`."""
SIZES = tuple(f"{unit}_{kind}" for kind in KINDS for unit in ("sentences", "characters"))
MIXING = Mixing._fields
SENTENCES_BY_BIN = tuple(f"{measure}_{number}" for measure in MIXING_BINS for number in range(BINS))
"""Sentences of the document in each bin of each code-mixing measure."""

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("bytes", pa.int64()),  # of the document's line in documents.jsonl
        ("digest", pa.binary(16)),  # of the text
        ("name", pa.binary(16)),  # of source and id if the id may occur again, else null
        ("grouped", pa.bool_()),
        ("position", pa.float64()),  # in [0, 1): below the share, held out
        ("signature", pa.list_(pa.uint16(), HASHES)),
        *((number, pa.int64()) for number in (*SIZES, *MIXING, *SENTENCES_BY_BIN)),
    ]
)


def kind_of(language: str) -> str:
    return language if language in KINDS else "latin"


class IndexWriter:
    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}

    def __len__(self) -> int:
        return len(self._columns["id"])

    def add(self, *, numbers: Mapping[str, int], **row: Any) -> None:
        for name, value in row.items():
            self._columns[name].append(value)
        for name in (*SIZES, *MIXING, *SENTENCES_BY_BIN):
            self._columns[name].append(numbers.get(name, 0))

    def write(self, folder: Path) -> None:
        batch = pa.record_batch(
            [pa.array(self._columns[name], SCHEMA.field(name).type) for name in SCHEMA.names], SCHEMA
        )
        with pa.OSFile(str(folder / INDEX), "wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
            writer.write_batch(batch)


def read_index(folder: Path, columns: Sequence[str]) -> pa.RecordBatch:
    """Return columns of a part's index, memory-mapped."""
    with pa.memory_map(str(folder / INDEX)) as memory:
        return pa.ipc.open_file(memory).get_batch(0).select(list(columns))


def column(folders: Sequence[Path], name: str) -> NDArray[Any]:
    """Return a numeric column over all parts, in the order of the corpus."""
    return np.concatenate([read_index(folder, [name]).column(0).to_numpy(zero_copy_only=False) for folder in folders])


def digests(folders: Sequence[Path], name: str) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Return a column of 16 bytes over all parts as (documents, 2) halves, and a mask of the rows with a value."""
    halves, present = [], []
    for folder in folders:
        values = read_index(folder, [name]).column(0)
        present.append(values.is_valid().to_numpy(zero_copy_only=False))
        filled = values.fill_null(bytes(16))
        buffer = filled.buffers()[1]
        start = filled.offset * 16
        halves.append(np.frombuffer(buffer, np.uint64)[start // 8 :][: 2 * len(filled)].reshape(-1, 2))
    return np.concatenate(halves), np.concatenate(present)


def signatures(folder: Path) -> Iterator[NDArray[np.uint16]]:
    values = read_index(folder, ["signature"]).column(0)
    return iter(values.flatten().to_numpy().reshape(len(values), HASHES))
