"""Two length phases in one run: rows, schedule, resume across the boundary, engines."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from bimed_dist.errors import ConfigError
from bimed_dist.pretraining import deepspeed_config
from bimed_dist.recipe.pretraining import LongPhase, PretrainingSettings
from bimed_dist.shards.batches import PhaseBatches, TrainingBatches
from bimed_dist.shards.reading import ShardSet

from .conftest import TIMEOUT, as_options

LONG = {"steps": 4, "max_length": 64, "global_batch": 4, "micro_batch": 1}
CHANGES = ("dropout=0.0", "checkpoint_every=3", f"long_phase={json.dumps(LONG)}")
"""Twelve steps: eight of 8 rows of 48 tokens, in micro-batches of 2, then four of 4 rows of 64 tokens, one by one."""


def settings(**changes: object) -> PretrainingSettings:
    values = {"model": "m", "shards": "s", "steps": 12, "global_batch": 8, "micro_batch": 2, "max_length": 48}
    return PretrainingSettings(**{**values, "long_phase": LongPhase(**LONG), **changes})


def test_the_boundary_between_phases_and_the_rows_before_it():
    first, long = settings().phases
    assert (first.first_step, first.end, long.first_step, long.end) == (0, 8, 8, 12)
    assert [settings().phase_at(step).max_length for step in (0, 7, 8, 11)] == [48, 48, 64, 64]
    assert [settings().rows_before(step) for step in (0, 7, 8, 9, 12)] == [0, 56, 64, 68, 80]


def test_each_phase_reads_its_own_rows_from_the_beginning_of_an_epoch(job):
    shards = ShardSet.open(job.work / "shards" / "tokens", "train")
    rows = TrainingBatches(shards, settings(), seed=11)
    alone = PhaseBatches(shards, settings(max_length=64, global_batch=4, micro_batch=1, long_phase=None), seed=11)
    for step in range(8, 12):
        found, expected = (s.step_batches(n, rank=1, world_size=2) for s, n in ((rows, step), (alone, step - 8)))
        assert [part.rows.tolist() for part in found] == [part.rows.tolist() for part in expected]
        assert [part.input_ids.tolist() for part in found] == [part.input_ids.tolist() for part in expected]
    assert sum(len(part.rows) for part in rows.step_batches(7, rank=0, world_size=1)) == 8


def test_deepspeed_is_configured_with_the_most_micro_batches_of_any_phase():
    resolved = deepspeed_config.resolve({"zero_optimization": {"stage": 2}}, settings(), 2)
    batch, micro, steps = (
        resolved[key] for key in ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps")
    )
    assert (batch, micro, steps) == (8, 2, 2)
    wider = settings(long_phase=LongPhase(**{**LONG, "global_batch": 16}))
    resolved = deepspeed_config.resolve({"zero_optimization": {"stage": 2}}, wider, 2)
    assert (resolved["train_batch_size"], resolved["gradient_accumulation_steps"]) == (16, 8)
    odd = settings(long_phase=LongPhase(**{**LONG, "global_batch": 5}))
    with pytest.raises(ConfigError, match=r"long_phase\.global_batch=5 is not a multiple of the 2 processes"):
        deepspeed_config.resolve({"zero_optimization": {"stage": 2}}, odd, 2)


def test_two_phases_stopped_on_both_sides_of_the_boundary_end_with_the_bytes_of_a_run_never_stopped(job, tmp_path):
    whole = job.copy(tmp_path / "whole")
    counts = whole.run_here(*CHANGES)
    assert counts["rows"] == 8 * 8 + 4 * 4
    assert [phase["steps"] for phase in counts["phases"]] == [8, 4]
    assert [line["rows_seen"] for line in whole.metrics("train")][6:10] == [56, 64, 68, 72]

    card = (whole.folder() / "export" / "README.md").read_text(encoding="utf-8")
    assert "8 steps of 8 rows of at most 48 tokens, then 4 steps of 4 rows of at most 64 tokens" in card

    job.run_here(*CHANGES, "keep_checkpoints=9")
    for last in (9, 6):  # as if killed after this step: later checkpoints were never made
        for folder in (job.folder() / "checkpoints").iterdir():
            if int(folder.name.removeprefix("step-")) > last:
                shutil.rmtree(folder)
        (job.folder() / "manifest.json").unlink()
        shutil.rmtree(job.folder() / "export")
        job.run_here(*CHANGES, "keep_checkpoints=9", resume="auto")
        name = "export/model.safetensors"
        assert (job.folder() / name).read_bytes() == (whole.folder() / name).read_bytes()
        assert [line["loss"] for line in job.metrics("train")] == [line["loss"] for line in whole.metrics("train")]


@pytest.mark.slow
def test_two_processes_train_both_phases_as_one_process_does(job, tmp_path, forks):
    single = job.copy(tmp_path / "single")
    single.run_here(*CHANGES)
    running = forks.start(job.arguments(*as_options(CHANGES)), 2, "zero2")
    assert running.wait(TIMEOUT) == [0, 0], running.output()
    found, expected = (load_file(j.folder() / "export" / "model.safetensors") for j in (job, single))
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=5e-6)  # as in test_engines.py
