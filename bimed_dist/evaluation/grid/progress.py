"""How far a grid is: one bar over all cells, or log lines where there is no terminal to draw it on."""

import logging
import time
from typing import Any

from tqdm import tqdm

from bimed_dist import progress
from bimed_dist.evaluation.grid.model_on_task import ModelOnTask, Trial
from bimed_dist.evaluation.grid.schedule import Job, Schedule

logger = logging.getLogger(__name__)
LOG_SECONDS = 300.0


def cost(pair: ModelOnTask, cell: Trial) -> float:
    """How long a cell takes, up to a factor: parameters x rows, three times as much for each epoch of training."""
    rows = pair.prepared.rows
    if cell.candidate is None:
        return pair.parameters * rows["test"]
    scored = sum(number for split, number in rows.items() if (split not in ("train", "dev")) == cell.test)
    trained = 0 if cell.test else (3 * cell.candidate.epochs - 1) * rows["train"]
    return pair.parameters * (scored + trained)


def costs(schedule: Schedule) -> float:
    """What is still to do, the test cells of choices that are not made yet included."""
    total = sum(cost(schedule.pairs[number], cell) for number, cell in schedule.waiting)
    for number, pair in enumerate(schedule.pairs):
        if pair.candidates and schedule.chosen[number] is None:
            total += sum(cost(pair, cell) for cell in pair.test_cells(pair.candidates[0]))
    return total


class Progress:
    """To be made before the first cell is computed; every finished one is told."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.started = time.monotonic()
        self.left = costs(schedule)
        self.done = 0.0
        self.made = [0] * len(schedule.pairs)
        self.bar = progress.Progress(
            "evaluation", self._total(), "cells", done=self._finished(), steady=False, seconds_per_line=LOG_SECONDS
        )
        logger.info("%d of %d cells are to be computed", self._total() - self._finished(), self._total())

    def _total(self) -> int:
        return sum(map(self.schedule.cells_of, range(len(self.schedule.pairs))))

    def _finished(self) -> int:
        return sum(map(len, self.schedule.records))

    def time_left(self) -> str:
        """As much for every cost as the cells of this run took; empty before the first and after the last."""
        remaining = max(0.0, self.left - self.done)
        if not self.done or self._finished() == self._total():
            return ""
        seconds = (time.monotonic() - self.started) / self.done * remaining
        return f"about {tqdm.format_interval(seconds)} left for {self._total() - self._finished()} cells"

    def tell(self, job: Job, record: dict[str, Any]) -> None:
        number, cell = job
        pair = self.schedule.pairs[number]
        self.made[number] += 1
        self.done += cost(pair, cell)
        if record["status"] == "failed":
            logger.warning("%s, %s failed: %s", pair.title, pair.path(cell).stem, record["error"])
        note = ", ".join(filter(None, [pair.title, self.time_left()]))
        self.bar.set(self._finished(), note, total=self._total())
        if self.schedule.is_whole(number):
            self.bar.log(self._ends(number))

    def _ends(self, number: int) -> str:
        pair, records = self.schedule.pairs[number], self.schedule.records[number].values()
        failed = sum(record["status"] == "failed" for record in records)
        line = f"{pair.title} ends: {len(records) - failed} of {len(records)} cells done, "
        line += f"{self.made[number]} of them computed now, {failed} failed"
        if self.schedule.means[number] is not None:
            line += f"; best dev score {self.schedule.means[number]:.4f}"
        left = self.time_left()
        return f"{line}; {left}" if left else line
