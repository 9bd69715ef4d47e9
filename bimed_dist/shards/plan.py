"""Epoch plan: which tokens form segment A and B of each row, the next-sentence label, and the order of rows.

A plan is a function of (seed, epoch, shards, max_length, pairing, objective) alone, and the number of rows is the same
in every epoch, so that step -> (epoch, step in the epoch) is a division. Plans are cached below the shards folder.
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
from bimed_dist.shards import chance
from bimed_dist.shards.pairing import Pairs, make_pairs
from bimed_dist.shards.reading import ShardSet
from bimed_dist.workspace import PARTIAL, PLANS

logger = logging.getLogger(__name__)

_VERSION = 5
"""Raised whenever the same arguments give another plan, so that old cached plans are not used."""
_COLUMNS = ("a_start", "a_length", "b_start", "b_length", "is_next", "language", "source", "order")
_COUNTS = ("unused_sentences", "truncated_tokens")


@dataclass(frozen=True, kw_only=True)
class EpochPlan:
    """R rows of one epoch, each two pieces of text; row r is the r-th entry of every column but `order`."""

    a_start: NDArray[np.int64]
    """(R,) Global token position of segment A."""
    a_length: NDArray[np.int32]
    """(R,) Tokens of A after truncation; with B and the special tokens a row has max_length at most."""
    b_start: NDArray[np.int64]
    b_length: NDArray[np.int32]
    """(R,) 0 where rows have one segment."""
    is_next: NDArray[np.bool_]
    """(R,) Whether B follows A in the same document; otherwise B is from another document (next_sentence), or A follows
    B (sentence_order)."""
    language: NDArray[np.int8]
    """(R,) Language of A's first sentence (with sentence_order of the first in the text, whichever of the two parts
    has it, so that an exchange does not change it), index into ShardSet.languages."""
    source: NDArray[np.int16]
    """(R,) Source of A, index into ShardSet.sources."""
    order: NDArray[np.int64]
    """(R,) Row numbers in the order in which they are trained on."""
    epoch: int
    unused_sentences: int
    """Sentences that no pair could be made with, in this epoch."""
    truncated_tokens: int
    """Tokens of used sentences that found no room in their row."""

    @property
    def num_rows(self) -> int:
        return len(self.order)

    def lengths(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tokens of `rows`: [CLS] A [SEP] B [SEP], or [CLS] A [SEP] where there is no B."""
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

    `segments` (BERT, Devlin et al. 2019): documents are cut into runs of whole sentences that fill a row; each run is
    cut in two at a random sentence border, and half of the rows exchange their B among each other. Every sentence is
    in exactly one row of an epoch. `sentences` (KM-BERT, Kim et al. 2022): A is every sentence that has a successor, B
    is the successor or a random sentence of another document. With `sentence_order` all pairs are of one document, and
    half of them exchange A and B; with `none` a run of sentences, or one sentence, is a row by itself.

    Raises ConfigError for a max_length without room, DataError where no two documents can be paired.
    """
    specials = 2 if objective == "none" else 3
    budget = max_length - specials
    if budget < 2:
        raise ConfigError(f"max_length={max_length} has no room for two tokens and {specials} special ones")
    documents = shards.num_documents
    if documents < 2 and objective == "next_sentence":
        raise DataError(
            f"the {shards.split} split of {shards.folder} has {documents} document; next-sentence rows need "
            "two or more: add documents, or cut the text into several (for .txt sources see `document`)"
        )
    sentences = shards.sentence_length, shards.sentence_document, shards.sentence_language
    pairs = make_pairs(*sentences, pairing=pairing, objective=objective, seed=seed, epoch=epoch, budget=budget)
    if not len(pairs.a_first):
        raise DataError(
            f"the {shards.split} split of {shards.folder} makes no row with pairing={pairing} and "
            f"sentence_objective={objective}: no document has two sentences; choose others of these, or other text"
        )
    if objective == "next_sentence" and pairs.is_next.all():
        raise DataError(
            f"the {shards.split} split of {shards.folder} has no two documents whose parts could be paired: "
            "add documents, or cut the text into several (for .txt sources see `document`)"
        )
    exchanged = objective == "sentence_order"
    plan = _plan(shards, pairs, exchanged=exchanged, seed=seed, epoch=epoch, budget=budget)
    logger.info(
        "%s, epoch %d: %d rows, %.1f %% in the order of the text, %d of %d tokens truncated, %d sentences without a "
        "partner",
        *(shards.split, epoch, plan.num_rows, 100 * plan.is_next.mean()),
        *(plan.truncated_tokens, int(plan.a_length.sum() + plan.b_length.sum()) + plan.truncated_tokens),
        plan.unused_sentences,
    )
    return plan


def _plan(shards: ShardSet, pairs: Pairs, *, exchanged: bool, seed: int, epoch: int, budget: int) -> EpochPlan:
    """`exchanged`: whether a row that is not next has its two parts in the other order."""
    bounds = np.append(shards.sentence_start, shards.num_tokens)
    a_start, b_start = bounds[pairs.a_first], bounds[pairs.b_first]
    a_all, b_all = bounds[pairs.a_end] - a_start, bounds[pairs.b_end] - b_start
    a_length, b_length = truncated(a_all, b_all, budget)
    opening = np.minimum(pairs.a_first, pairs.b_first) if exchanged else pairs.a_first
    return EpochPlan(
        a_start=a_start,
        a_length=a_length.astype(np.int32),
        b_start=b_start,
        b_length=b_length.astype(np.int32),
        is_next=pairs.is_next,
        language=shards.sentence_language[opening],
        source=shards.sentence_source[opening],
        order=_order(len(a_start), seed=seed, epoch=epoch),
        epoch=epoch,
        unused_sentences=pairs.unused_sentences,
        truncated_tokens=int((a_all + b_all).sum() - (a_length + b_length).sum()),
    )


def truncated(a: NDArray[np.int64], b: NDArray[np.int64], budget: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lengths after tokens were taken from the end of the longer segment until both fit into `budget`."""
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
    """The plan of `epoch_plan`, memory-mapped from `plans/DIGEST` in the shards folder; written there first if needed.

    Of several processes that need it at once one makes it and the others wait for that.
    """
    made_by = {"seed": seed, "epoch": epoch, "max_length": max_length, "pairing": pairing, "objective": objective}
    return cached_plan(shards, made_by, lambda: epoch_plan(shards, **made_by))


def cached_plan(shards: ShardSet, made_by: Mapping[str, Any], make: Callable[[], EpochPlan]) -> EpochPlan:
    """The plan that was once made by these arguments; made and written now where there is none."""
    named = {"version": _VERSION, "shards": shards.digest, "split": shards.split, **made_by}
    folder, epoch = shards.folder / PLANS / digest_of(named)[:16], made_by["epoch"]
    if folder.is_dir():
        return _read(folder, epoch)
    plan = None
    try:
        folder.parent.mkdir(exist_ok=True)
        # A plan of 100 million sentences takes minutes and gigabytes.
        with locked(folder.parent / "lock", f"a plan is being made in {folder.parent}", wait=True):
            if not folder.is_dir():
                for unfinished in folder.parent.glob(f"*{PARTIAL}"):  # of a process that was killed
                    shutil.rmtree(unfinished, ignore_errors=True)
                plan = make()
                _write(plan, folder)
    except OSError as error:
        logger.warning("the plan of epoch %d stays in memory: can't write %s (%s)", epoch, folder, error.strerror)
        return make() if plan is None else plan  # making a large one takes minutes
    return _read(folder, epoch)


def taken(plan: EpochPlan, rows: NDArray[np.int64], *, seed: int) -> EpochPlan:
    """A plan of these rows of `plan`, which may come several times, each as a row of its own."""
    columns = {name: getattr(plan, name)[rows] for name in _COLUMNS if name != "order"}
    return replace(plan, **columns, order=_order(len(rows), seed=seed, epoch=plan.epoch))


def joined(first: EpochPlan, second: EpochPlan, shards: ShardSet, more: ShardSet, *, seed: int) -> EpochPlan:
    """Rows of two plans in one order, for `shards.joined(more)`; `first` is of `shards`, `second` of `more`."""
    both = shards.joined(more)

    def codes(name: str, names: str) -> NDArray[np.integer]:
        """A column of languages or sources in the numbers that `both` gives them."""
        parts = []
        for plan, own in ((first, shards), (second, more)):
            new = np.array([getattr(both, names).index(value) for value in getattr(own, names)])
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
    return chance.permutation(chance.key("order", seed=seed, epoch=epoch), rows)


def _write(plan: EpochPlan, folder: Path) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=PARTIAL, dir=folder.parent))
    try:
        for name in _COLUMNS:
            with (temporary / f"{name}.npy").open("wb") as file:
                np.save(file, getattr(plan, name))
                file.flush()
                os.fsync(file.fileno())
        found = {**{name: getattr(plan, name) for name in _COUNTS}, "crc32": _checksums(plan)}
        (temporary / "counts.json").write_text(json.dumps(found), encoding="utf-8")
        temporary.chmod(0o755)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read(folder: Path, epoch: int) -> EpochPlan:
    try:
        # A plain ndarray over the map: indexing np.memmap itself costs several times as much.
        columns = {name: np.load(folder / f"{name}.npy", mmap_mode="r").view(np.ndarray) for name in _COLUMNS}
        found = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
        plan = EpochPlan(**columns, epoch=epoch, **{name: found[name] for name in _COUNTS})
        if _checksums(plan) != found["crc32"]:
            raise ValueError("it does not have the checksums that it was written with")
        return plan
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"the cached plan {folder} is damaged ({error}); remove it and run again") from None


def _checksums(plan: EpochPlan) -> dict[str, int]:
    """Of every column: a changed bit would repeat a row and lose another, on this machine only."""
    return {name: zlib.crc32(np.ascontiguousarray(getattr(plan, name))) for name in _COLUMNS}
