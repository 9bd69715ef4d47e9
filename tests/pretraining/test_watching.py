"""Trackers, the profiler, and the sanity check."""

import importlib.util
import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bimed_dist.errors import BimedError, ConfigError, NonFiniteError
from bimed_dist.pretraining import trackers
from bimed_dist.pretraining.sanity import overfit
from bimed_dist.recipe.loading import load_recipe

from .conftest import TIMEOUT, as_options

SHORT = ("steps=6", "warmup_steps=0", "validate_every=3")


def test_tensorboard_and_the_profiler_record_a_run_and_trackers_may_change_in_a_resume(job):
    job.run_here(*SHORT, "profile_steps=2")
    board = EventAccumulator(str(job.folder() / "tensorboard")).Reload()
    for kind, name in (("train", "mlm_loss"), ("train", "learning_rate"), ("validation", "nsp_accuracy")):
        found = [(event.step, pytest.approx(event.value)) for event in board.Scalars(f"{kind}/{name}")]
        assert found == [(line["step"], line[name]) for line in job.metrics(kind)]
    (source,) = job.metrics("validation")[0]["by_source"]
    found = [event.value for event in board.Scalars(f"validation/by_source/{source}/mlm_loss")]
    assert found == pytest.approx([line["by_source"][source]["mlm_loss"] for line in job.metrics("validation")])

    events = json.loads((job.folder() / "profile" / "rank0.json").read_text(encoding="utf-8"))["traceEvents"]
    assert sum(event.get("name") == "Optimizer.step#AdamW.step" for event in events) == 2
    assert "aten::addmm" in (job.folder() / "profile" / "rank0.txt").read_text(encoding="utf-8")

    before = (job.folder() / "metrics.jsonl").read_bytes()
    (job.folder() / "manifest.json").unlink()
    job.run_here(*SHORT, "trackers=[]", resume="auto")
    assert (job.folder() / "metrics.jsonl").read_bytes() == before


def test_a_tracker_that_is_not_installed_is_refused_before_training(job, monkeypatch):
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="wandb is not installed: pip install"):
        job.run_here(*SHORT, "trackers=[wandb]")
    assert not job.folder().exists()


@pytest.mark.skipif(importlib.util.find_spec("trackio") is None, reason="needs the extra `trackers`")
def test_trackio_gets_the_numbers_of_metrics_jsonl_in_the_folder_of_the_run(job, forks, monkeypatch):
    monkeypatch.delenv("TRACKIO_DIR", raising=False)
    running = forks.start(job.arguments(*as_options((*SHORT, "trackers=[trackio]"))))
    assert running.wait(TIMEOUT) == [0], running.output()
    assert list((job.folder() / "trackio").glob("*.db"))
    assert len(job.metrics("train")) == 6


def test_the_sanity_check_passes_if_the_model_learns_and_fails_otherwise(job):
    recipe = load_recipe(job.recipe, ["pretraining.run.learning_rate=3e-3", "pretraining.run.micro_batch=4"])
    losses = overfit(recipe, "run", job.work)
    assert (losses.rows, losses.last < 0.7 * losses.first) == (4, True)
    too_slow = load_recipe(job.recipe, ["pretraining.run.learning_rate=1e-9"])
    with pytest.raises(BimedError, match=r"100 steps on the same 2 rows .* check learning_rate=1e-09"):
        overfit(too_slow, "run", job.work)
    diverging = load_recipe(job.recipe, ["pretraining.run.learning_rate=1e30"])
    with pytest.raises(NonFiniteError, match=r"step \d+ on the same 2 rows: .* lower learning_rate=1e\+30"):
        overfit(diverging, "run", job.work)
    assert not job.folder().exists()
