"""Tasks in detail: rows used, hyperparameters, all metrics, labels, tests and effect sizes."""

import csv
import io

import fake_work

from bimed_dist.report.sections.tasks import comparison_table, hyperparameters, label_table, task_table, tasks_section
from bimed_dist.report.tables import table_csv


def test_details_show_rows_used_rows_dropped_and_the_origin_of_labels(page_html):
    for text in (
        "train 1,200 of 5,749, dev 300, test 1,379",
        "12 duplicate rows, 3 training or development rows that are also test rows",
        "keywords in the report text",
    ):
        assert text in page_html


def test_each_task_shows_its_own_hyperparameters_and_a_single_choice_is_not_called_tuned(page_html):
    results = fake_work.results()
    assert hyperparameters(results["tasks"]["mlm"]) == ""
    for text in ("learning rates 2e-05, 5e-05; epochs 2, 4<", "learning rate 5e-05; epochs 4 (fixed, not tuned)<"):
        assert text in page_html
    for task, title in (("ct", "chosen on dev"), ("ner", "fixed, not tuned")):
        assert [row[0].text for row in task_table(results, task).rows[-2:]] == [title, title]


def test_metrics_of_single_labels_have_a_table_of_their_own():
    results = fake_work.results_with_rules()
    whole, by_label = task_table(results, "ct"), label_table(results, "ct")
    assert whole.columns == ("Split", "Metric", *fake_work.MODELS, "rules")
    assert not any("cancer" in cell.text for row in whole.rows for cell in row)
    assert by_label.columns == ("Split", "Label", "Metric", *fake_work.MODELS, "rules")
    assert [[cell.text for cell in row] for row in by_label.rows] == [
        ["test", "cancer", "F1", "0.600", "–", "–", "–", "0.700"],
        ["test", "cancer", "AUROC", "0.800", "–", "–", "–", "–"],
    ]
    assert label_table(results, "korsts") is None


def test_a_label_that_the_split_lacks_has_a_dash_for_its_f1_and_an_empty_value_in_csv():
    results = fake_work.results_with_rules()
    f1 = next(row for row in results["scores"] if row["metric"] == "f1:cancer")
    results["scores"].append({**f1, "metric": "hamming_loss:embolism", "mean": 0.3, "interval": [0.2, 0.4]})
    table = label_table(results, "ct")
    rows = {(row[1].text, row[2].text): row[3] for row in table.rows}
    assert rows["embolism", "F1"].text == "–" and rows["cancer", "Hamming loss"].text == "–"
    assert (rows["embolism", "Hamming loss"].text, rows["embolism", "Hamming loss"].detail) == (
        "0.300", "[0.200, 0.400]",
    )  # fmt: skip
    lines = {(r["Label"], r["Metric"]): r["ko-mini"] for r in csv.DictReader(io.StringIO(table_csv(table), newline=""))}
    assert lines["embolism", "F1"] == "" and lines["cancer", "F1"] == "0.6"


def test_williams_test_and_effect_sizes_are_shown_if_there_are_any():
    results = fake_work.results()
    assert comparison_table(results, "korsts").columns == ("Adapted model", "Split", "Difference", "p (Holm)")
    results["comparisons"][0] |= {
        "williams": {"t": -2.345, "df": 97, "p": 0.0004},
        "effect_sizes": {"cohens_q": 0.123, "hedges_g": -1.5},
    }
    texts = [cell.text for cell in comparison_table(results, "korsts").rows[0]]
    assert texts[-3:] == ["t(97) = −2.345, p <0.001", "+0.123", "−1.500"]


def test_the_spread_of_zero_shot_tasks_is_over_random_masks_or_sentence_pairs():
    results = fake_work.results()
    assert "over seeds," in task_table(results, "ner").caption
    assert "over random masks or sentence pairs," in task_table(results, "mlm").caption


def test_next_sentence_probabilities_are_a_figure_for_each_model():
    results = fake_work.results()
    counts = {"next": [0] * 19 + [9], "random": [9] + [0] * 19}
    results["tasks"]["nsp"]["next_probabilities"] = {"ko-mini": counts}
    (part,) = [part for part in tasks_section(results, {}).parts if part.title == "Next or random sentence"]
    ((model, svg),) = part.figures
    assert model == "ko-mini" and svg.startswith("<svg") and "predicted probability of IsNext" in svg
