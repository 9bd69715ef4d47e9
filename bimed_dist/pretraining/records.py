"""What a run writes while it trains: metrics.jsonl, trackers, a progress bar. Rank 0 only."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from bimed_dist.manifest import write_whole
from bimed_dist.metrics_log import read_metrics
from bimed_dist.progress import Progress
from bimed_dist.workspace import METRICS


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
        self._shown = first_step
        self._progress = Progress(label, steps, "steps", done=first_step)

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
        self._progress.set(step, f"loss {loss:.3f}, {tokens_per_second:,.0f} tokens/s")

    def ends_at(self, steps: int) -> None:
        """Show another last step than was known when the run began."""
        self._progress.total = steps

    def close(self) -> None:
        for tracker in self._trackers:
            tracker.finish()
        self._progress.close()


def numbers(metrics: Mapping[str, Any], place: str) -> dict[str, float]:
    """All numbers of a line under names as trackers group them: validation/by_language/ko/mlm_loss."""
    found: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, dict):
            found |= numbers(value, f"{place}/{name}")
        elif isinstance(value, int | float) and name != "step":
            found[f"{place}/{name}"] = value
    return found
