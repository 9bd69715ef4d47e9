"""A process and the launcher that started it. Imports nothing large, so that it can be called before torch is."""

import ctypes
import functools
import os
import platform
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bimed_dist.errors import RankLostError

_PR_SET_PDEATHSIG = 1


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
