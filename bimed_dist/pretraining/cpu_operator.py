"""DeepSpeed's shared-memory operator for CPUs, compiled when training first starts on a machine.

torch marks a running build with a file. Where the builder is killed the file stays, and every later start waits for it
without a word and without an end (torch.utils.file_baton). So each build is made in a folder of its own that gets its
name when it is done, under a lock of the kernel, which goes with its process.
"""

import fcntl
import hashlib
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.utils.cpp_extension import get_default_build_root

from bimed_dist.errors import ConfigError

_log = logging.getLogger(__name__)


def load_operator() -> None:
    """Compile and load what DeepSpeed needs for communication on CPUs, before it does so by itself; nothing on GPUs.

    Raises ConfigError where it can't be compiled.
    """
    from deepspeed import ops  # takes seconds, which jobs without DeepSpeed need not wait
    from deepspeed.accelerator import get_accelerator

    builder = get_accelerator().create_op_builder("ShareMemCommBuilder")
    if builder is None or not ops.__compatible_ops__.get(builder.NAME, False):
        return
    folder = build_folder()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_name(f"{folder.name}.lock")) as alone:
            if folder.is_dir():
                if alone:  # so who made this mark has ended
                    (folder / builder.name / "lock").unlink(missing_ok=True)
                _load(builder, folder)
            else:
                _compile(builder, folder)
    except (OSError, RuntimeError, ImportError, subprocess.SubprocessError) as error:
        first_line = (str(error).splitlines() or [""])[0]
        raise ConfigError(
            f"DeepSpeed's operator for CPUs can't be compiled in {folder} ({type(error).__name__}: {first_line}); it "
            "needs a C++ compiler and Python's headers (Debian: g++, python3-dev), and a folder that can be written "
            "to, which TORCH_EXTENSIONS_DIR chooses"
        ) from None


def build_folder() -> Path:
    """Below torch's own folder. What is compiled suits one environment, one torch and one kind of processor."""
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    suits = (sys.prefix, sys.version, torch.__version__, flags and sorted(flags[1].split()))
    base = os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root()
    return Path(base) / f"bimed_dist-{hashlib.sha256(repr(suits).encode()).hexdigest()[:16]}"


def _compile(builder, folder: Path) -> None:
    _log.info("compiling DeepSpeed's operator for CPUs in %s, once; about a minute", folder)
    for left_over in folder.parent.glob(f"{folder.name}.building-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    # A killed builder's compilers may still write to theirs.
    unfinished = folder.with_name(f"{folder.name}.building-{platform.node()}-{os.getpid()}")
    _load(builder, unfinished)
    if unfinished.is_dir():  # not where DeepSpeed was installed with the operator
        unfinished.rename(folder)


def _load(builder, folder: Path) -> None:
    before = {name: os.environ.get(name) for name in ("PATH", "TORCH_EXTENSIONS_DIR")}
    # ninja comes with this environment, activated or not.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{before['PATH'] or ''}"
    os.environ["TORCH_EXTENSIONS_DIR"] = str(folder)
    try:
        builder.load(verbose=False)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Wait until no other process builds; False where the file system knows no locks."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            alone = True
        except OSError as error:
            _log.warning("%s can't be locked (%s); where a start hangs, remove the file `lock` below it", path, error)
            alone = False
        yield alone
