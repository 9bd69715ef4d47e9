"""The training loop: batch, forward and backward, agree, update; log, validate, save.

Nothing here is state but weights and optimizer: rows, masks, dropout and learning rate are functions of the step.
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
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bimed_dist.errors import ConfigError, NonFiniteError, Stopped
from bimed_dist.model.packed import PackedPretraining
from bimed_dist.pretraining import checkpoints
from bimed_dist.pretraining.distributed import Engine
from bimed_dist.pretraining.duration import Clock
from bimed_dist.pretraining.micro_batch import to_tensors
from bimed_dist.pretraining.optimizer import learning_rate
from bimed_dist.pretraining.profiling import profiled
from bimed_dist.pretraining.records import RunRecord
from bimed_dist.pretraining.validation import HeldOut, averages, validate
from bimed_dist.processes import signals_handled
from bimed_dist.recipe.pretraining import PretrainingSettings
from bimed_dist.shards.batches import PackedBatch, Prefetcher, TrainingBatches
from bimed_dist.workspace import CHECKPOINTS, PROFILE

_log = logging.getLogger(__name__)
_ROWS_NAMED = 20
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
_SECONDS_OF_ONE_REQUEST = 3.0


class Trainer:
    """One run on one rank. `record` is None on all ranks but the first."""

    def __init__(
        self,
        engine: Engine,
        module: PackedPretraining,
        settings: PretrainingSettings,
        *,
        seed: int,
        rows: TrainingBatches,
        held_out: HeldOut | None,
        folder: Path,
        run_digest: str,
        record: RunRecord | None,
        clock: Clock,
        skipped: int = 0,
        stop_at: float = math.inf,
    ) -> None:
        self.engine, self.module, self.settings, self.seed = engine, module, settings, seed
        self.rows, self.held_out = rows, held_out
        self.upcoming = Prefetcher(rows, rank=engine.rank, world_size=engine.world_size, end=settings.steps)
        self.folder = folder
        self.saver = checkpoints.Saver(folder / CHECKPOINTS, engine, settings.keep_checkpoints)
        self.run_digest, self.record = run_digest, record
        self.skipped = skipped
        """Updates left out so far, before a resume too."""
        self.clock = clock
        self.stop_at = stop_at
        """`time.monotonic()` at which the time budget ends."""
        self.at = 0
        """The update that runs, counted from 0."""
        self._validated = (-1, math.inf)
        """Of the last validation: its step and the sum of its losses."""

    def train(self, first_step: int) -> None:
        """Updates first_step to the end."""
        settings = self.settings
        if first_step == 0:
            self.validate(0)
        self.module.train()
        profile = profiled(settings.profile_steps, self.folder / PROFILE, self.engine.rank)
        with _stop_requests() as stop, profile as profile_step, self._last_save_committed():
            done = first_step
            while done < self.clock.end:
                with self.engine.in_step(may_hang=done > first_step):  # not while kernels are compiled
                    metrics, stop_now, written = self.step(done, stop)
                profile_step()
                done += 1
                last = done == self.clock.end
                if written:
                    self.finish_save()
                if metrics and (done % settings.log_every == 0 or last):
                    self._log(done, metrics)
                if done % settings.validate_every == 0 or last:
                    self.validate(done)
                if done % settings.checkpoint_every == 0 or last or stop_now:
                    self.save(done)
                if stop_now and not last:
                    self.finish_save()
                    why = "at the end of time_budget" if time.monotonic() >= self.stop_at else "on request"
                    raise Stopped(f"stopped {why} after step {done}; continue with --resume auto")

    @contextmanager
    def _last_save_committed(self) -> Iterator[None]:
        """What is being written is committed also where a loss that is not a number, known to every rank, ends it."""
        try:
            yield
        except NonFiniteError:
            self.finish_save()
            raise
        self.finish_save()

    def step(self, step: int, stop: list[bool]) -> tuple[dict[str, float] | None, bool, bool]:
        """One update; its metrics over the global batch, none if it was skipped.

        Then what all ranks agree on: whether any was asked to stop, and whether all have written the last checkpoint.
        """
        start = time.monotonic()
        self.at = step
        engine, settings = self.engine, self.settings
        global_batch = settings.phase_at(step).global_batch
        batches = self.upcoming.batches(step)
        waited = time.monotonic() - start
        masked = engine.sums(torch.tensor(sum(len(b.mlm_labels) for b in batches)))
        sums: list[Tensor] = []
        """Of each micro-batch: MLM loss, loss of pairs, right MLM guesses, right guesses of pairs."""

        def loss(index: int, batch: PackedBatch) -> Tensor:
            seed_dropout(self.seed, step, engine.rank * len(batches) + index)
            mlm, pair, *right = (values.sum() for values in engine.forward(to_tensors(batch, engine.device)))
            sums.append(torch.stack([mlm, pair, *right]).detach().double())
            value = mlm / masked.clamp(min=1).to(mlm.dtype) + pair / global_batch
            # An infinite loss may have a finite gradient; this way the gradient's norm alone tells, on every rank.
            return value * torch.where(value.detach().isfinite(), 1.0, math.nan)

        engine.accumulate(lambda i=i, b=b: loss(i, b) for i, b in enumerate(batches))
        tokens = sum(len(b.input_ids) for b in batches)
        totals = torch.stack(sums).sum(0)
        stop_here = stop[0] or time.monotonic() >= self.stop_at
        late = engine.rank == 0 and self.clock.is_time_to_decay(step)
        more = totals.new_tensor([tokens, stop_here, self.saver.written(), late])
        sums_of_all = torch.cat([engine.sums(torch.cat([totals, more])), masked[None]])
        *totals, tokens, stops, wrote, late, masked = sums_of_all.tolist()
        agreed = stops > 0, wrote == engine.world_size
        if late:
            self.clock.decay_from(step)
            if self.record:
                _log.info("the hours end: decay from step %d to the end at step %d", step + 1, self.clock.end)
                self.record.ends_at(self.clock.end)
        rate = learning_rate(step, settings, self.clock.end)
        norm = engine.update(rate)
        if not math.isfinite(norm):
            self._skip(step, batches, [bool(parts.isfinite().all()) for parts in sums])
            return None, *agreed
        seconds = time.monotonic() - start
        metrics = {
            **averages(totals, masked, global_batch, settings.sentence_objective),
            "learning_rate": rate,
            "grad_norm": norm,
            "tokens_per_second": tokens / seconds,
            "waiting_share": waited / seconds,  # of this rank, for its rows
        }
        return metrics, *agreed

    def _skip(self, step: int, batches: Sequence[PackedBatch], finite: Sequence[bool]) -> None:
        """Count an update that was not made and name its rows; NonFiniteError on every rank where it is one too many.

        Named are the rows of micro-batches whose loss is not finite, or all where only the gradient is not.
        """
        rows = [(bool(ok), int(row)) for batch, ok in zip(batches, finite, strict=True) for row in batch.rows]
        rows = [row for part in self.engine.gather(rows) for row in part]
        concerned = sorted(row for ok, row in rows if not ok)
        what = "loss" if concerned else "gradient"
        concerned = concerned or sorted(row for _, row in rows)
        epoch = self.rows.epoch_at(step)
        named = ", ".join(map(str, concerned[:_ROWS_NAMED]))
        more = f" and {len(concerned) - _ROWS_NAMED} more" if len(concerned) > _ROWS_NAMED else ""
        problem = f"step {step + 1}: the {what} is not a number (epoch {epoch}, rows {named}{more}); no update was made"
        self.skipped += 1
        if self.skipped > self.settings.skipped_steps:
            raise NonFiniteError(
                f"{problem}, and the last checkpoint is kept. Look at these rows, allow some updates to be left out "
                f"and continue with --resume auto (skipped_steps is {self.settings.skipped_steps}), or lower "
                "learning_rate in a new run"
            )
        if self.record:
            _log.warning("%s (%d of %d allowed)", problem, self.skipped, self.settings.skipped_steps)
            self.record.write({"kind": "skipped", "step": step + 1, "epoch": epoch, "rows": concerned})

    def validate(self, step: int) -> None:
        """The held-out rows, the same rows and masks every time."""
        found = validate(self.engine, self.module, self.held_out, self.settings.sentence_objective)
        self._validated = step, _sum_of_losses(found)
        if self.record:
            self.record.write({"kind": "validation", "step": step, **found})
            shown = ", ".join(f"{name} {value:.4f}" for name, value in found.items() if isinstance(value, float))
            _log.info("step %d held out: %s", step, shown)

    def save(self, step: int) -> None:
        """Copy what is to be saved and let a thread write it; `finish_save` commits it some steps later."""
        start = time.monotonic()
        self.finish_save()
        record = {
            "rows_seen": self.settings.rows_before(step),
            "engine": self.engine.kind,
            "run": self.run_digest,
            "skipped": self.skipped,
            **self.engine.arithmetic,
            **self.clock.state(),
        }
        validated_at, loss = self._validated
        if validated_at == step:
            record["held_out_loss"] = loss
        self.engine.snapshot()
        self.saver.start(step, self.engine.write_snapshot, record)
        self._blocked = time.monotonic() - start

    def finish_save(self) -> None:
        """Commit what was written, if there is something; every rank calls this at the same step."""
        start = time.monotonic()
        # A checkpoint never outlives the lines up to its step.
        committed = self.saver.finish(before=self.record.sync) if self.record else self.saver.finish()
        if committed is None or self.record is None:
            return
        blocked = self._blocked + time.monotonic() - start
        times = {"seconds": committed.seconds, "blocked_seconds": blocked, "bytes": committed.bytes}
        self.record.write({"kind": "checkpoint", "step": committed.step, **times})
        _log.info(
            "checkpoint %s: %.1f MB in %.2f s, training waited %.3f s",
            committed.folder.name, committed.bytes / 1e6, committed.seconds, blocked,
        )  # fmt: skip

    def _log(self, step: int, metrics: dict[str, float]) -> None:
        if self.record:
            rows = self.settings.rows_before(step)
            loss = _sum_of_losses(metrics)
            self.record.write({"kind": "train", "step": step, "rows_seen": rows, "loss": loss, **metrics})
            self.record.advance(step, loss, metrics["tokens_per_second"])


@contextmanager
def out_of_memory_advice(settings: PretrainingSettings, step: Callable[[], int] = lambda: 0) -> Iterator[None]:
    """ConfigError that names the setting to halve, in place of torch's error, where memory runs out at `step()`."""
    try:
        yield
    except RuntimeError as error:
        # CPUs have no error class of their own.
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        advice, phase = [], settings.phase_at(step())
        if phase.micro_batch > 1:
            half = f"halve {phase.place}micro_batch to {phase.micro_batch // 2}"
            advice.append(f"{half} (global_batch stays: more accumulation)")
        else:
            advice.append(f"halve {phase.place}max_length to {phase.max_length // 2}")
        if not settings.activation_checkpointing:
            advice.append("set activation_checkpointing=true")
        raise ConfigError(
            f"out of memory with micro_batch={phase.micro_batch} and max_length={phase.max_length}: "
            f"{', or '.join(advice)}; a run already begun needs another --work, or its folder removed"
        ) from error


def _sum_of_losses(metrics: Mapping[str, Any]) -> float:
    return sum(value for name, value in metrics.items() if name.endswith("_loss"))


def seed_dropout(seed: int, step: int, micro: int) -> None:
    """Dropout is a function of (seed, step, micro-batch), so that a checkpoint needs no generator state."""
    torch.manual_seed(int(np.random.SeedSequence((seed, step, micro)).generate_state(1, np.uint64)[0] >> np.uint64(1)))


@contextmanager
def _stop_requests() -> Iterator[list[bool]]:
    """A flag that SIGTERM, SIGINT and SIGUSR1 raise; a second signal ends the process at once.

    A scheduler signals every process of a job and the launcher passes its own signal on, so what follows within
    seconds is the same request. Python runs handlers in the main thread alone, which may wait for a lost rank inside a
    collective, so a thread reads the numbers that the interpreter writes to a socket at once.
    """
    requested = [False]
    received, sent = socket.socketpair()
    sent.setblocking(False)

    def watch() -> None:
        first = 0.0
        while number := received.recv(1):
            if not requested[0]:
                requested[0], first = True, time.monotonic()
            elif time.monotonic() - first > _SECONDS_OF_ONE_REQUEST:
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
            watcher.join()  # before what it reads from is closed
