import json

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, roc_auc_score, roc_curve

from bimed_dist.errors import DataError
from bimed_dist.evaluation import stage
from bimed_dist.evaluation.metrics.definitions import SPECIFICITIES
from bimed_dist.evaluation.metrics.scores import calibration_error, scores
from bimed_dist.evaluation.metrics.thresholds import screening_thresholds, with_screening
from bimed_dist.evaluation.preparation.preparing import prepare_tasks
from bimed_dist.recipe.evaluation import EvaluatedModel, TableSettings, TaskSettings

MODELS = {"m": EvaluatedModel(folder="x")}


def random_predictions(classes, rows=80, seed=0):
    rng = np.random.default_rng(seed)
    predicted = rng.random((rows, classes)) ** 2
    return rng.integers(0, classes, rows), predicted / predicted.sum(axis=1, keepdims=True)


def test_screening_scores_equal_sklearns():
    gold, predicted = random_predictions(2)
    found = scores("classification", list(gold[:, None]), list(predicted), ("no", "yes"))
    assert found["macro_f1"] == pytest.approx(f1_score(gold, predicted.argmax(1), average="macro"))
    assert found["accuracy"] == (gold == predicted.argmax(1)).mean()
    assert found["auroc"] == pytest.approx(roc_auc_score(gold, predicted[:, 1]), abs=1e-12)
    assert found["average_precision"] == pytest.approx(average_precision_score(gold, predicted[:, 1]), abs=1e-12)
    assert found["brier_score"] == pytest.approx(brier_score_loss(gold, predicted[:, 1]))
    assert found["f1:yes"] == pytest.approx(f1_score(gold, predicted.argmax(1)))


@pytest.mark.parametrize("decimals", [1, 9])  # With and without ties.
def test_the_screening_threshold_has_the_largest_sensitivity_that_the_specificity_allows(decimals):
    gold, predicted = random_predictions(2, rows=200)
    yes, is_gold = predicted[:, 1].round(decimals), gold == 1
    thresholds = screening_thresholds(is_gold, yes)
    false_positives, true_positives, _ = roc_curve(gold, yes, drop_intermediate=False)
    for s, threshold in zip(SPECIFICITIES, thresholds, strict=True):
        best = max(t for f, t in zip(false_positives, true_positives, strict=True) if 1 - f >= s - 1e-12)
        assert (yes[is_gold] > threshold).mean() == best
        assert (yes[~is_gold] <= threshold).mean() >= s
    assert screening_thresholds(np.array([True, True]), np.array([0.3, 0.4])) == [None, None]


def test_screening_scores_test_rows_at_thresholds_from_the_development_split():
    # The second threshold does not exist, so it has no scores.
    rows = [with_screening(np.array([1 - p, p]), [0.5, None]) for p in (0.9, 0.4, 0.6, 0.2, 0.5)]
    found = scores("classification", [np.array([c]) for c in (1, 1, 0, 0, 0)], rows, ("no", "yes"))
    assert found["sensitivity_at_dev_specificity_0.9"] == 0.5
    assert found["specificity_at_dev_specificity_0.9"] == pytest.approx(2 / 3)
    assert not any("0.95" in name for name in found)


def test_scores_of_many_classes_are_means_over_one_against_rest():
    gold, predicted = random_predictions(4, seed=1)
    found = scores("classification", list(gold[:, None]), list(predicted), tuple("abcd"))
    assert found["macro_f1"] == pytest.approx(f1_score(gold, predicted.argmax(1), average="macro"))
    assert found["macro_auroc"] == pytest.approx(roc_auc_score(gold, predicted, multi_class="ovr"))
    one_hot = np.eye(4)[gold]
    assert found["macro_average_precision"] == pytest.approx(average_precision_score(one_hot, predicted))
    assert found["brier_score"] == pytest.approx(((predicted - one_hot) ** 2).sum(axis=1).mean())


def test_calibration_error_is_the_weighted_gap_of_sklearns_calibration_curve():
    rng = np.random.default_rng(2)
    confidence = rng.uniform(0.5, 1, 300)
    right = rng.random(300) < confidence**2
    share_right, mean_confidence = calibration_curve(right, confidence, n_bins=10)
    sizes = np.histogram(confidence, bins=np.linspace(0, 1, 11))[0]
    expected = (np.abs(share_right - mean_confidence) * sizes[sizes > 0]).sum() / 300
    assert calibration_error(right, confidence) == pytest.approx(expected)
    assert calibration_error(np.array([True, True]), np.array([1.0, 1.0])) == 0


def test_a_split_of_one_class_has_no_ranking_metrics():
    found = scores("classification", [np.array([0])] * 2, [np.array([0.9, 0.1])] * 2, ("no", "yes"))
    assert "auroc" not in found and found["macro_f1"] == 1.0


def write_screening(folder, rows=120):
    folder.mkdir()
    lines = [
        "note\tfits",
        *(f"환자 {i} {'mass' if i % 6 == 0 else 'lung'}\t{'예' if i % 6 == 0 else '아니오'}" for i in range(rows)),
    ]
    (folder / "notes.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return TableSettings(
        files={"all": "notes.tsv"}, text_columns=("note",), label_columns=("fits",), positive_class="예"
    )


def test_the_positive_class_is_last_and_its_share_is_in_the_notes(tmp_path, make_recipe):
    settings = TaskSettings(task="table_classification", path="d", table=write_screening(tmp_path / "d"))
    found = prepare_tasks(make_recipe(MODELS, {"t": settings}), tmp_path)["t"]
    assert found.labels == ("아니오", "예")
    (note,) = [note for note in found.notes if note.startswith("the positive class is 예: ")]
    positive = sum(example.target == "예" for example in found.train)
    assert f"{positive} of {found.rows['train']} in train" in note
    wrong = settings.model_copy(update={"table": settings.table.model_copy(update={"positive_class": "yes"})})
    with pytest.raises(DataError, match="positive_class is not one of two classes; column fits has 2"):
        prepare_tasks(make_recipe(MODELS, {"t": wrong}), tmp_path)


def test_unknown_and_empty_classes_are_reported_by_row_and_not_by_name(tmp_path, make_recipe):
    (tmp_path / "d").mkdir()
    for split, rows in (("train", ["a", "b", "a", "b"]), ("dev", ["a", "b"]), ("test", ["a", "김철수", ""])):
        lines = ["text,class", *(f"{split} {i},{name}" for i, name in enumerate(rows))]
        (tmp_path / "d" / f"{split}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    table = TableSettings(
        files={s: f"{s}.csv" for s in ("train", "dev", "test")}, text_columns=("text",), label_columns=("class",)
    )
    settings = TaskSettings(task="table_classification", path="d", table=table)
    with pytest.raises(DataError, match=r"test\.csv line 4: no class"):
        prepare_tasks(make_recipe(MODELS, {"t": settings}), tmp_path)
    path = tmp_path / "d" / "test.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("test 2,\n", ""), encoding="utf-8")
    with pytest.raises(DataError, match=r"1 rows have a class that train lacks, the first test\.csv line 3") as raised:
        prepare_tasks(make_recipe(MODELS, {"t": settings}), tmp_path)
    assert "김철수" not in str(raised.value)


def test_screening_runs_from_file_to_results(tiny_model, tmp_path, make_recipe):
    settings = TaskSettings(
        task="table_classification",
        path="d",
        table=write_screening(tmp_path / "d"),
        long_texts="head_tail",
        pooling="mean",
    )
    recipe = make_recipe({"m": EvaluatedModel(folder=str(tiny_model("m")))}, {"t": settings}, seeds=(1,))
    stage.run(recipe, tmp_path / "work")
    found = json.loads((tmp_path / "work" / "evaluation" / "results.json").read_text(encoding="utf-8"))
    assert found["failures"] == []
    scores = {row["metric"]: row for row in found["scores"]}
    assert scores["macro_f1"]["main"]
    shares = {f"{what}_at_dev_specificity_0.95" for what in ("sensitivity", "specificity")}
    assert {"auroc", "average_precision", "brier_score", "ece", *shares} <= set(scores)
    # With so few rows some resamples have no row of the positive class.
    assert scores["accuracy"]["interval"] is not None and scores["ece"]["interval"] is None
    folder = tmp_path / "work" / "evaluation" / "trials" / "t" / "m"
    dev, test = (
        json.loads((folder / name).read_text(encoding="utf-8"))
        for name in ("lr=0.001,epochs=1,seed=1.json", "test,seed=1.json")
    )
    # The threshold is chosen on dev and applied to the test rows.
    assert not any("specificity" in metric for metric in dev["dev"])
    yes, at = np.array([line.split() for line in test["splits"]["test"]["predictions"]], dtype=float)[:, [1, 3]].T
    assert ((yes > np.float32(dev["screening"][1])) == (at == 1)).all()
    assert 0 <= scores["brier_score"]["mean"] <= 1


@pytest.mark.data
def test_nubes_has_seven_sections_and_its_specialties_as_long_documents(open_data, make_recipe):
    path = str(open_data / "documents" / "nubes_es")
    tasks = {name: TaskSettings(task=name, path=path) for name in ("nubes_sections", "nubes_specialties")}
    found = prepare_tasks(make_recipe(MODELS, tasks), open_data)
    assert found["nubes_sections"].labels == ("chico", "diate", "phyex", "preil", "progr", "recom", "surhi")
    assert len(found["nubes_specialties"].labels) > 10
    assert "anaes" in found["nubes_specialties"].notes[1]
    for prepared in found.values():
        assert not {e.document for e in prepared.train} & {e.document for e in prepared.dev}
        assert np.median([len(e.texts[0].split()) for e in prepared.train]) > 300
