"""Which cell of the whole grid is next: what is on disk is taken, a choice opens the test cells of its pair."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from bimed_dist.evaluation.grid.choice import best, write_choice
from bimed_dist.evaluation.grid.model_on_task import Candidate, ModelOnTask, Trial, weights_path

Job = tuple[int, Trial]
"""Number of a pair, and one of its cells."""


class Schedule:
    """Cells in the order of the recipe, test cells as soon as their choice is made.

    Whoever computes a waiting cell gives its record to `take`.
    """

    def __init__(self, pairs: Sequence[ModelOnTask]) -> None:
        self.pairs = pairs
        self.records: list[dict[Trial, dict[str, Any]]] = [{} for _ in pairs]
        self.chosen: list[Candidate | None] = [None] * len(pairs)
        self.means: list[float | None] = [None] * len(pairs)
        """Development score of the chosen candidate, mean over seeds."""
        self.waiting: deque[Job] = deque()
        self._without_test: set[int] = set()
        for number, pair in enumerate(pairs):
            for cell in pair.first_cells():
                self._offer(number, cell)

    def _offer(self, number: int, cell: Trial, next_one: bool = False) -> None:
        record = self.pairs[number].record(cell)
        if record is not None:
            self.take((number, cell), record)
        elif next_one:
            self.waiting.appendleft((number, cell))
        else:
            self.waiting.append((number, cell))

    def cells_of(self, number: int) -> int:
        """Cells of a pair, the test cells included unless there is nothing to test."""
        pair = self.pairs[number]
        test = len(pair.seeds) if pair.candidates and number not in self._without_test else 0
        return len(pair.first_cells()) + test

    def is_whole(self, number: int) -> bool:
        return len(self.records[number]) == self.cells_of(number)

    def take(self, job: Job, record: dict[str, Any]) -> None:
        """Note the record of a finished cell, failed ones too."""
        number, cell = job
        pair, records = self.pairs[number], self.records[number]
        records[cell] = record
        if not pair.candidates:
            return
        if cell.test:
            if self.is_whole(number):
                self._drop_weights(number, keep=None)
            return
        means = self._dev_scores(number)
        chosen = best(means)
        self._drop_weights(number, keep=chosen)
        if any(first not in records for first in pair.first_cells()):
            return
        if chosen is None:
            self._without_test.add(number)
            return
        write_choice(pair, means, chosen)
        self.chosen[number], self.means[number] = chosen, float(np.mean(means[chosen]))
        # Before all others, so that the weights don't lie on the disk for longer than they must.
        for test in reversed(pair.test_cells(chosen)):
            self._offer(number, test, next_one=True)

    def _finished(self, number: int) -> list[Candidate]:
        """Candidates whose seeds all have a record."""
        pair, records = self.pairs[number], self.records[number]
        return [c for c in pair.candidates if all(Trial(c, seed) in records for seed in pair.seeds)]

    def _dev_scores(self, number: int) -> dict[Candidate, list[float]]:
        """Main development score per seed of the candidates that have all of them."""
        pair, records = self.pairs[number], self.records[number]
        scores = {}
        for candidate in self._finished(number):
            found = [records[Trial(candidate, seed)] for seed in pair.seeds]
            if all(record["status"] == "done" for record in found):
                scores[candidate] = [record["dev"][pair.prepared.task.metric] for record in found]
        return scores

    def _drop_weights(self, number: int, keep: Candidate | None) -> None:
        """Remove the weights of cells that can't be chosen any more."""
        pair = self.pairs[number]
        for candidate in self._finished(number):
            if candidate != keep:
                for seed in pair.seeds:
                    weights_path(pair, Trial(candidate, seed)).unlink(missing_ok=True)
