"""DeepSpeed's shared-memory operator for CPUs, compiled when training first starts on a machine.

torch marks a running build with a file. If the builder is killed, the file stays, and every later start waits for it
silently and forever (torch.utils.file_baton). So each build uses a folder of its own, and its result is moved to the
shared place. The lock only avoids parallel builds; correctness does not depend on it.
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
    """Load DeepSpeed's communication operator for CPUs before DeepSpeed compiles it itself; do nothing on GPUs.

    Raises ConfigError if it can't be compiled or loaded.
    """
    from deepspeed import ops  # takes seconds, which jobs without DeepSpeed need not wait for
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
        raise ConfigError(f"{library} can't be loaded ({error}); remove {folder}; it will be rebuilt") from None
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        output = str(error).splitlines()  # everything that ninja printed
        lines = [line for line in output if "error" in line.lower()] or output
        raise ConfigError(
            f"DeepSpeed's operator for CPUs can't be compiled in {folder}; it needs a C++ compiler, Python's headers "
            "(Debian: g++, python3-dev) and a writable folder, which TORCH_EXTENSIONS_DIR chooses. Output of "
            f"the build ({type(error).__name__}):\n" + "\n".join(lines[:5])
        ) from None


def build_folder() -> Path:
    """Return the folder of the compiled operator, one per environment, torch version and kind of processor."""
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    fits = (sys.prefix, sys.version, torch.__version__, flags and sorted(flags[1].split()))
    base = os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root()
    return Path(base) / f"bimed_dist-{hashlib.sha256(repr(fits).encode()).hexdigest()[:16]}"


def _compile(builder: Any, library: Path) -> None:
    """Compile and load the operator."""
    _log.warning("compiling DeepSpeed's operator for CPUs, once on this machine; it takes about a minute")
    before = {name: os.environ.get(name) for name in ("PATH", "TORCH_EXTENSIONS_DIR")}
    building = Path(tempfile.mkdtemp(prefix=f"building-{platform.node()}-", dir=library.parent))
    # ninja is installed in this environment, which need not be activated.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{before['PATH'] or ''}"
    os.environ["TORCH_EXTENSIONS_DIR"] = str(building)
    try:
        builder.load(verbose=False)
        built = building / builder.name / library.name
        if built.is_file():  # not if DeepSpeed was installed with the operator
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
