"""The order of trials: finished records are taken from disk, and a choice adds the test trials of its entry."""

from collections import deque
from collections.abc import Sequence

import numpy as np

from bimed_dist.evaluation.grid.choice import best_candidate, write_choice
from bimed_dist.evaluation.grid.model_on_task import Candidate, ModelOnTask, Trial
from bimed_dist.evaluation.grid.records import TrialRecord

Job = tuple[int, Trial]
"""Index of a grid entry, and one of its trials."""


class Schedule:
    """Trials in the order of the recipe; test trials come next as soon as their choice is made.

    Whoever runs a waiting trial passes its record to `add_record`.
    """

    def __init__(self, grid: Sequence[ModelOnTask]) -> None:
        self.grid = grid
        self.records: list[dict[Trial, TrialRecord]] = [{} for _ in grid]
        self.chosen: list[Candidate | None] = [None] * len(grid)
        self.dev_means: list[float | None] = [None] * len(grid)
        """Main development score of the chosen candidate, mean over seeds."""
        self.waiting: deque[Job] = deque()
        self._without_test: set[int] = set()
        for index, entry in enumerate(grid):
            for trial in entry.first_trials():
                self._add_trial(index, trial)

    def _add_trial(self, index: int, trial: Trial, first: bool = False) -> None:
        record = self.grid[index].read_record(trial)
        if record is not None:
            self.add_record((index, trial), record)
        elif first:
            self.waiting.appendleft((index, trial))
        else:
            self.waiting.append((index, trial))

    def trial_count(self, index: int) -> int:
        """Return the number of trials of an entry, with its test trials unless there is nothing to test."""
        entry = self.grid[index]
        test = len(entry.seeds) if entry.candidates and index not in self._without_test else 0
        return len(entry.first_trials()) + test

    def is_complete(self, index: int) -> bool:
        return len(self.records[index]) == self.trial_count(index)

    def add_record(self, job: Job, record: TrialRecord) -> None:
        """Add the record of a finished or failed trial; the last development trial leads to the choice."""
        index, trial = job
        entry, finished = self.grid[index], self.records[index]
        finished[trial] = record
        if not entry.candidates:
            return
        if trial.test:
            if self.is_complete(index):
                self._drop_weights(index, keep=None)
            return
        dev_scores = self._dev_scores(index)
        best = best_candidate(dev_scores)
        self._drop_weights(index, keep=best)
        if all(first in finished for first in entry.first_trials()):
            self._choose(index, dev_scores, best)

    def _choose(self, index: int, dev_scores: dict[Candidate, list[float]], best: Candidate | None) -> None:
        if best is None:
            self._without_test.add(index)
            return
        entry = self.grid[index]
        write_choice(entry, dev_scores, best)
        self.chosen[index], self.dev_means[index] = best, float(np.mean(dev_scores[best]))
        # Before all others, so that weights stay on the disk no longer than necessary.
        for trial in reversed(entry.test_trials(best)):
            self._add_trial(index, trial, first=True)

    def _finished_candidates(self, index: int) -> list[Candidate]:
        """Return the candidates that have a record for every seed."""
        entry, finished = self.grid[index], self.records[index]
        return [c for c in entry.candidates if all(Trial(c, seed) in finished for seed in entry.seeds)]

    def _dev_scores(self, index: int) -> dict[Candidate, list[float]]:
        """Return the main development score per seed of the candidates that have one for every seed."""
        entry, finished = self.grid[index], self.records[index]
        scores = {}
        for candidate in self._finished_candidates(index):
            records = [finished[Trial(candidate, seed)] for seed in entry.seeds]
            if all(record["status"] == "done" for record in records):
                scores[candidate] = [record["dev"][entry.prepared.task.metric] for record in records]
        return scores

    def _drop_weights(self, index: int, keep: Candidate | None) -> None:
        """Remove the weights of trials that can't be chosen any more."""
        entry = self.grid[index]
        for candidate in self._finished_candidates(index):
            if candidate != keep:
                for seed in entry.seeds:
                    entry.weights_path(Trial(candidate, seed)).unlink(missing_ok=True)
