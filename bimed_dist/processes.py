"""Processes of this machine: work in several that end with the program that started them, signals, GPUs for each."""

import concurrent.futures
import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from bimed_dist.errors import ConfigError, DataError

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_processes(
    function: Callable[[Task], Result], tasks: Iterable[Task], count: int, if_killed: str
) -> Iterator[tuple[Task, Result]]:
    """(task, result) in the order in which they are finished. The first error stops what has not begun.

    At most two tasks a process are waiting, as tasks or as results, so that memory does not follow their number. Raises
    DataError with the advice `if_killed` where a process was killed.
    """
    if count <= 1:
        yield from ((task, function(task)) for task in tasks)
        return
    tasks = iter(tasks)
    # Processes are spawned: a fork would copy the threads of the libraries in the middle of what they do.
    context = multiprocessing.get_context("spawn")
    with (
        main_program_hidden(),
        concurrent.futures.ProcessPoolExecutor(count, context, initializer=end_with_parent) as pool,
    ):
        try:
            waiting = {pool.submit(function, task): task for task in itertools.islice(tasks, 2 * count)}
            while waiting:
                finished, _ = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in finished:
                    yield waiting.pop(future), future.result()
                    waiting.update((pool.submit(function, task), task) for task in itertools.islice(tasks, 1))
        except concurrent.futures.process.BrokenProcessPool:
            raise DataError(f"a process was killed, most likely for lack of memory; {if_killed}") from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def main_program_hidden() -> Iterator[None]:
    """A spawned process runs the file of the main program again, with all that it imports (torch, in the pipeline)."""
    main = vars(sys.modules["__main__"])
    file = main.pop("__file__", None)
    try:
        yield
    finally:
        if file is not None:
            main["__file__"] = file


@contextmanager
def signals_handled(handlers: Mapping[int, Any]) -> Iterator[None]:
    """These handlers for these signals, and afterwards what was there before."""
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def require_gpu_each(gpus: int) -> None:
    """ConfigError where a launcher started more processes on this machine than it has GPUs."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if local > gpus:
        raise ConfigError(
            f"{local} processes were started for {gpus} GPU(s); lower num_processes, or hide the GPUs with "
            "CUDA_VISIBLE_DEVICES= to compute on CPUs"
        )


def end_with_parent() -> None:
    """A process whose parent was killed would wait for tasks for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
