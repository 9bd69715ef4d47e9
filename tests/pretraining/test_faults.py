"""Signals, lost processes and full disks, with real processes and real files."""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch.distributed as dist
from forks import wait_for

from bimed_dist.pretraining.heartbeat import Heartbeat

from .conftest import ENDLESS, TIMEOUT, newest_step, saved

HEARTBEAT_TIMEOUT = 15
BRIEF = ("--set", "pretraining.run.time_budget_hours=1e-6")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")


@pytest.mark.parametrize(
    ("number", "engine", "rank"),
    [(signal.SIGTERM, "zero2", 1), (signal.SIGUSR1, "ddp", 0), (signal.SIGINT, "single", 0)],
    ids=["SIGTERM", "SIGUSR1", "SIGINT"],
)
def test_a_signal_to_one_rank_ends_all_with_a_committed_checkpoint_and_exit_code_75(job, forks, number, engine, rank):
    running = forks.start(job.arguments(*ENDLESS), 1 if engine == "single" else 2, engine)
    wait_for(lambda: saved(job), running)
    running.kill(number, [rank])
    start = time.monotonic()
    assert set(running.wait(TIMEOUT)) == {75}
    assert time.monotonic() - start < 25
    step = newest_step(job)
    assert f"stopped on request after step {step}; continue with --resume auto" in running.output()
    assert f"after step {step}" in json.loads((job.folder() / "stopped.json").read_text(encoding="utf-8"))["why"]


def test_a_second_signal_seconds_later_ends_the_process_at_once(job, forks):
    never_ending = """
import time
from bimed_dist.pretraining import loop
def step(self, number, stop, before=loop.Trainer.step):
    result = before(self, number, stop)
    while stop.is_set():
        time.sleep(1)
    return result
loop.Trainer.step = step
"""
    running = forks.start(job.arguments(*ENDLESS), patch=never_ending)
    wait_for(lambda: saved(job), running)
    running.kill(signal.SIGTERM)
    time.sleep(1)
    running.kill(signal.SIGTERM)  # as if the launcher forwards the scheduler's signal
    time.sleep(3)
    assert running.running()
    running.kill(signal.SIGTERM)
    assert running.wait(5) == [-signal.SIGTERM]


def test_a_second_signal_ends_a_process_whose_main_thread_waits_for_another(job, forks):
    """As in a collective operation with a lost rank, where Python's handlers never run."""
    waiting = """
import ctypes
from bimed_dist.pretraining import loop
def step(self, number, stop, before=loop.Trainer.step):
    if number == 2:
        print("waits", flush=True)
        mutex = ctypes.create_string_buffer(64)
        for _ in range(2):  # the second time forever, and no signal interrupts it
            ctypes.CDLL(None).pthread_mutex_lock(mutex)
    return before(self, number, stop)
"""
    running = forks.start(job.arguments(*ENDLESS), patch=waiting + "loop.Trainer.step = step\n")
    wait_for(lambda: "waits" in running.output(), running)
    running.kill(signal.SIGTERM)
    time.sleep(4)
    assert running.running()
    running.kill(signal.SIGTERM)
    assert running.wait(5) == [-signal.SIGTERM]


def test_a_used_up_time_budget_ends_like_a_signal_and_the_next_launch_continues(job, forks):
    closing = """
from bimed_dist.pretraining import distributed
def close(self, before=distributed.Engine.close):
    before(self)
    print("engine closed")
distributed.Engine.close = close
"""
    running = forks.start(job.arguments(*ENDLESS, *BRIEF), 2, "ddp", closing)
    assert running.wait(TIMEOUT) == [75, 75], running.output()
    assert running.output().count("engine closed") == 2  # otherwise torch may hang at exit
    step = newest_step(job)
    assert f"stopped at the end of time_budget_hours after step {step}" in running.output()
    more = forks.start(job.arguments(*ENDLESS, "--resume", "auto"))
    wait_for(lambda: "continuing from" in more.output(), more)
    assert not (job.folder() / "stopped.json").exists()
    more.kill(signal.SIGKILL)
    more.wait(5)


def test_a_stopped_rank_is_named_and_ends_the_job_within_the_timeout_and_ten_seconds(job, forks):
    shared_memory = set(os.listdir("/dev/shm"))
    timeout = ("--set", f"pretraining.run.heartbeat_timeout_seconds={HEARTBEAT_TIMEOUT}")
    running = forks.start(job.arguments(*ENDLESS, *timeout, "--set", "pretraining.run.global_batch=12"), 3, "ddp")
    wait_for(lambda: saved(job), running)
    running.kill(signal.SIGSTOP, [1])
    start = time.monotonic()
    assert running.wait(TIMEOUT) == [4, -signal.SIGKILL, 4]
    assert time.monotonic() - start < HEARTBEAT_TIMEOUT + 10
    named = (
        f"rank 1 (process {running.pids[1]} on {os.uname().nodename}) has sent no heartbeat for {HEARTBEAT_TIMEOUT} s"
    )
    assert running.output().count(named) >= 1
    assert set(os.listdir("/dev/shm")) <= shared_memory


@pytest.mark.slow
def test_a_hung_rank_is_named_with_its_stack_and_a_rank_busy_outside_of_steps_is_left_alone(job, forks):
    patch = """
import os, time
from bimed_dist.pretraining import heartbeat, loop
heartbeat._HANG_SECONDS = 4.0
def slowly(seconds, ranks, before):
    def call(*given):
        time.sleep(seconds * (os.environ["RANK"] in ranks))
        return before(*given)
    return call
loop.Trainer.validate = slowly(6, "1", loop.Trainer.validate)
loop.Trainer.finish_save = slowly(6, "0", loop.Trainer.finish_save)
def step(self, number, stop, before=loop.Trainer.step):
    time.sleep(6 * (number == 0 and os.environ["RANK"] == "0"))
    while number == 7 and os.environ["RANK"] == "1":
        time.sleep(1)
    return before(self, number, stop)
loop.Trainer.step = step
"""
    options = ("--set", "pretraining.run.checkpoint_every=3", "--set", "pretraining.run.validate_every=6")
    running = forks.start(job.arguments(*options), 2, "ddp", patch)
    assert running.wait(TIMEOUT) == [4, -signal.SIGKILL], running.output()
    assert f"rank 1 (process {running.pids[1]} on {os.uname().nodename}) hangs: 4 s behind" in running.output()
    assert 'File "<patch>", line 15 in step' in running.output()  # from faulthandler


@pytest.mark.parametrize("engine", ["ddp", pytest.param("zero3", marks=pytest.mark.slow)])
def test_a_killed_rank_is_named_by_the_others(job, forks, engine):
    running = forks.start(job.arguments(*ENDLESS), 2, engine)
    wait_for(lambda: saved(job), running)
    running.kill(signal.SIGKILL, [1])
    start = time.monotonic()
    assert running.wait(TIMEOUT) == [4, -signal.SIGKILL], running.output()
    assert time.monotonic() - start < 20
    assert f"error: rank 1 (process {running.pids[1]} on {os.uname().nodename}) has gone" in running.output()


# ------------------------------------------------------------------------------------------------------------- the disk


def test_no_rank_is_named_while_the_jobs_store_does_not_answer(monkeypatch):
    """On a machine that was cut off, the missing heartbeats of other ranks mean nothing."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(store.port))
    heartbeat = Heartbeat(
        0, 2, 10**6, lambda process: [process, ("other", 1, 1)]
    )  # so many seconds that it ends nothing itself
    try:
        heartbeat._seen = {1: (b"0 0", time.monotonic() - 16)}
        assert heartbeat._silent(15) == [1]
        heartbeat._answered = time.monotonic() - 4
        assert heartbeat._silent(15) == []
    finally:
        heartbeat.stop()


@contextlib.contextmanager
def small_disk(job, base: Path, size: str):
    """The job's work folder on a file system of its own."""
    mount = base / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", mount], check=True)
    try:
        yield job.copy(mount / "work"), mount
    finally:
        subprocess.run(["umount", "-l", mount], check=True)


@needs_root
def test_a_disk_without_room_for_the_checkpoints_is_refused_before_the_first_step(job, tmp_path, forks):
    with small_disk(job, tmp_path, "5m") as (small, _):
        running = forks.start(small.arguments(*ENDLESS, "--set", "pretraining.run.keep_checkpoints=9"), 2, "zero1")
        assert running.wait(TIMEOUT) == [2, 2]
        assert running.output().count("GB are needed for 11 checkpoints of 0.001 GB") == 2
        assert not (small.folder() / "metrics.jsonl").exists()


@needs_root
def test_a_disk_that_fills_up_is_an_error_on_all_ranks_and_the_run_continues_after_space_is_freed(job, tmp_path, forks):
    with small_disk(job, tmp_path, "40m") as (small, mount):
        running = forks.start(small.arguments(*ENDLESS), 2, "zero2")
        wait_for(lambda: saved(small), running)
        with (mount / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 65536)
        codes = running.wait(TIMEOUT)
        assert set(codes) <= {2, 4}, running.output()  # 4: the other rank could not even write its metrics
        assert "No space left on device" in running.output()
        assert running.output().count("error: ") == 2
        before = newest_step(small)
        (mount / "filler").unlink()
        more = forks.start(small.arguments(*ENDLESS, "--resume", "auto"), 2, "zero2")
        wait_for(lambda: newest_step(small) > before, more)
        more.kill(signal.SIGTERM)
        assert more.wait(TIMEOUT) == [75, 75]


@needs_root
def test_a_read_only_work_folder_is_an_error_before_the_first_step(job, tmp_path, forks):
    with small_disk(job, tmp_path, "40m") as (small, mount):
        subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
        running = forks.start(small.arguments(*ENDLESS), 2, "ddp")
        assert running.wait(TIMEOUT) == [2, 2]
        assert running.output().count("error: [Errno 30] Read-only file system") == 2
