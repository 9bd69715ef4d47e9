"""Progress of the grid: one bar over all trials, or log lines without a terminal."""

import logging
import time

from tqdm import tqdm

from bimed_dist.evaluation.grid.model_on_task import ModelOnTask, Trial
from bimed_dist.evaluation.grid.records import TrialRecord
from bimed_dist.evaluation.grid.schedule import Job, Schedule
from bimed_dist.progress import Progress

logger = logging.getLogger(__name__)
SECONDS_PER_LINE = 300.0


def cost(entry: ModelOnTask, trial: Trial) -> float:
    """Return the relative duration of a trial: parameters x rows, three times that for each epoch of training."""
    rows = entry.prepared.rows
    if trial.candidate is None:
        return entry.parameters * rows["test"]
    scored = sum(number for split, number in rows.items() if (split not in ("train", "dev")) == trial.test)
    trained = 0 if trial.test else (3 * trial.candidate.epochs - 1) * rows["train"]
    return entry.parameters * (scored + trained)


def remaining_cost(schedule: Schedule) -> float:
    """Return the cost of all trials to run, including test trials whose candidate is not chosen yet."""
    total = sum(cost(schedule.grid[index], trial) for index, trial in schedule.waiting)
    for index, entry in enumerate(schedule.grid):
        if entry.candidates and schedule.chosen[index] is None:
            total += sum(cost(entry, trial) for trial in entry.test_trials(entry.candidates[0]))
    return total


class GridProgress:
    """Create it before the first trial runs, and call `report` after each."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self._start = time.monotonic()
        self._cost, self._cost_done = remaining_cost(schedule), 0.0
        self._run_now = [0] * len(schedule.grid)
        self.bar = Progress(
            *("evaluation", self._total(), "trials"),
            done=self._finished(),
            steady=False,
            seconds_per_line=SECONDS_PER_LINE,
        )
        logger.info("%d of %d trials to run", self._total() - self._finished(), self._total())

    def _total(self) -> int:
        return sum(map(self.schedule.trial_count, range(len(self.schedule.grid))))

    def _finished(self) -> int:
        return sum(map(len, self.schedule.records))

    def time_left(self) -> str:
        """Estimate from the cost and time of the trials so far; empty before the first and after the last trial."""
        remaining = max(0.0, self._cost - self._cost_done)
        if not self._cost_done or self._finished() == self._total():
            return ""
        seconds = (time.monotonic() - self._start) / self._cost_done * remaining
        return f"about {tqdm.format_interval(seconds)} left for {self._total() - self._finished()} trials"

    def report(self, job: Job, record: TrialRecord) -> None:
        """Show a finished trial, whose record the schedule already has; a failure is logged as a warning."""
        index, trial = job
        entry = self.schedule.grid[index]
        self._run_now[index] += 1
        self._cost_done += cost(entry, trial)
        if record["status"] == "failed":
            logger.warning("%s, %s failed: %s", entry.title, entry.record_path(trial).stem, record["error"])
        note = ", ".join(filter(None, [entry.title, self.time_left()]))
        self.bar.set(self._finished(), note, total=self._total())
        if self.schedule.is_complete(index):
            self.bar.log(self._summary(index))

    def _summary(self, index: int) -> str:
        records = self.schedule.records[index].values()
        failed = sum(record["status"] == "failed" for record in records)
        line = f"{self.schedule.grid[index].title} finished: {len(records) - failed} of {len(records)} trials done, "
        line += f"{self._run_now[index]} of them now, {failed} failed"
        if self.schedule.dev_means[index] is not None:
            line += f"; best dev score {self.schedule.dev_means[index]:.4f}"
        left = self.time_left()
        return f"{line}; {left}" if left else line
