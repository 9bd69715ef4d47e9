"""The shards stage: corpus/NAME -> shards/NAME. Every sentence of both splits is encoded once, in the corpus order.

The folder has {train,held_out}-NNNNN.arrow, tokens.json (reading.TokenTable) and a copy of the tokenizer.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bimed_dist import manifest
from bimed_dist.errors import ConfigError, DataError
from bimed_dist.files.documents import Document, read_documents
from bimed_dist.progress import Progress
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.references import locate
from bimed_dist.shards.encoding import Encoder, EncodersDifferError
from bimed_dist.shards.writing import EncodedDocument, ShardWriter
from bimed_dist.workspace import HELD_OUT, SHARD_TOKENIZER, TRAIN, stage_folder

logger = logging.getLogger(__name__)

SPLITS = ("train", "held_out")
_SENTENCES_AT_ONCE = 8192
_LARGEST_SHARD = 2**30
"""Offsets in a shard are 32 bits wide."""


@dataclass
class SplitCounts:
    documents: int = 0
    sentences: int = 0
    tokens: int = 0
    unknown: int = 0
    empty_sentences: int = 0
    """Sentences without a token: only whitespace and control characters."""
    by_language: dict[str, Counter[str]] = field(default_factory=dict)
    by_source: dict[str, Counter[str]] = field(default_factory=dict)


def run(recipe: Recipe, name: str, work: Path) -> manifest.Outcome:
    """Build `work/shards/NAME` unless it is finished.

    Raises DataError if the corpus is unfinished, damaged or empty, ConfigError if the tokenizer can't be used.
    """
    settings = recipe.shards[name]
    if settings.shard_tokens > _LARGEST_SHARD:
        raise ConfigError(f"shards.{name}.shard_tokens={settings.shard_tokens} is above {_LARGEST_SHARD}; lower it")
    corpus = stage_folder(work, "corpus", settings.corpus)
    tokenizer = locate(settings.tokenizer, recipe, work)
    inputs = {
        f"corpus/{settings.corpus}": manifest.verified(corpus).digest,
        settings.tokenizer: tokenizer.digest,
    }
    return manifest.build(
        stage_folder(work, "shards", name),
        stage="shards",
        settings={"seed": recipe.seed, **settings.identity()},
        inputs=inputs,
        make=lambda folder: write_shards(corpus, tokenizer.location, folder, settings.shard_tokens),
    )


def write_shards(corpus: Path, tokenizer: str, folder: Path, shard_tokens: int) -> dict[str, Any]:
    """Encode both splits of `corpus` into the empty `folder`; return the counts of the manifest."""
    encoder = Encoder(tokenizer)
    try:
        train, held_out = (_write_split(corpus, split, encoder, folder, shard_tokens) for split in SPLITS)
    except EncodersDifferError as error:
        logger.warning("%s; all sentences are encoded again with tokenizers", error)
        for path in folder.iterdir():
            path.unlink()
        encoder.use_tokenizers()
        train, held_out = (_write_split(corpus, split, encoder, folder, shard_tokens) for split in SPLITS)
    encoder.table.write(folder)
    encoder.save(folder / SHARD_TOKENIZER)
    return {
        "sentences": train.sentences,
        "tokens": train.tokens,
        "documents": train.documents,
        "held_out_sentences": held_out.sentences,
        "held_out_tokens": held_out.tokens,
        "held_out_documents": held_out.documents,
        "empty_dropped": train.empty_sentences + held_out.empty_sentences,
        "unknown_share": round(train.unknown / train.tokens, 6),
        "vocabulary_size": encoder.table.vocabulary_size,
        "encoded_by": encoder.library,
        "by_language": {key: dict(train.by_language[key]) for key in sorted(train.by_language)},
        "by_source": {key: dict(train.by_source[key]) for key in sorted(train.by_source)},
    }


def _write_split(corpus: Path, split: str, encoder: Encoder, folder: Path, shard_tokens: int) -> SplitCounts:
    path = corpus / {"train": TRAIN, "held_out": HELD_OUT}[split]
    if not path.is_file():
        raise DataError(f"{path} is missing; build the corpus again")
    counts = SplitCounts()
    with (
        ShardWriter(folder, split, shard_tokens) as writer,
        Progress(f"encoding {split}", path.stat().st_size, "B") as progress,
    ):
        for documents in _batches(read_documents(path, progress)):
            sentences = [s for document in documents for paragraph in document["paragraphs"] for s in paragraph]
            tokens, lengths = encoder.encode(sentences)
            counts.unknown += int((tokens == encoder.table.unknown).sum())
            for encoded in _split_documents(documents, tokens, lengths, counts):
                writer.add(encoded)
    counts.documents, counts.sentences, counts.tokens = writer.num_documents, writer.num_sentences, writer.num_tokens
    if not counts.sentences:
        raise DataError(
            f"{path} has no sentence with a token; the {split} split needs documents: add text, or change "
            "held_out_share of the corpus"
        )
    if counts.empty_sentences:
        logger.info("%s: dropped %d sentences without a token", path, counts.empty_sentences)
    return counts


def _split_documents(
    documents: list[Document],
    tokens: NDArray[np.unsignedinteger],
    lengths: NDArray[np.int32],
    counts: SplitCounts,
) -> Iterator[EncodedDocument]:
    """Split a batch of encoded sentences into documents, without empty sentences and empty documents."""
    sentences = [sum(map(len, document["paragraphs"])) for document in documents]
    borders = np.cumsum([0, *sentences])
    token_borders = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])[borders]
    ranges = zip(pairwise(borders.tolist()), pairwise(token_borders.tolist()), documents, strict=True)
    for (first, end), (start, stop), document in ranges:
        all_lengths = lengths[first:end]
        kept = all_lengths > 0
        counts.empty_sentences += int((~kept).sum())
        if not kept.any():
            continue
        languages = [language for paragraph in document["languages"] for language in paragraph]
        for language, length in zip(languages, all_lengths.tolist(), strict=True):
            if length:
                counts.by_language.setdefault(language, Counter()).update(sentences=1, tokens=length)
        of_source = counts.by_source.setdefault(document["source"], Counter())
        of_source.update(sentences=int(kept.sum()), tokens=stop - start)
        yield EncodedDocument(
            tokens=tokens[start:stop],
            lengths=all_lengths[kept],
            languages=[language for language, keep in zip(languages, kept.tolist(), strict=True) if keep],
            source=document["source"],
        )


def _batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    batch, sentences = [], 0
    for document in documents:
        batch.append(document)
        sentences += sum(map(len, document["paragraphs"]))
        if sentences >= _SENTENCES_AT_ONCE:
            yield batch
            batch, sentences = [], 0
    if batch:
        yield batch
