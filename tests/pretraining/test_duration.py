"""Runs that end by the clock, and runs that are made longer."""

import json
import logging

import pytest

from bimed_dist.errors import ConfigError
from bimed_dist.pretraining import duration
from bimed_dist.pretraining.duration import Clock
from bimed_dist.pretraining.optimizer import learning_rate
from bimed_dist.recipe.pretraining import PretrainingSettings

from .conftest import TIMEOUT

SECOND = 1 / 3600
WSD = ("schedule=wsd", "decay_steps=3", "warmup_steps=2")


def settings(**changes: object) -> PretrainingSettings:
    values = {"model": "m", "shards": "s", "steps": 1000, "global_batch": 8, "micro_batch": 4, "warmup_steps": 5}
    return PretrainingSettings(**{**values, "schedule": "wsd", "decay_steps": 20, **changes})


class Time:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    moved = Time()
    monkeypatch.setattr(duration, "time", moved)
    return moved


def run(clock: Clock, time: Time, first_step: int, seconds_a_step: float, last: int = 10_000) -> int:
    """Run to the end or to `last`, each step taking so many seconds; return the step that was not run."""
    step = first_step
    while step < min(clock.end, last):
        if clock.is_time_to_decay(step):
            clock.decay_from(step)
        time.now += seconds_a_step
        step += 1
    return step


def test_the_decay_begins_so_that_the_run_ends_with_its_training_hours(time: Time):
    clock = Clock(settings(training_hours=100 * SECOND))
    assert run(clock, time, 0, seconds_a_step=1) == 100
    rates = [learning_rate(step, settings(), clock.end) for step in (79, 80, 90, 99)]
    assert rates == pytest.approx([1e-4, 1e-4, 0.5e-4, 0.05e-4])


def test_hours_count_over_all_launches_with_the_speed_of_the_present_one(time: Time):
    first = Clock(settings(training_hours=1000 * SECOND))
    assert run(first, time, 0, seconds_a_step=1, last=500) == 500
    record = {**first.state(), "step": 500}
    time.now += 5000  # between the launches
    second = Clock(settings(training_hours=1000 * SECOND), record)
    # 500 seconds are left, and 250 steps of 2 seconds.
    assert run(second, time, 500, seconds_a_step=2) == 750
    # Once decided, the end stays, also in another launch.
    later = {**second.state(), "step": 740}
    assert Clock(settings(training_hours=1000 * SECOND), later).end == 750
    # Unless the run was made longer.
    assert Clock(settings(training_hours=2000 * SECOND), later).end == 1000


@pytest.mark.parametrize("seconds_a_step", [1, 0.5])
def test_the_slow_start_of_a_launch_does_not_bring_the_decay_forward(time: Time, seconds_a_step: float):
    fresh = Clock(settings(training_hours=1000 * SECOND, warmup_steps=0))
    time.now += 30
    assert not fresh.is_time_to_decay(0)
    time.now += 30  # the first step
    assert not any(fresh.is_time_to_decay(step) for step in (1, 2))
    resumed = Clock(
        settings(training_hours=1000 * SECOND, steps=2000),
        {"step": 500, "training_seconds": 500.0, "end_step": 1000, "length": {}},
    )
    time.now += 60
    assert not resumed.is_time_to_decay(500)
    time.now += 60
    # 380 seconds are left, of which the decay takes 20 of these steps.
    assert run(resumed, time, 501, seconds_a_step) == 501 + 380 / seconds_a_step


def test_a_run_with_enough_time_ends_at_its_last_step(time: Time):
    clock = Clock(settings(training_hours=5000 * SECOND))
    assert run(clock, time, 0, seconds_a_step=1) == 1000


def test_the_decay_never_begins_before_the_warm_up_is_over(time: Time):
    clock = Clock(settings(training_hours=SECOND))
    assert run(clock, time, 0, seconds_a_step=1) == 25


def test_hours_need_a_schedule_whose_decay_can_begin_at_any_time():
    with pytest.raises(ValueError, match="training_hours needs schedule=wsd"):
        settings(training_hours=1.0, schedule="linear", decay_steps=None)


def test_two_processes_end_at_the_same_step_when_the_hours_are_over(job, forks):
    changes = (*WSD, "steps=100000", f"training_hours={SECOND}", "checkpoint_every=100000", "validate_every=100000")
    options = (word for change in changes for word in ("--set", f"pretraining.run.{change}"))
    running = forks.start(job.arguments(*options), 2, "ddp")
    assert running.wait(TIMEOUT) == [0, 0], running.output()
    steps = json.loads((job.folder() / "manifest.json").read_text(encoding="utf-8"))["counts"]["steps"]
    assert 5 <= steps < 100000
    rates = {line["step"]: line["learning_rate"] for line in job.metrics("train")}
    assert [rates[steps - left] for left in (3, 2, 1, 0)] == pytest.approx([1e-3, 1e-3, 2e-3 / 3, 1e-3 / 3])
    assert f"decay from step {steps - 2} to the end at step {steps}" in running.output()


@pytest.mark.parametrize("changes", [("schedule=constant",), WSD], ids=["constant", "wsd"])
def test_a_run_made_longer_before_its_decay_ends_with_the_bytes_of_one_of_that_length_from_the_start(
    job, tmp_path, caplog, changes
):
    whole = job.copy(tmp_path / "whole")
    whole.run_here(*changes, "steps=10")
    stop = 6 if changes == ("schedule=constant",) else 7
    job.run_here(*changes, f"steps={stop}", "checkpoint_every=4", "keep_checkpoints=9")
    if changes == WSD:  # as if killed before its decay
        for name in ("manifest.json", f"checkpoints/step-{stop:08d}/MANIFEST.json"):
            (job.folder() / name).unlink()
    with caplog.at_level(logging.INFO):
        job.run_here(*changes, "steps=10", "checkpoint_every=4", "keep_checkpoints=9", resume="auto")
    assert f"from {stop} to 10 steps; every learning rate so far is that of the longer run" in caplog.text
    name = "export/model.safetensors"
    assert (job.folder() / name).read_bytes() == (whole.folder() / name).read_bytes()


def test_a_decaying_run_made_longer_continues_with_the_rates_of_the_new_length_and_logs_it(job, caplog):
    job.run_here("steps=6")
    with caplog.at_level(logging.INFO):
        counts = job.run_here("steps=10", resume="auto")
    assert counts["steps"] == 10
    rates = [line["learning_rate"] for line in job.metrics("train")]
    old, new = settings(schedule="linear", decay_steps=None, steps=6, warmup_steps=2, learning_rate=1e-3), None
    new = old.model_copy(update={"steps": 10})
    assert rates == [learning_rate(s, old if s < 6 else new) for s in range(10)]
    assert "0.00025 at step 6, continues as that of the new length, 0.0005; from step 4 on" in caplog.text


def test_the_log_describes_the_jump_of_the_rate_if_hours_are_added_after_a_decay():
    old, new = settings(training_hours=1.0), settings(training_hours=2.0)
    change = duration.describe_change({"step": 300, "end_step": 300}, old, new)
    assert "5e-06 at step 300, continues as that of the new length, 0.0001; from step 282 on" in change
    assert "every learning rate so far" in duration.describe_change({"step": 280, "end_step": 1000}, old, new)


def test_a_run_can_not_be_made_shorter_than_its_progress_nor_longer_in_its_long_phase(job):
    phase = f"long_phase={json.dumps({'steps': 2, 'max_length': 64, 'global_batch': 4, 'micro_batch': 4})}"
    job.run_here("steps=4", phase)
    before = sorted(path.name for path in job.folder().rglob("*"))
    with pytest.raises(ConfigError, match="has done 4 steps already; steps=3 leaves nothing"):
        job.run_here("steps=3", phase, resume="auto")
    with pytest.raises(ConfigError, match="in its long phase since step 2"):
        job.run_here("steps=8", phase, resume="auto")
    with pytest.raises(ConfigError, match="steps: was 4, now 8"):
        job.run_here("steps=8", phase)
    assert sorted(path.name for path in job.folder().rglob("*")) == before
