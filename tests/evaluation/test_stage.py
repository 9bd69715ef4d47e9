"""The results and the log of one evaluation, and refusals before anything is written."""

import json
import re

import pytest

from bimed_dist.errors import ConfigError, DataError
from bimed_dist.evaluation import stage
from bimed_dist.evaluation.models.zero_shot import words_to_mask
from bimed_dist.evaluation.task import Example
from bimed_dist.manifest import folder_lock
from bimed_dist.recipe.evaluation import EvaluatedModel, TaskSettings

from .conftest import KORSTS, read_trials, results_of, write_corpus


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
    assert outcome.manifest.counts["trials"] == 8
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
    stored = json.dumps(read_trials(tmp_path / "work"), ensure_ascii=False)
    assert "nodule" not in stored and "결절" not in stored


def test_each_task_has_the_candidates_that_were_tried_for_it(korsts, corpus, two_models, make_recipe):
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


def test_multilabel_tasks_have_tuned_thresholds_windows_groups_and_keyword_rules_next_to_the_models(
    two_models, tmp_path, make_recipe
):
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
    assert any("rows read in windows of 16 tokens" in note for note in found["tasks"]["ct"]["notes"])
    rules = {row["metric"]: row for row in found["baselines"]}
    assert {row["model"] for row in found["baselines"]} == {"rules"}
    assert rules["auroc:pneumonia"]["mean"] == 1.0 and rules["f1:mass"]["mean"] == 0.0
    assert rules["macro_f1"]["interval"] is not None and rules["macro_f1"]["values"] == [rules["macro_f1"]["mean"]]
    for metric in ("macro_auroc", "macro_average_precision", "hamming_loss", "auroc:mass"):
        assert {row["model"] for row in found["scores"] if row["metric"] == metric} == {"base", "adapted"}
    path = tmp_path / "work" / "evaluation" / "trials" / "ct" / "base" / "lr=0.001,epochs=1,seed=1.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    assert len(record["thresholds"]) == 2
    assert (record["key"]["threshold"], record["key"]["long_texts"]) == ("dev", "windows")
    # After so few steps no probability reaches 0.5; with tuned thresholds every label is predicted.
    test = json.loads(path.with_name("test,seed=1.json").read_text(encoding="utf-8"))["splits"]["test"]
    assert test["scores"]["macro_f1"] > 0


def test_zero_shot_scores_need_no_choice_and_models_without_the_head_are_not_applicable(
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
        assert results["tasks"][task]["not_applicable"] == {"headless": f"the checkpoint has no {head} head"}
    assert {row["metric"] for row in results["scores"] if row["main"]} == {"bits_per_character", "accuracy"}
    whole, *parts = (
        next(r["n"] for r in results["scores"] if (r["task"], r["model"], r["split"]) == ("nsp", "base", split))
        for split in ("test", "ko", "en")
    )
    assert whole == sum(parts) == 16


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
        "few units are resampled: test 2 documents or patients; intervals are too narrow and p cannot fall below "
        "2^(1 - units)",
    ]
    assert {row["n"] for row in results["scores"]} == {8}


def test_next_sentences_of_single_documents_only_are_refused(two_models, tmp_path, make_recipe):
    work = write_corpus(tmp_path / "work", [("ko", "s", sentences("결절", 1)), ("en", "s", sentences("lung", 2))])
    with pytest.raises(DataError, match="nsp: no language has pairs of sentences from two held-out documents"):
        stage.run(make_recipe(two_models, {"nsp": TaskSettings(task="nsp", corpus="c")}), work)


def test_a_language_whose_masked_words_do_not_fit_has_no_score_and_the_others_do(two_models, tmp_path, make_recipe):
    words = ("nodule" * 2,) * 40
    example = Example("held_out.jsonl line 1 window 1", words, None)
    # The model takes 62 tokens, which are five words of twelve letters.
    seed = next(s for s in range(99) if not words_to_mask(example, s)[:6].any())
    work = write_corpus(tmp_path / "work", [("en", "s", [" ".join(words)]), ("ko", "s", ["결절 소견", "폐렴 의심"])])
    tasks = {"mlm": TaskSettings(task="mlm", corpus="c", max_length=512)}
    stage.run(make_recipe({"base": two_models["base"]}, tasks, seeds=(seed,)), work)
    results = results_of(work)
    assert results["failures"] == []
    assert {row["split"] for row in results["scores"]} == {"test", "ko"}


def test_wrong_data_is_refused_before_anything_is_written(korsts, two_models, tmp_path, make_recipe):
    path = korsts / "sts-dev.tsv"
    path.write_text(path.read_text(encoding="utf-8").replace(".000", ".000\tx", 1), encoding="utf-8")
    with pytest.raises(DataError, match=r"sts: sts-dev\.tsv line 2: 8 cells, needed 7"):
        stage.run(make_recipe(two_models, KORSTS), tmp_path / "work")
    assert not (tmp_path / "work" / "evaluation").exists()


def test_an_evaluation_that_another_process_runs_is_refused_before_anything_is_written(
    korsts, two_models, tmp_path, make_recipe
):
    recipe = make_recipe(two_models, KORSTS)
    folder = tmp_path / "work" / "evaluation"
    with folder_lock(folder), pytest.raises(ConfigError, match="is being filled by"):
        stage.run(recipe, tmp_path / "work")
    assert not folder.exists()


def test_without_a_terminal_the_end_of_every_entry_is_logged_with_the_time_left(evaluated, caplog):
    assert "8 of 8 trials to run" in evaluated.log
    lines = [line for line in evaluated.log.splitlines() if " finished: " in line]
    choice = evaluated.work / "evaluation" / "trials" / "sts" / "base" / "choice.json"
    best = json.loads(choice.read_text(encoding="utf-8"))["candidates"][0]["mean"]
    expected = (
        rf"evaluation: sts, base finished: 4 of 4 trials done, 4 of them now, 0 failed; best dev score {best:.4f}; "
    )
    assert re.fullmatch(expected + r"about \d\d:\d\d left for 4 trials", lines[0])
    assert lines[1].startswith("evaluation: sts, adapted finished: 4 of 4 trials done") and "left" not in lines[1]
    assert len(lines) == 2
    caplog.set_level("INFO", logger="bimed_dist")
    (evaluated.work / "evaluation" / "manifest.json").unlink()
    stage.run(evaluated.recipe, evaluated.work)
    assert "0 of 8 trials to run" in caplog.text and " finished" not in caplog.text
