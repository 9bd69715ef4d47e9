"""One rank of a pair that commits one checkpoint; the campaign runs it under strace, which breaks one system call.

    python tests/faults/commit_once.py PARENT STEP RANK SOCKET [PATCH]

Exit code 0: committed. 2: CheckpointError. 3: the other rank has gone.
"""

import hashlib
import os
import pickle
import socket
import sys
from pathlib import Path

from bimed_dist.errors import CheckpointError
from bimed_dist.pretraining import checkpoints


class Pair:
    """Two ranks that talk over a socket."""

    world_size = 2

    def __init__(self, rank: int, descriptor: int) -> None:
        self.rank = rank
        self._socket = socket.socket(fileno=descriptor)
        self._lines = self._socket.makefile("r")

    def gather(self, value):
        self._socket.sendall(pickle.dumps(value).hex().encode() + b"\n")
        line = self._lines.readline()
        if not line:
            os._exit(3)
        other = pickle.loads(bytes.fromhex(line))
        return [value, other] if self.rank == 0 else [other, value]


def write(rank: int):
    def write_share(folder: Path) -> checkpoints.Files:
        content = bytes([rank]) * 5000
        path = folder / f"rank-{rank}"
        with path.open("wb", buffering=0) as file:
            file.write(content)
            os.fsync(file.fileno())
        return {path.name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}}

    return write_share


class Inline(checkpoints.threading.Thread):
    """All system calls in one thread, so that they can be counted."""

    def start(self) -> None:
        self.run()

    def is_alive(self) -> bool:
        return False

    def join(self, timeout: float | None = None) -> None:
        pass


def main() -> None:
    parent, step, rank, descriptor = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    checkpoints.threading.Thread = Inline
    exec(sys.argv[5] if len(sys.argv) > 5 else "", {"checkpoints": checkpoints})
    saver = checkpoints.Saver(parent, Pair(rank, descriptor), keep=1)
    saver.start(step, write(rank), {})
    try:
        saver.finish()
    except CheckpointError as error:
        print(error, file=sys.stderr)
        os._exit(2)
    os._exit(0)


if __name__ == "__main__":
    main()
