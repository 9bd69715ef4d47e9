"""A loss that is not finite: weights unchanged on all ranks, its rows reported, the run stopped or the step skipped."""

import json
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import BertForPreTraining

from bimed_dist import manifest
from bimed_dist.pretraining import checkpoints
from bimed_dist.recipe.loading import load_recipe
from bimed_dist.shards.batches import PhaseBatches
from bimed_dist.shards.reading import ShardSet

from .conftest import TIMEOUT

CHANGES = {"pairing": "sentences", "max_length": 64, "global_batch": 4, "dropout": 0.0, "checkpoint_every": 1}
OPTIONS = [word for key, value in CHANGES.items() for word in ("--set", f"pretraining.run.{key}={value}")]
KEEP_ALL = ("--set", "pretraining.run.keep_checkpoints=99")


@dataclass(frozen=True)
class Broken:
    job: object
    steps: list[int]
    """Steps, from 0, whose loss is not finite."""
    rows: dict[int, list[int]]
    """The rows of these steps that cause it."""


def allowed(count: int) -> tuple[str, str]:
    return "--set", f"pretraining.run.max_skipped_steps={count}"


@pytest.fixture(scope="module")
def prepared_broken(prepared, tmp_path_factory) -> Broken:
    """A model whose last position is nan, so that only steps with a row of full length give nan."""
    job = prepared.copy(tmp_path_factory.mktemp("broken") / "work")
    folder = job.work / "model" / "tiny"
    model = BertForPreTraining.from_pretrained(folder)
    with torch.no_grad():
        model.bert.embeddings.position_embeddings.weight[-1] = math.nan
    model.save_pretrained(folder)
    old = manifest.read_manifest(folder)
    same = {key: getattr(old, key) for key in ("stage", "name", "settings", "inputs", "counts")}
    manifest.write_manifest(folder, **same, files=[folder / name for name in old.files], seconds=0)

    recipe = load_recipe(job.recipe)
    settings = recipe.pretraining["run"].model_copy(update=CHANGES)
    stream = PhaseBatches(ShardSet.open(job.work / "shards" / "tokens", "train"), settings, seed=recipe.seed)
    rows = {}
    for step in range(settings.steps):
        batches = stream.step_batches(step, rank=0, world_size=1)
        long = [int(row) for batch in batches for row in batch.rows[np.diff(batch.row_starts) == 64]]
        if long:
            rows[step] = long
    assert 2 <= len(rows) < settings.steps
    return Broken(job, sorted(rows), rows)


@pytest.fixture
def broken(prepared_broken, tmp_path) -> Broken:
    return Broken(prepared_broken.job.copy(tmp_path / "work"), prepared_broken.steps, prepared_broken.rows)


def state(job, step: int) -> dict[str, torch.Tensor]:
    """Weights and optimizer state of a checkpoint of one process."""
    return load_file(job.folder() / "checkpoints" / f"step-{step:08d}" / "rank-0000-of-0001.safetensors")


@pytest.fixture(scope="module")
def skipping(prepared_broken, tmp_path_factory, forks):
    """One process that skips every bad step: its job and its output."""
    job = prepared_broken.job.copy(tmp_path_factory.mktemp("skipping") / "work")
    running = forks.start(job.arguments(*OPTIONS, *KEEP_ALL, *allowed(len(prepared_broken.steps))))
    assert running.wait(TIMEOUT) == [0], running.output()
    return job, running.output()


def test_a_skipped_step_changes_neither_weights_nor_optimizer_and_is_logged_with_its_rows(skipping, prepared_broken):
    job, output = skipping
    for step in prepared_broken.steps[1:]:
        before, after = (state(job, n) for n in (step, step + 1))
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name].nan_to_num(), after[name].nan_to_num()) for name in before)
    skipped = job.metrics("skipped")
    assert [line["step"] - 1 for line in skipped] == prepared_broken.steps
    for line in skipped:
        assert set(prepared_broken.rows[line["step"] - 1]) <= set(line["rows"])
        assert len(line["rows"]) <= 4
        assert f"step {line['step']}: the loss is not finite" in output
    counts = json.loads((job.folder() / "manifest.json").read_text(encoding="utf-8"))["counts"]
    assert counts["skipped_steps"] == len(prepared_broken.steps)
    assert not {line["step"] - 1 for line in job.metrics("train")} & set(prepared_broken.steps)


@pytest.mark.parametrize("engine", ["zero2", pytest.param("zero3", marks=pytest.mark.slow)])
def test_every_engine_skips_the_same_steps(broken, skipping, forks, engine):
    running = forks.start(broken.job.arguments(*OPTIONS, *allowed(len(broken.steps))), 2, engine)
    assert running.wait(TIMEOUT) == [0, 0], running.output()
    assert [line["step"] - 1 for line in broken.job.metrics("skipped")] == broken.steps
    found, expected = (load_file(j.folder() / "export" / "model.safetensors") for j in (broken.job, skipping[0]))
    for name in expected:  # the tolerance of test_engines.py
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=5e-6, equal_nan=True)


@pytest.mark.parametrize(("engine", "processes"), [("single", 1), pytest.param("zero2", 2, marks=pytest.mark.slow)])
def test_one_skipped_step_too_many_stops_every_rank_and_keeps_the_last_checkpoint(broken, forks, engine, processes):
    running = forks.start(broken.job.arguments(*OPTIONS, *allowed(1)), processes, engine)
    step = broken.steps[1]
    assert running.wait(TIMEOUT) == [3] * processes
    assert f"error: step {step + 1}: the loss is not finite (epoch 0, rows " in running.output()
    assert all(str(row) in running.output() for row in broken.rows[step])
    _, record = checkpoints.newest(broken.job.folder() / "checkpoints")
    assert (record["step"], record["skipped_steps"]) == (step, 1)
    assert not (broken.job.folder() / "manifest.json").exists()


def test_steps_skipped_before_a_resume_count_after_it_and_more_may_be_allowed_then(broken, forks):
    for resume in ("never", "auto"):
        running = forks.start(broken.job.arguments(*OPTIONS, *allowed(1), "--resume", resume))
        assert running.wait(TIMEOUT) == [3]
        assert f"error: step {broken.steps[1] + 1}: the loss" in running.output()
    running = forks.start(broken.job.arguments(*OPTIONS, *allowed(len(broken.steps)), "--resume", "auto"))
    assert running.wait(TIMEOUT) == [0], running.output()
    counts = json.loads((broken.job.folder() / "manifest.json").read_text(encoding="utf-8"))["counts"]
    assert counts["skipped_steps"] == len(broken.steps)
