"""Signs of life: a process that is dead, stopped, cut off or hung is named, and ends the job on every machine.

Collective operations wait for a process that does not come, for up to half an hour, and don't say which one it was. So
every rank counts up in the job's store, from a thread, and looks at the others' counters. A second thread judges, since
the first may hang in the store when the network is gone.

These threads live on where the main thread hangs. So with its count a rank tells how far its main thread has come: all
ranks come to the same places in the same order, and one that stays behind in a training step, for long, hangs.
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
_SECONDS_TO_NAME = 5.0
"""After an error of communication; torchrun leaves 30 between its signal and its end."""
_HUNG_AFTER = 300.0
"""Seconds behind the others; half of what NCCL waits before it ends the process without a name."""


def attempt() -> int:
    """How often torchrun has restarted us over one store, in which the keys of earlier attempts are not ours.

    0 also where every start has a store of its own (torchrun's TORCH_DISABLE_SHARE_RDZV_TCP_STORE).
    """
    lent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) if lent else 0


class Watch:
    """From its making to `stop`; every rank makes one at the same time."""

    def __init__(self, rank: int, world_size: int, seconds: int, gather: Callable[[Any], list[Any]]) -> None:
        self._rank, self._limit = rank, seconds
        self._period = min(max(1.0, world_size / 64), 4.0)  # longer, and `lost` would come after torchrun's SIGKILL
        self._place, self._moved, self._in_step = 0, 0.0, False
        self._keys = [f"alive/{attempt()}/{other}" for other in range(world_size)]
        address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        self._store_name = f"{address[0]}:{address[1]}"
        timeout = datetime.timedelta(seconds=seconds)
        self._store = dist.TCPStore(*address, is_master=False, wait_for_workers=False, timeout=timeout)
        self._store.set(self._keys[rank], "0 0")
        self._who = gather((platform.node(), os.getpid(), os.getppid()))
        now = time.monotonic()
        self._answered = now
        self._seen: dict[int, tuple[bytes, float]] = {other: (b"", now) for other in range(world_size) if other != rank}
        self._places: dict[int, tuple[int, float]] = dict.fromkeys(self._seen, (0, now))
        faulthandler.register(signal.SIGUSR2)  # a process that hangs says where, before it is killed
        self._stopped = threading.Event()
        for target in (self._beat, self._judge):
            threading.Thread(target=target, name="watch", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def reached(self) -> None:
        """The main thread has come to the next place that it shares with all ranks."""
        self._place, self._moved = self._place + 1, time.monotonic()

    @contextmanager
    def step(self, may_hang: bool) -> Iterator[None]:
        """The main thread is in a training step; whether staying behind the others in it counts as hanging."""
        self._in_step = may_hang
        try:
            yield
        finally:
            self._in_step = False

    def lost(self) -> RankLostError | None:
        """After an error of communication: who has been silent for some beats; None where nobody has."""
        deadline = time.monotonic() + _SECONDS_TO_NAME * self._period
        while time.monotonic() < deadline:
            silent = self._silent(2.5 * self._period)
            if silent:
                return RankLostError(f"{self._names(silent)} has gone; what it wrote itself says why, if it could")
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
            except RuntimeError:  # the judge says so, if it stays like this
                continue
            now = time.monotonic()
            self._answered = now
            for other, (value, _) in list(self._seen.items()):
                if values[other] != value:
                    self._seen[other] = (values[other], now)
                    place = int(values[other].split()[1])
                    if place != self._places[other][0]:
                        self._places[other] = (place, now)

    def _judge(self) -> None:
        last = time.monotonic()
        while not self._stopped.wait(0.5):
            now = time.monotonic()
            if now - last > 5:  # this process itself was stopped: the others get all the time anew
                self._answered = self._moved = now
                self._seen = {other: (value, now) for other, (value, _) in self._seen.items()}
                self._places = {other: (place, now) for other, (place, _) in self._places.items()}
            last = now
            silent = self._silent(self._limit)
            if silent:
                self._end(f"{self._names(silent)} has given no sign of life for {self._limit} s", silent)
            hung = self._hung()
            if hung:
                self._end(f"{self._names(hung)} hangs: {_HUNG_AFTER:.0f} s behind the others in a training step", hung)
            if now - self._answered > self._limit:
                self._end(
                    f"the job's store at {self._store_name} has not answered rank {self._rank} on {platform.node()} "
                    f"for {self._limit} s: that machine, its launcher or the network is gone",
                    [],
                )

    def _silent(self, seconds: float) -> list[int]:
        if time.monotonic() - self._answered > min(seconds, 2.5 * self._period):
            return []  # it is the store that is silent, and nothing is known of anybody
        now = time.monotonic()
        return [other for other, (_, since) in self._seen.items() if now - since > seconds]

    def _hung(self) -> list[int]:
        waiting_since = time.monotonic() - _HUNG_AFTER
        if not self._in_step or self._moved > waiting_since:
            return []
        places = self._places.items()
        return [other for other, (place, since) in places if 0 < place < self._place and since < waiting_since]

    def _names(self, ranks: list[int]) -> str:
        return ", ".join(f"rank {rank} (process {self._who[rank][1]} on {self._who[rank][0]})" for rank in ranks)

    def _end(self, problem: str, ranks: list[int]) -> None:
        """End this process at once: its main thread waits where no exception reaches it."""
        print(f"error: {problem}. The job ends; continue with --resume auto", file=sys.stderr, flush=True)
        own = platform.node(), os.getppid()
        here = [pid for host, pid, parent in (self._who[rank] for rank in ranks) if (host, parent) == own]
        for number in (signal.SIGUSR2, signal.SIGKILL):  # the launcher would wait for them
            for pid in here:
                if parent_of(pid) == os.getppid():
                    with suppress(ProcessLookupError):  # another rank was faster
                        os.kill(pid, number)
            time.sleep(1)
        os._exit(RankLostError.exit_code)
