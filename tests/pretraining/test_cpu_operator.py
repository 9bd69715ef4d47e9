"""The operator that DeepSpeed compiles for CPUs, each time in processes and folders of its own."""

import os
import subprocess
import sys
import time

import pytest

TIMEOUT = 500
PROGRAM = "from bimed_dist.pretraining.cpu_operator import load_operator; load_operator(); print('loaded')"
pytestmark = pytest.mark.slow


def start(folder, root, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": str(root), "TORCH_EXTENSIONS_DIR": str(folder), **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def ended(process) -> str:
    output, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0 and output.endswith("loaded\n"), output
    return output


def marks(folder):
    """What torch leaves where a builder is killed."""
    return list(folder.glob("*/*/lock"))


def test_a_killed_build_keeps_no_later_start_waiting_and_is_made_once(tmp_path, root):
    killed, deadline = start(tmp_path, root), time.monotonic() + TIMEOUT
    while not marks(tmp_path):
        assert killed.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    killed.kill()
    killed.communicate()
    assert marks(tmp_path), "torch removed its mark, so that nothing was tried"
    for process in [start(tmp_path, root) for _ in range(2)]:
        ended(process)
    (built,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert ".building-" not in built.name and not marks(tmp_path)

    operator = next(built.glob("*/*.so"))
    before = operator.stat().st_mtime_ns
    (operator.parent / "lock").touch()  # killed while it looked whether there is something to compile
    ended(start(tmp_path, root))
    assert operator.stat().st_mtime_ns == before and not marks(tmp_path)


def test_a_machine_without_a_compiler_is_told_what_is_missing(tmp_path, root):
    process = start(tmp_path, root, CXX="/bin/false")
    output, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode
    last = output.strip().splitlines()[-1]
    assert "ConfigError: DeepSpeed's operator for CPUs can't be compiled in" in last and "g++, python3-dev" in last
