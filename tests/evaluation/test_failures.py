"""A model, split or trial that fails is recorded with its reason, and everything else is scored."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from bimed_dist.errors import DataError
from bimed_dist.evaluation import results, stage
from bimed_dist.evaluation.grid.model_on_task import Candidate, ModelOnTask, Trial, load_model_folder, model_on_task
from bimed_dist.evaluation.grid.running import run_trial
from bimed_dist.evaluation.grid.schedule import Schedule
from bimed_dist.evaluation.grid.task_result import collect_result
from bimed_dist.evaluation.models import finetuning
from bimed_dist.evaluation.preparation.prepared import SealedSplits
from bimed_dist.evaluation.preparation.preparing import prepare_tasks
from bimed_dist.evaluation.task import Example
from bimed_dist.hugging_face import load_tokenizer
from bimed_dist.recipe.evaluation import EvaluatedModel, TaskSettings
from bimed_dist.references import locate

from .conftest import KORSTS, grid_of, results_of, run_all, write_corpus


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path / "work", [("en", "s", [f"lung {i}", "small nodule", "a mass"]) for i in range(3)])


def test_a_model_that_can_not_be_used_fails_and_the_others_are_scored(
    korsts, two_models, tiny_model, tmp_path, make_recipe
):
    bare, cut = tiny_model("bare"), tiny_model("cut")
    for file in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (bare / file).unlink(missing_ok=True)
    (cut / "model.safetensors").write_bytes((cut / "model.safetensors").read_bytes()[:5000])
    models = {
        "bare": EvaluatedModel(folder=str(bare)),
        "cut": EvaluatedModel(folder=str(cut)),
        "base": two_models["base"],
    }
    stage.run(make_recipe(models, KORSTS), tmp_path / "work")
    results = results_of(tmp_path / "work")
    assert {(f["model"], f["trial"]) for f in results["failures"]} == {
        ("bare", "all"),
        ("cut", "lr=0.001,epochs=1,seed=1"),
        ("cut", "lr=0.001,epochs=1,seed=2"),
    }
    reasons = {f["model"]: f["error"] for f in results["failures"]}
    assert "there is no tokenizer" in reasons["bare"]
    assert "the model can't be loaded" in reasons["cut"]
    assert {row["model"] for row in results["scores"]} == {"base"}
    assert results["models"]["bare"]["parameters"] is None


def test_models_that_are_no_text_encoders_or_have_a_damaged_tokenizer_fail_and_the_others_are_scored(
    corpus, two_models, tiny_model, make_recipe
):
    image, damaged = tiny_model("image"), tiny_model("damaged")
    (image / "config.json").write_text(json.dumps({"model_type": "vit"}), encoding="utf-8")
    (damaged / "tokenizer.json").write_text('{"version": "1.0", "model": {}}', encoding="utf-8")
    models = {
        "image": EvaluatedModel(folder=str(image)),
        "damaged": EvaluatedModel(folder=str(damaged)),
        "base": two_models["base"],
    }
    stage.run(make_recipe(models, {"nsp": TaskSettings(task="nsp", corpus="c")}), corpus)
    results = results_of(corpus)
    reasons = {f["model"]: f["error"] for f in results["failures"]}
    assert set(reasons) == {"image", "damaged"}
    assert "no vocab_size" in reasons["image"]
    assert "the tokenizer can't be loaded" in reasons["damaged"]
    assert {row["model"] for row in results["scores"]} == {"base"}


def test_a_failed_trial_excludes_its_candidate_from_the_choice(korsts, two_models, tmp_path, make_recipe):
    # A rate of 1e30 makes the loss infinite at the second step.
    tasks = {"sts": TaskSettings(task="korsts", path="korsts", learning_rates=(1e30, 1e-3))}
    stage.run(make_recipe({"base": two_models["base"]}, tasks), tmp_path / "work")
    results = results_of(tmp_path / "work")
    assert {f["trial"] for f in results["failures"]} == {"lr=1e+30,epochs=1,seed=1", "lr=1e+30,epochs=1,seed=2"}
    assert all(row["chosen"]["learning_rate"] == 1e-3 for row in results["scores"])


def test_a_model_with_damaged_weights_fails_on_masked_words_instead_of_being_scored(corpus, tiny_model, make_recipe):
    folder = tiny_model("nan")
    weights = load_file(folder / "model.safetensors")
    weights["cls.predictions.bias"][7] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    recipe = make_recipe({"nan": EvaluatedModel(folder=str(folder))}, {"mlm": TaskSettings(task="mlm", corpus="c")})
    stage.run(recipe, corpus)
    results = results_of(corpus)
    assert results["scores"] == []
    assert [f["trial"] for f in results["failures"]] == ["seed=1", "seed=2"]
    assert all("outputs are not finite" in f["error"] for f in results["failures"])


def test_a_test_split_that_can_not_be_encoded_is_a_recorded_failure_that_quotes_no_text(
    korsts, tiny_model, tmp_path, make_recipe
):
    recipe = make_recipe({"m": EvaluatedModel(folder="m")}, KORSTS)
    tokenizer = load_tokenizer(str(tiny_model("m")))
    entry = ModelOnTask(
        prepared=replace(
            prepare_tasks(recipe, tmp_path)["sts"],
            sealed=SealedSplits({"test": (Example("1", ("폐", "결절"), "no number"),)}),
        ),
        label="m",
        location=str(tmp_path / "models" / "m"),
        model_digest="d",
        tokenizer=tokenizer,
        max_tokens=64,
        candidates=(Candidate(1e-3, 1),),
        seeds=(1, 2),
        batch_size=16,
        folder=tmp_path / "trials",
        weights=tmp_path / "weights",
        parameters=1,
        encoded={},
    )
    entry.folder.mkdir()
    schedule = Schedule([entry])
    run_all(schedule)
    result = collect_result(entry, schedule.records[0], schedule.chosen[0])
    assert result.splits == {}
    # The tokenizer's own message would quote the text.
    assert [(failure["trial"], failure["error"]) for failure in result.failures] == [
        ("test", "DataError: 1 rows can't be encoded (ValueError)")
    ]


def test_a_split_whose_score_does_not_exist_fails_alone_and_the_test_split_keeps_its_score(
    korsts, two_models, tmp_path, make_recipe, monkeypatch
):
    tasks = {
        "sts": TaskSettings(task="korsts", path="korsts", also_test_on=("other",)),
        "other": TaskSettings(task="korsts", path="korsts", max_rows={"test": 20}),
    }
    recipe = make_recipe({"base": two_models["base"]}, tasks)
    prepared = prepare_tasks(recipe, tmp_path)["sts"]
    model = load_model_folder(locate(two_models["base"].folder, recipe, tmp_path))
    entry = model_on_task(recipe.evaluation, prepared, "base", model, tmp_path / "work", {})
    scores = ModelOnTask.scores

    def undefined(entry, gold, predicted):
        raise DataError("a correlation does not exist")

    def undefined_on_other(entry, gold, predicted):
        return (undefined if len(gold) == 20 else scores)(entry, gold, predicted)

    monkeypatch.setattr(ModelOnTask, "scores", undefined_on_other)
    schedule = Schedule([entry])
    run_all(schedule)
    result = collect_result(entry, schedule.records[0], schedule.chosen[0])
    found = results.build_results(recipe.evaluation, 5, {}, {"sts": prepared}, {("sts", "base"): result})
    failed = {"task": "sts", "model": "base", "error": "a correlation does not exist", "split": "test of other"}
    assert found["failures"] == [{**failed, "trial": f"test,seed={seed}, test of other"} for seed in (1, 2)]
    assert [(row["split"], len(row["values"])) for row in found["scores"] if row["main"]] == [("test", 2)]
    # If no split has a score, the trial itself fails.
    monkeypatch.setattr(ModelOnTask, "scores", undefined)
    record = run_trial(entry, Trial(entry.read_choice(), 1, test=True))
    assert (record["status"], record["error"]) == ("failed", "DataError: a correlation does not exist")


@pytest.mark.parametrize("error", [TypeError, AttributeError, KeyError, MemoryError, torch.OutOfMemoryError])
def test_whatever_a_models_code_raises_fails_its_trial_with_class_and_message(
    error, korsts, two_models, tmp_path, make_recipe, monkeypatch
):
    trained = finetuning.fine_tune

    def broken(location, *args, **settings):
        if location.endswith("adapted"):
            raise error("does not suit")
        return trained(location, *args, **settings)

    monkeypatch.setattr(finetuning, "fine_tune", broken)
    recipe = make_recipe(two_models, KORSTS, seeds=(1,))
    records = {}
    for entry in grid_of(recipe, tmp_path / "work"):
        records[entry.label] = run_trial(entry, entry.first_trials()[0])
    assert {label: record["status"] for label, record in records.items()} == {"base": "done", "adapted": "failed"}
    assert records["adapted"]["error"].startswith(error.__name__) and "does not suit" in records["adapted"]["error"]
