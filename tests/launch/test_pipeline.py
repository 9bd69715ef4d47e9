"""The pipeline from synthetic text to the report, on a small version of the demo."""

import subprocess
import sys

import pytest

SMALLER = [
    "corpus.korean.sources.0.documents=120",
    "corpus.english.sources.0.documents=120",
    "corpus.bilingual.sources.0.documents=200",
    "vocabulary.korean.size=1200",
    "vocabulary.english.size=600",
    "vocabulary.bilingual.size=1800",
    *(f"pretraining.{run}.{setting}" for run in ("ko-mini", "en-mini", "bi-ko-mini", "bi-en-mini")
      for setting in ("steps=4", "warmup_steps=1", "global_batch=8", "micro_batch=4", "validation_rows=16",
                      "validate_every=4", "checkpoint_every=4",
                      "long_phase={steps: 1, max_length: 256, global_batch: 4, micro_batch: 2}")),
    "pretraining.bi-en-mini.accelerate_config=null",
    *(f"evaluation.tasks.{task}.max_rows={{train: 60, dev: 20, test: 20}}"
      for task in ("sts-korean", "sts-english", "ner")),
    "evaluation.tasks.chest-ct.max_rows={train: 60, dev: 20, test: 20, external: 20}",
    "evaluation.seeds=[1, 2]",
    "evaluation.epochs=[1]",
    "evaluation.tasks.chest-ct.epochs=[1]",
]  # fmt: skip


@pytest.mark.slow
def test_the_demo_runs_from_text_to_report_and_a_second_run_does_nothing(root, tmp_path):
    command = [sys.executable, "launch/pipeline.py", "launch/recipes/demo.yaml", "--work", str(tmp_path / "work")]
    command += [part for change in SMALLER for part in ("--set", change)]
    first = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    page = (tmp_path / "work" / "report" / "index.html").read_text(encoding="utf-8")
    for expected in ("bi-ko-mini", "sts-korean", "Korean subwords", "MLM loss"):
        assert expected in page
    assert "bi-en-mini" in first.stdout and str(tmp_path / "work" / "report" / "index.html") in first.stdout

    again = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("already finished") == 19


@pytest.mark.slow
def test_a_recipe_with_a_report_but_no_evaluation_succeeds(root, tmp_path):
    (tmp_path / "recipe.yaml").write_text(
        "{name: text, seed: 1, report: {title: Text}, "
        "corpus: {c: {sources: [{kind: synthetic, name: s, documents: 20}]}}}",
        encoding="utf-8",
    )
    command = [sys.executable, "launch/pipeline.py", str(tmp_path / "recipe.yaml"), "--work", str(tmp_path / "work")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "work" / "report" / "index.html") in done.stdout
