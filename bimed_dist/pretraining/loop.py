"""The training loop: batch, forward and backward, exchange, optimizer step; log, validate, save.

Only weights and optimizer have state: rows, masks, dropout and learning rate are functions of the step.
"""

import ctypes
import logging
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bimed_dist.errors import ConfigError, NonFiniteError, Stopped
from bimed_dist.model.packed import PackedPretraining
from bimed_dist.pretraining.checkpoints import RunState, Saver
from bimed_dist.pretraining.distributed import Engine
from bimed_dist.pretraining.duration import Clock
from bimed_dist.pretraining.micro_batch import to_tensors
from bimed_dist.pretraining.optimizer import learning_rate
from bimed_dist.pretraining.profiling import profiled
from bimed_dist.pretraining.records import RunRecord
from bimed_dist.pretraining.validation import HeldOut, averages, validate
from bimed_dist.processes import signals_handled
from bimed_dist.recipe.pretraining import PretrainingSettings
from bimed_dist.shards.batches import Prefetcher, TrainingBatches
from bimed_dist.shards.packing import PackedBatch
from bimed_dist.workspace import CHECKPOINTS, PROFILE

_log = logging.getLogger(__name__)
_ROWS_IN_MESSAGE = 20
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
_REPEATED_SIGNAL_SECONDS = 3.0
"""A scheduler signals every process of a job and the launcher passes its own signal on: within this time they are the
same request."""


@dataclass(frozen=True)
class StepResult:
    """The outcome of a training step, the same on every rank except `metrics`' waiting_share."""

    metrics: dict[str, float] | None
    """Averages over the global batch; None if the step was skipped."""
    stop_requested: bool
    """Some rank was asked to stop, or has used up its time budget."""
    save_written: bool
    """All ranks have written their part of the last checkpoint."""


class Trainer:
    """One run on one rank. `record` is None on all ranks but 0."""

    def __init__(
        self,
        engine: Engine,
        module: PackedPretraining,
        settings: PretrainingSettings,
        *,
        seed: int,
        batches: TrainingBatches,
        held_out: HeldOut | None,
        folder: Path,
        run_digest: str,
        clock: Clock,
        first_step: int = 0,
        skipped_steps: int = 0,
        stop_time: float = math.inf,
    ) -> None:
        self.engine, self.module, self.settings, self.seed = engine, module, settings, seed
        self.batches, self.held_out = batches, held_out
        self.prefetcher = Prefetcher(batches, rank=engine.rank, world_size=engine.world_size, end=settings.steps)
        self.folder, self.run_digest = folder, run_digest
        self.saver = Saver(folder / CHECKPOINTS, engine, settings.keep_checkpoints)
        self.record: RunRecord | None = None
        self.clock = clock
        self.first_step = self.current_step = first_step
        self.skipped_steps = skipped_steps
        """Skipped steps so far, including those before a resume."""
        self.stop_time = stop_time
        """`time.monotonic()` at which the time budget ends."""
        self._validation = (-1, math.inf)
        """Step and sum of losses of the last validation."""

    def train(self) -> None:
        """Train from `first_step` to the end; raises Stopped on request and NonFiniteError."""
        if self.first_step == 0:
            self.validate(0)
        self.module.train()
        profile = profiled(self.settings.profile_steps, self.folder / PROFILE, self.engine.rank)
        with stop_requests() as stop, profile as profile_step, self._last_save_committed():
            done = self.first_step
            while done < self.clock.end:
                with self.engine.training_step(may_hang=done > self.first_step):  # the first one may compile kernels
                    result = self.step(done, stop)
                profile_step()
                done += 1
                self._after_step(done, result)

    def _after_step(self, done: int, result: StepResult) -> None:
        """Log, validate and save if it is time, with `done` steps made; raises Stopped on request."""
        settings, is_last = self.settings, done == self.clock.end
        if result.save_written:
            self.finish_save()
        if result.metrics and (done % settings.log_every == 0 or is_last):
            self._log_metrics(done, result.metrics)
        if done % settings.validate_every == 0 or is_last:
            self.validate(done)
        if done % settings.checkpoint_every == 0 or is_last or result.stop_requested:
            self.save(done)
        if result.stop_requested and not is_last:
            self.finish_save()
            reason = "at the end of time_budget_hours" if time.monotonic() >= self.stop_time else "on request"
            raise Stopped(f"stopped {reason} after step {done}; continue with --resume auto")

    @contextmanager
    def _last_save_committed(self) -> Iterator[None]:
        """Commit the checkpoint being written, also if a non-finite loss, known to every rank, ends the run."""
        try:
            yield
        except NonFiniteError:
            self.finish_save()
            raise
        self.finish_save()

    def step(self, step: int, stop: threading.Event) -> StepResult:
        """Train on the global batch of a step, counted from 0; every rank calls this with the same step."""
        start = time.monotonic()
        self.current_step = step
        engine, settings = self.engine, self.settings
        global_batch = settings.phase_at(step).global_batch
        batches = self.prefetcher.batches(step)
        waited = time.monotonic() - start
        masked = engine.sums(torch.tensor(sum(len(b.mlm_labels) for b in batches)))
        sums = self._accumulate(step, batches, masked, global_batch)
        tokens = sum(len(b.input_ids) for b in batches)
        totals = torch.stack(sums).sum(0)
        stop_here = stop.is_set() or time.monotonic() >= self.stop_time
        decay_here = engine.rank == 0 and self.clock.is_time_to_decay(step)
        flags = totals.new_tensor([tokens, stop_here, self.saver.is_written(), decay_here])
        sums_of_all = torch.cat([engine.sums(torch.cat([totals, flags])), masked[None]])
        *totals, tokens, stops, written, decay, masked = sums_of_all.tolist()
        if decay:
            self._begin_decay(step)
        rate = learning_rate(step, settings, self.clock.end)
        norm = engine.optimizer_step(rate)
        metrics = None
        if math.isfinite(norm):
            seconds = time.monotonic() - start
            metrics = {
                **averages(totals, masked, global_batch, settings.sentence_objective),
                "learning_rate": rate,
                "grad_norm": norm,
                "tokens_per_second": tokens / seconds,
                "waiting_share": waited / seconds,  # this rank's share of time waiting for rows
            }
        else:
            self._skip(step, batches, [bool(parts.isfinite().all()) for parts in sums])
        return StepResult(metrics, stop_requested=stops > 0, save_written=written == engine.world_size)

    def _accumulate(self, step: int, batches: Sequence[PackedBatch], masked: Tensor, global_batch: int) -> list[Tensor]:
        """Accumulate the gradients of this rank's micro-batches.

        Returns the sums of each, (4,): MLM loss, sentence loss, correct MLM predictions, correct sentence predictions.
        `masked` is the number of masked tokens in the global batch.
        """
        engine, sums = self.engine, []

        def loss(index: int, batch: PackedBatch) -> Tensor:
            seed_dropout(self.seed, step, engine.rank * len(batches) + index)
            mlm, pair, *right = (values.sum() for values in engine.forward(to_tensors(batch, engine.device)))
            sums.append(torch.stack([mlm, pair, *right]).detach().double())
            value = mlm / masked.clamp(min=1).to(mlm.dtype) + pair / global_batch
            # An infinite loss may have a finite gradient; this makes the gradient's norm non-finite on every rank.
            return value * torch.where(value.detach().isfinite(), 1.0, math.nan)

        engine.accumulate(lambda i=i, b=b: loss(i, b) for i, b in enumerate(batches))
        return sums

    def _begin_decay(self, step: int) -> None:
        self.clock.decay_from(step)
        if self.record:
            _log.info("training_hours end: decay from step %d to the end at step %d", step + 1, self.clock.end)
            self.record.set_end(self.clock.end)

    def _skip(self, step: int, batches: Sequence[PackedBatch], finite: Sequence[bool]) -> None:
        """Count a skipped step and report its rows; raise NonFiniteError on every rank if it is one too many.

        The rows reported are those of micro-batches whose loss is not finite, or all if only the gradient is not.
        """
        rows = [(bool(ok), int(row)) for batch, ok in zip(batches, finite, strict=True) for row in batch.rows]
        rows = [row for part in self.engine.gather(rows) for row in part]
        concerned = sorted(row for ok, row in rows if not ok)
        quantity = "loss" if concerned else "gradient"
        concerned = concerned or sorted(row for _, row in rows)
        epoch = self.batches.epoch_at(step)
        shown = ", ".join(map(str, concerned[:_ROWS_IN_MESSAGE]))
        more = f" and {len(concerned) - _ROWS_IN_MESSAGE} more" if len(concerned) > _ROWS_IN_MESSAGE else ""
        problem = f"step {step + 1}: the {quantity} is not finite (epoch {epoch}, rows {shown}{more}); step skipped"
        self.skipped_steps += 1
        allowed = self.settings.max_skipped_steps
        if self.skipped_steps > allowed:
            raise NonFiniteError(
                f"{problem}, and the last checkpoint is kept. Inspect these rows, allow some steps to be skipped and "
                f"continue with --resume auto (max_skipped_steps is {allowed}), or lower learning_rate in a new run"
            )
        if self.record:
            _log.warning("%s (%d of %d allowed)", problem, self.skipped_steps, allowed)
            self.record.write({"kind": "skipped", "step": step + 1, "epoch": epoch, "rows": concerned})

    def validate(self, step: int) -> None:
        """Validate on the held-out rows: the same rows and masks every time."""
        values = validate(self.engine, self.module, self.held_out, self.settings.sentence_objective)
        self._validation = step, _sum_of_losses(values)
        if self.record:
            self.record.write({"kind": "validation", "step": step, **values})
            shown = ", ".join(f"{name} {value:.4f}" for name, value in values.items() if isinstance(value, float))
            _log.info("step %d held out: %s", step, shown)

    def save(self, step: int) -> None:
        """Copy the state and let a thread write it; `finish_save` commits the checkpoint some steps later."""
        start = time.monotonic()
        self.finish_save()
        validated_step, loss = self._validation
        state: RunState = {
            "run_digest": self.run_digest,
            "engine": self.engine.kind,
            "rows_seen": self.settings.rows_before(step),
            "skipped_steps": self.skipped_steps,
            "held_out_loss": loss if validated_step == step else None,
            **self.engine.arithmetic,
            **self.clock.state(),
        }
        self.engine.snapshot()
        self.saver.start(step, self.engine.write_snapshot, state)
        self._blocked_seconds = time.monotonic() - start

    def finish_save(self) -> None:
        """Commit the checkpoint being written, if there is one; every rank calls this at the same step."""
        start = time.monotonic()
        # The metrics up to its step are on disk before a checkpoint is committed.
        committed = self.saver.finish(before_commit=self.record.sync) if self.record else self.saver.finish()
        if committed is None or self.record is None:
            return
        blocked = self._blocked_seconds + time.monotonic() - start
        times = {"seconds": committed.seconds, "blocked_seconds": blocked, "bytes": committed.bytes}
        self.record.write({"kind": "checkpoint", "step": committed.step, **times})
        _log.info(
            "checkpoint %s: %.1f MB in %.2f s, training waited %.3f s",
            committed.folder.name, committed.bytes / 1e6, committed.seconds, blocked,
        )  # fmt: skip

    def _log_metrics(self, step: int, metrics: dict[str, float]) -> None:
        if self.record:
            rows = self.settings.rows_before(step)
            loss = _sum_of_losses(metrics)
            self.record.write({"kind": "train", "step": step, "rows_seen": rows, "loss": loss, **metrics})
            self.record.advance(step, loss, metrics["tokens_per_second"])


@contextmanager
def out_of_memory_advice(settings: PretrainingSettings, step: Callable[[], int] = lambda: 0) -> Iterator[None]:
    """Raise ConfigError with the setting to halve if memory runs out; `step()` is the current step."""
    try:
        yield
    except RuntimeError as error:
        # torch has no error class for CPUs.
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        advice, phase = [], settings.phase_at(step())
        if phase.micro_batch > 1:
            half = f"halve {phase.prefix}micro_batch to {phase.micro_batch // 2}"
            advice.append(f"{half} (global_batch stays: more accumulation)")
        else:
            advice.append(f"halve {phase.prefix}max_length to {phase.max_length // 2}")
        if not settings.activation_checkpointing:
            advice.append("set activation_checkpointing=true")
        raise ConfigError(
            f"out of memory with micro_batch={phase.micro_batch} and max_length={phase.max_length}: "
            f"{', or '.join(advice)}; a run already begun needs another --work, or its folder removed"
        ) from error


def _sum_of_losses(metrics: Mapping[str, Any]) -> float:
    return sum(value for name, value in metrics.items() if name.endswith("_loss"))


def seed_dropout(seed: int, step: int, micro: int) -> None:
    """Make dropout a function of (seed, step, micro-batch), so that a checkpoint needs no generator state."""
    torch.manual_seed(int(np.random.SeedSequence((seed, step, micro)).generate_state(1, np.uint64)[0] >> np.uint64(1)))


@contextmanager
def stop_requests() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM, SIGINT and SIGUSR1 set; a second signal seconds later ends the process at once.

    Python runs signal handlers in the main thread only, which may wait for a lost rank inside a collective operation,
    so a thread reads the signal numbers that the interpreter writes to a socket.
    """
    requested = threading.Event()
    received, sent = socket.socketpair()
    sent.setblocking(False)

    def watch() -> None:
        first = 0.0
        while number := received.recv(1):
            if not requested.is_set():
                requested.set()
                first = time.monotonic()
            elif time.monotonic() - first > _REPEATED_SIGNAL_SECONDS:
                ctypes.CDLL(None).signal(int(number[0]), 0)  # SIG_DFL; signal.signal is for the main thread
                os.kill(os.getpid(), number[0])

    watcher = threading.Thread(target=watch, name="stop requests", daemon=True)
    watcher.start()
    with received, sent, signals_handled(dict.fromkeys(_STOP_SIGNALS, lambda *_: None)):
        before = signal.set_wakeup_fd(sent.fileno())
        try:
            yield requested
        finally:
            signal.set_wakeup_fd(before)
            sent.shutdown(socket.SHUT_WR)  # ends the thread
            watcher.join()  # before its socket is closed
