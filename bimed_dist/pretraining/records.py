"""What a run records while it trains: metrics.jsonl, trackers, progress. Rank 0 only."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from bimed_dist.manifest import write_atomically
from bimed_dist.metrics_log import read_metrics
from bimed_dist.progress import Progress
from bimed_dist.workspace import METRICS


class Tracker(Protocol):
    """The common interface of accelerate's trackers."""

    def log(self, values: dict[str, float], step: int) -> None: ...

    def finish(self) -> None: ...


class RunRecord:
    """Appends lines to metrics.jsonl; a resume first removes the lines after the step of the checkpoint."""

    def __init__(self, folder: Path, trackers: Sequence[Tracker], *, first_step: int, steps: int, label: str) -> None:
        self._path = folder / METRICS
        kept = [line for line in read_metrics(self._path) if line["step"] <= first_step] if first_step else []
        write_atomically(self._path, "".join(json.dumps(line) + "\n" for line in kept))
        self._trackers = trackers
        self._tracked_step = first_step
        self._progress = Progress(label, steps, "steps", done=first_step)

    def write(self, metrics: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(metrics) + "\n")
        values = numbers(metrics, metrics["kind"])
        # A checkpoint is committed some steps later, and wandb ignores values of steps before its latest.
        self._tracked_step = max(self._tracked_step, metrics["step"])
        for tracker in self._trackers if values else ():
            tracker.log(values, step=self._tracked_step)

    def sync(self) -> None:
        """Flush metrics.jsonl to disk."""
        with self._path.open("a", encoding="utf-8") as file:
            os.fsync(file.fileno())

    def advance(self, step: int, loss: float, tokens_per_second: float) -> None:
        self._progress.set(step, f"loss {loss:.3f}, {tokens_per_second:,.0f} tokens/s")

    def set_end(self, steps: int) -> None:
        """Set the number of steps, which training_hours may have reduced."""
        self._progress.total = steps

    def close(self) -> None:
        for tracker in self._trackers:
            tracker.finish()
        self._progress.close()


def numbers(metrics: Mapping[str, Any], prefix: str) -> dict[str, float]:
    """Return all numbers of a line under names that trackers group by: validation/by_language/ko/mlm_loss."""
    flat: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, dict):
            flat |= numbers(value, f"{prefix}/{name}")
        elif isinstance(value, int | float) and name != "step":
            flat[f"{prefix}/{name}"] = value
    return flat
