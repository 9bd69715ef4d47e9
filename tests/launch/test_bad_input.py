"""Mistakes, as a user meets them: one clear message, exit code 2, nothing overwritten, no text of the corpus."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

SECRET = "환자 홍길동은 비밀이다"
RECIPE = {
    "name": "bad",
    "seed": 1,
    "corpus": {"text": {"sources": [{"kind": "text", "name": "notes", "path": "notes", "document": "paragraph"}]}},
    "vocabulary": {"pieces": {"corpus": "text", "size": 300}},
    "shards": {"tokens": {"corpus": "text", "tokenizer": "vocabulary/pieces"}},
    "model": {
        "tiny": {
            "architecture": {"layers": 1, "width": 16, "heads": 2, "feed_forward": 16, "positions": 64},
            "tokenizer": "vocabulary/pieces",
        }
    },
    "pretraining": {
        "run": {"model": "tiny", "shards": "tokens", "steps": 2, "global_batch": 2, "micro_batch": 2, "max_length": 32}
    },
}
SENTENCES = [
    f"{site}에 {size} mm nodule 소견 보임. No pleural effusion." for site in ("우상엽", "좌하엽") for size in range(20)
]


def write_place(folder: Path) -> Path:
    (folder / "notes").mkdir()
    (folder / "notes" / "a.txt").write_text("\n\n".join([*SENTENCES, SECRET]), encoding="utf-8")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE, allow_unicode=True), encoding="utf-8")
    return folder


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder with a recipe and the notes that it names."""
    return write_place(tmp_path)


def launch(root: Path, place: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        str(root / "launch" / program),
        str(place / "recipe.yaml"),
        "--work",
        str(place / "work"),
    ]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=root)


def refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert SECRET not in result.stderr + result.stdout
    for word in words:
        assert word in result.stderr


def test_a_missing_file_is_named(root, place):
    (place / "notes" / "a.txt").unlink()
    (place / "notes").rmdir()
    refused(launch(root, place, "corpus.py"), "notes", "do not exist")


def test_an_empty_corpus_is_refused(root, place):
    (place / "notes" / "a.txt").write_text(" \n\n \n", encoding="utf-8")
    refused(launch(root, place, "corpus.py"))
    assert not (place / "work" / "corpus" / "text").exists()


def test_invalid_utf8_is_named_by_file_and_place(root, place):
    (place / "notes" / "b.txt").write_bytes("앞 문장.\n".encode() + "폐렴".encode("cp949") + b"\n")
    refused(launch(root, place, "corpus.py"), "b.txt", "2")


def test_unknown_settings_are_listed_all_at_once(root, place):
    result = launch(root, place, "corpus.py", "--set", "vocabulary.pieces.sise=5", "--set", "pretraining.run.step=1")
    refused(result, "vocabulary.pieces.sise: unknown setting", "pretraining.run.step: unknown setting")


def test_a_missing_column_is_named_and_no_cell_is_shown(root, place):
    (place / "notes.csv").write_text(f"1,F,{SECRET}\n2,M,소견 없음.\n", encoding="utf-8")
    source = '{"kind": "table", "name": "notes", "path": "notes.csv", "text": ["report"]}'
    refused(launch(root, place, "corpus.py", "--set", f"corpus.text.sources=[{source}]"), "'report'", "3 cells")


def test_a_recipe_changed_under_its_work_folder_is_refused_and_nothing_is_overwritten(root, place):
    assert launch(root, place, "corpus.py").returncode == 0
    before = {p: p.read_bytes() for p in (place / "work").rglob("*") if p.is_file()}
    refused(launch(root, place, "corpus.py", "--set", "seed=2"), "seed: was 1, now 2")
    (place / "notes" / "c.txt").write_text("One more document.", encoding="utf-8")
    refused(launch(root, place, "corpus.py"), "source/notes")
    assert {p: p.read_bytes() for p in (place / "work").rglob("*") if p.is_file()} == before


@pytest.fixture(scope="module")
def finished(root, tmp_path_factory) -> Path:
    place = write_place(tmp_path_factory.mktemp("finished"))
    for program in ("corpus.py", "vocabulary.py", "shards.py", "model.py"):
        result = launch(root, place, program)
        assert result.returncode == 0, result.stderr
    return place


@pytest.fixture
def ready(finished, tmp_path) -> Path:
    """A copy of a place where everything before pre-training is finished."""
    return shutil.copytree(finished, tmp_path / "ready")


def test_a_shard_with_a_flipped_byte_or_cut_short_is_refused_before_training(root, ready):
    shard = next((ready / "work" / "shards" / "tokens").glob("train-*.arrow"))
    content = shard.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    for damaged in (bytes(flipped), content[: len(content) // 2]):
        shard.write_bytes(damaged)
        refused(launch(root, ready, "pretrain.py"), shard.name)
    assert not (ready / "work" / "pretraining").exists()


def test_a_vocabulary_that_is_not_the_models_is_refused_before_training(root, ready):
    other = (
        "--set", "vocabulary.other={corpus: text, size: 300, lowercase: true}",
        "--set", "model.tiny.tokenizer=vocabulary/other",
    )  # fmt: skip
    assert launch(root, ready, "vocabulary.py", *other, "--name", "other").returncode == 0
    shutil.rmtree(ready / "work" / "model")
    assert launch(root, ready, "model.py", *other).returncode == 0
    refused(launch(root, ready, "pretrain.py", *other), "different vocabularies", "model/tiny")
    assert not (ready / "work" / "pretraining").exists()


def test_a_dry_run_prints_the_recipe_and_builds_nothing(root, place):
    result = launch(root, place, "pipeline.py", "--dry-run")
    assert result.returncode == 0, result.stderr
    assert yaml.safe_load(result.stdout.split("would run")[0])["pretraining"]["run"]["steps"] == 2
    assert result.stdout.count("would run") == 5
    assert not (place / "work").exists()


def test_corpus_folders_hold_what_their_manifest_says(root, place):
    assert launch(root, place, "corpus.py").returncode == 0
    counts = json.loads((place / "work" / "corpus" / "text" / "manifest.json").read_text())["counts"]
    assert counts["documents"] + counts["near_duplicates_dropped"] == len(SENTENCES) + 1
