"""The training loop: batch, forward and backward, agree, update; log, validate, save.

Nothing here is state but weights and optimizer: rows, masks, dropout and learning rate are functions of the step.
"""

import logging
import math
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bimed_dist.config import PretrainingSettings
from bimed_dist.errors import ConfigError, NonFiniteError, Stopped
from bimed_dist.model.packed import PackedPretraining, micro_batch
from bimed_dist.pretraining import checkpoints
from bimed_dist.pretraining.distributed import Engine
from bimed_dist.pretraining.records import RunRecord
from bimed_dist.pretraining.schedule import learning_rate
from bimed_dist.shards.batches import PackedBatch, RowStream, locate_step

_log = logging.getLogger(__name__)
_ROWS_NAMED = 20
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
        stream: RowStream,
        validation: Sequence[PackedBatch],
        languages: Sequence[str],
        folder: Path,
        run_digest: str,
        record: RunRecord | None,
        skipped: int = 0,
        stop_at: float = math.inf,
    ) -> None:
        self.engine, self.module, self.settings, self.seed = engine, module, settings, seed
        self.stream, self.validation, self.languages = stream, validation, languages
        self.saver = checkpoints.Saver(folder / "checkpoints", engine, settings.keep_checkpoints)
        self.run_digest, self.record = run_digest, record
        self.skipped = skipped
        """Updates left out so far, before a resume too."""
        self.stop_at = stop_at
        """`time.monotonic()` at which the time budget ends."""
        self._held_out: dict[str, Any] = {}
        """Of the last validation: its step, and MLM plus NSP loss as `held_out_loss`."""

    def train(self, first_step: int) -> None:
        """Updates first_step to settings.steps."""
        settings = self.settings
        if first_step == 0:
            self.validate(0)
        self.module.train()
        with _stop_requests() as stop, self._last_save_committed():
            for step in range(first_step, settings.steps):
                metrics, stop_now, written = self.step(step, stop)
                done = step + 1
                if written:
                    self.finish_save()
                if metrics and (done % settings.log_every == 0 or done == settings.steps):
                    self._log(done, metrics)
                if done % settings.validate_every == 0 or done == settings.steps:
                    self.validate(done)
                if done % settings.checkpoint_every == 0 or done == settings.steps or stop_now:
                    self.save(done)
                if stop_now and done < settings.steps:
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
        engine, settings = self.engine, self.settings
        batches = self.stream.step_batches(step, rank=engine.rank, world_size=engine.world_size)
        masked = int(engine.sums(torch.tensor([sum(len(b.mlm_labels) for b in batches)]))[0])
        sums: list[Tensor] = []
        """Of each micro-batch: MLM loss, NSP loss, right MLM guesses, right NSP guesses."""

        def loss(index: int, batch: PackedBatch) -> Tensor:
            seed_dropout(self.seed, step, engine.rank * len(batches) + index)
            mlm, nsp, *right = (values.sum() for values in engine.forward(micro_batch(batch, engine.device)))
            sums.append(torch.stack([mlm, nsp, *right]).detach().double())
            value = mlm / max(masked, 1) + nsp / settings.global_batch
            # An infinite loss may have a finite gradient; this way the gradient's norm alone tells, on every rank.
            return value * torch.where(value.detach().isfinite(), 1.0, math.nan)

        engine.accumulate(lambda i=i, b=b: loss(i, b) for i, b in enumerate(batches))
        tokens = sum(len(b.input_ids) for b in batches)
        totals = torch.stack(sums).sum(0)
        stop_here = stop[0] or time.monotonic() >= self.stop_at
        more = totals.new_tensor([tokens, stop_here, self.saver.written()])
        mlm, nsp, mlm_right, nsp_right, tokens, stops, wrote = engine.sums(torch.cat([totals, more])).tolist()
        agreed = stops > 0, wrote == engine.world_size
        rate = learning_rate(step, settings)
        norm = engine.update(rate)
        if not math.isfinite(norm):
            self._skip(step, batches, [bool(parts.isfinite().all()) for parts in sums])
            return None, *agreed
        metrics = {
            "mlm_loss": mlm / max(masked, 1),
            "nsp_loss": nsp / settings.global_batch,
            "mlm_accuracy": mlm_right / max(masked, 1),
            "nsp_accuracy": nsp_right / settings.global_batch,
            "learning_rate": rate,
            "grad_norm": norm,
            "tokens_per_second": tokens / (time.monotonic() - start),
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
        epoch, _ = locate_step(step, self.stream.num_rows, self.settings.global_batch)
        named = ", ".join(map(str, concerned[:_ROWS_NAMED]))
        more = f" and {len(concerned) - _ROWS_NAMED} more" if len(concerned) > _ROWS_NAMED else ""
        problem = f"step {step + 1}: the {what} is not a number (epoch {epoch}, rows {named}{more}); no update was made"
        self.skipped += 1
        if self.skipped > self.settings.skipped_steps:
            raise NonFiniteError(
                f"{problem}, and the last checkpoint is kept. Lower learning_rate, look at these rows, or allow "
                f"some updates to be left out (skipped_steps is {self.settings.skipped_steps})"
            )
        if self.record:
            _log.warning("%s (%d of %d allowed)", problem, self.skipped, self.settings.skipped_steps)
            self.record.write({"kind": "skipped", "step": step + 1, "epoch": epoch, "rows": concerned})

    @torch.no_grad()
    def validate(self, step: int) -> None:
        """MLM and NSP on the held-out rows, the same rows and masks every time; by language of segment A too."""
        self.module.eval()
        sums = torch.zeros(len(self.languages), 6, dtype=torch.float64)
        for batch in self.validation:
            values = [v.cpu().double() for v in self.engine.forward(micro_batch(batch, self.engine.device))]
            pair_language = torch.from_numpy(batch.languages).long()
            pair = np.searchsorted(batch.row_starts, batch.masked_positions, side="right") - 1
            token_language = pair_language[torch.from_numpy(pair)]
            for column, (value, language) in enumerate(zip(values, [token_language, pair_language] * 2, strict=True)):
                sums[:, column].index_add_(0, language, value)
            for column, language in ((4, token_language), (5, pair_language)):
                sums[:, column] += torch.bincount(language, minlength=len(self.languages))
        sums = self.engine.sums(sums.to(self.engine.device))
        self.module.train()
        metrics: dict[str, Any] = {"kind": "validation", "step": step, **_averages(sums.sum(0))}
        metrics["by_language"] = {
            language: _averages(sums[code]) for code, language in enumerate(self.languages) if sums[code, 5] > 0
        }
        self._held_out = {"step": step, "held_out_loss": metrics["mlm_loss"] + metrics["nsp_loss"]}
        if self.record:
            self.record.write(metrics)
            _log.info(
                "step %d held out: MLM loss %.4f accuracy %.4f, NSP loss %.4f accuracy %.4f",
                step, *(metrics[k] for k in ("mlm_loss", "mlm_accuracy", "nsp_loss", "nsp_accuracy")),
            )  # fmt: skip

    def save(self, step: int) -> None:
        """Copy what is to be saved and let a thread write it; `finish_save` commits it some steps later."""
        start = time.monotonic()
        self.finish_save()
        record = {
            "rows_seen": step * self.settings.global_batch,
            "engine": self.engine.kind,
            "run": self.run_digest,
            "skipped": self.skipped,
        }
        if self._held_out.get("step") == step:
            record["held_out_loss"] = self._held_out["held_out_loss"]
        self.engine.snapshot()
        self.saver.start(step, self.engine.write_snapshot, record)
        self._blocked = time.monotonic() - start

    def finish_save(self) -> None:
        """Commit what was written, if there is something; every rank calls this at the same step."""
        start = time.monotonic()
        if self.record and self.saver.pending:
            self.record.sync()  # a checkpoint never outlives the lines up to its step
        committed = self.saver.finish()
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
            rows = step * self.settings.global_batch
            loss = metrics["mlm_loss"] + metrics["nsp_loss"]
            self.record.write({"kind": "train", "step": step, "rows_seen": rows, "loss": loss, **metrics})
            self.record.advance(step, loss, metrics["tokens_per_second"])


@contextmanager
def out_of_memory_advice(settings: PretrainingSettings) -> Iterator[None]:
    """ConfigError that names the setting to halve, in place of torch's error, where memory runs out."""
    try:
        yield
    except RuntimeError as error:
        # CPUs have no error class of their own.
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        advice = []
        if settings.micro_batch > 1:
            advice.append(f"halve micro_batch to {settings.micro_batch // 2} (global_batch stays: more accumulation)")
        else:
            advice.append(f"halve max_length to {settings.max_length // 2}")
        if not settings.activation_checkpointing:
            advice.append("set activation_checkpointing=true")
        raise ConfigError(
            f"out of memory with micro_batch={settings.micro_batch} and max_length={settings.max_length}: "
            f"{', or '.join(advice)}; a run already begun needs another --work, or its folder removed"
        ) from error


def _averages(sums: Tensor) -> dict[str, float]:
    mlm, nsp, mlm_right, nsp_right, masked, rows = sums.tolist()
    masked, rows = max(masked, 1.0), max(rows, 1.0)
    return {
        "mlm_loss": mlm / masked,
        "mlm_accuracy": mlm_right / masked,
        "nsp_loss": nsp / rows,
        "nsp_accuracy": nsp_right / rows,
    }


def seed_dropout(seed: int, step: int, micro: int) -> None:
    """Dropout is a function of (seed, step, micro-batch), so that a checkpoint needs no generator state."""
    torch.manual_seed(int(np.random.SeedSequence((seed, step, micro)).generate_state(1, np.uint64)[0] >> np.uint64(1)))


@contextmanager
def _stop_requests() -> Iterator[list[bool]]:
    """A flag that SIGTERM, SIGINT and SIGUSR1 raise; a second signal ends the process at once.

    A scheduler signals every process of a job and the launcher passes its own signal on, so what follows within
    seconds is the same request.
    """
    requested, first = [False], [0.0]

    def request(number: int, _: object) -> None:
        if requested[0] and time.monotonic() - first[0] > _SECONDS_OF_ONE_REQUEST:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif not requested[0]:
            requested[0], first[0] = True, time.monotonic()

    before = {number: signal.signal(number, request) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)}
    try:
        yield requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
