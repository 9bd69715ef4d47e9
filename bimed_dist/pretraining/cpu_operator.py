"""DeepSpeed's shared-memory operator for CPUs, compiled when training first starts on a machine.

torch marks a running build with a file. Where the builder is killed the file stays, and every later start waits for it
without a word and without an end (torch.utils.file_baton). So each build is made in a folder of its own and its result
moved to where all look for it. The lock only keeps them from compiling side by side: right without it too.
"""

import hashlib
import importlib.util
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch.utils.cpp_extension import get_default_build_root

from bimed_dist.errors import ConfigError
from bimed_dist.locking import locked

_log = logging.getLogger(__name__)


def load_operator() -> None:
    """Load what DeepSpeed needs for communication on CPUs before it compiles it in its own way; nothing on GPUs.

    Raises ConfigError where it can't be compiled.
    """
    from deepspeed import ops  # takes seconds, which jobs without DeepSpeed need not wait
    from deepspeed.accelerator import get_accelerator
    from deepspeed.ops.op_builder.builder import OpBuilder

    builder = get_accelerator().create_op_builder("ShareMemCommBuilder")
    if builder is None or not ops.__compatible_ops__.get(builder.NAME, False) or builder.name in OpBuilder._loaded_ops:
        return
    folder = build_folder()
    library = folder / f"{builder.name}.so"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / "lock", "DeepSpeed's operator for CPUs is being compiled", wait=True):
            if not library.is_file():
                _compile(builder, library)
        if builder.name not in OpBuilder._loaded_ops:
            OpBuilder._loaded_ops[builder.name] = _module(builder.name, library)
    except ImportError as error:
        raise ConfigError(f"{library} can't be loaded ({error}); remove {folder}, it is made again") from None
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        said = str(error).splitlines()  # all that ninja printed
        lines = [line for line in said if "error" in line.lower()] or said
        raise ConfigError(
            f"DeepSpeed's operator for CPUs can't be compiled in {folder}; it needs a C++ compiler, Python's headers "
            "(Debian: g++, python3-dev) and a folder that can be written to, which TORCH_EXTENSIONS_DIR chooses. What "
            f"was said ({type(error).__name__}):\n" + "\n".join(lines[:5])
        ) from None


def build_folder() -> Path:
    """Below torch's own folder. What is compiled suits one environment, one torch and one kind of processor."""
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    suits = (sys.prefix, sys.version, torch.__version__, flags and sorted(flags[1].split()))
    base = os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root()
    return Path(base) / f"bimed_dist-{hashlib.sha256(repr(suits).encode()).hexdigest()[:16]}"


def _compile(builder: Any, library: Path) -> None:
    """Also loads it, by the way."""
    _log.warning("compiling DeepSpeed's operator for CPUs, once on this machine; about a minute")
    before = {name: os.environ.get(name) for name in ("PATH", "TORCH_EXTENSIONS_DIR")}
    building = Path(tempfile.mkdtemp(prefix=f"building-{platform.node()}-", dir=library.parent))
    # ninja comes with this environment, activated or not.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{before['PATH'] or ''}"
    os.environ["TORCH_EXTENSIONS_DIR"] = str(building)
    try:
        builder.load(verbose=False)
        built = building / builder.name / library.name
        if built.is_file():  # not where DeepSpeed was installed with the operator
            built.replace(library)
    finally:
        shutil.rmtree(building, ignore_errors=True)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _module(name: str, library: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, library)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
