"""The operator that DeepSpeed compiles for CPUs, each time in processes and folders of its own."""

import os
import subprocess
import sys
import time

import pytest

TIMEOUT = 500
PROGRAM = "from bimed_dist.pretraining.cpu_operator import load_operator; load_operator(); print('loaded')"
pytestmark = pytest.mark.slow


def start(folder, root, program: str = PROGRAM, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(root), "TORCH_EXTENSIONS_DIR": str(folder), **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def ended(process) -> str:
    output, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0 and output.endswith("loaded\n"), output
    return output


def marks(folder):
    """What torch leaves where a builder is killed."""
    return list(folder.glob("*/building-*/*/lock"))


def test_a_killed_build_keeps_no_later_start_waiting_and_one_is_made_for_all(tmp_path, root):
    killed, deadline = start(tmp_path, root), time.monotonic() + TIMEOUT
    while not marks(tmp_path):
        assert killed.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    killed.kill()
    killed.communicate()
    assert marks(tmp_path), "torch removed its mark, so that nothing was tried"
    outputs = [ended(process) for process in [start(tmp_path, root) for _ in range(2)]]
    assert sum("compiling DeepSpeed's operator" in output for output in outputs) == 1
    (operator,) = tmp_path.glob("*/*.so")
    before = operator.stat().st_mtime_ns
    assert "compiling" not in ended(start(tmp_path, root))
    assert operator.stat().st_mtime_ns == before

    operator.write_bytes(b"cut")
    output, _ = start(tmp_path, root).communicate(timeout=TIMEOUT)
    assert f"{operator} can't be loaded" in output and f"remove {operator.parent}, it is made again" in output


def test_a_machine_without_a_compiler_is_told_what_is_missing_and_what_was_said(tmp_path, root):
    output, _ = start(tmp_path, root, CXX="/bin/false").communicate(timeout=TIMEOUT)
    assert "ConfigError: DeepSpeed's operator for CPUs can't be compiled in" in output
    assert "g++, python3-dev" in output and "/bin/false" in output.partition("What was said")[2]
    assert not list(tmp_path.glob("*/building-*"))


def test_where_locks_are_unknown_two_may_compile_side_by_side(tmp_path, root):
    unknown = (
        "import fcntl, errno\ndef flock(*_): raise OSError(errno.ENOLCK, 'No locks available')\nfcntl.flock = flock\n"
    )
    processes = [start(tmp_path, root, program=unknown + PROGRAM) for _ in range(2)]
    for process in processes:
        assert "can't be locked (No locks available)" in ended(process)
    assert len(list(tmp_path.glob("*/*.so"))) == 1 and not list(tmp_path.glob("*/building-*"))
