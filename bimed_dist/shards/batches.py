"""From a step to one rank's packed micro-batches: pure arithmetic, so seeking to any step costs the same.

step -> (epoch, step in it) -> rows of the global batch -> this rank's rows -> micro-batches -> packed and masked.

    batches = TrainingBatches(ShardSet.open(folder, "train"), settings, seed=recipe.seed)
    for step in range(first_step, settings.steps):                 # steps count from 0
        for batch in batches.step_batches(step, rank=rank, world_size=world_size): ...

    held_out = ShardSet.open(folder, "held_out")
    batches = validation_batches(held_out, settings, seed=recipe.seed, rank=rank, world_size=world_size)
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from math import ceil
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bimed_dist.errors import ConfigError
from bimed_dist.recipe.pretraining import Phase, PretrainingSettings
from bimed_dist.shards.mixture import load_training_plan
from bimed_dist.shards.packing import PackedBatch, mask_rule, pack_rows
from bimed_dist.shards.plan import EpochPlan, load_plan
from bimed_dist.shards.reading import ShardSet

Result = TypeVar("Result")


def steps_per_epoch(num_rows: int, global_batch: int) -> int:
    """Return the number of whole global batches in an epoch. Raises ConfigError if there is none."""
    if num_rows < global_batch:
        raise ConfigError(f"global_batch={global_batch} is more than the {num_rows} rows of an epoch; make it smaller")
    return num_rows // global_batch


def locate_step(step: int, num_rows: int, global_batch: int) -> tuple[int, int]:
    """Return (epoch, step in that epoch) of a step counted from 0 over all epochs."""
    return divmod(step, steps_per_epoch(num_rows, global_batch))


def step_rows(order: NDArray[np.int64], step_in_epoch: int, global_batch: int) -> NDArray[np.int64]:
    """Return the (global_batch,) row numbers of one step."""
    return np.asarray(order[step_in_epoch * global_batch : (step_in_epoch + 1) * global_batch])


def partition_by_length(rows: NDArray[np.int64], lengths: NDArray[np.integer], parts: int) -> list[NDArray[np.int64]]:
    """Partition rows into parts of nearly equal tokens; row counts differ by one at most, the first parts have more.

    Rows are assigned longest first, back and forth (parts 0 1 2 2 1 0 0 1 ...); rows of equal length in their order.
    """
    by_length = rows[np.argsort(-np.asarray(lengths), kind="stable")]
    rounds = ceil(len(rows) / parts)
    table = np.full(rounds * parts, -1, dtype=np.int64)
    table[: len(rows)] = by_length
    table = table.reshape(rounds, parts)
    # The last round is not reversed if it is incomplete, so that the first parts have the additional rows.
    last = rounds if len(rows) % parts == 0 else rounds - 1
    table[1:last:2] = table[1:last:2, ::-1]
    return [column[column >= 0] for column in table.T]


def rank_rows(
    rows: NDArray[np.int64], lengths: NDArray[np.integer], *, rank: int, world_size: int
) -> NDArray[np.int64]:
    """Return one rank's rows of a global batch: the same number on every rank, nearly equal tokens."""
    if len(rows) % world_size:
        raise ConfigError(
            f"global_batch={len(rows)} is not a multiple of the {world_size} processes; change global_batch or the "
            "number of processes"
        )
    return partition_by_length(rows, lengths, world_size)[rank]


def micro_batches(rows: NDArray[np.int64], lengths: NDArray[np.integer], micro_batch: int) -> list[NDArray[np.int64]]:
    """Split rows into the fewest micro-batches of at most `micro_batch` rows, with nearly equal tokens."""
    return partition_by_length(rows, lengths, ceil(len(rows) / micro_batch))


class PhaseBatches:
    """Micro-batches of one phase, by step and rank, in any order."""

    def __init__(
        self,
        shards: ShardSet,
        settings: PretrainingSettings,
        *,
        seed: int,
        phase: Phase | None = None,
        general: ShardSet | None = None,
    ) -> None:
        """`phase` defaults to the settings' first one; `general` are the shards of `settings.replay`."""
        self.phase = phase or settings.phases[0]
        self.shards = shards if general is None else shards.concatenated(general)
        self._main, self._general = shards, general
        self.settings = settings
        self.seed = seed
        self.rule = mask_rule(shards, settings)
        self._plan = self._load(epoch=0)
        self._prefetched: tuple[int, Future[EpochPlan]] | None = None
        self.num_rows = self._plan.num_rows
        """Rows of every epoch."""
        self.steps_per_epoch = steps_per_epoch(self.num_rows, self.phase.global_batch)
        self.dropped_rows = self.num_rows % self.phase.global_batch
        """Rows of every epoch that do not fill a last global batch; different ones in each epoch."""

    def plan(self, epoch: int) -> EpochPlan:
        """Return the plan of one epoch; the last one is kept open."""
        if self._plan.epoch != epoch:
            is_prefetched = self._prefetched is not None and self._prefetched[0] == epoch
            self._plan = self._prefetched[1].result() if is_prefetched else self._load(epoch)
        return self._plan

    def prefetch_plan(self, step: int) -> None:
        """Start a thread that computes the plan of the epoch after that of the phase's `step`: it can take minutes."""
        epoch = 1 + step // self.steps_per_epoch
        is_needed = epoch * self.steps_per_epoch < self.phase.end - self.phase.first_step
        if is_needed and (self._prefetched is None or self._prefetched[0] != epoch):
            self._prefetched = epoch, run_in_thread(partial(self._load, epoch))

    def step_batches(self, step: int, *, rank: int, world_size: int) -> list[PackedBatch]:
        """Return one rank's micro-batches of the phase's `step` (from 0): as many batches and rows as every rank."""
        batch = self.phase.global_batch
        epoch, step_in_epoch = locate_step(step, self.num_rows, batch)
        plan = self.plan(epoch)
        rows = step_rows(plan.order, step_in_epoch, batch)
        if self.settings.reproducible:  # split before assigned to ranks: micro-batches are those of any world size
            parts = micro_batches(rows, plan.lengths(rows), self.phase.micro_batch)
            per_rank = len(parts) // world_size
            parts = parts[rank * per_rank : (rank + 1) * per_rank]
        else:
            rows = rank_rows(rows, plan.lengths(rows), rank=rank, world_size=world_size)
            parts = micro_batches(rows, plan.lengths(rows), self.phase.micro_batch)
        return [pack_rows(self.shards, plan, part, seed=self.seed, rule=self.rule) for part in parts]

    def _load(self, epoch: int) -> EpochPlan:
        settings = self.settings
        return load_training_plan(
            self._main,
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
    """Micro-batches of all phases; each phase starts a new epoch. Steps count from 0 over all phases."""

    def __init__(
        self, shards: ShardSet, settings: PretrainingSettings, *, seed: int, general: ShardSet | None = None
    ) -> None:
        self.phases = [
            PhaseBatches(shards, settings, seed=seed, phase=phase, general=general) for phase in settings.phases
        ]

    def phase_at(self, step: int) -> PhaseBatches:
        return next((batches for batches in self.phases if step < batches.phase.end), self.phases[-1])

    def step_batches(self, step: int, *, rank: int, world_size: int) -> list[PackedBatch]:
        batches = self.phase_at(step)
        return batches.step_batches(step - batches.phase.first_step, rank=rank, world_size=world_size)

    def prefetch_plan(self, step: int) -> None:
        batches = self.phase_at(step)
        batches.prefetch_plan(step - batches.phase.first_step)

    def epoch_at(self, step: int) -> int:
        """Return the epoch of `step`, counted in its phase."""
        batches = self.phase_at(step)
        return (step - batches.phase.first_step) // batches.steps_per_epoch


class Prefetcher:
    """One rank's micro-batches by step; those of the next step are prepared by a thread during the current one."""

    def __init__(self, batches: TrainingBatches, *, rank: int, world_size: int, end: int) -> None:
        """`end`: first step not to prepare (exclusive)."""
        self._batches, self._end = batches, end
        self._prepare = partial(batches.step_batches, rank=rank, world_size=world_size)
        self._next: tuple[int, Future[list[PackedBatch]]] | None = None

    def batches(self, step: int) -> list[PackedBatch]:
        """Return the micro-batches of `step`, in any order of steps. An error of the thread is raised at its step."""
        if self._next is None or self._next[0] != step:
            self._next = step, run_in_thread(partial(self._prepare, step))
        ready = self._next[1].result()
        self._batches.prefetch_plan(step)
        following = step + 1
        self._next = (following, run_in_thread(partial(self._prepare, following))) if following < self._end else None
        return ready


def run_in_thread(function: Callable[[], Result]) -> Future[Result]:
    """Return the future result or error of `function`, computed by a daemon thread.

    An executor's thread would delay the end of the process: by minutes, if it is computing a plan.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="batches", daemon=True).start()
    return future


def validation_batches(
    shards: ShardSet, settings: PretrainingSettings, *, seed: int, rank: int, world_size: int
) -> list[PackedBatch]:
    """Return one rank's share of the first `settings.validation_rows` held-out rows; no row is repeated.

    Rows and masks are the same at every validation, in every phase and for every world size; mixture and replay do not
    apply. Every rank has equally many micro-batches, because ZeRO-3 gathers weights in every forward pass. Raises
    ConfigError if there are fewer rows than ranks.
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
    share = partition_by_length(rows, plan.lengths(rows), world_size)[rank]
    count = ceil(ceil(len(rows) / world_size) / settings.micro_batch)
    # With micro_batch=1, a rank with one row less has no row for a last micro-batch; the others then take two at once.
    parts = partition_by_length(share, plan.lengths(share), min(count, len(rows) // world_size))
    rule = mask_rule(shards, settings)
    return [pack_rows(shards, plan, part, seed=seed, rule=rule) for part in parts]
