"""From a step to this rank's packed micro-batches: pure arithmetic, so that seeking to any step costs the same.

step -> (epoch, step in it) -> rows of the global batch -> this rank's rows -> micro-batches -> packed and masked.

    rows = TrainingBatches(ShardSet.open(folder, "train"), settings, seed=recipe.seed)
    for step in range(first_step, settings.steps):                 # steps count from 0
        for batch in rows.step_batches(step, rank=rank, world_size=world_size): ...

    held_out = ShardSet.open(folder, "held_out")
    batches = validation_batches(held_out, settings, seed=recipe.seed, rank=rank, world_size=world_size)
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bimed_dist.errors import ConfigError
from bimed_dist.recipe.pretraining import Phase, PretrainingSettings
from bimed_dist.shards.masking import MaskRule, mask_tokens
from bimed_dist.shards.mixture import load_training_plan
from bimed_dist.shards.plan import EpochPlan, load_plan
from bimed_dist.shards.reading import ShardSet

Result = TypeVar("Result")


@dataclass(frozen=True)
class PackedBatch:
    """B rows as one flat sequence of T real tokens; M tokens are to be predicted.

    Each row is [CLS] A [SEP] B [SEP], or [CLS] A [SEP] where there is no sentence objective.
    """

    input_ids: NDArray[np.int64]
    """(T,) after masking."""
    token_type_ids: NDArray[np.int64]
    """(T,) 0 for [CLS] A [SEP], 1 for B [SEP]."""
    position_ids: NDArray[np.int64]
    """(T,) counted from 0 in every row."""
    row_starts: NDArray[np.int32]
    """(B + 1,) position of every row's [CLS], then T: the cu_seqlens of variable-length attention kernels."""
    masked_positions: NDArray[np.int64]
    """(M,) ascending positions in the flat sequence."""
    mlm_labels: NDArray[np.int64]
    """(M,) the ids that stood there."""
    nsp_labels: NDArray[np.int64]
    """(B,) 0 = B follows A, 1 = it does not, as in Hugging Face's BertForPreTraining and AlbertForPreTraining."""
    rows: NDArray[np.int64]
    """(B,) row numbers in the epoch plan."""
    languages: NDArray[np.int8]
    """(B,) language of segment A, index into ShardSet.languages."""
    sources: NDArray[np.int16]
    """(B,) source of segment A, index into ShardSet.sources."""


def steps_per_epoch(num_rows: int, global_batch: int) -> int:
    """Whole global batches in an epoch; ConfigError where there is not even one."""
    if num_rows < global_batch:
        raise ConfigError(f"global_batch={global_batch} is more than the {num_rows} rows of an epoch; make it smaller")
    return num_rows // global_batch


def locate_step(step: int, num_rows: int, global_batch: int) -> tuple[int, int]:
    """(epoch, step in that epoch) of a step counted from 0 over all epochs."""
    return divmod(step, steps_per_epoch(num_rows, global_batch))


def step_rows(order: NDArray[np.int64], step_in_epoch: int, global_batch: int) -> NDArray[np.int64]:
    """(global_batch,) row numbers of one update."""
    return np.asarray(order[step_in_epoch * global_batch : (step_in_epoch + 1) * global_batch])


def deal(rows: NDArray[np.int64], lengths: NDArray[np.integer], hands: int) -> list[NDArray[np.int64]]:
    """Rows in `hands` shares of nearly equal tokens; row counts differ by one at most, the first shares have more.

    The longest rows are dealt first, to and fro (0 1 2 2 1 0 0 1 ...); of equal lengths the earlier row.
    """
    by_length = rows[np.argsort(-np.asarray(lengths), kind="stable")]
    rounds = ceil(len(rows) / hands)
    table = np.full(rounds * hands, -1, dtype=np.int64)
    table[: len(rows)] = by_length
    table = table.reshape(rounds, hands)
    # The last round stays in order when it is not full, so that the first shares have the additional rows.
    last = rounds if len(rows) % hands == 0 else rounds - 1
    table[1:last:2] = table[1:last:2, ::-1]
    return [share[share >= 0] for share in table.T]


def rank_rows(
    rows: NDArray[np.int64], lengths: NDArray[np.integer], *, rank: int, world_size: int
) -> NDArray[np.int64]:
    """This rank's rows of a global batch: the same number on every rank, nearly equal tokens."""
    if len(rows) % world_size:
        raise ConfigError(
            f"global_batch={len(rows)} is not a multiple of the {world_size} processes; change global_batch or the "
            "number of processes"
        )
    return deal(rows, lengths, world_size)[rank]


def micro_batches(rows: NDArray[np.int64], lengths: NDArray[np.integer], micro_batch: int) -> list[NDArray[np.int64]]:
    """At most `micro_batch` rows each, nearly equal tokens; how many depends on the number of rows alone."""
    return deal(rows, lengths, ceil(len(rows) / micro_batch))


def pack_rows(shards: ShardSet, plan: EpochPlan, rows: NDArray[np.int64], *, seed: int, rule: MaskRule) -> PackedBatch:
    """Read, lay out and mask the rows of one micro-batch."""
    a_length, b_length = plan.a_length[rows], plan.b_length[rows]
    num_rows = len(rows)
    row_starts = np.zeros(num_rows + 1, dtype=np.int64)
    np.cumsum(plan.lengths(rows), out=row_starts[1:])
    starts = row_starts[:-1]

    # A and B of every row alternate, as read from the shards; the special tokens stand between them.
    pieces, lengths = np.empty((num_rows, 2), dtype=np.int64), np.empty((num_rows, 2), dtype=np.int64)
    pieces[:, 0], pieces[:, 1] = plan.a_start[rows], plan.b_start[rows]
    lengths[:, 0], lengths[:, 1] = a_length, b_length
    token_ids = np.full(row_starts[-1], shards.tokens.sep, dtype=np.int64)
    token_ids[starts] = shards.tokens.cls
    is_text = np.ones(len(token_ids), dtype=bool)
    is_text[starts] = is_text[starts + a_length + 1] = is_text[row_starts[1:] - 1] = False
    token_ids[is_text] = shards.gather(pieces.ravel(), lengths.ravel())

    position_ids = np.arange(len(token_ids)) - np.repeat(starts, np.diff(row_starts))
    masked = mask_tokens(
        token_ids, position_ids, row_starts, rows, seed=seed, epoch=plan.epoch, rule=rule, tokens=shards.tokens
    )
    return PackedBatch(
        input_ids=masked.input_ids,
        token_type_ids=(position_ids >= np.repeat(a_length + 2, np.diff(row_starts))).astype(np.int64),
        position_ids=position_ids,
        row_starts=row_starts.astype(np.int32),
        masked_positions=masked.positions,
        mlm_labels=masked.labels,
        nsp_labels=(~plan.is_next[rows]).astype(np.int64),
        rows=rows,
        languages=plan.language[rows],
        sources=plan.source[rows],
    )


class PhaseBatches:
    """The rows of one phase: any step of any rank, in any order, at the same cost."""

    def __init__(
        self,
        shards: ShardSet,
        settings: PretrainingSettings,
        *,
        seed: int,
        phase: Phase | None = None,
        general: ShardSet | None = None,
    ) -> None:
        """Without `phase` the settings' first one; `general` are the shards of `settings.replay`."""
        self.phase = phase or settings.phases[0]
        self.shards = shards if general is None else shards.joined(general)
        self._own, self._general = shards, general
        self.settings = settings
        self.seed = seed
        self.rule = mask_rule(shards, settings)
        self._plan = self._load(epoch=0)
        self._ahead: tuple[int, Future[EpochPlan]] | None = None
        self.num_rows = self._plan.num_rows
        """Rows of every epoch."""
        self.steps_per_epoch = steps_per_epoch(self.num_rows, self.phase.global_batch)
        self.dropped_rows = self.num_rows % self.phase.global_batch
        """Rows of every epoch that don't fill a last global batch; other ones in each epoch."""

    def plan(self, epoch: int) -> EpochPlan:
        """The plan of one epoch; the last one asked for is kept open."""
        if self._plan.epoch != epoch:
            is_ahead = self._ahead is not None and self._ahead[0] == epoch
            self._plan = self._ahead[1].result() if is_ahead else self._load(epoch)
        return self._plan

    def plan_ahead(self, step: int) -> None:
        """Have a thread make the plan of the epoch after that of the phase's update `step`: it can take minutes."""
        epoch = 1 + step // self.steps_per_epoch
        is_needed = epoch * self.steps_per_epoch < self.phase.end - self.phase.first_step
        if is_needed and (self._ahead is None or self._ahead[0] != epoch):
            self._ahead = epoch, in_thread(partial(self._load, epoch))

    def step_batches(self, step: int, *, rank: int, world_size: int) -> list[PackedBatch]:
        """This rank's micro-batches of the phase's update `step` (from 0): on every rank as many, with as many rows."""
        batch = self.phase.global_batch
        epoch, step_in_epoch = locate_step(step, self.num_rows, batch)
        plan = self.plan(epoch)
        rows = step_rows(plan.order, step_in_epoch, batch)
        if self.settings.reproducible:  # cut before it is dealt, so that no number of ranks changes a micro-batch
            parts = micro_batches(rows, plan.lengths(rows), self.phase.micro_batch)
            each = len(parts) // world_size
            parts = parts[rank * each : (rank + 1) * each]
        else:
            rows = rank_rows(rows, plan.lengths(rows), rank=rank, world_size=world_size)
            parts = micro_batches(rows, plan.lengths(rows), self.phase.micro_batch)
        return [pack_rows(self.shards, plan, part, seed=self.seed, rule=self.rule) for part in parts]

    def _load(self, epoch: int) -> EpochPlan:
        settings = self.settings
        return load_training_plan(
            self._own,
            seed=self.seed,
            epoch=epoch,
            max_length=self.phase.max_length,
            pairing=settings.pairing,
            objective=settings.sentence_objective,
            mixture=settings.mixture,
            replay=settings.replay,
            general=self._general,
        )


class TrainingBatches:
    """The rows of all phases; each phase begins with an epoch of its own."""

    def __init__(
        self, shards: ShardSet, settings: PretrainingSettings, *, seed: int, general: ShardSet | None = None
    ) -> None:
        self.streams = [
            PhaseBatches(shards, settings, seed=seed, phase=phase, general=general) for phase in settings.phases
        ]

    def stream_at(self, step: int) -> PhaseBatches:
        """The stream of the phase of update `step`, counted from 0 over all phases."""
        return next((stream for stream in self.streams if step < stream.phase.end), self.streams[-1])

    def step_batches(self, step: int, *, rank: int, world_size: int) -> list[PackedBatch]:
        stream = self.stream_at(step)
        return stream.step_batches(step - stream.phase.first_step, rank=rank, world_size=world_size)

    def plan_ahead(self, step: int) -> None:
        """Begin the plan of the epoch that follows the one of update `step` in its phase."""
        stream = self.stream_at(step)
        stream.plan_ahead(step - stream.phase.first_step)

    def epoch_at(self, step: int) -> int:
        """The epoch, counted in its phase, that update `step` is in."""
        stream = self.stream_at(step)
        return (step - stream.phase.first_step) // stream.steps_per_epoch


class Prefetcher:
    """One rank's micro-batches; those of the next update are made by a thread while this one is trained."""

    def __init__(self, rows: TrainingBatches, *, rank: int, world_size: int, end: int) -> None:
        """`end`: the update that is never made."""
        self._rows, self._end = rows, end
        self._make = partial(rows.step_batches, rank=rank, world_size=world_size)
        self._next: tuple[int, Future[list[PackedBatch]]] | None = None

    def batches(self, step: int) -> list[PackedBatch]:
        """Those of update `step`, whichever was asked for before; raises what making them raised."""
        if self._next is None or self._next[0] != step:
            self._next = step, in_thread(partial(self._make, step))
        found = self._next[1].result()
        self._rows.plan_ahead(step)
        self._next = (step + 1, in_thread(partial(self._make, step + 1))) if step + 1 < self._end else None
        return found


def in_thread(make: Callable[[], Result]) -> Future[Result]:
    """What `make` returns or raises, computed by a thread that a process does not wait for when it ends.

    It would wait for an executor's: minutes, where a stop comes while a plan is made.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(make())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="rows", daemon=True).start()
    return future


def validation_batches(
    shards: ShardSet, settings: PretrainingSettings, *, seed: int, rank: int, world_size: int
) -> list[PackedBatch]:
    """This rank's share of the first `settings.validation_rows` rows of the held-out plan; no row is repeated.

    The same rows and masks at every validation, in every phase and for every world size; never mixed or replayed. As
    many micro-batches on every rank, because ZeRO-3 gathers weights in every forward pass. Raises ConfigError where
    there are fewer rows than ranks.
    """
    plan = load_plan(
        shards,
        seed=seed,
        epoch=0,
        max_length=settings.max_length,
        pairing=settings.pairing,
        objective=settings.sentence_objective,
    )
    rows = plan.order[: settings.validation_rows]
    if len(rows) < world_size:
        raise ConfigError(
            f"{len(rows)} held-out rows are fewer than {world_size} processes; raise validation_rows or held_out_share"
        )
    share = deal(rows, plan.lengths(rows), world_size)[rank]
    count = ceil(ceil(len(rows) / world_size) / settings.micro_batch)
    # With micro_batch=1 a rank with one row less has no row for its last micro-batch; the others then take two once.
    parts = deal(share, plan.lengths(share), min(count, len(rows) // world_size))
    rule = mask_rule(shards, settings)
    return [pack_rows(shards, plan, part, seed=seed, rule=rule) for part in parts]


def mask_rule(shards: ShardSet, settings: PretrainingSettings) -> MaskRule:
    """The masking part of the settings; ConfigError for whole words without a WordPiece vocabulary."""
    if settings.mask_unit == "word" and not shards.tokens.continuing_ids:
        raise ConfigError("mask_unit=word needs a vocabulary with pieces that start with ##; use mask_unit=token")
    return MaskRule(
        rate=settings.mask_rate,
        unit=settings.mask_unit,
        mask_token_share=settings.mask_token_share,
        random_token_share=settings.random_token_share,
    )
