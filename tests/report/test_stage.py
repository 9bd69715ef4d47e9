"""The report stage: the same bytes from the same records, refusals, and recipes that lack a stage."""

import fake_work
import pytest

from bimed_dist.errors import ConfigError, DataError
from bimed_dist.evaluation import results_format
from bimed_dist.manifest import read_manifest
from bimed_dist.recipe.loading import parse_recipe
from bimed_dist.report import stage


def test_the_same_records_give_the_same_bytes(work, tmp_path):
    recipe = fake_work.recipe()
    folders = stage.stage_folders(recipe, work)
    again = tmp_path / "again"
    again.mkdir()
    stage.write_report(stage.read_records(folders, stage.verified_manifests(folders)), recipe, again)
    files = read_manifest(work / "report").files
    for name in files:
        assert (again / name).read_bytes() == (work / "report" / name).read_bytes(), name
    assert sorted(files) == sorted(p.relative_to(again).as_posix() for p in again.rglob("*") if p.is_file())


def test_a_finished_report_is_not_built_again(work):
    outcome = stage.run(fake_work.recipe(), work)
    assert outcome.was_done
    assert outcome.manifest.counts["failed_trials"] == 1
    assert (outcome.manifest.counts["improved"], outcome.manifest.counts["worsened"]) == (10, 2)


def test_a_finished_report_is_refused_if_the_recipe_changes_languages_of_the_models(tmp_path):
    recipe = fake_work.recipe()
    fake_work.build(tmp_path, recipe)
    stage.run(recipe, tmp_path)
    tree = recipe.model_dump(mode="json", exclude_none=True)
    tree["evaluation"]["models"]["en-mini"]["language"] = "en"
    with pytest.raises(ConfigError, match="languages: was null, now"):
        stage.run(parse_recipe(tree, where="test"), tmp_path)


def test_all_missing_and_damaged_stages_are_reported_at_once(tmp_path):
    recipe = fake_work.recipe()
    fake_work.build(tmp_path, recipe)
    (tmp_path / "pretraining/ko-mini/manifest.json").unlink()
    with (tmp_path / "vocabulary/bilingual/composition.json").open("a") as file:
        file.write(" ")
    with pytest.raises(DataError) as error:
        stage.run(recipe, tmp_path)
    assert "2 can't be used" in str(error.value)
    assert "ko-mini" in str(error.value) and "composition.json" in str(error.value)
    assert not (tmp_path / "report").exists()


def test_a_recipe_without_a_report_section_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no section `report`"):
        stage.run(fake_work.recipe(report=None), tmp_path)


def test_results_of_another_schema_are_refused(tmp_path):
    recipe = fake_work.recipe()
    for schema in (1, 3):
        work = tmp_path / str(schema)
        fake_work.build(work, recipe, {**fake_work.results(), "schema": schema})
        with pytest.raises(DataError, match=f"has schema {schema}, this version reads schema 2; run the evaluation"):
            stage.run(recipe, work)


def test_these_tests_use_exactly_the_fields_that_the_evaluation_declares():
    results = fake_work.results_with_rules()
    entries = {
        results_format.Results: [results],
        results_format.ModelEntry: list(results["models"].values()),
        results_format.TaskEntry: list(results["tasks"].values()),
        results_format.ScoreRow: [*results["scores"], *results["baselines"]],
        results_format.ComparisonRow: results["comparisons"],
        results_format.Failure: results["failures"],
    }
    for declared, values in entries.items():
        assert {frozenset(value) for value in values} == {declared.__required_keys__}, declared


def test_a_recipe_without_evaluation_gets_a_report(tmp_path):
    recipe = fake_work.recipe(evaluation=None)
    fake_work.build(tmp_path, recipe)
    outcome = stage.run(recipe, tmp_path)
    assert "This recipe evaluates no models." in fake_work.read_page(tmp_path)
    assert not (outcome.folder / "tables/main.csv").exists()


def test_results_in_which_everything_failed_make_a_report(tmp_path):
    results, recipe = fake_work.results(), fake_work.recipe()
    results["scores"], results["comparisons"] = [], []
    results["failures"] = [
        fake_work.failure(task, model, "seed=1", "killed") for task in fake_work.TASKS for model in fake_work.MODELS
    ]
    fake_work.build(tmp_path, recipe, results)
    stage.run(recipe, tmp_path)
    html = fake_work.read_page(tmp_path)
    main = html.split('id="forgetting"')[0]
    assert "No adapted model could be compared with its foundation" in html
    assert main.count('class="number failed"') == 2 * 12
    assert "0.000" not in main


def test_finished_attributions_are_shown_and_others_are_not_required(tmp_path):
    recipe = fake_work.recipe(attribution={"reports": {"task": "ct"}, "pairs": {"task": "korsts"}})
    fake_work.build(tmp_path, recipe)
    fake_work.explain(tmp_path, "reports", {"ko-mini": 0.31, "bi-ko-mini": 0.62})
    outcome = stage.run(recipe, tmp_path)
    assert "<h2>Attribution</h2>" in fake_work.read_page(tmp_path)
    assert "attribution/reports" in outcome.manifest.inputs
    rows = fake_work.read_table(tmp_path, "attribution")
    assert [row["Task"] for row in rows] == ["ct"] * 4
    assert [(row["Model"], row["Korean words"]) for row in rows if row["Method"] == "Integrated gradients"] == [
        ("ko-mini", "0.31"), ("bi-ko-mini", "0.62"),
    ]  # fmt: skip
