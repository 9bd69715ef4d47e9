"""What a run writes while it trains: metrics.jsonl, trackers, a progress bar. Rank 0 only."""

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from bimed_dist.manifest import write_whole
from bimed_dist.metrics_log import read_metrics
from bimed_dist.workspace import METRICS

_log = logging.getLogger(__name__)
_SECONDS_BETWEEN_LINES = 30


class Tracker(Protocol):
    """What accelerate's trackers have in common."""

    def log(self, values: dict[str, float], step: int) -> None: ...

    def finish(self) -> None: ...


class RunRecord:
    """Appends metrics; after a resume the lines beyond the checkpoint are taken back first."""

    def __init__(self, folder: Path, trackers: Sequence[Tracker], *, first_step: int, steps: int, label: str) -> None:
        self._path = folder / METRICS
        keep = [m for m in read_metrics(self._path) if m["step"] <= first_step]
        if first_step == 0:
            keep = []
        write_whole(self._path, "".join(json.dumps(m) + "\n" for m in keep))
        self._trackers = trackers
        self._label, self._steps, self._first_step = label, steps, first_step
        self._shown = first_step
        self._start = self._logged = time.monotonic()
        self._bar = tqdm(total=steps, initial=first_step, unit="step", desc=label, disable=None, dynamic_ncols=True)

    def write(self, metrics: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(metrics) + "\n")
        values = numbers(metrics, metrics["kind"])
        # A checkpoint is committed some steps later, and wandb leaves out what comes with a step before its last.
        self._shown = max(self._shown, metrics["step"])
        for tracker in self._trackers if values else ():
            tracker.log(values, step=self._shown)

    def sync(self) -> None:
        """Flush what was written to the disk."""
        with self._path.open("a", encoding="utf-8") as file:
            os.fsync(file.fileno())

    def advance(self, step: int, loss: float, tokens_per_second: float) -> None:
        """Move the bar; where there is no terminal, log a line at most every half minute."""
        self._bar.update(step - self._bar.n)
        self._bar.set_postfix(loss=f"{loss:.3f}", tokens=f"{tokens_per_second:,.0f}/s")
        now = time.monotonic()
        if self._bar.disable and now - self._logged >= _SECONDS_BETWEEN_LINES:
            left = (self._steps - step) * (now - self._start) / (step - self._first_step)
            self._logged = now
            _log.info(
                "%s: step %d of %d, loss %.3f, %s tokens/s, %.0f min left",
                self._label, step, self._steps, loss, f"{tokens_per_second:,.0f}", left / 60,
            )  # fmt: skip

    def ends_at(self, steps: int) -> None:
        """The run ends at another step than was known when it began."""
        self._steps = self._bar.total = steps

    def close(self) -> None:
        for tracker in self._trackers:
            tracker.finish()
        self._bar.close()


def numbers(metrics: Mapping[str, Any], place: str) -> dict[str, float]:
    """All numbers of a line under names as trackers group them: validation/by_language/ko/mlm_loss."""
    found: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, dict):
            found |= numbers(value, f"{place}/{name}")
        elif isinstance(value, int | float) and name != "step":
            found[f"{place}/{name}"] = value
    return found
