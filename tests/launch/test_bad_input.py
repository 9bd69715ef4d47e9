"""User errors at the command line: one clear message, exit code 2, nothing overwritten, no corpus text in messages."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from forks import Forks

SECRET = "환자 홍길동은 비밀이다"
RECIPE = {
    "name": "bad",
    "seed": 1,
    "corpus": {"text": {"sources": [{"kind": "text", "name": "notes", "path": "notes", "document": "paragraph"}]}},
    "vocabulary": {"wordpiece": {"corpus": "text", "size": 300}},
    "shards": {"tokens": {"corpus": "text", "tokenizer": "vocabulary/wordpiece"}},
    "model": {
        "tiny": {
            "architecture": {
                "num_hidden_layers": 1,
                "hidden_size": 16,
                "num_attention_heads": 2,
                "intermediate_size": 16,
                "max_position_embeddings": 64,
            },
            "tokenizer": "vocabulary/wordpiece",
        }
    },
    "pretraining": {
        "run": {"model": "tiny", "shards": "tokens", "steps": 2, "global_batch": 2, "micro_batch": 2, "max_length": 32}
    },
}
SENTENCES = [
    f"{site}에 {size} mm nodule 소견 보임. No pleural effusion." for site in ("우상엽", "좌하엽") for size in range(20)
]


def write_recipe_and_notes(folder: Path) -> Path:
    (folder / "notes").mkdir()
    (folder / "notes" / "a.txt").write_text("\n\n".join([*SENTENCES, SECRET]), encoding="utf-8")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE, allow_unicode=True), encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return a folder with a recipe and the notes that it reads."""
    return write_recipe_and_notes(tmp_path)


@dataclass(frozen=True)
class Ended:
    code: int
    output: str
    """Standard output and error."""


@pytest.fixture(scope="module")
def launch(forks: Forks) -> Callable[..., Ended]:
    def run(folder: Path, program: str, *arguments: str) -> Ended:
        words = [folder / "recipe.yaml", "--work", folder / "work", *arguments]
        job = forks.start(words, program=f"launch/{program}")
        (code,) = job.wait(300)
        return Ended(code, job.output().partition("\n")[2])  # without the line that names the rank

    return run


def assert_refused(result: Ended, *words: str) -> None:
    assert result.code == 2, result.output
    assert "Traceback" not in result.output
    assert SECRET not in result.output
    for word in words:
        assert word in result.output


def test_a_missing_source_folder_is_reported_by_name(launch, folder):
    (folder / "notes" / "a.txt").unlink()
    (folder / "notes").rmdir()
    assert_refused(launch(folder, "corpus.py"), "notes", "do not exist")


def test_a_corpus_without_text_is_refused(launch, folder):
    (folder / "notes" / "a.txt").write_text(" \n\n \n", encoding="utf-8")
    assert_refused(launch(folder, "corpus.py"), "no sentences", "notes")
    assert not (folder / "work" / "corpus" / "text").exists()


def test_invalid_utf8_is_reported_with_file_and_line(launch, folder):
    (folder / "notes" / "b.txt").write_bytes("앞 문장.\n".encode() + "폐렴".encode("cp949") + b"\n")
    assert_refused(launch(folder, "corpus.py"), "b.txt line 2")


def test_all_unknown_settings_are_reported_at_once(launch, folder):
    result = launch(folder, "corpus.py", "--set", "vocabulary.wordpiece.sise=5", "--set", "pretraining.run.step=1")
    assert_refused(result, "vocabulary.wordpiece.sise: unknown setting", "pretraining.run.step: unknown setting")


def test_a_missing_column_is_reported_without_showing_a_cell(launch, folder):
    (folder / "notes.csv").write_text(f"1,F,{SECRET}\n2,M,소견 없음.\n", encoding="utf-8")
    source = '{"kind": "table", "name": "notes", "path": "notes.csv", "text": ["report"]}'
    assert_refused(launch(folder, "corpus.py", "--set", f"corpus.text.sources=[{source}]"), "columns report", "3 cells")


def test_changed_settings_or_sources_are_refused_and_nothing_is_overwritten(launch, folder):
    assert launch(folder, "corpus.py").code == 0
    before = {p: p.read_bytes() for p in (folder / "work").rglob("*") if p.is_file()}
    assert_refused(launch(folder, "corpus.py", "--set", "seed=2"), "seed: was 1, now 2")
    (folder / "notes" / "c.txt").write_text("One more document.", encoding="utf-8")
    assert_refused(launch(folder, "corpus.py"), "source/notes")
    assert {p: p.read_bytes() for p in (folder / "work").rglob("*") if p.is_file()} == before


@pytest.fixture(scope="module")
def finished(launch, tmp_path_factory) -> Path:
    folder = write_recipe_and_notes(tmp_path_factory.mktemp("finished"))
    for program in ("corpus.py", "vocabulary.py", "shards.py", "model.py"):
        result = launch(folder, program)
        assert result.code == 0, result.output
    return folder


@pytest.fixture
def ready(finished, tmp_path) -> Path:
    """Return a copy of a folder in which every stage before pre-training is finished."""
    return shutil.copytree(finished, tmp_path / "ready")


def test_a_shard_with_a_flipped_byte_or_cut_short_is_refused_before_training(launch, ready):
    shard = next((ready / "work" / "shards" / "tokens").glob("train-*.arrow"))
    content = shard.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    for damaged in (bytes(flipped), content[: len(content) // 2]):
        shard.write_bytes(damaged)
        assert_refused(launch(ready, "pretrain.py"), shard.name)
    assert not (ready / "work" / "pretraining").exists()


def test_shards_and_a_model_of_different_vocabularies_are_refused_before_training(launch, ready):
    other = (
        "--set", "vocabulary.other={corpus: text, size: 300, lowercase: true}",
        "--set", "model.tiny.tokenizer=vocabulary/other",
    )  # fmt: skip
    assert launch(ready, "vocabulary.py", *other, "--name", "other").code == 0
    shutil.rmtree(ready / "work" / "model")
    assert launch(ready, "model.py", *other).code == 0
    assert_refused(launch(ready, "pretrain.py", *other), "different vocabularies", "model/tiny")
    assert not (ready / "work" / "pretraining").exists()


def test_a_dry_run_prints_the_recipe_and_writes_nothing(launch, folder):
    result = launch(folder, "pipeline.py", "--dry-run")
    assert result.code == 0, result.output
    assert yaml.safe_load(result.output.split("would run")[0])["pretraining"]["run"]["steps"] == 2
    assert result.output.count("would run") == 5
    assert not (folder / "work").exists()


def test_the_corpus_manifest_counts_every_document(launch, folder):
    assert launch(folder, "corpus.py").code == 0
    counts = json.loads((folder / "work" / "corpus" / "text" / "manifest.json").read_text())["counts"]
    assert counts["documents"] + counts["near_duplicates_dropped"] == len(SENTENCES) + 1
