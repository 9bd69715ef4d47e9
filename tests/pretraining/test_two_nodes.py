"""Two machines made of network namespaces: restarts, a cut link, the launch after it, and copies of the shards."""

import os
import shutil
import time

import psutil
import pytest
import two_machines
from forks import wait_for
from two_machines import logs

from .conftest import newest_step

TIMEOUT = 300
HEARTBEAT_TIMEOUT = 15
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="makes network namespaces"),
]


@pytest.fixture
def network():
    with two_machines.network():
        yield


class Launchers:
    """On both machines, with the interface of a forked job."""

    def __init__(self, job, options, log_folder, *of_launcher: str, launcher: str) -> None:
        arguments = job.arguments("--resume", "auto", *options)
        self.folder = log_folder
        self.processes = two_machines.launch(arguments, log_folder, *of_launcher, launcher=launcher)

    def running(self) -> bool:
        return all(process.poll() is None for process in self.processes)

    def output(self) -> str:
        return logs(self.folder)

    def kill(self) -> None:
        for process in self.processes:
            process.kill()


def test_launchers_restart_a_killed_process_end_after_a_cut_link_and_continue_in_the_next_launch(
    job, tmp_path, network
):
    """The one restart is used up by the killed process, so that the cut link ends the job. ZeRO-2, then DDP."""
    options = [
        "--set", "pretraining.run.steps=100000", "--set", "pretraining.run.checkpoint_every=20",
        "--set", f"pretraining.run.heartbeat_timeout_seconds={HEARTBEAT_TIMEOUT}",
    ]  # fmt: skip
    launched = Launchers(job, options, tmp_path, "--max_restarts", "1", launcher="multi_node_zero2.yaml")
    try:
        wait_for(lambda: newest_step(job) > 0, launched, TIMEOUT)
        launcher = psutil.Process(launched.processes[1].pid)
        next(p for p in launcher.children(recursive=True) if "pretrain.py" in " ".join(p.cmdline())).kill()
        wait_for(lambda: "continuing from" in launched.output(), launched, TIMEOUT)
        before = newest_step(job)
        wait_for(lambda: newest_step(job) > before, launched, TIMEOUT)

        two_machines.cut()
        start = time.monotonic()
        codes = [process.wait(TIMEOUT) for process in launched.processes]
        seconds = time.monotonic() - start
        print(f"ended {seconds:.1f} s after the cut")
        assert all(codes) and seconds < HEARTBEAT_TIMEOUT + 10, launched.output()
        assert "rank 1 (process" in launched.output() and "the job's store at 10.99.7.1" in launched.output()
        before = newest_step(job)

        two_machines.restore()
        launched = Launchers(job, options, tmp_path, launcher="multi_node.yaml")
        wait_for(lambda: newest_step(job) > before, launched, TIMEOUT)
        for process in launched.processes:
            process.terminate()
        assert all(process.wait(60) for process in launched.processes)
        assert (job.folder() / "stopped.json").is_file(), launched.output()
    finally:
        launched.kill()


COPY_ON_SECOND_MACHINE = """
import ctypes, os, platform, subprocess
if os.environ["RANK"] == "1":
    platform.node = lambda: "second-machine"
    assert ctypes.CDLL(None).unshare(0x00020000) == 0  # CLONE_NEWNS: private mounts
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "--bind", "{copy}", "{shards}"], check=True)
"""


def test_a_machine_with_its_own_copy_of_the_shards_verifies_it_and_all_end_if_it_is_damaged(job, tmp_path, forks):
    shards, copy = job.work / "shards" / "tokens", tmp_path / "copy"
    shutil.copytree(shards, copy)
    patch = COPY_ON_SECOND_MACHINE.format(copy=copy, shards=shards)
    whole = job.copy(tmp_path / "whole")
    assert forks.start(whole.arguments(), 2, "ddp").wait(TIMEOUT) == [0, 0]
    with_copy = job.copy(tmp_path / "with-copy")
    patch_there = COPY_ON_SECOND_MACHINE.format(copy=copy, shards=with_copy.work / "shards" / "tokens")
    running = forks.start(with_copy.arguments(), 2, "ddp", patch_there)
    assert running.wait(TIMEOUT) == [0, 0], running.output()
    files = [j.folder() / "export" / "model.safetensors" for j in (with_copy, whole)]
    assert files[0].read_bytes() == files[1].read_bytes()

    content = bytearray((copy / "train-00000.arrow").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "train-00000.arrow").write_bytes(content)
    running = forks.start(job.arguments(), 2, "ddp", patch)
    assert running.wait(TIMEOUT) == [2, 2], running.output()
    assert running.output().count("error: on second-machine: ") == 2
    assert "does not have the SHA-256 in manifest.json" in running.output()
    assert not (job.folder() / "metrics.jsonl").exists()
