"""Training curves: each step once, the metrics that were trained, and the training that was done."""

import json
from types import SimpleNamespace

import fake_work

from bimed_dist.report import stage
from bimed_dist.report.figures import curve_panels, series_style
from bimed_dist.report.records import read_curve
from bimed_dist.report.sections.training import trained_on, training_section, training_table


def test_a_resumed_run_shows_each_step_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(fake_work.metrics(0), encoding="utf-8")
    at_1000 = [line for line in read_curve(path) if line["step"] == 1000 and line["kind"] == "validation"]
    assert len(at_1000) == 1
    assert at_1000[0]["mlm_loss"] < 10


def test_a_damaged_line_of_the_metrics_is_reported_with_its_number_and_the_others_are_shown(tmp_path, caplog):
    recipe = fake_work.recipe()
    last = json.loads(fake_work.metrics(0).splitlines()[-1])
    assert (last["kind"], last["step"]) == ("validation", 2000)
    damaged = fake_work.metrics(0).splitlines()
    damaged[40] = damaged[40][:17]
    fake_work.build(tmp_path, recipe, metrics_of_first="\n".join(damaged) + "\n")
    stage.run(recipe, tmp_path)
    assert [m for m in caplog.messages if "ko-mini/metrics.jsonl, line 41 is damaged" in m]
    row = [r for r in fake_work.read_table(tmp_path, "training") if r["Run"] == "ko-mini"][-1]
    assert (row["Step"], row["MLM loss"]) == ("2000", str(last["mlm_loss"]))


def test_curves_are_those_of_the_sentence_objective_that_was_trained():
    lines = [
        {"kind": "validation", "step": step, "mlm_loss": 3.0, "sop_loss": 0.5, "sop_accuracy": 0.7} for step in (0, 9)
    ]
    assert [title for title, _ in curve_panels({"run": lines})] == ["MLM loss", "SOP loss", "SOP accuracy"]
    table = training_table({"run": lines})
    assert table.columns == ("Run", "Step", "MLM loss", "SOP loss", "SOP accuracy")


def test_a_run_with_one_validation_has_one_row():
    line = {"kind": "validation", "step": 0, "mlm_loss": 3.0}
    assert [row[1].text for row in training_table({"run": [line]}).rows] == ["0"]
    assert training_table({"run": []}).rows == ()


def test_a_run_shows_the_steps_and_rows_that_were_trained_and_not_those_that_were_planned():
    settings = {"steps": 9_000, "global_batch": 64}
    counts = {"steps": 2_000, "rows": 120_800, "epochs": 1.52, "engine": "ddp", "processes": 2}
    run = SimpleNamespace(settings=settings, counts={**counts, "phases": [{"steps": 1_800}, {"steps": 200}]})
    assert trained_on(run) == (
        "2,000 steps (1,800, then 200 with longer rows), 120,800 rows, 1.52 epochs, engine ddp, 2 processes"
    )
    run.counts = {**counts, "phases": [{"steps": 2_000}]}
    assert trained_on(run) == "2,000 steps, 120,800 rows, 1.52 epochs, engine ddp, 2 processes"
    run.counts = {"steps": 2_000}
    assert trained_on(run) == "2,000 steps"


def test_the_section_explains_which_numbers_compare_across_vocabularies():
    (paragraph,) = training_section({}, {}).paragraphs
    assert "cannot be compared between runs with different vocabularies. Bits per character can" in paragraph


def test_more_runs_than_colours_differ_by_their_dashes():
    assert len({series_style(i) for i in range(18)}) == 18
