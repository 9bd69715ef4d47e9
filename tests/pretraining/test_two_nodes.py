"""Two machines made of network namespaces on one: a launch by hand, a link cut in the middle, the launch after it."""

import os
import shutil
import subprocess
import time

import psutil
import pytest
import two_machines
from two_machines import logs

from bimed_dist.pretraining import checkpoints

TIMEOUT = 300
LOST_AFTER = 15
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="makes network namespaces"),
]


@pytest.fixture
def network():
    with two_machines.network():
        yield


def launch(job, options, log_folder, *of_launcher: str, launcher: str = "multi_node.yaml") -> list[subprocess.Popen]:
    arguments = job.arguments("--resume", "auto", *options)
    return two_machines.launch(arguments, log_folder, *of_launcher, launcher=launcher)


def test_a_cut_link_ends_the_job_on_both_machines_and_the_next_launch_continues(job, tmp_path, network):
    options = [
        "--set", "pretraining.run.steps=100000", "--set", "pretraining.run.checkpoint_every=20",
        "--set", f"pretraining.run.lost_after={LOST_AFTER}",
    ]  # fmt: skip
    started = launch(job, options, tmp_path)
    try:
        found, deadline = None, time.monotonic() + TIMEOUT
        while found is None:
            assert time.monotonic() < deadline and all(p.poll() is None for p in started), logs(tmp_path)
            time.sleep(0.05)
            found = checkpoints.newest(job.folder() / "checkpoints")
        two_machines.cut()
        start = time.monotonic()
        codes = [process.wait(TIMEOUT) for process in started]
        seconds = time.monotonic() - start
        print(f"ended {seconds:.1f} s after the cut")
        assert all(codes) and seconds < LOST_AFTER + 10, logs(tmp_path)
        assert "rank 1 (process" in logs(tmp_path) and "the job's store at 10.99.7.1" in logs(tmp_path)
        before = checkpoints.newest(job.folder() / "checkpoints")[1]["step"]

        two_machines.mend()
        started = launch(job, options, tmp_path)
        deadline = time.monotonic() + TIMEOUT
        while checkpoints.newest(job.folder() / "checkpoints")[1]["step"] <= before:
            assert time.monotonic() < deadline and all(p.poll() is None for p in started), logs(tmp_path)
            time.sleep(0.05)
        for process in started:
            process.terminate()
        assert all(process.wait(60) for process in started)
        assert (job.folder() / "stopped.json").is_file(), logs(tmp_path)
    finally:
        for process in started:
            process.kill()


def test_a_killed_process_makes_the_launchers_of_both_machines_start_again_and_the_run_goes_on(job, tmp_path, network):
    options = ["--set", "pretraining.run.steps=100000", "--set", "pretraining.run.checkpoint_every=20"]
    started = launch(job, options, tmp_path, "--max_restarts", "2", launcher="multi_node_zero2.yaml")

    def newest() -> int:
        found = checkpoints.newest(job.folder() / "checkpoints")
        return found[1]["step"] if found else 0

    def wait_for(condition) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < deadline and all(p.poll() is None for p in started), logs(tmp_path)
            time.sleep(0.05)

    try:
        wait_for(lambda: newest() > 0)
        launcher = psutil.Process(started[1].pid)
        next(p for p in launcher.children(recursive=True) if "pretrain.py" in " ".join(p.cmdline())).kill()
        wait_for(lambda: "continuing from" in logs(tmp_path))
        before = newest()
        wait_for(lambda: newest() > before)
    finally:
        for process in started:
            process.kill()


OWN_COPY = """
import ctypes, os, platform, subprocess
if os.environ["RANK"] == "1":
    platform.node = lambda: "second-machine"
    assert ctypes.CDLL(None).unshare(0x00020000) == 0  # CLONE_NEWNS: mounts of its own
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "--bind", "{copy}", "{shards}"], check=True)
"""


def test_a_machine_with_a_copy_of_its_own_of_the_shards_verifies_it_and_all_end_where_it_is_damaged(
    job, tmp_path, forks
):
    shards, copy = job.work / "shards" / "tokens", tmp_path / "copy"
    shutil.copytree(shards, copy)
    patch = OWN_COPY.format(copy=copy, shards=shards)
    whole = job.copy(tmp_path / "whole")
    assert forks.start(whole.arguments(), 2, "ddp").wait(TIMEOUT) == [0, 0]
    with_copy = job.copy(tmp_path / "with-copy")
    patch_there = OWN_COPY.format(copy=copy, shards=with_copy.work / "shards" / "tokens")
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
