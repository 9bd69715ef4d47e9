"""Epoch plan: the tokens of segments A and B of every row, the next-sentence label, and the order of rows.

A plan is a function of (seed, epoch, shards, max_length, pairing, objective) alone. The number of rows is the same in
every epoch, so step -> (epoch, step in the epoch) is a division. Plans are cached in the shards folder.
"""

import json
import logging
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bimed_dist.errors import ConfigError, DataError
from bimed_dist.locking import locked
from bimed_dist.manifest import digest_of
from bimed_dist.recipe.pretraining import Pairing, SentenceObjective
from bimed_dist.shards import counter_rng
from bimed_dist.shards.pairing import RowRanges, row_ranges
from bimed_dist.shards.reading import ShardSet
from bimed_dist.workspace import PARTIAL, PLANS

logger = logging.getLogger(__name__)

_VERSION = 5
"""Increased when the same arguments give another plan, so that older cached plans are not used."""
_COLUMNS = ("a_start", "a_length", "b_start", "b_length", "is_next", "language", "source", "order")
_COUNTS = ("unused_sentences", "truncated_tokens")


@dataclass(frozen=True, kw_only=True)
class EpochPlan:
    """R rows of one epoch; row r is the r-th entry of every column except `order`."""

    a_start: NDArray[np.int64]
    """(R,) Global token position of segment A."""
    a_length: NDArray[np.int32]
    """(R,) Tokens of A after truncation; with B and the special tokens a row has at most max_length."""
    b_start: NDArray[np.int64]
    b_length: NDArray[np.int32]
    """(R,) 0 if rows have one segment."""
    is_next: NDArray[np.bool_]
    """(R,) Whether B follows A in the same document; otherwise B is from another document (next_sentence), or A follows
    B (sentence_order)."""
    language: NDArray[np.int8]
    """(R,) Language of A's first sentence, with sentence_order of the first sentence in the text (so that swapping the
    segments does not change it); index into ShardSet.languages."""
    source: NDArray[np.int16]
    """(R,) Source of A, index into ShardSet.sources."""
    order: NDArray[np.int64]
    """(R,) Row numbers in training order."""
    epoch: int
    unused_sentences: int
    """Sentences that are in no row of this epoch."""
    truncated_tokens: int
    """Tokens that were cut off because their row was too long."""

    @property
    def num_rows(self) -> int:
        return len(self.order)

    def lengths(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the tokens of `rows` with the special ones: [CLS] A [SEP] B [SEP], or [CLS] A [SEP] without B."""
        b_length = self.b_length[rows].astype(np.int64)
        return self.a_length[rows] + b_length + 2 + (b_length > 0)


def epoch_plan(
    shards: ShardSet,
    *,
    seed: int,
    epoch: int,
    max_length: int,
    pairing: Pairing,
    objective: SentenceObjective = "next_sentence",
) -> EpochPlan:
    """Compute the plan of one epoch.

    `segments` (BERT, Devlin et al. 2019): documents are split into chunks of whole sentences that fill a row; each
    chunk is split into A and B at a random sentence border, and half of the rows exchange their B with each other.
    Every sentence is in exactly one row of an epoch. `sentences` (KM-BERT, Kim et al. 2022): A is every sentence with a
    successor, B its successor or a random sentence of another document. With `sentence_order` both segments come from
    one document, and half of the rows swap them; with `none` a chunk, or a sentence, is a row of one segment.

    Raises ConfigError if max_length is too small, DataError if no two documents can be paired.
    """
    specials = 2 if objective == "none" else 3
    budget = max_length - specials
    if budget < 2:
        raise ConfigError(f"max_length={max_length} is too small for two tokens and {specials} special ones")
    documents = shards.num_documents
    if documents < 2 and objective == "next_sentence":
        raise DataError(
            f"the {shards.split} split of {shards.folder} has {documents} document; next-sentence rows need "
            "at least two: add documents, or split the text into several (for .txt sources see `document`)"
        )
    sentences = shards.sentence_length, shards.sentence_document, shards.sentence_language
    ranges = row_ranges(*sentences, pairing=pairing, objective=objective, seed=seed, epoch=epoch, budget=budget)
    if not len(ranges.a_first):
        raise DataError(
            f"the {shards.split} split of {shards.folder} makes no row with pairing={pairing} and "
            f"sentence_objective={objective}: no document has two sentences; change these settings or the text"
        )
    if objective == "next_sentence" and ranges.is_next.all():
        raise DataError(
            f"the {shards.split} split of {shards.folder} has no two documents whose segments could be paired: "
            "add documents, or split the text into several (for .txt sources see `document`)"
        )
    plan = _plan(shards, ranges, swapped=objective == "sentence_order", seed=seed, epoch=epoch, budget=budget)
    _log_plan(plan, shards.split, objective)
    return plan


def _log_plan(plan: EpochPlan, split: str, objective: SentenceObjective) -> None:
    label = {"next_sentence": "IsNext", "sentence_order": "in order", "none": "of one segment"}[objective]
    tokens = int(plan.a_length.sum() + plan.b_length.sum()) + plan.truncated_tokens
    logger.info(
        f"{split}, epoch {plan.epoch}: {plan.num_rows:,} rows, {100 * plan.is_next.mean():.1f} % {label}, "
        f"{plan.truncated_tokens:,} of {tokens:,} tokens truncated, {plan.unused_sentences:,} unpaired sentences"
    )


def _plan(shards: ShardSet, ranges: RowRanges, *, swapped: bool, seed: int, epoch: int, budget: int) -> EpochPlan:
    """Make the plan of row ranges; with `swapped`, rows that are not next have their segments in reverse order."""
    bounds = np.append(shards.sentence_start, shards.num_tokens)
    a_start, b_start = bounds[ranges.a_first], bounds[ranges.b_first]
    a_all, b_all = bounds[ranges.a_end] - a_start, bounds[ranges.b_end] - b_start
    a_length, b_length = truncate(a_all, b_all, budget)
    opening = np.minimum(ranges.a_first, ranges.b_first) if swapped else ranges.a_first
    return EpochPlan(
        a_start=a_start,
        a_length=a_length.astype(np.int32),
        b_start=b_start,
        b_length=b_length.astype(np.int32),
        is_next=ranges.is_next,
        language=shards.sentence_language[opening],
        source=shards.sentence_source[opening],
        order=_order(len(a_start), seed=seed, epoch=epoch),
        epoch=epoch,
        unused_sentences=ranges.unused_sentences,
        truncated_tokens=int((a_all + b_all).sum() - (a_length + b_length).sum()),
    )


def truncate(a: NDArray[np.int64], b: NDArray[np.int64], budget: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return both lengths after tokens are cut from the end of the longer segment until they fit into `budget`."""
    b_kept = np.minimum(b, np.maximum(budget // 2, budget - a))
    return np.minimum(a, budget - b_kept), b_kept


def load_plan(
    shards: ShardSet,
    *,
    seed: int,
    epoch: int,
    max_length: int,
    pairing: Pairing,
    objective: SentenceObjective = "next_sentence",
) -> EpochPlan:
    """Return the plan of `epoch_plan`, memory-mapped from `plans/DIGEST` in the shards folder; write it if missing.

    If several processes need it at once, one computes it and the others wait.
    """
    arguments = {"seed": seed, "epoch": epoch, "max_length": max_length, "pairing": pairing, "objective": objective}
    return cached_plan(shards, arguments, lambda: epoch_plan(shards, **arguments))


def cached_plan(shards: ShardSet, arguments: Mapping[str, Any], compute: Callable[[], EpochPlan]) -> EpochPlan:
    """Return the plan of these arguments from the cache; compute and write it there if it is missing."""
    identity = {"version": _VERSION, "shards": shards.digest, "split": shards.split, **arguments}
    folder, epoch = shards.folder / PLANS / digest_of(identity)[:16], arguments["epoch"]
    if folder.is_dir():
        return _read(folder, epoch)
    plan = None
    try:
        folder.parent.mkdir(exist_ok=True)
        # A plan of 100 million sentences takes minutes and gigabytes.
        with locked(folder.parent / "lock", f"a plan is being made in {folder.parent}", wait=True):
            if not folder.is_dir():
                for unfinished in folder.parent.glob(f"*{PARTIAL}"):  # left by a killed process
                    shutil.rmtree(unfinished, ignore_errors=True)
                plan = compute()
                _write(plan, folder)
    except OSError as error:
        logger.warning("the plan of epoch %d stays in memory: can't write %s (%s)", epoch, folder, error.strerror)
        return compute() if plan is None else plan
    return _read(folder, epoch)


def select_rows(plan: EpochPlan, rows: NDArray[np.int64], *, seed: int) -> EpochPlan:
    """Return a plan of these rows of `plan`; a repeated row becomes several rows."""
    columns = {name: getattr(plan, name)[rows] for name in _COLUMNS if name != "order"}
    return replace(plan, **columns, order=_order(len(rows), seed=seed, epoch=plan.epoch))


def concatenate_plans(
    first: EpochPlan, second: EpochPlan, shards: ShardSet, general: ShardSet, *, seed: int
) -> EpochPlan:
    """Join a plan of `shards` and one of `general` to a plan of `shards.concatenated(general)` in one random order."""
    both = shards.concatenated(general)

    def codes(name: str, names: str) -> NDArray[np.integer]:
        """Return a column of language or source codes, converted to the codes of `both`."""
        parts = []
        for plan, shard_set in ((first, shards), (second, general)):
            new = np.array([getattr(both, names).index(value) for value in getattr(shard_set, names)])
            parts.append(new[getattr(plan, name)].astype(getattr(plan, name).dtype))
        return np.concatenate(parts)

    return EpochPlan(
        a_start=np.concatenate([first.a_start, second.a_start + shards.num_tokens]),
        b_start=np.concatenate([first.b_start, second.b_start + shards.num_tokens]),
        **{
            name: np.concatenate([getattr(first, name), getattr(second, name)])
            for name in ("a_length", "b_length", "is_next")
        },
        language=codes("language", "languages"),
        source=codes("source", "sources"),
        order=_order(first.num_rows + second.num_rows, seed=seed, epoch=first.epoch),
        epoch=first.epoch,
        unused_sentences=first.unused_sentences + second.unused_sentences,
        truncated_tokens=first.truncated_tokens + second.truncated_tokens,
    )


def _order(rows: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    return counter_rng.permutation(counter_rng.key("order", seed=seed, epoch=epoch), rows)


def _write(plan: EpochPlan, folder: Path) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=PARTIAL, dir=folder.parent))
    try:
        for name in _COLUMNS:
            with (temporary / f"{name}.npy").open("wb") as file:
                np.save(file, getattr(plan, name))
                file.flush()
                os.fsync(file.fileno())
        counts = {**{name: getattr(plan, name) for name in _COUNTS}, "crc32": _checksums(plan)}
        (temporary / "counts.json").write_text(json.dumps(counts), encoding="utf-8")
        temporary.chmod(0o755)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read(folder: Path, epoch: int) -> EpochPlan:
    try:
        # A plain ndarray view: indexing np.memmap costs several times as much.
        columns = {name: np.load(folder / f"{name}.npy", mmap_mode="r").view(np.ndarray) for name in _COLUMNS}
        counts = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
        plan = EpochPlan(**columns, epoch=epoch, **{name: counts[name] for name in _COUNTS})
        if _checksums(plan) != counts["crc32"]:
            raise ValueError("checksums differ")
        return plan
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"the cached plan {folder} is damaged ({error}); remove it and run again") from None


def _checksums(plan: EpochPlan) -> dict[str, int]:
    """Return the CRC-32 of every column: a flipped bit would repeat a row and lose another, on this machine only."""
    return {name: zlib.crc32(np.ascontiguousarray(getattr(plan, name))) for name in _COLUMNS}
