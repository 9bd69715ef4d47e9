"""Cells one after another, each computed by all processes of an `accelerate launch`.

The first process reads, checks, chooses, writes and tells; the others follow it.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from bimed_dist import ranks
from bimed_dist.errors import BimedError, Stopped
from bimed_dist.evaluation.grid.model_on_task import computed
from bimed_dist.evaluation.grid.schedule import Job, Schedule


@contextmanager
def first() -> Iterator[None]:
    """The first process's whole work, after which the others are let go. Nothing happens without a launcher."""
    ranks.connect()
    try:
        yield
    except Stopped:  # the others were told, or notice that this process ends
        raise
    except (BimedError, OSError):
        _let_go()
        raise
    _let_go()


def _let_go() -> None:
    if ranks.world_size() > 1:
        with suppress(Stopped):  # all that this process had to do is done
            ranks.broadcast(None)
            ranks.disconnect()


def fill(schedule: Schedule, told: Callable[[Job, dict[str, Any]], None]) -> None:
    """Compute every waiting cell; `told` hears of each one after the schedule has."""
    ranks.broadcast(schedule.pairs)
    while schedule.waiting:
        job = ranks.broadcast(schedule.waiting.popleft())
        record = computed(schedule.pairs, *job)
        schedule.take(job, record)
        told(job, record)


def follow() -> None:
    """What every other process does: its share of the cells that the first one names, until that lets it go.

    Where the first or another process ends early it ends too, and leaves it to the first to say why.
    """
    # A terminal and a batch system signal the whole group; the first process decides what it means.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    ranks.connect()
    with suppress(Stopped):
        pairs = ranks.broadcast(None)
        while pairs is not None and (job := ranks.broadcast(None)) is not None:
            computed(pairs, *job)
        ranks.disconnect()
