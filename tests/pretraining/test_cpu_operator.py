"""The operator that DeepSpeed compiles for CPUs, each time in processes and folders of its own."""

import sys
import uuid

import pytest

from .conftest import Program, wait_for

TIMEOUT = 500
PROGRAM = "from bimed_dist.pretraining.cpu_operator import load_operator; load_operator()"
pytestmark = pytest.mark.slow


def start(folder, root, program: str = PROGRAM, **more: str) -> Program:
    log = folder / f"{uuid.uuid4()}.log"
    return Program([sys.executable, "-c", program], log, root, TORCH_EXTENSIONS_DIR=str(folder), **more)


def ended(running: Program, code: int = 0) -> str:
    assert running.process.wait(TIMEOUT) == code, running.output()
    return running.output()


def marks(folder):
    """What torch leaves where a builder is killed."""
    return list(folder.glob("*/building-*/*/lock"))


def test_a_killed_build_keeps_no_later_start_waiting_and_one_is_made_for_all(tmp_path, root):
    killed = start(tmp_path, root)
    wait_for(lambda: marks(tmp_path), killed, TIMEOUT)
    killed.process.kill()
    killed.process.wait(5)
    assert marks(tmp_path), "torch removed its mark, so that nothing was tried"
    outputs = [ended(process) for process in [start(tmp_path, root) for _ in range(2)]]
    assert sum("compiling DeepSpeed's operator" in output for output in outputs) == 1
    (operator,) = tmp_path.glob("*/*.so")
    before = operator.stat().st_mtime_ns
    assert "compiling" not in ended(start(tmp_path, root))
    assert operator.stat().st_mtime_ns == before

    operator.write_bytes(b"cut")
    output = ended(start(tmp_path, root), code=1)
    assert f"{operator} can't be loaded" in output and f"remove {operator.parent}, it is made again" in output


def test_a_machine_without_a_compiler_is_told_what_is_missing_and_what_was_said(tmp_path, root):
    output = ended(start(tmp_path, root, CXX="/bin/false"), code=1)
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
