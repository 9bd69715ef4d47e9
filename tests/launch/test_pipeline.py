"""The pipeline from text to report: a short recipe, and the demo that `make demo` has run before."""

import json
import os
import subprocess
import sys
from statistics import fmean

import pytest


def run_pipeline(root, recipe, work) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "launch/pipeline.py", str(recipe), "--work", str(work)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True)


@pytest.fixture(scope="module")
def demo(root):
    """The work folder that `make demo` has filled."""
    work = root / "work" / "demo"
    if not (work / "report" / "manifest.json").is_file():
        if os.environ.get("CI"):  # .ci/run makes the demo before
            pytest.fail(f"there is no finished demo in {work}")
        pytest.skip("run `make demo` first")
    return work


@pytest.mark.slow
def test_a_second_run_of_the_demo_does_nothing_and_prints_the_results(root, demo):
    again = run_pipeline(root, "launch/recipes/demo.yaml", demo)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("already finished") == 19
    assert "bi-en-mini" in again.stdout and str(demo / "report" / "index.html") in again.stdout


@pytest.mark.slow
def test_the_report_of_the_demo_shows_every_stage(demo):
    page = (demo / "report" / "index.html").read_text(encoding="utf-8")
    for expected in ("bi-ko-mini", "sts-korean", "Korean subwords", "MLM loss"):
        assert expected in page


@pytest.mark.slow
@pytest.mark.parametrize("before", ["ko-mini", "en-mini"])
def test_bilingual_training_in_the_demo_improves_chest_ct_at_both_hospitals(demo, before):
    """Means of two seeds: CPUs of another kind change scores by the order of sums.

    On the machine that the recipe was chosen on, every seed gains: 0.10 or more inside, 0.04 or more outside.
    """
    results = json.loads((demo / "evaluation" / "results.json").read_text(encoding="utf-8"))
    values = {
        (row["split"], row["model"]): row["values"]
        for row in results["scores"]
        if row["task"] == "chest-ct" and row["main"]
    }
    assert len(values) == 2 * 4 and all(value > 0 for scores in values.values() for value in scores)
    for split in ("test", "external"):
        assert fmean(values[split, f"bi-{before}"]) > fmean(values[split, before]), (split, values)


@pytest.mark.slow
def test_a_recipe_with_a_report_but_no_evaluation_succeeds(root, tmp_path):
    (tmp_path / "recipe.yaml").write_text(
        "{name: text, seed: 1, report: {title: Text}, "
        "corpus: {c: {sources: [{kind: synthetic, name: s, documents: 20}]}}}",
        encoding="utf-8",
    )
    done = run_pipeline(root, tmp_path / "recipe.yaml", tmp_path / "work")
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "work" / "report" / "index.html") in done.stdout
