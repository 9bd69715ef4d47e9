"""Processes that compute cells side by side, one cell at a time each, on their own GPU or their share of the cores.

Workers are forked from a server process that has imported what they need and done nothing else: it has neither threads
nor a GPU's context, which a fork would break, and a worker starts within milliseconds. A worker that dies takes its
cell with it and no other; one whose cell failed is replaced, since a failure may leave a GPU's context broken.
"""

import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from bimed_dist.evaluation.grid.model_on_task import ModelOnTask, computed
from bimed_dist.evaluation.grid.schedule import Job, Schedule
from bimed_dist.processes import end_with_parent

logger = logging.getLogger(__name__)
BYTES_PER_PARAMETER = 24
"""Weights, gradients and both moments of AdamW in fp32, a copy while a model is loaded or saved, and room."""
BYTES_PER_WORKER = 2**30
"""Python, libraries and activations."""


def default_count(parameters: int) -> int:
    """One worker per GPU; on CPUs as many as torch would take threads, as far as memory goes."""
    if torch.cuda.is_available():
        return torch.cuda.device_count()
    return count_on_cpus(parameters, torch.get_num_threads(), available_memory())


def count_on_cpus(parameters: int, cores: int, memory: int) -> int:
    """Workers for a model of so many parameters; memory in bytes."""
    return max(1, min(cores, memory // (BYTES_PER_PARAMETER * parameters + BYTES_PER_WORKER)))


def available_memory() -> int:
    """Bytes that new programs can take, as the kernel says."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def fill(schedule: Schedule, count: int, told: Callable[[Job, dict[str, Any]], None]) -> None:
    """Compute every waiting cell with `count` workers; `told` hears of each one after the schedule has."""
    workers = [_Worker(i, max(1, torch.get_num_threads() // count), schedule.pairs) for i in range(count)]
    try:
        while True:
            for worker in workers:
                if worker.job is None and schedule.waiting:
                    worker.start(schedule.waiting.popleft())
            busy = {worker.connection: worker for worker in workers if worker.job is not None}
            if not busy:
                return
            for connection in wait(list(busy)):
                job, record = busy[connection].finish()
                schedule.take(job, record)
                told(job, record)
    finally:
        for worker in workers:
            worker.end()


@dataclass
class _Worker:
    number: int
    threads: int
    pairs: Sequence[ModelOnTask]
    job: Job | None = None
    connection: Connection | None = None
    process: BaseProcess | None = None

    def start(self, job: Job) -> None:
        if self.process is None or not self.process.is_alive():
            self.end()
            self._begin()
        self.job = job
        with suppress(OSError):  # it died just now, which `finish` tells
            self.connection.send(job)

    def _begin(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self.connection, theirs = context.Pipe()
        arguments = (theirs, self.number, self.threads, self.pairs)
        self.process = context.Process(target=_serve, args=arguments, daemon=True, name=f"evaluation-{self.number}")
        self.process.start()
        theirs.close()

    def finish(self) -> tuple[Job, dict[str, Any]]:
        """The job and its record, which is written here where the worker died."""
        job, self.job = self.job, None
        assert job is not None
        try:
            record = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            number, cell = job
            record = self.pairs[number].write(cell, "failed", error=_death(self.process.exitcode or 0))
        if record["status"] == "failed":
            self.end()
        return job, record

    def end(self) -> None:
        """Whatever it was doing is lost; what is on disk is whole."""
        if self.process is not None:
            self.connection.close()
            self.process.kill()
            self.process.join()
        self.process = self.connection = None


def _death(exit_code: int) -> str:
    if exit_code >= 0:
        return f"the worker process ended with exit code {exit_code}; its last words are in the log"
    name = signal.Signals(-exit_code).name
    hint = "; the machine may be out of memory: fewer `workers`, or a smaller max_length" if name == "SIGKILL" else ""
    return f"the worker process was ended by {name}{hint}"


def _serve(connection: Connection, number: int, threads: int, pairs: Sequence[ModelOnTask]) -> None:
    """Compute the cells that are asked for until nobody asks any more."""
    # A terminal and a batch system signal the whole group; the parent decides what it means.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    end_with_parent()
    if torch.cuda.is_available():
        torch.cuda.set_device(number % torch.cuda.device_count())
    torch.set_num_threads(threads)
    while True:
        try:
            at, cell = connection.recv()
        except (EOFError, ConnectionResetError):  # the second where the parent died with an answer unread
            return
        connection.send(computed(pairs, at, cell))
