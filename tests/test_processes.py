"""Work in several processes: results, errors, killed processes, and none left when the program ends."""

import os
import signal
import sys
import time

import psutil
import pytest

from bimed_dist.errors import DataError
from bimed_dist.processes import in_processes


@pytest.mark.parametrize("count", [1, 3])
def test_every_task_is_done_once_by_any_number_of_processes(count):
    assert sorted(in_processes(abs, iter(range(-20, 0)), count, "")) == [(-n, n) for n in range(20, 0, -1)]


def test_the_first_error_cancels_the_rest():
    with pytest.raises(ValueError, match="literal"):
        list(in_processes(int, ["x", *map(str, range(50))], 2, ""))


def test_a_killed_process_is_reported_with_advice():
    with pytest.raises(DataError, match=r"lack of memory; run again with fewer"):
        list(in_processes(os._exit, [1, 1], 2, "run again with fewer"))


def test_processes_end_with_the_program_that_started_them():
    code = "import time, bimed_dist.processes as p; list(p.in_processes(time.sleep, [600] * 4, 2, ''))"
    program = psutil.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 120
    while len(program.children(recursive=True)) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)
    children = program.children(recursive=True)
    assert len(children) >= 2
    program.send_signal(signal.SIGKILL)
    program.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
