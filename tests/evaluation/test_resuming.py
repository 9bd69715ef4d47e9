"""Finished trials are used again if nothing that decides them has changed, and a stopped grid continues."""

import random
import signal
from collections import deque
from dataclasses import replace

import pytest
import torch
import yaml
from forks import wait_for

from bimed_dist.errors import ConfigError
from bimed_dist.evaluation import stage
from bimed_dist.evaluation.grid.schedule import Schedule
from bimed_dist.evaluation.models import finetuning
from bimed_dist.manifest import begin, versions
from bimed_dist.recipe.evaluation import TaskSettings
from bimed_dist.recipe.loading import load_recipe
from bimed_dist.references import locate

from .conftest import KORSTS, grid_of, read_trials, recipe_of, results_of, trial_times, write_corpus


def finished_trials(work):
    """Return the development and test records with the time at which they were written."""
    return {path: time_ns for path, time_ns in trial_times(work).items() if path.name.startswith(("lr=", "test,"))}


KILLED = {
    "similarity": {"task": "korsts", "path": "korsts"},
    "folds": {"task": "korsts", "path": "korsts", "folds": 3},
    "thresholds": {
        "task": "synthetic_ct",
        "max_rows": {"train": 48, "dev": 24, "test": 24, "external": 24},
        "threshold": "dev",
        "max_length": 32,
    },
}


def test_a_finished_stage_does_nothing_and_lost_results_come_from_the_trials(evaluated):
    recipe, work, models = evaluated.recipe, evaluated.work, evaluated.models
    before, results = trial_times(work), results_of(work)
    assert stage.run(recipe, work).was_done
    same = {**models, "base": models["base"].model_copy(update={"language": "en"})}
    assert stage.run(recipe_of(work.parent, same, KORSTS), work).was_done
    for name in ("manifest.json", "results.json"):
        (work / "evaluation" / name).unlink()
    lost = next(path for path in before if path.name == "test,seed=2.json")
    lost.unlink()
    assert not stage.run(recipe, work).was_done
    after = trial_times(work)
    assert {path for path in before if before[path] != after[path]} - {lost} == {
        path for path in before if path.name == "choice.json"
    }
    # The weights of the lost test trial had been removed: it was trained again, to the same predictions.
    assert results_of(work) == results


def test_trials_of_other_data_are_not_used_again(evaluated):
    recipe, work, train = evaluated.recipe, evaluated.work, evaluated.data / "sts-train.tsv"
    before = trial_times(work)
    rows = train.read_text(encoding="utf-8").split("\n")
    train.write_text("\n".join(rows[:40]) + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="other inputs"):
        stage.run(recipe, work)
    for name in ("manifest.json", "settings.json", "results.json"):
        (work / "evaluation" / name).unlink()
    (work / "evaluation").rename(work / "old")
    (work / "evaluation").mkdir()
    begin(work / "evaluation", *_settings_and_inputs(recipe, work))
    (work / "old" / "trials").rename(work / "evaluation" / "trials")
    stage.run(recipe, work)
    assert all(before[path] != time_ns for path, time_ns in trial_times(work).items())


def _settings_and_inputs(recipe, work):
    located = {label: locate(model.folder, recipe, work) for label, model in recipe.evaluation.models.items()}
    settings = {"seed": recipe.seed, **recipe.evaluation.identity()}
    return settings, stage.input_digests(recipe, work, located)


def test_a_task_added_later_keeps_the_trials_of_the_others(evaluated, caplog):
    caplog.set_level("INFO", logger="bimed_dist.evaluation")
    work, before = evaluated.work, results_of(evaluated.work)
    more = recipe_of(work.parent, evaluated.models, {"sts": KORSTS["sts"], "again": KORSTS["sts"]})
    with pytest.raises(ConfigError, match=r"(?s)tasks.again: was absent.*remove .*manifest.json and run again"):
        stage.run(more, work)
    (work / "evaluation" / "manifest.json").unlink()
    caplog.clear()
    stage.run(more, work)
    assert "8 of 16 trials to run" in caplog.text
    found = results_of(work)
    assert [row for row in found["scores"] if row["task"] == "sts"] == before["scores"]
    assert stage.run(more, work).was_done


def test_trials_of_another_pass_size_are_not_used_again(evaluated, monkeypatch):
    entry, _ = grid_of(evaluated.recipe, evaluated.work)
    assert Schedule([entry]).waiting == deque()
    monkeypatch.setattr(finetuning, "CPU_MICRO_BATCH_TOKENS", 64)
    assert [trial for _, trial in Schedule([entry]).waiting] == entry.first_trials()


def test_trials_of_a_task_that_learned_the_same_rows_in_another_way_are_not_used_again(
    korsts, two_models, tmp_path, make_recipe
):
    files = {split: f"sts-{split}.tsv" for split in ("train", "dev", "test")}
    table = {"files": files, "text_columns": ("sentence1", "sentence2"), "label_columns": ("score",)}
    recipes = [
        make_recipe({"base": two_models["base"]}, {"sts": TaskSettings(task=task, path="korsts", table=table)})
        for task in ("table_sts", "table_sts_six")
    ]
    stage.run(recipes[0], tmp_path / "work")
    (regression,), (classes,) = (grid_of(recipe, tmp_path / "work") for recipe in recipes)
    assert regression.prepared.digest == classes.prepared.digest
    assert Schedule([regression]).waiting == deque()
    assert [trial for _, trial in Schedule([classes]).waiting] == classes.first_trials()
    prepared = regression.prepared
    by_character = replace(regression, prepared=replace(prepared, task=replace(prepared.task, unit="character")))
    assert by_character.key() == {**regression.key(), "unit": "character"}


def test_records_hold_device_precision_pass_size_versions_and_processor(evaluated, two_models, tmp_path, make_recipe):
    corpus = write_corpus(tmp_path / "other", [("en", "s", ["lung mass", "small nodule"])])
    stage.run(make_recipe({"base": two_models["base"]}, {"mlm": TaskSettings(task="mlm", corpus="c")}), corpus)
    records = [r for work in (evaluated.work, corpus) for path, r in read_trials(work).items() if "choice" not in path]
    assert len(records) == 8 + 2
    for record in records:
        assert record["key"]["arithmetic"] == finetuning.arithmetic()
        assert set(record["key"]["arithmetic"]) == {"device", "precision", "micro_batch_tokens"}
        assert record["versions"] == versions()
        assert record["machine"]["threads"] == torch.get_num_threads() and record["machine"]["processor"]


@pytest.mark.slow
def test_a_grid_that_is_killed_six_times_at_random_continues_to_the_same_results(korsts, two_models, tmp_path, forks):
    tree = {
        "name": "kill",
        "seed": 5,
        "data": str(tmp_path),
        "evaluation": {
            "models": {label: model.model_dump() for label, model in two_models.items()},
            "tasks": KILLED,
            "learning_rates": [1e-3],
            "epochs": [1, 2],
            "seeds": [1, 2],
            "batch_size": 4,
        },
    }
    path, work = tmp_path / "recipe.yaml", tmp_path / "killed"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    total = sum(len(two_models) * task.get("folds", 1) * (2 * 2 + 2) for task in KILLED.values())
    # One moment in each sixth of the grid, the last one before its end.
    rng = random.Random(7)
    moments = [min(rng.randrange(part * total // 6, (part + 1) * total // 6), total - 5) for part in range(6)]
    trials = work / "evaluation" / "trials"
    for moment in moments:
        running = forks.start([str(path), "--work", str(work)], program="launch/evaluation.py")
        wait_for(lambda least=moment: trials.is_dir() and len(finished_trials(work)) >= least, running, 600)
        running.kill(signal.SIGKILL)
        assert running.wait(10) == [-signal.SIGKILL]
        assert not (work / "evaluation" / "manifest.json").exists()
    kept = finished_trials(work)
    recipe = load_recipe(path)
    stage.run(recipe, work)
    stage.run(recipe, tmp_path / "whole")
    after = finished_trials(work)
    assert len(kept) >= moments[-1] and len(after) == total
    assert any(path.name.startswith("test,") for path in kept)
    assert {path: after[path] for path in kept} == kept
    assert results_of(work) == results_of(tmp_path / "whole")
