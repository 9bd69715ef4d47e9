"""Real jobs that start in a second: a process that has imported all libraries forks their ranks.

    with Forks(log_folder) as forks:
        job = forks.start(["recipe.yaml", "--work", "work"], processes=2, engine="zero2")
        job.wait(60)

Every rank is a process of its own that runs a program of launch/ with the environment that `accelerate launch` gives.
Only the launcher itself is missing; tests of the launcher use it.
"""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
ENGINES = ("single", "ddp", "zero1", "zero2", "zero3")


def environment(processes: int, engine: str, rank: int, port: int) -> dict[str, str]:
    if engine == "single":
        assert processes == 1
        return {}
    found = {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes), "RANK": str(rank), "LOCAL_RANK": str(rank),
        "ACCELERATE_MIXED_PRECISION": "no", "TORCHELASTIC_RUN_ID": "none",
    }  # fmt: skip
    if engine != "ddp":
        found["ACCELERATE_USE_DEEPSPEED"] = "true"
        found["ACCELERATE_DEEPSPEED_CONFIG_FILE"] = str(ROOT / "ds_configs" / f"{engine}.json")
        found["ACCELERATE_DEEPSPEED_ZERO3_INIT"] = "false"
    return found


class Forks:
    """The process that forks, seen from the test."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        logs.mkdir(parents=True, exist_ok=True)
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT),
                 "TORCHINDUCTOR_COMPILE_THREADS": "1"},
            stderr=(logs / "server.log").open("w"),
        )  # fmt: skip
        self.codes: dict[int, int] = {}
        self._lines = selectors.DefaultSelector()
        self._lines.register(self._server.stdout, selectors.EVENT_READ)
        os.set_blocking(self._server.stdout.fileno(), False)
        self._buffer, self._replies, self._count = "", [], 0

    def start(
        self,
        arguments: Sequence[str],
        processes: int = 1,
        engine: str = "single",
        patch: str = "",
        more: dict[str, str] | None = None,
        program: str = "launch/pretrain.py",
    ) -> "Job":
        """`patch` is Python that every rank runs before the program."""
        self._count += 1
        log = self.logs / f"job-{self._count:05d}"
        port = _free_port()
        ranks = [{**environment(processes, engine, rank, port), **(more or {})} for rank in range(processes)]
        words = [program, *map(str, arguments)]
        order = {"command": words, "ranks": ranks, "patch": patch, "log": str(log)}
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        deadline = time.monotonic() + 300
        while not self._replies:
            self._read(deadline - time.monotonic())
        return Job(self, self._replies.pop(), log)

    def _read(self, seconds: float) -> None:
        if seconds <= 0:
            raise TimeoutError("the forking process does not answer")
        if self._lines.select(seconds):
            text = self._server.stdout.read()
            if not text:
                raise RuntimeError(f"the forking process has ended; see {self.logs / 'server.log'}")
            self._buffer += text
            *lines, self._buffer = self._buffer.split("\n")
            for line in lines:
                message = json.loads(line)
                if "pids" in message:
                    self._replies.append(message["pids"])
                else:
                    self.codes[message["pid"]] = message["code"]

    def __enter__(self) -> "Forks":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stdin.close()
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self._server.kill()


class Job:
    def __init__(self, forks: Forks, pids: list[int], log: Path) -> None:
        self.forks, self.pids, self._log = forks, pids, log
        self.started = time.monotonic()

    def running(self) -> list[int]:
        """Ranks that have not ended."""
        if len(self.pids) > sum(pid in self.forks.codes for pid in self.pids):
            self.forks._read(0.002) if self.forks._lines.select(0) else None
        return [rank for rank, pid in enumerate(self.pids) if pid not in self.forks.codes]

    def kill(self, number: int, ranks: Sequence[int] | None = None) -> None:
        for rank in range(len(self.pids)) if ranks is None else ranks:
            if self.pids[rank] not in self.forks.codes:
                os.kill(self.pids[rank], number)

    def wait(self, seconds: float) -> list[int]:
        """Exit codes in rank order, negative for a signal; what still runs after `seconds` is killed: TimeoutError."""
        deadline = time.monotonic() + seconds
        while self.running():
            if time.monotonic() > deadline:
                late = self.running()
                self.kill(signal.SIGKILL)
                raise TimeoutError(f"ranks {late} still ran after {seconds} s\n{self.output()}")
            time.sleep(0.005)
        return [self.forks.codes[pid] for pid in self.pids]

    def output(self) -> str:
        """Standard output and error of all ranks."""
        return "".join(
            f"--- rank {rank}\n{path.read_text(encoding='utf-8', errors='replace')}"
            for rank, path in enumerate(sorted(self._log.parent.glob(self._log.name + ".*")))
        )


def wait_for(condition: Callable[[], Any], running: Any, seconds: float = 240) -> None:
    """Wait; fail if `running`, a Program or a forked job, ends before."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert running.running(), running.output()
        assert time.monotonic() < deadline, running.output()
        time.sleep(0.01)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# ------------------------------------------------------------------------------------------------- in the other process


def serve() -> None:
    sys.path.insert(0, str(ROOT / "launch"))
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # output of libraries must not look like a reply
    _import_everything()
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    inputs = selectors.DefaultSelector()
    inputs.register(0, selectors.EVENT_READ)
    inputs.register(wake, selectors.EVENT_READ)
    orders = b""
    while True:
        for key, _ in inputs.select():
            if key.fd == 0:
                received = os.read(0, 1 << 20)
                if not received:
                    return
                *lines, orders = (orders + received).split(b"\n")
                for line in lines:
                    print(json.dumps({"pids": _fork_job(json.loads(line))}), file=replies)
            else:
                os.read(wake, 4096)
        _report_ended(replies)


def _report_ended(replies) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        print(json.dumps({"pid": pid, "code": os.waitstatus_to_exitcode(status)}), file=replies)


def _import_everything() -> None:
    """Import everything, also what the first step and the first engine import and compile."""
    import gc

    import click  # noqa: F401
    import deepspeed.runtime.zero.muon.muon_optimizer  # noqa: F401
    import pandas  # noqa: F401
    import setuptools  # noqa: F401
    import torch.utils.tensorboard  # noqa: F401

    import bimed_dist.evaluation.stage
    import bimed_dist.pretraining.stage  # noqa: F401
    from bimed_dist.pretraining.cpu_operator import load_operator

    load_operator()
    gc.collect()
    gc.freeze()  # collections in a rank would touch, and thereby copy, every page of what is imported here


def _fork_job(order) -> list[int]:
    pids = []
    for rank, environment in enumerate(order["ranks"]):
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.environ.update(environment)
            log = os.open(f"{order['log']}.{rank}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            empty = os.open(os.devnull, os.O_RDONLY)
            os.dup2(empty, 0), os.dup2(log, 1), os.dup2(log, 2)
            _run(order)
        pids.append(pid)
    return pids


def _run(order) -> None:
    import logging
    import runpy
    import traceback

    code = 0
    try:
        logging.root.handlers.clear()
        sys.argv = order["command"]
        exec(compile(order["patch"], "<patch>", "exec"), {})
        runpy.run_path(str(ROOT / sys.argv[0]), run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
