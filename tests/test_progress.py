"""Progress without a terminal: lines with rate and time left, at most one in a while."""

import logging

import pytest

from bimed_dist import progress
from bimed_dist.progress import Progress


@pytest.fixture
def clock(monkeypatch, caplog):
    """Seconds since the start, which a test moves."""
    caplog.set_level(logging.INFO, logger="bimed_dist.progress")
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_lines_give_numbers_rate_time_left_and_note(clock, caplog):
    with Progress("run", 100, "steps", done=10) as shown:
        for clock[0], step in ((10, 15), (40, 30), (50, 40), (80, 50)):
            shown.set(step, f"loss {step / 10}")
    assert caplog.messages == [
        "run: 30 of 100 steps, 0.50 steps/s, about 02:20 left, loss 3.0",
        "run: 50 of 100 steps, 0.50 steps/s, about 01:40 left, loss 5.0",
    ]


def test_bytes_are_shown_in_megabytes(clock, caplog):
    with Progress("corpus", 40_000_000, "B") as shown:
        clock[0] = 31.0
        shown.advance(31_000_000)
    assert caplog.messages == ["corpus: 31 of 40 MB, 1.00 MB/s, about 00:09 left"]


def test_runs_of_unequal_cost_have_no_rate_and_a_total_may_change(clock, caplog):
    with Progress("evaluation", 8, "runs", steady=False, seconds_per_line=300) as shown:
        clock[0] = 299.0
        shown.advance()
        shown.log("sts ends")
        clock[0] = 700.0
        shown.set(3, total=9)
    assert caplog.messages == ["evaluation: sts ends", "evaluation: 3 of 9 runs"]
