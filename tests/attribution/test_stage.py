"""Attribution of evaluated models: the page, its numbers, and training the evaluated models again."""

import json
import re

import numpy as np
import pytest
import torch

from bimed_dist.attribution import explanation, stage
from bimed_dist.attribution.summary_format import MethodSummary, ModelSummary, Summary
from bimed_dist.errors import ConfigError, DataError
from bimed_dist.evaluation import stage as evaluation
from bimed_dist.evaluation.grid.model_on_task import Trial
from bimed_dist.evaluation.models import finetuning
from bimed_dist.evaluation.preparation.preparing import prepare_tasks
from bimed_dist.evaluation.task import Example
from bimed_dist.recipe.evaluation import EvaluatedModel, TaskSettings
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.recipe.report import AttributionSettings
from bimed_dist.references import stage_order


def with_attribution(recipe, **sections):
    tree = recipe.model_dump()
    attribution = {name: AttributionSettings(**section).model_dump() for name, section in sections.items()}
    return Recipe.model_validate({**tree, "attribution": attribution})


@pytest.fixture
def recipe(tiny_model, make_recipe):
    models = {
        "base": EvaluatedModel(folder=str(tiny_model("base", words=[]))),
        "adapted": EvaluatedModel(folder=str(tiny_model("adapted", seed=1)), adapted_from="base"),
    }
    sizes = {"train": 40, "dev": 20, "test": 20}
    tasks = {
        "ct": TaskSettings(task="synthetic_ct", max_rows={**sizes, "external": 20}, max_length=32),
        "sts": TaskSettings(task="synthetic_sts_mixed", max_rows=sizes),
        "ner": TaskSettings(task="synthetic_ner", max_rows={"train": 120, "dev": 20, "test": 20}),
    }
    return with_attribution(
        make_recipe(models, tasks, seeds=(1,)),
        ct={"task": "ct", "rows": 2},
        pairs={"task": "sts", "rows": 2, "models": ("adapted",)},
        tags={"task": "ner"},
    )


def test_the_page_shows_both_models_on_the_same_rows_with_a_warning_in_both_languages(recipe, tmp_path):
    work = tmp_path / "work"
    with pytest.raises(DataError, match="did not finish"):
        stage.run(recipe, "ct", work)
    evaluation.run(recipe, work)
    outcome = stage.run(recipe, "ct", work)
    html = (work / "attribution" / "ct" / "index.html").read_text(encoding="utf-8")
    assert "it is patient data" in html and "개인정보입니다" in html
    assert html.count("<h4>base ") == html.count("<h4>adapted ") >= 2
    assert "<script" not in html and "http" not in re.sub(r"http-equiv", "", html)
    # Text is in the page only; truncated words are marked.
    prepared = prepare_tasks(recipe, work)["ct"]
    texts = [example.texts[0] for example in prepared.sealed._splits["test"]]
    assert any(text.split()[0] in html for text in texts)
    assert 'class="unseen' in html
    for path in (work / "attribution" / "ct").glob("*.json"):
        written = path.read_text(encoding="utf-8")
        assert not any(word in written for text in texts for word in re.findall("[가-힣]{2,}", text))
    summary = json.loads((work / "attribution" / "ct" / "summary.json").read_text(encoding="utf-8"))
    assert set(summary["models"]) == {"base", "adapted"}
    assert summary.keys() == Summary.__annotations__.keys()
    for numbers in summary["models"].values():
        assert numbers.keys() == ModelSummary.__annotations__.keys()
        assert numbers["gradient_x_input"].keys() == MethodSummary.__annotations__.keys()
        shares = numbers["integrated_gradients"]["weight_by_language"]
        assert sum(shares.values()) == pytest.approx(1)
    assert outcome.manifest.counts["rows"] == 2
    assert stage.run(recipe, "ct", work).was_done


def test_sentence_pairs_are_explained_but_other_kinds_and_unknown_names_are_refused(recipe, tmp_path):
    work = tmp_path / "work"
    evaluation.run(recipe, work)
    stage.run(recipe, "pairs", work)
    html = (work / "attribution" / "pairs" / "index.html").read_text(encoding="utf-8")
    # Two rows of two texts, two methods.
    assert html.count('<p class="text">') == 8 and "<h4>base " not in html
    with pytest.raises(ConfigError, match="is of kind ner"):
        stage.run(recipe, "tags", work)
    with pytest.raises(ValueError, match=r"(?s)no evaluation.tasks.x.*no evaluation.models.y"):
        with_attribution(recipe, a={"task": "x", "models": ("y",)})


def test_the_pipeline_never_makes_heatmaps(recipe):
    assert "attribution" not in {name for name, _ in stage_order(recipe)}


def test_classes_are_explained_with_mean_pooling_on_the_beginning_of_long_texts(tiny_model, make_recipe, tmp_path):
    lines = [f"{'fits' if i % 2 else 'other'},{i} lung {'nodule ' * 20}{'mass' if i % 2 else ''}" for i in range(80)]
    (tmp_path / "a.csv").write_text("\n".join(["class,text", *lines]) + "\n", encoding="utf-8")
    table = {
        "files": {"all": "a.csv"},
        "text_columns": ("text",),
        "label_columns": ("class",),
        "positive_class": "fits",
    }
    settings = {"path": str(tmp_path), "table": table, "long_texts": "windows", "pooling": "mean", "max_length": 16}
    tasks = {"fit": TaskSettings(task="table_classification", **settings)}
    models = {"base": EvaluatedModel(folder=str(tiny_model("base")))}
    recipe = with_attribution(make_recipe(models, tasks, seeds=(1,)), fit={"task": "fit", "rows": 2})
    evaluation.run(recipe, tmp_path / "work")
    stage.run(recipe, "fit", tmp_path / "work")
    html = (tmp_path / "work" / "attribution" / "fit" / "index.html").read_text(encoding="utf-8")
    assert "only the beginning of long texts" in html and html.count("<h4>base ") >= 2
    assert 'class="unseen' in html


def test_the_classes_that_are_explained_are_that_of_the_row_and_those_of_all_models():
    row = Example("1", ("text",), "fits")
    gold = explanation.gold_outputs("classification", ("other", "fits", "unsure"), row)
    assert gold == (0, 1, 0)
    right, unsure, other = np.array([0.1, 0.8, 0.1]), np.array([0.1, 0.2, 0.7]), np.array([0.8, 0.1, 0.1])
    assert explanation.outputs_to_explain("classification", gold, [right, right], [None] * 2) == [1]
    assert explanation.outputs_to_explain("classification", gold, [unsure, right], [None] * 2) == [1, 2]
    assert explanation.outputs_to_explain("classification", gold, [right, unsure, other], [None] * 3) == [1, 2, 0]


def test_the_labels_that_are_explained_are_the_rows_then_the_most_likely_false_positives():
    def shown(gold, *models):
        predicted, thresholds = zip(*models, strict=True)
        return explanation.outputs_to_explain(
            "multilabel", gold, [np.array(values) for values in predicted], thresholds
        )

    # Labels in the order of the data, whatever the models predict, then false positives.
    assert shown((1, 0, 1, 1, 1), ([0.1, 0.9, 0.8, 0.2, 0.9], None)) == [0, 2, 3, 1]
    assert shown((0,) * 5, ([0.6, 0.9, 0.8, 0.7, 0.1], None)) == [1, 2, 3]
    # Those of any model, by its own thresholds.
    assert shown((1, 0, 0), ([0.9, 0.3, 0.4], None), ([0.9, 0.2, 0.45], (0.5, 0.1, 0.46))) == [0, 1]
    # Neither labels nor false positives: each model's most likely label.
    assert shown((0, 0, 0), ([0.1, 0.2, 0.4], None), ([0.3, 0.1, 0.2], None)) == [0, 2]


def test_the_page_gives_the_number_of_labels_and_tuned_thresholds(recipe, tmp_path):
    tree = recipe.model_dump()
    tree["evaluation"]["tasks"]["ct"]["threshold"] = "dev"
    tuned = Recipe.model_validate(tree)
    evaluation.run(tuned, tmp_path / "work")
    stage.run(tuned, "ct", tmp_path / "work")
    cells = tmp_path / "work" / "evaluation" / "trials" / "ct" / "base"
    record = json.loads(next(cells.glob("lr=*.json")).read_text(encoding="utf-8"))
    html = (tmp_path / "work" / "attribution" / "ct" / "index.html").read_text(encoding="utf-8")
    thresholds = re.findall(r"<h4>base .*, threshold ([\d.]+)</span>", html)
    assert thresholds and set(thresholds) <= {f"{t:.2f}" for t in record["thresholds"]}
    assert "Each row shows up to 3 of its labels" in html


def test_every_model_is_explained_for_the_same_answers_of_the_same_rows(recipe, tmp_path):
    work = tmp_path / "work"
    evaluation.run(recipe, work)
    wide = with_attribution(recipe, ct={"task": "ct", "rows": 12})
    stage.run(wide, "ct", work)
    html = (work / "attribution" / "ct" / "index.html").read_text(encoding="utf-8")
    answers = html.split("<h3>")[1:]
    assert len(answers) >= 12
    assert all(re.findall(r"<h4>(\w+) ", answer) == ["base", "adapted"] for answer in answers)
    summary = json.loads((work / "attribution" / "ct" / "summary.json").read_text(encoding="utf-8"))
    assert summary["difference_from_evaluation"] == {
        "base": pytest.approx(0, abs=1e-5),
        "adapted": pytest.approx(0, abs=1e-5),
    }


def test_a_trial_is_trained_again_with_its_threads_and_changed_answers_are_reported(
    recipe, tmp_path, monkeypatch, caplog
):
    work = tmp_path / "work"
    evaluation.run(recipe, work)
    pair = stage.load_models(recipe, recipe.attribution["ct"], work)[0]
    examples = pair.open_test_splits()["test"][:3]
    assert stage.retrain(pair, examples)[1] == pytest.approx(0, abs=1e-5)
    assert not caplog.records
    for path, old, new in (
        (pair.record_path(Trial(pair.read_choice(), 1)), ("machine", "threads"), 3),
        (
            pair.record_path(Trial(pair.read_choice(), 1, test=True)),
            ("splits", "test", "predictions"),
            ["0.9 0.9 0.9"] * 20,
        ),
    ):
        record = json.loads(path.read_text(encoding="utf-8"))
        place = record
        for key in old[:-1]:
            place = place[key]
        place[old[-1]] = new
        path.write_text(json.dumps(record), encoding="utf-8")
    threads, trained = [], finetuning.fine_tune
    monkeypatch.setattr(
        finetuning, "fine_tune", lambda *args, **more: threads.append(torch.get_num_threads()) or trained(*args, **more)
    )
    _, difference = stage.retrain(pair, examples)
    assert threads == [3] and torch.get_num_threads() == 1
    assert difference > 0.1 and stage.changed_models({"base": difference, "other": None}) == ["base"]
    assert "base, trained again, is not the model that was evaluated" in caplog.text
