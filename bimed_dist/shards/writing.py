"""Encoded documents to Arrow IPC stream files, with one record batch per file so that values are contiguous.

`datasets.Dataset.from_file` opens these files, too.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

LARGEST_UINT16_VOCABULARY = 65_535


@dataclass(frozen=True)
class EncodedDocument:
    tokens: NDArray[np.unsignedinteger]
    """All sentences, concatenated, without special tokens."""
    lengths: NDArray[np.int32]
    """Tokens of each sentence, at least 1."""
    languages: list[str]
    """One per sentence."""
    source: str


def token_dtype(vocabulary_size: int) -> type[np.uint16] | type[np.uint32]:
    return np.uint16 if vocabulary_size <= LARGEST_UINT16_VOCABULARY else np.uint32


@dataclass
class ShardWriter:
    """Writes one split. A context manager: leaving it writes the last shard."""

    folder: Path
    split: str
    shard_tokens: int
    """Maximum of tokens per file; a longer document is a file of its own."""
    num_shards: int = 0
    num_documents: int = 0
    num_sentences: int = 0
    num_tokens: int = 0
    _waiting: list[EncodedDocument] = field(default_factory=list)
    _waiting_tokens: int = 0

    def add(self, document: EncodedDocument) -> None:
        if self._waiting and self._waiting_tokens + len(document.tokens) > self.shard_tokens:
            self._write_shard()
        self._waiting.append(document)
        self._waiting_tokens += len(document.tokens)
        self.num_documents += 1
        self.num_sentences += len(document.lengths)
        self.num_tokens += len(document.tokens)

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is None and self._waiting:
            self._write_shard()

    def _write_shard(self) -> None:
        waiting = self._waiting
        sentences = [len(document.lengths) for document in waiting]
        lengths = np.concatenate([document.lengths for document in waiting])
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        tokens = np.concatenate([document.tokens for document in waiting])
        first = self.num_documents - len(waiting)
        languages = pa.array([language for document in waiting for language in document.languages])
        sources = pa.array([document.source for document in waiting]).dictionary_encode()
        source_codes = np.repeat(sources.indices.to_numpy(), sentences).astype(np.int16)
        batch = pa.record_batch(
            {
                "input_ids": pa.ListArray.from_arrays(pa.array(offsets), pa.array(tokens)),
                "document": pa.array(np.repeat(np.arange(first, self.num_documents), sentences)),
                "language": languages.cast(pa.dictionary(pa.int8(), pa.string())),
                "source": pa.DictionaryArray.from_arrays(pa.array(source_codes), sources.dictionary),
            }
        )
        path = self.folder / f"{self.split}-{self.num_shards:05d}.arrow"
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, batch.schema) as stream:
            stream.write_batch(batch)
        self.num_shards += 1
        self._waiting, self._waiting_tokens = [], 0
