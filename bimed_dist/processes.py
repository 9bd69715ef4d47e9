"""Processes of this machine: work in several, signals, a GPU for each, and ending with the launcher that started one.

Imports nothing large, so that a program can call it before it imports torch.
"""

import concurrent.futures
import ctypes
import functools
import itertools
import multiprocessing
import os
import platform
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from bimed_dist.errors import ConfigError, DataError, RankLostError

_PR_SET_PDEATHSIG = 1
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


def end_with_launcher() -> None:
    """Ask the kernel for a signal when our launcher is gone: nothing may be left on a machine.

    torchrun passes signals on, so where it is gone it was killed. accelerate's launcher of one process passes nothing
    on and just ends, which becomes a stop on request here.
    """
    if sys.platform != "linux":
        return
    if "RANK" in os.environ:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    elif "ACCELERATE_MIXED_PRECISION" in os.environ:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # One that went before that sends nothing.
    if os.environ.keys() & {"TORCHELASTIC_RUN_ID", "ACCELERATE_MIXED_PRECISION"} and _is_orphan():
        print("error: the launcher of this process has gone; start the job again", file=sys.stderr, flush=True)
        os._exit(RankLostError.exit_code)


def _is_orphan() -> bool:
    """Whether no process above this one is Python, as torchrun's and accelerate's launchers are; who adopts orphans
    (init, systemd, a container's first process) is not.
    """
    pid = os.getppid()
    while pid:
        try:
            if b"python" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return False
        except OSError:
            return False  # nothing can be said
        pid = parent_of(pid) or 0
    return True


def parent_of(pid: int) -> int | None:
    """None where that process is gone."""
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def _stat(pid: int) -> list[str]:
    """Of /proc/PID/stat what stands behind the name, which is in brackets and may hold anything; empty where that
    process is gone.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def stopped_with_parent() -> Callable[[], Any]:
    """For a new process to call first: the kernel asks it to stop, with a checkpoint, when its parent is gone."""
    return functools.partial(ctypes.CDLL(None).prctl, _PR_SET_PDEATHSIG, signal.SIGTERM)


def launch_identity() -> str:
    """Of the launcher that started this process: the same in all its restarts, another one in the next launch, and on
    every machine.
    """
    parent = os.getppid()
    fields = _stat(parent)
    started = fields[19] if fields else "0"  # clock ticks from the machine's start to the launcher's
    return f"{parent} on {platform.node()} started at {started}"
