import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from scipy import stats

from bimed_dist.errors import ConfigError, DataError
from bimed_dist.evaluation import results, stage
from bimed_dist.evaluation.grid import model_on_task as grid
from bimed_dist.evaluation.grid.schedule import Schedule
from bimed_dist.evaluation.grid.task_result import SplitResult, TaskResult, collected
from bimed_dist.evaluation.models import finetuning
from bimed_dist.evaluation.models.intrinsic import words_to_mask
from bimed_dist.evaluation.preparation.prepared import SealedSplits
from bimed_dist.evaluation.preparation.preparing import prepare_tasks
from bimed_dist.evaluation.task import Example
from bimed_dist.evaluation.tasks import TASKS
from bimed_dist.hugging_face import load_tokenizer
from bimed_dist.manifest import folder_lock, versions
from bimed_dist.recipe.evaluation import EvaluatedModel, TaskSettings
from bimed_dist.recipe.loading import load_recipe
from bimed_dist.references import locate

from .conftest import pairs_of, results_of, write_corpus


def cell_times(work):
    return {path: path.stat().st_mtime_ns for path in (work / "evaluation" / "cells").rglob("*.json")}


def sentences(word, i):
    return [f"{word} {i}", f"{word} mass", word, f"no {i}"]


@pytest.fixture
def corpus(tmp_path):
    """Two languages, two documents each."""
    words = [("ko", "결절"), ("en", "lung"), ("ko", "소견"), ("en", "small nodule")]
    return write_corpus(
        tmp_path / "work", [(language, "s", sentences(word, i)) for i, (language, word) in enumerate(words)]
    )


def test_results_have_every_score_with_spread_interval_and_comparison(
    korsts, bc5cdr, two_models, tmp_path, make_recipe
):
    tasks = {"sts": TaskSettings(task="korsts", path="korsts"), "ner": TaskSettings(task="bc5cdr", path="bc5cdr")}
    recipe = make_recipe(two_models, tasks)
    outcome = stage.run(recipe, tmp_path / "work")
    results = results_of(tmp_path / "work")
    assert not outcome.was_done
    assert outcome.manifest.counts["cells"] == 8
    assert results["failures"] == []
    assert results["models"]["adapted"]["adapted_from"] == "base"
    assert results["models"]["base"]["vocabulary"] < results["models"]["adapted"]["vocabulary"]
    assert all(row["interval"] is not None for row in results["scores"])
    main = [row for row in results["scores"] if row["main"]]
    assert {(row["task"], row["model"], row["metric"]) for row in main} == {
        ("sts", "base", "pearson"),
        ("sts", "adapted", "pearson"),
        ("ner", "base", "f1"),
        ("ner", "adapted", "f1"),
    }
    for row in main:
        assert len(row["values"]) == 2
        assert row["mean"] == pytest.approx(sum(row["values"]) / 2)
        assert row["interval"][0] <= row["interval"][1]
        assert row["chosen"] == {"learning_rate": 1e-3, "epochs": 1}
    assert [(row["task"], row["foundation"]) for row in results["comparisons"]] == [("sts", "base"), ("ner", "base")]
    assert all(row["p"] <= row["p_holm"] <= 1 for row in results["comparisons"])
    assert results["tasks"]["sts"]["rows"] == {"train": 48, "dev": 16, "test": 24}
    assert not (tmp_path / "work" / "evaluation" / "weights.partial").exists()
    stored = "".join(path.read_text(encoding="utf-8") for path in cell_times(tmp_path / "work"))
    assert "nodule" not in stored and "결절" not in stored


def test_a_finished_stage_does_nothing_and_lost_results_come_from_the_cells(korsts, two_models, tmp_path, make_recipe):
    recipe = make_recipe(two_models, {"sts": TaskSettings(task="korsts", path="korsts")})
    work = tmp_path / "work"
    stage.run(recipe, work)
    before, results = cell_times(work), results_of(work)
    assert stage.run(recipe, work).was_done
    models = {**two_models, "base": two_models["base"].model_copy(update={"language": "en"})}
    assert stage.run(make_recipe(models, recipe.evaluation.tasks), work).was_done
    for name in ("manifest.json", "results.json"):
        (work / "evaluation" / name).unlink()
    spoilt = next(path for path in before if path.name == "test,seed=2.json")
    spoilt.unlink()
    assert not stage.run(recipe, work).was_done
    after = cell_times(work)
    assert {path for path in before if before[path] != after[path]} - {spoilt} == {
        path for path in before if path.name == "choice.json"
    }
    # The weights of the lost test cell had been removed: it was trained again, to the same predictions.
    assert results_of(work) == results


def test_cells_of_other_data_are_not_used_again(korsts, two_models, tmp_path, make_recipe):
    recipe = make_recipe(two_models, {"sts": TaskSettings(task="korsts", path="korsts")})
    work = tmp_path / "work"
    stage.run(recipe, work)
    before = cell_times(work)
    rows = (korsts / "sts-train.tsv").read_text(encoding="utf-8").split("\n")
    (korsts / "sts-train.tsv").write_text("\n".join(rows[:40]) + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="other inputs"):
        stage.run(recipe, work)
    for name in ("manifest.json", "settings.json", "results.json"):
        (work / "evaluation" / name).unlink()
    (work / "evaluation").rename(work / "old")
    (work / "evaluation").mkdir()
    stage.begin(work / "evaluation", *_settings_and_inputs(recipe, work))
    (work / "old" / "cells").rename(work / "evaluation" / "cells")
    stage.run(recipe, work)
    assert all(before[path] != time_ns for path, time_ns in cell_times(work).items())


def _settings_and_inputs(recipe, work):
    settings = {"seed": recipe.seed, **recipe.evaluation.identity()}
    located = {label: stage.locate(m.folder, recipe, work) for label, m in recipe.evaluation.models.items()}
    return settings, stage._inputs(recipe.evaluation, recipe, work, located)


KILLED = {
    "similarity": {"task": "korsts", "path": "korsts"},
    "folds": {"task": "korsts", "path": "korsts", "folds": 3},
    "thresholds": {
        "task": "synthetic_ct",
        "rows": {"train": 48, "dev": 24, "test": 24, "external": 24},
        "threshold": "dev",
        "max_length": 32,
    },
}


def finished_cells(work):
    """Development and test cells with the time they were written at."""
    return {path: time_ns for path, time_ns in cell_times(work).items() if path.name.startswith(("lr=", "test,"))}


def cells_of(task, models):
    turns = task.get("folds", 1)
    return models * turns * (4 * 2 + 2)


@pytest.mark.slow
@pytest.mark.parametrize(("what", "seed"), [("folds", 1), *((what, seed) for what in KILLED for seed in (2, 3))])
def test_a_grid_that_is_killed_again_and_again_at_random_continues_to_the_same_results(
    what, seed, korsts, two_models, tmp_path, root
):
    tree = {
        "name": "kill",
        "seed": 5,
        "data": str(tmp_path),
        "evaluation": {
            "models": {label: model.model_dump() for label, model in two_models.items()},
            "tasks": {"t": KILLED[what]},
            "learning_rates": [1e-4, 1e-3],
            "epochs": [1, 4],
            "seeds": [1, 2],
            "batch_size": 4,
        },
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    code = (
        "import sys, torch; from pathlib import Path; from bimed_dist.recipe.loading import load_recipe; "
        "from bimed_dist.evaluation import stage; torch.set_num_threads(1); "
        f"stage.run(load_recipe(Path({str(path)!r})), Path(sys.argv[1]))"
    )
    work = tmp_path / "killed"
    total = cells_of(KILLED[what], len(two_models))
    # Three moments of the whole grid, the last one late, when test cells are there.
    rng = random.Random(seed)
    half = total // 2
    moments = sorted(rng.randrange(*span) for span in ((1, half), (half, total - 8), (total - 10, total - 5)))
    for moment in moments:
        environment = {**os.environ, "PYTHONPATH": str(root)}
        process = subprocess.Popen([sys.executable, "-c", code, str(work)], env=environment)
        deadline = time.monotonic() + 600
        while not (work / "evaluation" / "cells").is_dir() or len(finished_cells(work)) < moment:
            assert process.poll() is None, "the grid ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not (work / "evaluation" / "manifest.json").exists()
    kept = finished_cells(work)
    recipe = load_recipe(path)
    stage.run(recipe, work)
    stage.run(recipe, tmp_path / "whole")
    after = finished_cells(work)
    assert len(kept) >= moments[-1] and len(after) == total
    assert any(path.name.startswith("test,") for path in kept)
    assert {path: after[path] for path in kept} == kept
    assert results_of(work) == results_of(tmp_path / "whole")


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
    stage.run(make_recipe(models, {"sts": TaskSettings(task="korsts", path="korsts")}), tmp_path / "work")
    results = results_of(tmp_path / "work")
    assert {(f["model"], f["cell"]) for f in results["failures"]} == {
        ("bare", "all"),
        ("cut", "lr=0.001,epochs=1,seed=1"),
        ("cut", "lr=0.001,epochs=1,seed=2"),
    }
    reasons = {f["model"]: f["error"] for f in results["failures"]}
    assert "there is no tokenizer" in reasons["bare"]
    assert "the model can't be loaded" in reasons["cut"]
    assert {row["model"] for row in results["scores"]} == {"base"}
    assert results["models"]["bare"]["parameters"] is None


def test_a_failed_cell_takes_its_candidate_out_of_the_choice(korsts, two_models, tmp_path, make_recipe):
    # A rate of 1e30 makes the loss infinite at the second update.
    tasks = {"sts": TaskSettings(task="korsts", path="korsts", learning_rates=(1e30, 1e-3))}
    stage.run(make_recipe({"base": two_models["base"]}, tasks), tmp_path / "work")
    results = results_of(tmp_path / "work")
    assert {f["cell"] for f in results["failures"]} == {"lr=1e+30,epochs=1,seed=1", "lr=1e+30,epochs=1,seed=2"}
    assert all(row["chosen"]["learning_rate"] == 1e-3 for row in results["scores"])


def test_intrinsic_scores_need_no_choice_and_models_without_the_head_are_not_applicable(
    corpus, two_models, tiny_model, make_recipe
):
    models = {**two_models, "headless": EvaluatedModel(folder=str(tiny_model("headless", heads=False)))}
    tasks = {"mlm": TaskSettings(task="mlm", corpus="c", max_length=32), "nsp": TaskSettings(task="nsp", corpus="c")}
    stage.run(make_recipe(models, tasks), corpus)
    results = results_of(corpus)
    assert results["failures"] == []
    scored = {(row["task"], row["model"], row["split"]) for row in results["scores"]}
    assert scored == {(t, m, s) for t in tasks for m in ("base", "adapted") for s in ("test", "ko", "en")}
    for task, head in (("mlm", "MLM"), ("nsp", "NSP")):
        assert f"headless: not applicable, the checkpoint has no {head} head" in results["tasks"][task]["notes"]
    assert {row["metric"] for row in results["scores"] if row["main"]} == {"bits_per_character", "accuracy"}
    whole, *parts = (
        next(r["n"] for r in results["scores"] if (r["task"], r["model"], r["split"]) == ("nsp", "base", split))
        for split in ("test", "ko", "en")
    )
    assert whole == sum(parts) == 16


def test_wrong_data_is_refused_before_anything_is_written(korsts, two_models, tmp_path, make_recipe):
    path = korsts / "sts-dev.tsv"
    path.write_text(path.read_text(encoding="utf-8").replace(".000", ".000\tx", 1), encoding="utf-8")
    with pytest.raises(DataError, match=r"sts: sts-dev\.tsv line 2: 8 cells, needed 7"):
        stage.run(make_recipe(two_models, {"sts": TaskSettings(task="korsts", path="korsts")}), tmp_path / "work")
    assert not Path(tmp_path / "work" / "evaluation").exists()


def test_a_single_document_of_a_language_is_left_out_of_next_sentences(two_models, tmp_path, make_recipe):
    words = [("ko", "결절"), ("en", "lung"), ("en", "small nodule")]
    work = write_corpus(
        tmp_path / "work", [(language, "s", sentences(word, i)) for i, (language, word) in enumerate(words)]
    )
    models = {"base": two_models["base"]}
    stage.run(make_recipe(models, {"nsp": TaskSettings(task="nsp", corpus="c")}), work)
    results = results_of(work)
    assert results["failures"] == []
    assert results["tasks"]["nsp"]["rows"] == {"test": 4}
    assert results["tasks"]["nsp"]["notes"] == [
        "2 pairs left out: a single held-out document in ko",
        "intervals and p are computed by resampling 2 whole documents",
        "so few units are resampled that intervals are too narrow, and p is never below 2^(1 - units): "
        "test: 2 documents or patients",
    ]
    assert {row["n"] for row in results["scores"]} == {8}


def test_next_sentences_of_single_documents_only_are_refused(two_models, tmp_path, make_recipe):
    work = write_corpus(tmp_path / "work", [("ko", "s", sentences("결절", 1)), ("en", "s", sentences("lung", 2))])
    with pytest.raises(DataError, match="nsp: no language has pairs of sentences from two held-out documents"):
        stage.run(make_recipe(two_models, {"nsp": TaskSettings(task="nsp", corpus="c")}), work)


def test_a_language_whose_masked_words_do_not_fit_has_no_score_and_the_others_do(two_models, tmp_path, make_recipe):
    words = ("nodule" * 2,) * 40
    example = Example("held_out.jsonl line 1 window 1", words, None)
    # The model takes 62 pieces, which are five words of twelve letters.
    seed = next(s for s in range(99) if not words_to_mask(example, s)[:6].any())
    work = write_corpus(tmp_path / "work", [("en", "s", [" ".join(words)]), ("ko", "s", ["결절 소견", "폐렴 의심"])])
    tasks = {"mlm": TaskSettings(task="mlm", corpus="c", max_length=512)}
    stage.run(make_recipe({"base": two_models["base"]}, tasks, seeds=(seed,)), work)
    results = results_of(work)
    assert results["failures"] == []
    assert {row["split"] for row in results["scores"]} == {"test", "ko"}


def test_a_model_with_damaged_weights_fails_on_masked_words_instead_of_being_scored(corpus, tiny_model, make_recipe):
    folder = tiny_model("nan")
    weights = load_file(folder / "model.safetensors")
    weights["cls.predictions.bias"][7] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    recipe = make_recipe({"nan": EvaluatedModel(folder=str(folder))}, {"mlm": TaskSettings(task="mlm", corpus="c")})
    stage.run(recipe, corpus)
    results = results_of(corpus)
    assert results["scores"] == []
    assert [f["cell"] for f in results["failures"]] == ["seed=1", "seed=2"]
    assert all("outputs are not finite" in f["error"] for f in results["failures"])


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


def test_a_test_split_that_can_not_be_encoded_is_a_recorded_failure(korsts, tiny_model, tmp_path, make_recipe):
    recipe = make_recipe({"m": EvaluatedModel(folder="m")}, {"sts": TaskSettings(task="korsts", path="korsts")})
    tokenizer = load_tokenizer(str(tiny_model("m")))
    pair = grid.ModelOnTask(
        prepared=replace(
            prepare_tasks(recipe, tmp_path)["sts"],
            sealed=SealedSplits({"test": (Example("1", ("폐", "결절"), "no number"),)}),
        ),
        label="m",
        location=str(tmp_path / "models" / "m"),
        model_digest="d",
        tokenizer=tokenizer,
        limit=64,
        candidates=(grid.Candidate(1e-3, 1),),
        seeds=(1, 2),
        batch_size=16,
        folder=tmp_path / "cells",
        weights=tmp_path / "weights",
        parameters=1,
        encoded={},
    )
    pair.folder.mkdir()
    schedule = Schedule([pair])
    while schedule.waiting:
        number, cell = schedule.waiting.popleft()
        schedule.take((number, cell), grid.compute(pair, cell))
    measured = collected(pair, schedule.records[0], schedule.chosen[0])
    assert measured.splits == {}
    # The message of the error would quote the cell.
    assert [(failure["cell"], failure["error"]) for failure in measured.failures] == [
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
    subject = stage.load_subject(locate(two_models["base"].folder, recipe, tmp_path))
    pair = stage.make_pair(recipe.evaluation, prepared, "base", subject, tmp_path / "work", {})
    scores = grid.ModelOnTask.scores

    def undefined(pair, gold, predicted):
        raise DataError("a correlation does not exist")

    def undefined_on_other(pair, gold, predicted):
        return (undefined if len(gold) == 20 else scores)(pair, gold, predicted)

    monkeypatch.setattr(grid.ModelOnTask, "scores", undefined_on_other)
    schedule = Schedule([pair])
    while schedule.waiting:
        number, cell = schedule.waiting.popleft()
        schedule.take((number, cell), grid.compute(pair, cell))
    measured = collected(pair, schedule.records[0], schedule.chosen[0])
    found = results.summarise(recipe.evaluation, 5, {}, {"sts": prepared}, {("sts", "base"): measured})
    failed = {"task": "sts", "model": "base", "error": "a correlation does not exist", "split": "test of other"}
    assert found["failures"] == [{**failed, "cell": f"test,seed={seed}, test of other"} for seed in (1, 2)]
    assert [(row["split"], len(row["values"])) for row in found["scores"] if row["main"]] == [("test", 2)]
    # Where no split has a score the cell itself fails.
    monkeypatch.setattr(grid.ModelOnTask, "scores", undefined)
    record = grid.compute(pair, grid.Trial(pair.chosen(), 1, test=True))
    assert (record["status"], record["error"]) == ("failed", "DataError: a correlation does not exist")


def test_each_task_tells_the_candidates_that_were_tried_for_it(korsts, corpus, two_models, make_recipe):
    tasks = {
        "own": TaskSettings(task="korsts", path="korsts", learning_rates=(5e-4,), epochs=(2, 1)),
        "common": TaskSettings(task="korsts", path="korsts"),
        "nsp": TaskSettings(task="nsp", corpus="c"),
    }
    stage.run(make_recipe({"base": two_models["base"]}, tasks), corpus)
    assert {name: task["grid"] for name, task in results_of(corpus)["tasks"].items()} == {
        "own": {"learning_rates": [5e-4], "epochs": [2, 1]},
        "common": {"learning_rates": [1e-3], "epochs": [1]},
        "nsp": None,
    }


def test_an_evaluation_that_another_one_fills_is_refused_before_anything_is_written(
    korsts, two_models, tmp_path, make_recipe
):
    recipe = make_recipe(two_models, {"sts": TaskSettings(task="korsts", path="korsts")})
    folder = tmp_path / "work" / "evaluation"
    with folder_lock(folder), pytest.raises(ConfigError, match="is being filled by"):
        stage.run(recipe, tmp_path / "work")
    assert not folder.exists()


def test_windows_and_pairs_of_one_document_are_resampled_together(corpus, two_models, make_recipe):
    tasks = {"nsp": TaskSettings(task="nsp", corpus="c")}
    prepared = prepare_tasks(make_recipe(two_models, tasks), corpus)["nsp"]
    items = tuple(example for example in prepared.intrinsic for _ in range(2))
    right = np.array([[float(example.document == items[0].document)] for example in items])
    split = SplitResult(gold={1: list(np.ones_like(right))}, predicted={1: list(right)}, scores={1: {"accuracy": 0}})
    split.examples = items
    found = results._resampled(prepared, "test", {"base": TaskResult(splits={"test": split})}, 5)["base"]["accuracy"]
    # Four documents of four items each, one of them all right.
    assert set(found) == {0.0, 0.25, 0.5, 0.75, 1.0}


def test_p_of_few_documents_is_no_smaller_than_their_number_allows_and_the_number_is_told_by_split():
    def split(documents, right):
        examples = tuple(Example(str(i), ("a",), None, document=f"d{i % documents}") for i in range(4 * documents))
        gold = {draw: list(np.ones((len(examples), 1))) for draw in (1, 2)}
        predicted = {draw: [np.array([float(right)]) for _ in examples] for draw in (1, 2)}
        # Two draws that differ, as Hedges' g would have it.
        return SplitResult(gold, predicted, {1: {"accuracy": float(right)}, 2: {"accuracy": 0.5}}, examples)

    def splits(right):
        return TaskResult(splits={"test": split(30, right), "ko": split(3, right), "source x": split(4, right)})

    prepared = SimpleNamespace(name="t", task=TASKS["nsp"], labels=())
    models = {"base": EvaluatedModel(folder="x"), "adapted": EvaluatedModel(folder="y", adapted_from="base")}
    measured = {"base": splits(False), "adapted": splits(True)}
    rows = []
    for name in ("test", "ko", "source x"):
        resampled = results._resampled(prepared, name, measured, 5)
        rows += results._comparison_rows(SimpleNamespace(models=models), prepared, name, measured, resampled)
    assert [row["effect_sizes"].keys() for row in rows] == [{"cohens_h"}, {"cohens_h"}]
    found = [(row["split"], row["p"], row["units"]) for row in rows]
    assert found == [("test", pytest.approx(2 / 10_001), 30), ("ko", 0.25, 3)]
    (note,) = results._few_units(measured["base"].splits)
    assert note.endswith(": ko: 3 documents or patients, source x: 4 documents or patients")
    rows = {"test": SplitResult(examples=tuple(Example(str(i), ("a",), None) for i in range(19)))}
    assert results._few_units(rows)[0].endswith(": test: 19 rows")
    rows["test"].examples += (Example("19", ("a",), None),)
    assert results._few_units(rows) == []


def test_metrics_of_the_order_of_rows_resample_whole_patients_too():
    examples = tuple(Example(str(i), ("a", "b"), 1.0, document=f"patient {i % 3}") for i in range(9))
    rng = np.random.default_rng(0)
    gold, predicted = list(rng.random((9, 1))), list(rng.random((9, 1)))
    run = results._run(SimpleNamespace(task=TASKS["table_sts"], labels=()), examples, gold, predicted)
    assert run.sums.shape == (3, 6)
    # The first patient twice, the second not at all.
    rows = [0, 3, 6, 0, 3, 6, 2, 5, 8]
    expected = stats.spearmanr(*(np.concatenate([values[i] for i in rows]) for values in (gold, predicted))).statistic
    assert run.of_counts(np.array([[2.0], [0.0], [1.0]]))["spearman"] == pytest.approx(expected)


def test_cells_tell_device_precision_pass_size_versions_and_processor(korsts, corpus, two_models, make_recipe):
    tasks = {"sts": TaskSettings(task="korsts", path="korsts"), "mlm": TaskSettings(task="mlm", corpus="c")}
    stage.run(make_recipe({"base": two_models["base"]}, tasks), corpus)
    records = [
        json.loads(path.read_text(encoding="utf-8")) for path in cell_times(corpus) if path.name != "choice.json"
    ]
    assert len(records) == 6
    for record in records:
        assert record["key"]["arithmetic"] == finetuning.arithmetic()
        assert set(record["key"]["arithmetic"]) == {"device", "precision", "micro_batch_tokens"}
        assert record["versions"] == versions()
        assert record["machine"]["threads"] == torch.get_num_threads() and record["machine"]["processor"]


def test_cells_of_another_pass_size_are_not_used_again(korsts, two_models, tmp_path, make_recipe, monkeypatch):
    recipe = make_recipe({"base": two_models["base"]}, {"sts": TaskSettings(task="korsts", path="korsts")})
    stage.run(recipe, tmp_path / "work")
    (pair,) = pairs_of(recipe, tmp_path / "work")
    assert Schedule([pair]).waiting == deque()
    monkeypatch.setattr(finetuning, "CPU_MICRO_BATCH_TOKENS", 64)
    assert [cell for _, cell in Schedule([pair]).waiting] == pair.first_cells()


def test_cells_of_a_task_that_learned_the_same_rows_otherwise_are_not_used_again(
    korsts, two_models, tmp_path, make_recipe
):
    files = {split: f"sts-{split}.tsv" for split in ("train", "dev", "test")}
    table = {"files": files, "text_columns": ("sentence1", "sentence2"), "label_columns": ("score",)}
    recipes = [
        make_recipe({"base": two_models["base"]}, {"sts": TaskSettings(task=task, path="korsts", table=table)})
        for task in ("table_sts", "table_sts_six")
    ]
    stage.run(recipes[0], tmp_path / "work")
    (regression,), (classes,) = (pairs_of(recipe, tmp_path / "work") for recipe in recipes)
    assert regression.prepared.digest == classes.prepared.digest
    assert Schedule([regression]).waiting == deque()
    assert [cell for _, cell in Schedule([classes]).waiting] == classes.first_cells()
    # As keys were before: cells of the usual kinds and units stay.
    assert not {"kind", "unit"} & regression.key().keys()
    prepared = regression.prepared
    by_character = replace(regression, prepared=replace(prepared, task=replace(prepared.task, unit="character")))
    assert by_character.key() == {**regression.key(), "unit": "character"}


@pytest.mark.parametrize("error", [TypeError, AttributeError, KeyError, MemoryError, torch.OutOfMemoryError])
def test_whatever_a_models_code_raises_fails_its_cell_with_class_and_message(
    error, korsts, two_models, tmp_path, make_recipe, monkeypatch
):
    trained = finetuning.fine_tune

    def broken(location, *args, **settings):
        if location.endswith("adapted"):
            raise error("does not suit")
        return trained(location, *args, **settings)

    monkeypatch.setattr(finetuning, "fine_tune", broken)
    recipe = make_recipe(two_models, {"sts": TaskSettings(task="korsts", path="korsts")}, seeds=(1,))
    records = {}
    for pair in pairs_of(recipe, tmp_path / "work"):
        records[pair.label] = grid.compute(pair, pair.first_cells()[0])
    assert {label: record["status"] for label, record in records.items()} == {"base": "done", "adapted": "failed"}
    assert records["adapted"]["error"].startswith(error.__name__) and "does not suit" in records["adapted"]["error"]


def test_without_a_terminal_the_end_of_every_grid_is_logged_with_the_time_left(
    korsts, two_models, tmp_path, make_recipe, caplog
):
    caplog.set_level(logging.INFO, logger="bimed_dist")
    models = {**two_models, "none": EvaluatedModel(folder=str(tmp_path / "models"))}
    recipe = make_recipe(models, {"sts": TaskSettings(task="korsts", path="korsts")})
    stage.run(recipe, tmp_path / "work")
    assert "8 of 8 cells are to be computed" in caplog.text
    lines = [r.message for r in caplog.records if " ends: " in r.message]
    choice = tmp_path / "work" / "evaluation" / "cells" / "sts" / "base" / "choice.json"
    best = json.loads(choice.read_text(encoding="utf-8"))["candidates"][0]["mean"]
    ended = (
        rf"evaluation: sts, base ends: 4 of 4 cells done, 4 of them computed now, 0 failed; best dev score {best:.4f}; "
    )
    assert re.fullmatch(ended + r"about \d\d:\d\d left for 4 cells", lines[0])
    assert lines[1].startswith("evaluation: sts, adapted ends: 4 of 4 cells done") and "left" not in lines[1]
    assert len(lines) == 2
    caplog.clear()
    (tmp_path / "work" / "evaluation" / "manifest.json").unlink()
    stage.run(recipe, tmp_path / "work")
    assert "0 of 8 cells are to be computed" in caplog.text and " ends" not in caplog.text


def test_a_task_added_later_keeps_the_cells_of_the_others(korsts, two_models, tmp_path, make_recipe, caplog):
    caplog.set_level(logging.INFO, logger="bimed_dist.evaluation")
    korsts_task, work = TaskSettings(task="korsts", path="korsts"), tmp_path / "work"
    stage.run(make_recipe(two_models, {"sts": korsts_task}), work)
    before = results_of(work)
    more = make_recipe(two_models, {"sts": korsts_task, "again": korsts_task})
    with pytest.raises(ConfigError, match=r"(?s)tasks.again: was absent.*remove .*manifest.json and run again"):
        stage.run(more, work)
    (work / "evaluation" / "manifest.json").unlink()
    caplog.clear()
    stage.run(more, work)
    assert "8 of 16 cells are to be computed" in caplog.text
    found = results_of(work)
    assert [row for row in found["scores"] if row["task"] == "sts"] == before["scores"]
    assert stage.run(more, work).was_done


def test_labels_have_tuned_thresholds_windows_groups_and_the_rules_beside_the_models(two_models, tmp_path, make_recipe):
    folder = tmp_path / "ct"
    folder.mkdir()
    rows = [
        (
            f"{'폐렴' if i % 5 == 0 else 'lung'} {i} {'nodule ' * 20}{'mass' if i % 2 else ''} 없음",
            i % 5 == 0,
            i % 2,
            i // 2,
        )
        for i in range(160)
    ]
    lines = ["text,pneumonia,mass,patient", *(f"{t},{int(a)},{b},p{g}" for t, a, b, g in rows)]
    (folder / "a.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    table = {
        "files": {"all": "a.csv"},
        "text_columns": ("text",),
        "label_columns": ("pneumonia", "mass"),
        "group_column": "patient",
    }
    settings = TaskSettings(
        task="table_multilabel",
        path="ct",
        table=table,
        keyword_rules={"pneumonia": ("폐렴",), "mass": ("mass",)},
        threshold="dev",
        long_texts="windows",
        max_length=16,
    )
    recipe = make_recipe(two_models, {"ct": settings})
    stage.run(recipe, tmp_path / "work")
    found = results_of(tmp_path / "work")
    assert found["failures"] == []
    assert found["tasks"]["ct"]["variant"] == {"threshold": "dev", "long_texts": "windows"}
    assert any("rows read in windows of 16 pieces" in note for note in found["tasks"]["ct"]["notes"])
    rules = {row["metric"]: row for row in found["baselines"]}
    assert {row["model"] for row in found["baselines"]} == {"rules"}
    assert rules["auroc:pneumonia"]["mean"] == 1.0 and rules["f1:mass"]["mean"] == 0.0
    assert rules["macro_f1"]["interval"] is not None and rules["macro_f1"]["values"] == [rules["macro_f1"]["mean"]]
    for metric in ("macro_auroc", "macro_average_precision", "hamming_loss", "auroc:mass"):
        assert {row["model"] for row in found["scores"] if row["metric"] == metric} == {"base", "adapted"}
    cell = tmp_path / "work" / "evaluation" / "cells" / "ct" / "base" / "lr=0.001,epochs=1,seed=1.json"
    record = json.loads(cell.read_text(encoding="utf-8"))
    assert len(record["thresholds"]) == 2
    assert (record["key"]["threshold"], record["key"]["long_texts"]) == ("dev", "windows")
    # Tuned where 0.5 was never reached, as after so few updates, every label is found.
    test = json.loads(cell.with_name("test,seed=1.json").read_text(encoding="utf-8"))["splits"]["test"]
    assert test["scores"]["macro_f1"] > 0
