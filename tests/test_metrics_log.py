"""A metrics file with a damaged line: what a resume keeps and what the report shows."""

import json
import logging
from pathlib import Path

import pytest

from bimed_dist.metrics_log import read_metrics
from bimed_dist.pretraining.records import RunRecord
from bimed_dist.report.records import read_curve

DAMAGE = {
    "cut off": b'{"kind": "train", "st',
    "not UTF-8": b'{"kind": "train", "step": 3, "loss": \xff1.0}',
    "zeros": bytes(40),
    "no step": b'{"kind": "train"}',
    "no object": b"17",
}


def line(step: int) -> dict[str, object]:
    return {"kind": "train", "step": step, "loss": 10.0 - step}


@pytest.fixture(params=DAMAGE.values(), ids=DAMAGE.keys())
def damaged(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Steps 1 to 8; the third line is damaged."""
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps(line(step)).encode() for step in range(1, 9)]
    path.write_bytes(b"\n".join([*lines[:2], request.param, *lines[3:]]) + b"\n")
    return path


def test_a_damaged_line_is_reported_with_its_number_and_the_lines_after_it_are_read(damaged, caplog):
    assert [entry["step"] for entry in read_metrics(damaged)] == [1, 2, 4, 5, 6, 7, 8]
    assert f"{damaged}, line 3 is damaged" in caplog.text


def test_a_resume_keeps_the_good_lines_after_a_damaged_one_up_to_the_step_of_the_checkpoint(damaged, caplog):
    RunRecord(damaged.parent, [], first_step=6, steps=10, label="run").close()
    assert [json.loads(text)["step"] for text in damaged.read_text().splitlines()] == [1, 2, 4, 5, 6]
    assert "line 3 is damaged" in caplog.text


def test_the_report_shows_the_lines_around_a_damaged_one(damaged, caplog):
    with caplog.at_level(logging.WARNING):
        assert [entry["step"] for entry in read_curve(damaged)] == [1, 2, 4, 5, 6, 7, 8]
    assert "line 3 is damaged" in caplog.text
