"""A process ends with the launcher that started it. Imports nothing large, so that it can be called before torch is."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_launcher() -> None:
    """Ask the kernel for a signal when our launcher is gone: nothing may be left on a machine.

    torchrun passes signals on, so where it is gone it was killed. accelerate's launcher of one process passes nothing
    on and just ends, which becomes a stop with a checkpoint here.
    """
    if sys.platform != "linux":
        return
    if "RANK" in os.environ:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    elif "ACCELERATE_MIXED_PRECISION" in os.environ:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
