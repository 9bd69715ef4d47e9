"""The headline and the main table: numbers, failures, best scores, baselines; on the page, as CSV and on a terminal."""

from types import SimpleNamespace

import fake_work
import pytest

from bimed_dist.evaluation.metrics.definitions import find_metric
from bimed_dist.report import figures
from bimed_dist.report.score_cells import model_cell, score_cell
from bimed_dist.report.scores import MainRow, main_rows, result_rows
from bimed_dist.report.sections.main_results import headline, main_table, main_table_text
from bimed_dist.report.sections.tasks import task_table


def row_of(task: str, model: str, split: str = "test", results=None) -> MainRow:
    rows = main_rows(results or fake_work.results())
    return next(r for r in rows if (r.task, r.model, r.split) == (task, model, split))


def is_slice(task: str, split: str) -> bool:
    return split in fake_work.results()["tasks"][task]["slices"]


# ---------------------------------------------------------------------------------------------------------- main table


def test_numbers_of_the_main_table_are_those_of_the_results(work):
    rows = {(r["task"], r["split"], r["model"]): r for r in fake_work.read_table(work, "main")}
    for task, (_, title, _, metric, splits) in fake_work.TASKS.items():
        for split, means in splits.items():
            for model, entry in fake_work.MODELS.items():
                if entry["adapted_from"] is None or is_slice(task, split):
                    continue
                row = rows[task, split, model]
                assert (row["title"], row["metric"], row["foundation"]) == (title, metric, entry["adapted_from"])
                for side, label in (("foundation", entry["adapted_from"]), ("model", model)):
                    assert row[f"{side}_mean"] == (str(means[label]) if label in means else "")
    assert len(rows) == 14


def test_every_mean_of_the_main_table_is_in_page_markdown_and_text(work, page_html):
    markdown = (work / "report/report.md").read_text(encoding="utf-8")
    terminal = main_table_text(fake_work.results())
    for task, (_, _, _, _, splits) in fake_work.TASKS.items():
        for mean in (m for split, means in splits.items() for m in means.values() if not is_slice(task, split)):
            assert all(f"{mean:.3f} ± 0.010" in text for text in (page_html, markdown, terminal)), mean


def test_a_failed_trial_is_shown_as_failed_with_its_error_and_never_as_a_number(work, page_html):
    row = next(r for r in fake_work.read_table(work, "main") if (r["task"], r["model"]) == ("ner", "bi-en-mini"))
    assert (row["model_state"], row["model_mean"], row["difference"]) == ("failed", "", "")
    assert row["model_reason"] == f"lr=5e-05,epochs=4,seed=2: out of memory {fake_work.SCRIPT}"
    cell = score_cell(row_of("ner", "bi-en-mini").model_score)
    assert (cell.text, cell.kind) == ("failed", "failed")
    assert "out of memory" in page_html
    assert "failed (a)" in main_table_text(fake_work.results())


def test_a_score_that_does_not_apply_is_shown_with_its_reason(page_html):
    score = row_of("nsp", "bi-en-mini").foundation_score
    assert (score.state, score.mean, score.reason) == ("n/a", None, "the checkpoint has no NSP head")
    assert "the checkpoint has no NSP head" in page_html


def test_a_note_about_a_model_is_no_reason_for_a_missing_score():
    results = fake_work.results()
    results["tasks"]["nsp"] |= {"not_applicable": {}, "notes": ["en-mini: not applicable, but only a note"]}
    assert row_of("nsp", "bi-en-mini", results=results).foundation_score.reason == "not measured for this model"


def test_a_score_of_zero_is_a_number():
    results = fake_work.results()
    score = next(s for s in results["scores"] if (s["task"], s["model"], s["main"]) == ("korsts", "bi-ko-mini", True))
    score["mean"] = 0.0
    assert score_cell(row_of("korsts", "bi-ko-mini", results=results).model_score).text == "0.000 ± 0.010"


def test_the_best_of_each_task_is_bold_and_the_lowest_is_best_for_bits():
    assert row_of("korsts", "bi-ko-mini").best == {"ko-mini"}
    assert row_of("ct", "bi-ko-mini", "external").best == {"bi-ko-mini"}
    assert row_of("mlm", "bi-ko-mini").best == {"bi-ko-mini"}
    assert row_of("mlm", "bi-ko-mini").gain == pytest.approx(0.807)


def test_the_direction_of_a_metric_is_declared_and_not_guessed_from_its_name():
    results = fake_work.results()
    for score in (*results["scores"], *results["comparisons"]):
        score["metric"] = "mean_random_probability" if score["task"] == "mlm" else score["metric"]
    results["tasks"]["mlm"]["metric"] = "mean_random_probability"
    row = row_of("mlm", "bi-ko-mini", results=results)
    assert row.gain == pytest.approx(0.807) and row.best == {"bi-ko-mini"}


def test_only_significant_differences_are_coloured_and_by_gain_not_by_sign():
    results = fake_work.results()
    results["comparisons"][0] |= {"difference": -0.3, "p_holm": 0.001}
    cells = {(row[0].value, row[1].text): row[4] for row in main_table(main_rows(results)).rows if row[4].value}
    assert cells["mlm", "bi-ko-mini"].text == "−0.807" and cells["mlm", "bi-ko-mini"].change == "gain"
    assert cells["korsts", "bi-ko-mini"].change == "loss"
    assert cells["stsb", "bi-en-mini"].change == ""


def test_a_failed_seed_is_reported_with_the_score_of_the_others():
    results = fake_work.results()
    results["failures"].append(fake_work.failure("korsts", "ko-mini", "seed=3", "killed"))
    score = row_of("korsts", "bi-ko-mini", results=results).foundation_score
    assert (score.state, score.reason) == ("measured", "1 trial(s) failed: seed=3: killed")


def test_if_one_split_failed_the_other_splits_keep_their_scores():
    results = fake_work.results()
    for rows in (results["scores"], results["comparisons"]):
        rows[:] = [row for row in rows if (row["task"], row["split"]) != ("ct", "external")]
    error = ("ct", "bi-ko-mini", "test,seed=1, external", "all answers are equal")
    results["failures"].append(fake_work.failure(*error, split="external"))
    external = row_of("ct", "bi-ko-mini", "external", results).model_score
    assert (external.state, external.reason) == ("failed", "test,seed=1, external: all answers are equal")
    assert row_of("ct", "bi-ko-mini", "external", results).foundation_score.state == "n/a"
    test = row_of("ct", "bi-ko-mini", "test", results).model_score
    assert (test.mean, test.reason) == (0.9460, "")
    cells = {row[0].text: row[3] for row in task_table(results, "ct").rows if row[1].text == "Macro F1"}
    assert cells["external"].text == "failed" and cells["test"].text.startswith("0.946")


def test_keyword_rules_have_a_row_with_the_origin_of_the_labels_and_do_not_change_the_headline():
    rows = main_rows(fake_work.results_with_rules())
    (row,) = [row for row in rows if row.model == "rules"]
    assert (row.task, row.split, row.foundation, row.model_score.mean) == ("ct", "test", None, 0.99)
    assert row.best == {"rules"}
    cell = model_cell(row)
    assert (cell.text, cell.detail, cell.note) == ("rules", "keyword rules", "labels from: keywords in the report text")
    assert headline(rows) == headline(main_rows(fake_work.results()))


def test_a_baseline_without_an_origin_of_labels_is_still_shown_as_a_baseline():
    results = fake_work.results_with_rules()
    results["tasks"]["ct"]["labels_from"] = ""
    assert model_cell(row_of("ct", "rules", results=results)).detail == "keyword rules"


def test_languages_and_sources_of_a_test_split_are_left_out_of_the_main_table_by_declaration():
    results = fake_work.results()
    row = next(row for row in results["scores"] if row["task"] == "mlm" and row["split"] == "ko")
    results["scores"].append({**row, "split": "textbooks"})
    results["tasks"]["mlm"]["slices"]["textbooks"] = "source"
    assert {row.language for row in result_rows(results) if row.split == "textbooks"} == {"any"}
    assert {row.split for row in main_rows(results) if row.task == "mlm"} == {"test"}


# ------------------------------------------------------------------------------------------------------------ headline


def test_the_headline_counts_gains_and_losses_and_names_the_largest():
    assert headline(main_rows(fake_work.results())) == (
        "Continued pre-training improved 10 of 12 scores (9 significantly) and worsened 2 (none significantly). "
        "Largest gain: 한국어 문장 유사도 (KorSTS), bi-en-mini: Pearson 0.190 to 0.613 (+0.422); "
        "largest loss: STS-B: English sentence similarity, bi-en-mini: Pearson 0.701 to 0.687 (−0.014). "
        "2 comparisons could not be made, 1 of them because a trial failed."
    )


def test_the_headline_does_not_claim_a_gain_if_all_scores_got_worse():
    results = fake_work.results()
    results["comparisons"] = []
    for score in results["scores"]:
        lower = find_metric(score["metric"]).lower_is_better
        score["mean"] = 0.5 + (0.1 if lower != score["model"].startswith("bi-") else 0.2)
    sentences = headline(main_rows(results))
    assert sentences.startswith("Continued pre-training improved 0 of 12 scores and worsened 12. Largest loss: ")
    assert "gain" not in sentences
    assert headline([]) == "This recipe evaluates no models."


# -------------------------------------------------------------------------------------------------------------- figure


def test_a_figure_without_a_korean_font_shows_tasks_by_their_short_names(caplog):
    caplog.set_level("INFO", logger="bimed_dist.report.figures")
    assert figures.change_figure(main_rows(fake_work.results()), korean=None).startswith("<svg ")
    assert any("shows a task as korsts" in message for message in caplog.messages)


def test_dollar_signs_in_titles_are_not_mathematics():
    results = fake_work.results()
    results["tasks"]["korsts"]["title"] = r"costs $1 to $\frac{"
    assert figures.change_figure(main_rows(results), korean=None)


def test_a_font_installed_after_matplotlib_s_cache_is_the_same_in_every_figure_and_of_regular_weight(monkeypatch):
    manager, added = figures.font_manager.fontManager, []

    def add(path):
        added.append(path)
        manager.ttflist += [SimpleNamespace(name=f"Noto Sans CJK {region}") for region in ("JP", "KR")]

    fonts = [f"/usr/share/fonts/NotoSansCJK-{weight}.ttc" for weight in ("Bold", "Regular")]
    monkeypatch.setattr(manager, "ttflist", [])
    monkeypatch.setattr(manager, "addfont", add)
    monkeypatch.setattr(figures.font_manager, "findSystemFonts", lambda: fonts)
    monkeypatch.setattr(figures.font_manager.FontProperties, "get_name", lambda properties: "Noto Sans CJK JP")
    assert [figures.korean_font() for _ in range(2)] == ["Noto Sans CJK KR"] * 2
    assert added == [fonts[1]]
