"""Processes on this machine: parallel work, signal handlers, one GPU each, and ending together with the launcher.

Imports no large library: programs call it before they import torch.
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


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def in_processes(
    function: Callable[[Task], Result], tasks: Iterable[Task], count: int, if_killed: str
) -> Iterator[tuple[Task, Result]]:
    """Yield (task, result) in the order of completion. The first error cancels tasks that have not begun.

    At most two tasks per process are submitted at a time, so memory does not grow with their number. Raises DataError
    with the advice `if_killed` if a process was killed.
    """
    if count <= 1:
        yield from ((task, function(task)) for task in tasks)
        return
    tasks = iter(tasks)
    # Spawned, not forked: a fork copies locks that threads of the libraries may hold.
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
    """Keep spawned processes from running the main program's file, and all its imports, again."""
    main = vars(sys.modules["__main__"])
    file = main.pop("__file__", None)
    try:
        yield
    finally:
        if file is not None:
            main["__file__"] = file


@contextmanager
def signals_handled(handlers: Mapping[int, Any]) -> Iterator[None]:
    """Install signal handlers and restore the previous ones afterwards."""
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def require_gpu_each(gpus: int) -> None:
    """Raise ConfigError if a launcher started more processes on this machine than it has GPUs."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if local > gpus:
        raise ConfigError(
            f"{local} processes were started for {gpus} GPU(s); lower num_processes, or hide the GPUs with "
            "CUDA_VISIBLE_DEVICES= to compute on CPUs"
        )


def end_with_parent() -> None:
    """End this process when its parent ends; otherwise it would wait for tasks forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def end_with_launcher() -> None:
    """Ask the kernel for a signal when the launcher ends, so that no process is left on a machine.

    torchrun forwards signals, so if it ends first it was killed, and we are killed as well. accelerate's launcher of a
    single process forwards nothing and just ends, which we treat as a request to stop.
    """
    if sys.platform != "linux":
        return
    if "RANK" in os.environ:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    elif "ACCELERATE_MIXED_PRECISION" in os.environ:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # No signal comes from a launcher that ended before this call.
    if os.environ.keys() & {"TORCHELASTIC_RUN_ID", "ACCELERATE_MIXED_PRECISION"} and _is_orphan():
        print("error: the launcher of this process has gone; start the job again", file=sys.stderr, flush=True)
        os._exit(RankLostError.exit_code)


def _is_orphan() -> bool:
    """Return whether no ancestor of this process runs Python, as torchrun and accelerate's launchers do.

    The processes that adopt orphans (init, systemd, the first process of a container) do not.
    """
    pid = os.getppid()
    while pid:
        try:
            if b"python" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return False
        except OSError:
            return False  # unknown
        pid = parent_of(pid) or 0
    return True


def parent_of(pid: int) -> int | None:
    """Return the id of a process's parent, None if the process has ended."""
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the name, which is in brackets; empty if the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def stopped_with_parent() -> Callable[[], Any]:
    """Return a `preexec_fn`: the kernel asks the new process to stop, with a checkpoint, when its parent ends."""
    return functools.partial(ctypes.CDLL(None).prctl, _PR_SET_PDEATHSIG, signal.SIGTERM)


def launch_identity() -> str:
    """Return a name for this process's launcher: the same in all its restarts, unique per launch and machine."""
    parent = os.getppid()
    fields = _stat(parent)
    started = fields[19] if fields else "0"  # in clock ticks after the boot of the machine
    return f"{parent} on {platform.node()} started at {started}"
