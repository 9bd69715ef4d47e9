"""Worker processes that run trials in parallel, one trial at a time each, on one GPU or on a share of the cores.

Workers are forked from a server process that has only imported modules: it has neither threads nor a GPU context, which
would not survive a fork, and a worker starts within milliseconds. A worker that dies fails its own trial only. A worker
whose trial failed is replaced, since a failure may leave the GPU context broken.
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

import torch

from bimed_dist.evaluation.grid.model_on_task import ModelOnTask
from bimed_dist.evaluation.grid.records import TrialRecord
from bimed_dist.evaluation.grid.running import run_trial_of
from bimed_dist.evaluation.grid.schedule import Job, Schedule
from bimed_dist.processes import end_with_parent

logger = logging.getLogger(__name__)
BYTES_PER_PARAMETER = 24
"""Weights, gradients and both moments of AdamW in fp32, a copy while a model is loaded or saved, and a reserve."""
BYTES_PER_WORKER = 2**30
"""Python, libraries and activations."""


def default_count(parameters: int) -> int:
    """Return one worker per GPU; on CPUs as many as torch would use threads, limited by memory."""
    if torch.cuda.is_available():
        return torch.cuda.device_count()
    return count_on_cpus(parameters, torch.get_num_threads(), available_memory())


def count_on_cpus(parameters: int, cores: int, memory: int) -> int:
    """Return the number of workers for a model of `parameters`; memory in bytes."""
    return max(1, min(cores, memory // (BYTES_PER_PARAMETER * parameters + BYTES_PER_WORKER)))


def available_memory() -> int:
    """Return the bytes that new programs can use, as the kernel estimates them."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def run_trials(schedule: Schedule, count: int, report: Callable[[Job, TrialRecord], None]) -> None:
    """Run every waiting trial with `count` workers; `report` is called after the schedule has the record."""
    workers = [_Worker(i, max(1, torch.get_num_threads() // count), schedule.grid) for i in range(count)]
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
                schedule.add_record(job, record)
                report(job, record)
    finally:
        for worker in workers:
            worker.end()


@dataclass
class _Worker:
    number: int
    threads: int
    grid: Sequence[ModelOnTask]
    job: Job | None = None
    connection: Connection | None = None
    process: BaseProcess | None = None

    def start(self, job: Job) -> None:
        if self.process is None or not self.process.is_alive():
            self.end()
            self._start_process()
        self.job = job
        with suppress(OSError):  # The process has just died, which `finish` reports.
            self.connection.send(job)

    def _start_process(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self.connection, theirs = context.Pipe()
        arguments = (theirs, self.number, self.threads, self.grid)
        self.process = context.Process(target=_serve, args=arguments, daemon=True, name=f"evaluation-{self.number}")
        self.process.start()
        theirs.close()

    def finish(self) -> tuple[Job, TrialRecord]:
        """Return the job and its record; if the worker has died, write a failed record."""
        job, self.job = self.job, None
        assert job is not None
        try:
            record = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            index, trial = job
            record = self.grid[index].write_record(trial, "failed", error=_death(self.process.exitcode or 0))
        if record["status"] == "failed":
            self.end()
        return job, record

    def end(self) -> None:
        """Kill the process. A trial in progress is lost; records on disk are always complete."""
        if self.process is not None:
            self.connection.close()
            self.process.kill()
            self.process.join()
        self.process = self.connection = None


def _death(exit_code: int) -> str:
    if exit_code >= 0:
        return f"the worker process ended with exit code {exit_code}; its last output is in the log"
    name = signal.Signals(-exit_code).name
    hint = (
        "; the machine may be out of memory: use fewer `workers` or a smaller max_length" if name == "SIGKILL" else ""
    )
    return f"the worker process was ended by {name}{hint}"


def _serve(connection: Connection, number: int, threads: int, grid: Sequence[ModelOnTask]) -> None:
    """Run the trials that arrive, until the connection is closed."""
    # A terminal and a batch system signal the whole group; the parent decides how to stop.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    end_with_parent()
    if torch.cuda.is_available():
        torch.cuda.set_device(number % torch.cuda.device_count())
    torch.set_num_threads(threads)
    while True:
        try:
            index, trial = connection.recv()
        except (EOFError, ConnectionResetError):  # ConnectionResetError: the parent died with an unread record.
            return
        connection.send(run_trial_of(grid, index, trial))
