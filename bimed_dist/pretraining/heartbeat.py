"""Heartbeats: a process that is dead, stopped, cut off or hung is named, and ends the job on every machine.

Collective operations wait for a missing process for up to half an hour and don't name it. So a thread of every rank
increments a counter in the job's store and reads the counters of the other ranks. A second thread evaluates them, since
the first may hang in the store when the network fails.

These threads keep running if the main thread hangs. So the counter comes with the number of places that the main thread
has passed: all ranks pass the same places in the same order, and a rank that stays behind in a training step hangs.
"""

import datetime
import faulthandler
import logging
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch.distributed as dist

from bimed_dist.errors import RankLostError
from bimed_dist.processes import parent_of

_log = logging.getLogger(__name__)
_PERIODS_TO_FIND_LOST = 5.0
"""How long to look for a lost rank after a communication error; torchrun kills processes after 30 seconds."""
_HANG_SECONDS = 300.0
"""Seconds behind the other ranks; half the time after which NCCL ends the process without naming a rank."""


def attempt() -> int:
    """Return how often torchrun has restarted this process with the same store, which keeps the keys of each attempt.

    0 if every start has a store of its own (torchrun's TORCH_DISABLE_SHARE_RDZV_TCP_STORE).
    """
    is_shared = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) if is_shared else 0


class Heartbeat:
    """Runs from its creation to `stop`; every rank creates one at the same time."""

    def __init__(self, rank: int, world_size: int, timeout: int, gather: Callable[[Any], list[Any]]) -> None:
        self._rank, self._timeout = rank, timeout
        self._period = min(max(1.0, world_size / 64), 4.0)  # if longer, `lost` would return after torchrun's SIGKILL
        self._place, self._progress_time, self._in_step = 0, 0.0, False
        self._keys = [f"alive/{attempt()}/{number}" for number in range(world_size)]
        address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        self._store_name = f"{address[0]}:{address[1]}"
        store_timeout = datetime.timedelta(seconds=timeout)
        self._store = dist.TCPStore(*address, is_master=False, wait_for_workers=False, timeout=store_timeout)
        self._store.set(self._keys[rank], "0 0")
        self._processes = gather((platform.node(), os.getpid(), os.getppid()))
        now = time.monotonic()
        self._answered = now
        self._seen: dict[int, tuple[bytes, float]] = {
            number: (b"", now) for number in range(world_size) if number != rank
        }
        self._places: dict[int, tuple[int, float]] = dict.fromkeys(self._seen, (0, now))
        faulthandler.register(signal.SIGUSR2)  # a hung process prints its stack before it is killed
        self._stopped = threading.Event()
        for target in (self._beat, self._judge):
            threading.Thread(target=target, name="heartbeat", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def mark_progress(self) -> None:
        """Count a place in the code that the main threads of all ranks pass in the same order."""
        self._place, self._progress_time = self._place + 1, time.monotonic()

    @contextmanager
    def training_step(self, may_hang: bool) -> Iterator[None]:
        """Mark a training step; with `may_hang`, a rank that stays behind the others in it counts as hanging."""
        self._in_step = may_hang
        try:
            yield
        finally:
            self._in_step = False

    def lost(self) -> RankLostError | None:
        """Return an error that names the ranks without recent heartbeats, None if there are none.

        To be called after a communication error; waits some periods for heartbeats.
        """
        deadline = time.monotonic() + _PERIODS_TO_FIND_LOST * self._period
        while time.monotonic() < deadline:
            silent = self._silent(2.5 * self._period)
            if silent:
                return RankLostError(f"{self._names(silent)} has gone; its own output may say why")
            if time.monotonic() - self._answered > 2.5 * self._period:
                return RankLostError(f"the job's store at {self._store_name} has gone, with the launcher or rank 0")
            time.sleep(0.1)
        return None

    def _beat(self) -> None:
        count = 0
        while not self._stopped.wait(self._period):
            count += 1
            try:
                self._store.set(self._keys[self._rank], f"{count} {self._place if self._in_step else 0}")
                values = self._store.multi_get(self._keys)
            except RuntimeError:  # `_judge` reports it if it persists
                continue
            now = time.monotonic()
            self._answered = now
            for rank, (value, _) in list(self._seen.items()):
                if values[rank] != value:
                    self._seen[rank] = (values[rank], now)
                    place = int(values[rank].split()[1])
                    if place != self._places[rank][0]:
                        self._places[rank] = (place, now)

    def _judge(self) -> None:
        last = time.monotonic()
        while not self._stopped.wait(0.5):
            now = time.monotonic()
            if now - last > 5:  # this process itself was stopped: restart all timeouts
                self._answered = self._progress_time = now
                self._seen = {rank: (value, now) for rank, (value, _) in self._seen.items()}
                self._places = {rank: (place, now) for rank, (place, _) in self._places.items()}
            last = now
            silent = self._silent(self._timeout)
            if silent:
                self._end(f"{self._names(silent)} has sent no heartbeat for {self._timeout} s", silent)
            hung = self._hung()
            if hung:
                self._end(
                    f"{self._names(hung)} hangs: {_HANG_SECONDS:.0f} s behind the other ranks in a training step", hung
                )
            if now - self._answered > self._timeout:
                self._end(
                    f"the job's store at {self._store_name} has not answered rank {self._rank} on {platform.node()} "
                    f"for {self._timeout} s: that machine, its launcher or the network is gone",
                    [],
                )

    def _silent(self, seconds: float) -> list[int]:
        if time.monotonic() - self._answered > min(seconds, 2.5 * self._period):
            return []  # the store does not answer, so nothing is known of any rank
        now = time.monotonic()
        return [rank for rank, (_, since) in self._seen.items() if now - since > seconds]

    def _hung(self) -> list[int]:
        waiting_since = time.monotonic() - _HANG_SECONDS
        if not self._in_step or self._progress_time > waiting_since:
            return []
        places = self._places.items()
        return [rank for rank, (place, since) in places if 0 < place < self._place and since < waiting_since]

    def _names(self, ranks: list[int]) -> str:
        return ", ".join(
            f"rank {rank} (process {self._processes[rank][1]} on {self._processes[rank][0]})" for rank in ranks
        )

    def _end(self, problem: str, ranks: list[int]) -> None:
        """End this process at once: its main thread waits where no exception reaches it.

        Processes of `ranks` that this machine's launcher started are killed too, since it would wait for them.
        """
        print(f"error: {problem}. The job ends; continue with --resume auto", file=sys.stderr, flush=True)
        launcher = platform.node(), os.getppid()
        here = [pid for host, pid, parent in (self._processes[rank] for rank in ranks) if (host, parent) == launcher]
        for number in (signal.SIGUSR2, signal.SIGKILL):
            for pid in here:
                if parent_of(pid) == os.getppid():
                    with suppress(ProcessLookupError):  # another rank has killed it
                        os.kill(pid, number)
            time.sleep(1)
        os._exit(RankLostError.exit_code)
