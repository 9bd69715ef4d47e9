"""A split of a shards folder as numpy views of memory-mapped Arrow files; nothing is loaded up front.

Tokens have global positions over all shards in the order of their numbers, so (start, length) is a segment of text.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bimed_dist.errors import ConfigError, DataError
from bimed_dist.manifest import digest_of, read_manifest, write_json
from bimed_dist.workspace import SHARD_TOKENS

Split = Literal["train", "held_out"]


@dataclass(frozen=True, kw_only=True)
class TokenTable:
    """The ids that batches and masking need, so that nothing after this stage loads the tokenizer."""

    vocabulary_size: int
    pad: int
    unknown: int
    cls: int
    sep: int
    mask: int
    special_ids: tuple[int, ...]
    """All special ids, ascending, the five above included."""
    continuing_ids: tuple[int, ...]
    """Ids of tokens that start with ##, ascending."""

    @cached_property
    def is_special(self) -> NDArray[np.bool_]:
        """(vocabulary_size,)"""
        return _flags(self.special_ids, self.vocabulary_size)

    @cached_property
    def continues_word(self) -> NDArray[np.bool_]:
        """(vocabulary_size,) Whether the token continues the word of the previous token."""
        return _flags(self.continuing_ids, self.vocabulary_size)

    @cached_property
    def ordinary_ids(self) -> NDArray[np.int64]:
        """Ids that are not special, ascending."""
        return np.flatnonzero(~self.is_special)

    def write(self, folder: Path) -> None:
        write_json(folder / SHARD_TOKENS, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "TokenTable":
        path = folder / SHARD_TOKENS
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise DataError(f"{path} can't be read ({type(error).__name__}); build the shards again") from None


def _flags(ids: tuple[int, ...], size: int) -> NDArray[np.bool_]:
    flags = np.zeros(size, dtype=bool)
    flags[list(ids)] = True
    return flags


@dataclass(frozen=True)
class _Shard:
    path: Path
    tokens: NDArray[np.unsignedinteger]
    offsets: NDArray[np.int32]
    """(sentences + 1,) positions in `tokens`."""
    batch: pa.RecordBatch

    def column(self, name: str) -> pa.Array:
        return self.batch.column(self.batch.schema.get_field_index(name))


class ShardSet:
    """All shards of one split: S sentences in the order of the corpus.

    `sentence_*` arrays are built at the first access; training on a cached plan does not need them.
    """

    def __init__(self, folder: Path, split: str, digest: str, tokens: TokenTable, shards: list[_Shard]) -> None:
        self.folder = folder
        self.split = split
        self.digest = digest
        """Digest of the folder's manifest."""
        self.tokens = tokens
        self._shards = shards
        self._bounds = np.cumsum([0, *(len(shard.tokens) for shard in shards)], dtype=np.int64)
        self.num_tokens = int(self._bounds[-1])
        self.num_sentences = sum(shard.batch.num_rows for shard in shards)

    @classmethod
    def open(cls, folder: Path, split: Split) -> "ShardSet":
        """Map the shards of `split`, without hashing them (`manifest.verified(folder)` does).

        Raises DataError if the folder is unfinished, or a shard is missing or damaged.
        """
        manifest = read_manifest(folder)
        listed = sorted(name for name in manifest.files if name.startswith(f"{split}-") and name.endswith(".arrow"))
        if not listed:
            raise DataError(f"{folder} has no {split} shards; build it with the shards stage")
        tokens = TokenTable.read(folder)
        shards = [_open_shard(folder / name) for name in listed]
        first = shards[0].batch.schema.field("input_ids").type
        for shard in shards:
            if shard.batch.schema.field("input_ids").type != first:
                raise DataError(f"{shard.path} and {shards[0].path} have different token types; build the shards again")
        return cls(folder, split, manifest.digest, tokens, shards)

    def concatenated(self, other: "ShardSet") -> "ShardSet":
        """Return the tokens of both sets: positions in `other` begin at this set's num_tokens.

        For reading rows only; documents of both are numbered from 0, so plans are computed for each set.
        """
        if other.tokens != self.tokens:
            raise ConfigError(
                f"{self.folder.name} and {other.folder.name} are shards of different vocabularies; set the same "
                "tokenizer for both"
            )
        digest = digest_of([self.digest, other.digest])
        return ShardSet(self.folder, self.split, digest, self.tokens, [*self._shards, *other._shards])

    @cached_property
    def sentence_start(self) -> NDArray[np.int64]:
        """(S,) Global position of each sentence's first token; a sentence ends where the next one starts."""
        parts = zip(self._shards, self._bounds[:-1], strict=True)
        return np.concatenate([shard.offsets[:-1] + bound for shard, bound in parts])

    @cached_property
    def sentence_length(self) -> NDArray[np.int32]:
        """(S,) Tokens of each sentence, at least 1."""
        return np.concatenate([np.diff(shard.offsets) for shard in self._shards])

    @cached_property
    def sentence_document(self) -> NDArray[np.int64]:
        """(S,) Ascending number of each sentence's document."""
        return np.concatenate([shard.column("document").to_numpy() for shard in self._shards])

    @property
    def num_documents(self) -> int:
        return int(self._shards[-1].column("document")[-1].as_py()) + 1

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """The names that `sentence_language` refers to, sorted."""
        return self._names("language")

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The names that `sentence_source` refers to, sorted."""
        return self._names("source")

    @cached_property
    def sentence_language(self) -> NDArray[np.int8]:
        """(S,) Index into `languages`."""
        return self._codes("language", self.languages, np.int8)

    @cached_property
    def sentence_source(self) -> NDArray[np.int16]:
        """(S,) Index into `sources`."""
        return self._codes("source", self.sources, np.int16)

    def gather(self, starts: NDArray[np.integer], lengths: NDArray[np.integer]) -> NDArray[np.unsignedinteger]:
        """Return the tokens of all segments, concatenated, (lengths.sum(),), in the type in which they are stored.

        A segment must not cross a document's border, so it is in one shard.
        """
        shard = np.searchsorted(self._bounds, starts, side="right") - 1
        if len(starts) and (shard == shard[0]).all():
            first = shard[0]
            return self._shards[first].tokens.take(ranges(starts - self._bounds[first], lengths))
        starts = starts - self._bounds[shard]
        segments = zip(shard.tolist(), starts.tolist(), (starts + lengths).tolist(), strict=True)
        tokens = [shard.tokens for shard in self._shards]
        return np.concatenate([tokens[k][start:end] for k, start, end in segments] or [tokens[0][:0]])

    def _names(self, column: str) -> tuple[str, ...]:
        return tuple(sorted({name for shard in self._shards for name in shard.column(column).dictionary.to_pylist()}))

    def _codes(self, column: str, names: tuple[str, ...], dtype: type) -> NDArray[Any]:
        parts = []
        for shard in self._shards:
            array = shard.column(column)
            codes = np.array([names.index(name) for name in array.dictionary.to_pylist()], dtype=dtype)
            parts.append(codes[array.indices.to_numpy()])
        return np.concatenate(parts)


def ranges(starts: NDArray[np.integer], lengths: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return start, start + 1, ..., start + length - 1 of every segment, concatenated."""
    ends = np.cumsum(lengths)
    shift = starts - ends
    shift += lengths
    positions = np.repeat(shift, lengths)
    positions += np.arange(len(positions))
    return positions


def _open_shard(path: Path) -> _Shard:
    try:
        with pa.ipc.open_stream(pa.memory_map(str(path))) as reader:
            batches = list(_batches(reader.read_next_batch))
        if len(batches) != 1:
            raise pa.ArrowInvalid(f"{len(batches)} record batches instead of 1")
        batch = batches[0]
        batch.validate()
        ids = batch.column(batch.schema.get_field_index("input_ids"))
        offsets, tokens = ids.offsets.to_numpy(zero_copy_only=True), ids.values.to_numpy(zero_copy_only=True)
    except (OSError, pa.ArrowException, AttributeError, IndexError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise DataError(f"{path} is not a readable shard ({reason}); build the shards again") from None
    if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != len(tokens) or (np.diff(offsets) < 1).any():
        raise DataError(f"{path} is damaged: its sentence offsets don't fit its tokens; build the shards again")
    return _Shard(path, tokens, offsets, batch)


def _batches(read_next: Callable[[], pa.RecordBatch]) -> Any:
    while True:
        try:
            yield read_next()
        except StopIteration:
            return
