"""The operator that DeepSpeed compiles for CPUs: builds that are killed, fail, or run side by side.

The compiler is a script that takes seconds and copies the operator of this machine, which a real compiler has built.
"""

import shutil
import sys
import uuid

import pytest
from forks import wait_for

from bimed_dist.pretraining.cpu_operator import build_folder

from .conftest import Program

TIMEOUT = 500
PROGRAM = "from bimed_dist.pretraining.cpu_operator import load_operator; load_operator()"
COMPILER = """#!/bin/sh
out= ; dependencies= ; compile= ; last=
for word in "$@"; do
    case $last in -o) out=$word ;; -MF) dependencies=$word ;; esac
    [ "$word" = -c ] && compile=yes
    last=$word
done
if [ -z "$out" ]; then exec {compiler} "$@"; fi
if [ -n "$compile" ]; then sleep 2; echo "$out:" > "$dependencies"; touch "$out"; else cp {library} "$out"; fi
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def compiler(tmp_path_factory, root) -> str:
    """Path of the script; building the operator itself is what happens on a new machine."""
    program = Program([sys.executable, "-c", PROGRAM], tmp_path_factory.mktemp("real") / "log", root)
    assert program.process.wait(TIMEOUT) == 0, program.output()
    (library,) = build_folder().glob("*.so")
    path = tmp_path_factory.mktemp("compiler") / "c++"
    path.write_text(COMPILER.format(compiler=shutil.which("c++"), library=library))
    path.chmod(0o755)
    return str(path)


def start(folder, root, compiler: str, program: str = PROGRAM) -> Program:
    log = folder / f"{uuid.uuid4()}.log"
    return Program([sys.executable, "-c", program], log, root, TORCH_EXTENSIONS_DIR=str(folder), CXX=compiler)


def output_of(running: Program, code: int = 0) -> str:
    assert running.process.wait(TIMEOUT) == code, running.output()
    return running.output()


def marks(folder):
    """The files that torch leaves if a builder is killed."""
    return list(folder.glob("*/building-*/*/lock"))


def test_a_killed_build_keeps_no_later_start_waiting_and_one_build_serves_all(tmp_path, root, compiler):
    killed = start(tmp_path, root, compiler)
    wait_for(lambda: marks(tmp_path), killed, TIMEOUT)
    killed.process.kill()
    killed.process.wait(5)
    assert marks(tmp_path), "torch removed its mark, so that nothing was tried"
    outputs = [output_of(process) for process in [start(tmp_path, root, compiler) for _ in range(2)]]
    assert sum("compiling DeepSpeed's operator" in output for output in outputs) == 1
    (operator,) = tmp_path.glob("*/*.so")
    before = operator.stat().st_mtime_ns
    assert "compiling" not in output_of(start(tmp_path, root, compiler))
    assert operator.stat().st_mtime_ns == before

    operator.write_bytes(b"cut")
    output = output_of(start(tmp_path, root, compiler), code=1)
    assert f"{operator} can't be loaded" in output and f"remove {operator.parent}; it will be rebuilt" in output


def test_without_a_compiler_the_message_names_what_is_missing_and_the_output_of_the_build(tmp_path, root):
    output = output_of(start(tmp_path, root, "/bin/false"), code=1)
    assert "ConfigError: DeepSpeed's operator for CPUs can't be compiled in" in output
    assert "g++, python3-dev" in output and "/bin/false" in output.partition("Output of the build")[2]
    assert not list(tmp_path.glob("*/building-*"))


def test_on_a_file_system_without_locks_two_processes_may_compile_side_by_side(tmp_path, root, compiler):
    unknown = (
        "import fcntl, errno\ndef flock(*_): raise OSError(errno.ENOLCK, 'No locks available')\nfcntl.flock = flock\n"
    )
    processes = [start(tmp_path, root, compiler, unknown + PROGRAM) for _ in range(2)]
    for process in processes:
        assert "can't be locked (No locks available)" in output_of(process)
    assert len(list(tmp_path.glob("*/*.so"))) == 1 and not list(tmp_path.glob("*/building-*"))
