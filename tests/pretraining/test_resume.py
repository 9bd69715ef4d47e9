"""A run that was killed and continued ends with the bytes of a run that was not."""

import contextlib
import json
import signal
import time

import psutil
import pytest

from bimed_dist.pretraining import checkpoints

LONG = (
    "--set", "pretraining.run.steps=150", "--set", "pretraining.run.checkpoint_every=5",
    "--set", "pretraining.run.log_every=3",
)  # fmt: skip
TIMED = "tokens_per_second"


def outcome(job) -> tuple[bytes, list[dict]]:
    lines = (job.folder() / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    metrics = [{k: v for k, v in json.loads(line).items() if k != TIMED} for line in lines]
    return (job.folder() / "export" / "model.safetensors").read_bytes(), metrics


def start_and_interrupt(job, launcher: str | None, checkpoint: str, number: int, resume: str) -> int:
    """Start, wait for a checkpoint, send a signal to the launcher and all ranks; the exit code."""
    process = job.start(*LONG, "--resume", resume, launcher=launcher)
    folder = job.folder() / "checkpoints" / checkpoint
    launched, members = psutil.Process(process.pid), []
    deadline, listed = time.monotonic() + 120, 0.0
    while not folder.exists() and process.poll() is None and time.monotonic() < deadline:
        if time.monotonic() - listed > 0.2:  # not when it counts: listing takes longer than a step
            members, listed = [*launched.children(recursive=True), launched], time.monotonic()
        time.sleep(0.002)
    for member in members:  # ranks have sessions of their own
        with contextlib.suppress(psutil.NoSuchProcess):
            member.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert folder.exists(), errors
    return process.returncode


def wait_for(condition, process) -> None:
    deadline = time.monotonic() + 120
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param(None, id="single", marks=pytest.mark.slow),
        pytest.param("cpu_ddp.yaml", id="ddp", marks=pytest.mark.slow),
        pytest.param("cpu.yaml", id="zero2"),
    ],
)
def test_a_run_killed_twice_and_resumed_is_bit_identical_to_one_never_stopped(job, tmp_path, launcher):
    whole = job.copy(tmp_path / "whole")
    assert whole.run(*LONG, launcher=launcher).returncode == 0

    start_and_interrupt(job, launcher, "step-00000010", signal.SIGKILL, "never")
    assert not (job.folder() / "manifest.json").exists()
    start_and_interrupt(job, launcher, "step-00000025", signal.SIGKILL, "auto")
    result = job.run(*LONG, "--resume", "auto", launcher=launcher)
    assert result.returncode == 0, result.stderr
    assert "continuing from" in result.stderr
    weights, metrics = outcome(job)
    expected_weights, expected_metrics = outcome(whole)
    assert metrics == expected_metrics
    assert weights == expected_weights


def test_a_stop_request_ends_in_a_checkpoint_and_its_own_exit_code(job):
    code = start_and_interrupt(job, None, "step-00000010", signal.SIGTERM, "never")
    assert code == 75
    folder, record = checkpoints.newest(job.folder() / "checkpoints")
    assert 10 <= record["step"] < 150
    assert folder.name == f"step-{record['step']:08d}"


def test_a_second_launch_into_a_folder_that_is_being_trained_is_refused_and_the_first_goes_on(job):
    # So many steps that the second launch, an import of torch away, comes before the end.
    steps = ("--set", "pretraining.run.steps=6000", "--set", "pretraining.run.checkpoint_every=100")
    first = job.start(*steps)
    try:
        wait_for(lambda: (job.folder() / "metrics.jsonl").is_file(), first)
        second = job.run(*steps, "--resume", "auto")
        assert second.returncode == 2
        assert f"is being filled by process {first.pid} on" in second.stderr
        assert first.poll() is None
    finally:
        first.send_signal(signal.SIGTERM)
        _, errors = first.communicate(timeout=60)
    assert first.returncode == 75, errors


def test_checkpoints_of_an_unfinished_run_are_not_trained_over(job):
    start_and_interrupt(job, None, "step-00000010", signal.SIGKILL, "never")
    before = sorted((job.folder() / "checkpoints").iterdir())
    result = job.run(*LONG)
    assert result.returncode == 2
    assert "--resume auto" in result.stderr
    assert sorted((job.folder() / "checkpoints").iterdir()) == before


def test_a_run_resumed_with_other_settings_is_refused_and_nothing_changes(job):
    start_and_interrupt(job, None, "step-00000010", signal.SIGKILL, "never")
    before = sorted(job.folder().rglob("*"))
    result = job.run(*LONG, "--set", "pretraining.run.learning_rate=5e-4", "--resume", "auto")
    assert result.returncode == 2
    assert "learning_rate: was 0.001, now 0.0005" in result.stderr
    assert sorted(job.folder().rglob("*")) == before
