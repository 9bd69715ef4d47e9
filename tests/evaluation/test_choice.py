import json

import pytest

from bimed_dist.errors import ConfigError
from bimed_dist.evaluation import stage
from bimed_dist.evaluation.grid import choice
from bimed_dist.evaluation.grid.model_on_task import Candidate
from bimed_dist.evaluation.preparation.prepared import SealedSplits
from bimed_dist.recipe.evaluation import TaskSettings

from .conftest import grid_of, results_of


def test_the_choice_is_the_best_development_mean_and_only_it_is_scored_on_test(
    korsts, two_models, tmp_path, make_recipe
):
    tasks = {"sts": TaskSettings(task="korsts", path="korsts", learning_rates=(1e-5, 3e-3), epochs=(1, 2))}
    stage.run(make_recipe({"base": two_models["base"]}, tasks), tmp_path / "work")
    folder = tmp_path / "work" / "evaluation" / "trials" / "sts" / "base"
    choice = json.loads((folder / "choice.json").read_text(encoding="utf-8"))
    means = {(c["learning_rate"], c["epochs"]): c["mean"] for c in choice["candidates"]}
    assert len(means) == 4
    chosen = (choice["chosen"]["learning_rate"], choice["chosen"]["epochs"])
    assert means[chosen] == max(means.values())
    record = json.loads((folder / f"lr={chosen[0]!r},epochs={chosen[1]},seed=1.json").read_text(encoding="utf-8"))
    assert set(record["dev"]) == {"pearson", "spearman"}
    assert "test" not in json.dumps(record)
    test = json.loads((folder / "test,seed=1.json").read_text(encoding="utf-8"))
    assert test["key"]["chosen"] == list(chosen)
    assert sorted(path.name for path in folder.iterdir() if "test" in path.name) == [
        "test,seed=1.json",
        "test,seed=2.json",
    ]


def test_a_choice_among_other_candidates_or_seeds_after_a_test_score_is_noted_and_the_earlier_one_is_kept(
    korsts, two_models, tmp_path, make_recipe
):
    work, models = tmp_path / "work", {"base": two_models["base"]}
    noted = ["base: chosen again, among other candidates or seeds, after a test score had been computed"]

    def notes_with(rates, seeds=(1,)):
        tasks = {"sts": TaskSettings(task="korsts", path="korsts", learning_rates=rates)}
        stage.run(make_recipe(models, tasks, seeds=seeds), work)
        (work / "evaluation" / "manifest.json").unlink()
        return [note for note in results_of(work)["tasks"]["sts"]["notes"] if "chosen again" in note]

    assert notes_with((1e-4,)) == []
    assert notes_with((1e-4,)) == []
    assert notes_with((1e-4, 1e-3)) == noted
    assert notes_with((1e-4, 1e-3), seeds=(1, 2)) == noted
    file = work / "evaluation" / "trials" / "sts" / "base" / "choice.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    grids = [(c["key"]["grid"], c["key"]["seeds"], c["tested"]) for c in found["earlier"]]
    assert grids == [([[1e-4, 1]], [1], True), ([[1e-4, 1], [1e-3, 1]], [1], True)]
    # Choices without a test score, or for other data, are not noted.
    (entry,) = grid_of(make_recipe(models, {"sts": TaskSettings(task="korsts", path="korsts")}, seeds=(1,)), work)
    for path in entry.folder.glob("test,seed=*.json"):
        path.unlink()
    file.write_text(json.dumps({**found, "earlier": []}), encoding="utf-8")
    choice.write_choice(entry, {entry.candidates[0]: [0.5]}, entry.candidates[0])
    assert len(json.loads(file.read_text(encoding="utf-8"))["earlier"]) == 1
    assert not choice.was_chosen_after_a_test(entry)
    other = {**found["earlier"][0], "key": {**found["earlier"][0]["key"], "data_digest": "another"}}
    file.write_text(json.dumps({"earlier": [other]}), encoding="utf-8")
    assert not choice.was_chosen_after_a_test(entry)
    file.write_text(json.dumps({"earlier": found["earlier"][:1]}), encoding="utf-8")
    assert choice.was_chosen_after_a_test(entry)


def test_a_tie_goes_to_the_first_of_the_grid():
    first, second, third = (Candidate(1e-5, epochs) for epochs in (1, 2, 3))
    assert choice.best_candidate({first: [0.5, 0.7], second: [0.9, 0.3], third: [0.1, 0.2]}) == first
    assert choice.best_candidate({}) is None


def test_test_splits_stay_closed_until_a_choice_for_this_grid_is_written(tmp_path):
    sealed = SealedSplits({"test": ()})
    choice = tmp_path / "choice.json"
    with pytest.raises(ConfigError, match="not written"):
        sealed.open(choice, {"task": "a"})
    choice.write_text(json.dumps({"key": {"task": "b"}, "chosen": {"epochs": 1}}))
    with pytest.raises(ConfigError, match="another model, data or grid"):
        sealed.open(choice, {"task": "a"})
    choice.write_text(json.dumps({"key": {"task": "a"}, "chosen": None}))
    with pytest.raises(ConfigError, match="test splits are closed"):
        sealed.open(choice, {"task": "a"})
    choice.write_text(json.dumps({"key": {"task": "a"}, "chosen": {"epochs": 1}}))
    assert sealed.open(choice, {"task": "a"}) == {"test": ()}
