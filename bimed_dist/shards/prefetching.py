"""Batches of the next step, prepared by a thread while the current step is trained."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Protocol, TypeVar

from bimed_dist.shards.packing import PackedBatch

Result = TypeVar("Result")


class Batches(Protocol):
    """What a prefetcher needs of `TrainingBatches`."""

    def step_batches(self, step: int, *, rank: int, world_size: int) -> list[PackedBatch]: ...

    def prefetch_plan(self, step: int) -> None: ...


class Prefetcher:
    """One rank's micro-batches by step, with those of the following step and the next epoch's plan prefetched."""

    def __init__(self, batches: Batches, *, rank: int, world_size: int, end: int) -> None:
        """`end`: first step not to prepare (exclusive)."""
        self._batches, self._end = batches, end
        self._prepare = partial(batches.step_batches, rank=rank, world_size=world_size)
        self._next: tuple[int, Future[list[PackedBatch]]] | None = None

    def batches(self, step: int) -> list[PackedBatch]:
        """Return the micro-batches of `step`, in any order of steps. An error of the thread is raised at its step."""
        if self._next is None or self._next[0] != step:
            self._next = step, run_in_thread(partial(self._prepare, step))
        ready = self._next[1].result()
        self._batches.prefetch_plan(step)
        following = step + 1
        self._next = (following, run_in_thread(partial(self._prepare, following))) if following < self._end else None
        return ready


def run_in_thread(function: Callable[[], Result]) -> Future[Result]:
    """Return the future result or error of `function`, computed by a daemon thread.

    An executor's thread would delay the end of the process: by minutes, if it is computing a plan.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="batches", daemon=True).start()
    return future
