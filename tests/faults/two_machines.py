"""Two machines made of network namespaces on one, joined by a pair of virtual links that can be cut. For root."""

import contextlib
import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from forks import ROOT

NAMES = ("bimed-a", "bimed-b")
ADDRESSES = ("10.99.7.1", "10.99.7.2")


@contextlib.contextmanager
def network() -> Iterator[None]:
    """Make the two machines; another process that wants them waits, since their names exist once per machine."""
    with Path(tempfile.gettempdir(), "bimed-two-machines.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _remove_machines()  # left by a process that was killed
        for name in NAMES:
            _ip("netns", "add", name)
        _ip("link", "add", "wire", "netns", NAMES[0], "type", "veth", "peer", "name", "wire", "netns", NAMES[1])
        for name, address in zip(NAMES, ADDRESSES, strict=True):
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", "wire")
            _ip("-n", name, "link", "set", "wire", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        yield
        _remove_machines()


def _remove_machines() -> None:
    for name in NAMES:
        subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)


def cut() -> None:
    _ip("-n", NAMES[0], "link", "set", "wire", "down")


def restore() -> None:
    _ip("-n", NAMES[0], "link", "set", "wire", "up")


def launch(
    arguments: Sequence[str], log_folder: Path, *of_launcher: str, launcher: str = "multi_node.yaml"
) -> list[subprocess.Popen]:
    """The training program by a file of ds_configs/accelerate, one process on each machine; the launchers."""
    config = ROOT / "ds_configs" / "accelerate" / launcher
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "GLOO_SOCKET_IFNAME": "wire"}
    started = []
    for number, name in enumerate(NAMES):
        command = ["ip", "netns", "exec", name, sys.executable, "-m", "accelerate.commands.launch"]
        command += ["--config_file", str(config), "--machine_rank", str(number), "--num_processes", "2"]
        command += ["--main_process_ip", ADDRESSES[0], "--main_process_port", "29511"]
        command += [*of_launcher, "launch/pretrain.py", *arguments]
        with (log_folder / f"{name}.log").open("a") as log:
            started.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log))
    return started


def logs(folder: Path) -> str:
    return "\n".join((folder / f"{name}.log").read_text(errors="replace") for name in NAMES)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
