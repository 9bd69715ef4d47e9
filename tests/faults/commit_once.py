"""Two ranks that commit one checkpoint, as forked processes; strace breaks one system call of one of them."""

import hashlib
import os
import pickle
import socket
import subprocess
import time
from pathlib import Path

from bimed_dist.errors import CheckpointError
from bimed_dist.pretraining import checkpoints


class Pair:
    """One of two ranks, which exchange values over a socket."""

    world_size = 2

    def __init__(self, rank: int, end: socket.socket) -> None:
        self.rank = rank
        self._socket = end
        self._lines = end.makefile("r")

    def gather(self, value):
        self._socket.sendall(pickle.dumps(value).hex().encode() + b"\n")
        line = self._lines.readline()
        if not line:
            os._exit(3)  # the other rank has gone
        other = pickle.loads(bytes.fromhex(line))
        return [value, other] if self.rank == 0 else [other, value]


class Inline(checkpoints.threading.Thread):
    """All system calls in one thread, so that they can be counted."""

    def start(self) -> None:
        self.run()

    def is_alive(self) -> bool:
        return False

    def join(self, timeout: float | None = None) -> None:
        pass


def write_share(rank: int):
    def write(folder: Path) -> checkpoints.Files:
        content = bytes([rank]) * 5000
        path = folder / f"rank-{rank}"
        with path.open("wb", buffering=0) as file:
            file.write(content)
            os.fsync(file.fileno())
        return {path.name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}}

    return write


def commit(parent: Path, step: int, patch: str, *, trace: str = "", traced: int = 0, log: Path) -> list[int]:
    """Commit a checkpoint with two ranks; return their exit codes.

    0: committed, 2: CheckpointError, 3: the other rank has gone, negative: killed. `patch` is Python that both run
    first. `trace` is an expression of strace for the system calls of rank `traced`, which are written to `log`.
    """
    ends, gates = socket.socketpair(), [os.pipe() for _ in range(2)]
    pids = [_fork_rank(parent, step, rank, ends, gates, patch) for rank in range(2)]
    tracer = None
    if trace:
        command = ["strace", "-y", "-s", "0", "-o", str(log), "-e", trace, "-p", str(pids[traced])]
        tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while "TracerPid:\t0\n" in Path(f"/proc/{pids[traced]}/status").read_text(encoding="utf-8"):
            assert tracer.poll() is None, "strace could not attach"
            time.sleep(0.002)
    for end in ends:
        end.close()
    for reading, writing in gates:
        os.write(writing, b"x")
        os.close(writing)
        os.close(reading)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    if tracer is not None:
        tracer.wait(60)
    return codes


def _fork_rank(parent: Path, step: int, rank: int, ends, gates, patch: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        ends[1 - rank].close()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.read(gates[rank][0], 1)  # until it is traced
        checkpoints.threading.Thread = Inline
        exec(patch, {"checkpoints": checkpoints})
        saver = checkpoints.Saver(parent, Pair(rank, ends[rank]), keep=1)
        saver.start(step, write_share(rank), {})
        saver.finish()
        os._exit(0)
    except CheckpointError:
        os._exit(2)
    finally:
        os._exit(1)
