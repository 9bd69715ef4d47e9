"""Trials one after another, each run by all processes of an `accelerate launch` together.

Rank 0 reads, checks, chooses, writes and reports; the others call `follow_rank_0`.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from bimed_dist import ranks
from bimed_dist.errors import BimedError, Stopped
from bimed_dist.evaluation.grid.records import TrialRecord
from bimed_dist.evaluation.grid.running import run_trial_of
from bimed_dist.evaluation.grid.schedule import Job, Schedule


@contextmanager
def as_rank_0() -> Iterator[None]:
    """Connect to the other processes of a launch, and release them at the end. Does nothing without a launcher."""
    ranks.connect()
    try:
        yield
    except Stopped:  # The other processes stop too, or notice that this one ends.
        raise
    except (BimedError, OSError):
        _release_others()
        raise
    _release_others()


def _release_others() -> None:
    if ranks.world_size() > 1:
        with suppress(Stopped):  # Rank 0 has finished its work, so a lost connection does not matter any more.
            ranks.broadcast(None)
            ranks.disconnect()


def run_trials(schedule: Schedule, report: Callable[[Job, TrialRecord], None]) -> None:
    """Run every waiting trial on rank 0; `report` is called after the schedule has the record."""
    ranks.broadcast(schedule.grid)
    while schedule.waiting:
        job = ranks.broadcast(schedule.waiting.popleft())
        record = run_trial_of(schedule.grid, *job)
        schedule.add_record(job, record)
        report(job, record)


def follow_rank_0() -> None:
    """Run this process's share of every trial that rank 0 broadcasts, until it releases this process.

    If any process ends early this one ends too; rank 0 reports the reason.
    """
    # A terminal and a batch system signal the whole group; rank 0 decides how to stop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    ranks.connect()
    with suppress(Stopped):
        grid = ranks.broadcast(None)
        while grid is not None and (job := ranks.broadcast(None)) is not None:
            run_trial_of(grid, *job)
        ranks.disconnect()
