"""Stage folders are finished or absent, are never overwritten, and every damage is detected."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bimed_dist import workspace
from bimed_dist.errors import ConfigError, DataError
from bimed_dist.manifest import (
    Outcome,
    begin,
    build,
    digest_of,
    finished,
    folder_lock,
    input_digest,
    read_manifest,
    verified,
    write_manifest,
)

SETTINGS = {"seed": 1, "size": 300, "sources": [{"name": "book", "path": "a"}, {"name": "help", "path": "b"}]}
INPUTS = {"corpus/bilingual": "aa" * 32}


def make(folder: Path) -> dict[str, Any]:
    (folder / "train.txt").write_text("first\nsecond\n", encoding="utf-8")
    (folder / "parts").mkdir()
    (folder / "parts" / "0.bin").write_bytes(bytes(range(64)))
    return {"lines": 2}


def make_nothing(folder: Path) -> dict[str, Any]:
    raise AssertionError("a finished stage must not be built again")


def stage(folder: Path, settings: Any = SETTINGS, inputs: Any = INPUTS, make: Any = make) -> Outcome:
    return build(folder, stage="vocabulary", settings=settings, inputs=inputs, make=make)


@pytest.fixture
def done(tmp_path: Path) -> Path:
    return stage(tmp_path / "work" / "vocabulary" / "bilingual").folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_manifest_lists_files_counts_settings_and_inputs(done: Path):
    manifest = verified(done)
    assert (manifest.stage, manifest.name) == ("vocabulary", "bilingual")
    assert sorted(manifest.files) == ["parts/0.bin", "train.txt"]
    assert manifest.files["train.txt"]["bytes"] == 13
    assert manifest.counts == {"lines": 2}
    assert manifest.settings == SETTINGS
    assert manifest.inputs == INPUTS
    assert manifest.versions["bimed_dist"]


def test_a_finished_stage_does_nothing(done: Path):
    before = contents(done)
    outcome = stage(done, make=make_nothing)
    assert outcome.was_done
    assert contents(done) == before


def test_the_order_of_keys_does_not_matter(done: Path):
    assert digest_of({"a": 1, "b": {"c": 2, "d": 3}}) == digest_of({"b": {"d": 3, "c": 2}, "a": 1})
    assert stage(done, settings=dict(reversed(SETTINGS.items())), make=make_nothing).was_done


def test_equal_content_has_an_equal_digest_wherever_it_was_built(tmp_path: Path):
    first, second = stage(tmp_path / "a").manifest, stage(tmp_path / "b").manifest
    assert first.digest == second.digest
    assert first.digest != stage(tmp_path / "c", inputs={"corpus/bilingual": "bb" * 32}).manifest.digest


def test_changed_settings_are_named_and_refused_and_nothing_is_overwritten(done: Path):
    before = contents(done)
    sources = [SETTINGS["sources"][0], {"name": "help", "path": "c"}]
    with pytest.raises(ConfigError) as caught:
        stage(done, settings={"size": 400, "sources": sources, "lowercase": True}, make=make_nothing)
    assert str(caught.value).splitlines()[1:] == [
        "  lowercase: was absent, now true",
        "  seed: was 1, now absent",
        "  size: was 300, now 400",
        '  sources.1.path: was "b", now "c"',
    ]
    assert contents(done) == before


def test_changed_inputs_are_refused_and_nothing_is_overwritten(done: Path):
    before = contents(done)
    with pytest.raises(ConfigError, match="made with other inputs"):
        stage(done, inputs={"corpus/bilingual": "bb" * 32}, make=make_nothing)
    assert contents(done) == before


def test_a_message_lists_at_most_20_changes(tmp_path: Path):
    stage(tmp_path / "a", settings={f"s{i:02}": 0 for i in range(30)})
    with pytest.raises(ConfigError) as caught:
        stage(tmp_path / "a", settings={f"s{i:02}": 1 for i in range(30)})
    assert len(str(caught.value).splitlines()) == 22
    assert str(caught.value).endswith("and 10 more")


def test_an_interrupted_build_leaves_no_finished_folder_and_can_be_repeated(tmp_path: Path):
    def interrupted(folder: Path) -> dict[str, Any]:
        (folder / "half.txt").write_text("half")
        raise KeyboardInterrupt

    folder = tmp_path / "bilingual"
    with pytest.raises(KeyboardInterrupt):
        stage(folder, make=interrupted)
    assert not folder.exists()
    outcome = stage(folder)
    assert not outcome.was_done
    assert sorted(outcome.manifest.files) == ["parts/0.bin", "train.txt"]
    assert not folder.with_name("bilingual.partial").exists()


def test_a_folder_with_foreign_files_is_refused(tmp_path: Path):
    folder = tmp_path / "bilingual"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="this program did not make it"):
        stage(folder)
    assert contents(folder) == {"thesis.txt": b"mine"}


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "bilingual").write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        stage(tmp_path / "bilingual")


def test_an_empty_folder_is_filled(tmp_path: Path):
    (tmp_path / "bilingual").mkdir()
    assert not stage(tmp_path / "bilingual").was_done


@pytest.mark.parametrize("position", [0, 31, 63])
def test_a_flipped_bit_is_detected(done: Path, position: int):
    path = done / "parts" / "0.bin"
    damaged = bytearray(path.read_bytes())
    damaged[position] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"0\.bin does not have the SHA-256"):
        verified(done)


def test_a_truncated_file_is_detected(done: Path):
    path = done / "parts" / "0.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"has 63 bytes, manifest\.json lists 64"):
        verified(done)


def test_a_missing_file_is_detected(done: Path):
    (done / "train.txt").unlink()
    with pytest.raises(DataError, match=r"train\.txt is missing"):
        verified(done)


def test_a_damaged_finished_stage_is_reported_and_not_built_again(done: Path):
    (done / "train.txt").write_text("other")
    with pytest.raises(DataError):
        stage(done, make=make_nothing)


@pytest.mark.parametrize("field", ["stage", "settings", "inputs", "files"])
def test_an_edited_manifest_is_detected(done: Path, field: str):
    path = done / workspace.MANIFEST
    record = json.loads(path.read_text())
    record[field] = "shards" if field == "stage" else {**record[field], "more": {"bytes": 1, "sha256": ""}}
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match="was edited"):
        read_manifest(done)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"stage": "corpus"}', "null"])
def test_a_file_that_is_no_manifest_is_reported_as_damaged(done: Path, text: str):
    (done / workspace.MANIFEST).write_text(text)
    with pytest.raises(DataError, match="is damaged"):
        verified(done)


def test_a_folder_without_a_manifest_is_unfinished(tmp_path: Path):
    with pytest.raises(DataError, match="did not finish"):
        verified(tmp_path)


def test_a_folder_filled_over_several_runs_continues_with_the_same_settings_only(tmp_path: Path):
    folder = tmp_path / "pretraining" / "ko"
    begin(folder, SETTINGS, INPUTS)
    (folder / "metrics.jsonl").write_text("{}\n")
    assert finished(folder, SETTINGS, INPUTS) is None
    with pytest.raises(ConfigError, match="size: was 300, now 301"):
        finished(folder, {**SETTINGS, "size": 301}, INPUTS)
    with pytest.raises(ConfigError, match="other inputs"):
        finished(folder, SETTINGS, {})
    begin(folder, {"other": 1}, {})
    assert json.loads((folder / workspace.SETTINGS).read_text()) == {"settings": {"other": 1}, "inputs": {}}
    begin(folder, SETTINGS, INPUTS)

    written = write_manifest(
        folder,
        stage="pretraining",
        name="ko",
        settings=SETTINGS,
        inputs=INPUTS,
        counts={},
        files=[folder / "metrics.jsonl"],
        seconds=1.0,
    )
    assert finished(folder, SETTINGS, INPUTS) == written


def test_a_start_that_failed_while_writing_its_settings_does_not_block_later_ones(tmp_path: Path):
    (tmp_path / f"{workspace.SETTINGS}.partial").touch()
    assert finished(tmp_path, SETTINGS, INPUTS) is None
    (tmp_path / f"{workspace.SETTINGS}.partial").unlink()
    (tmp_path / f"{workspace.SETTINGS}.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        begin(tmp_path, SETTINGS, INPUTS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "[]", '{"settings": {}}'])
def test_a_damaged_settings_file_is_reported(tmp_path: Path, text: str):
    (tmp_path / workspace.SETTINGS).write_text(text)
    with pytest.raises(DataError, match="is damaged"):
        finished(tmp_path, SETTINGS, INPUTS)


def test_the_digest_of_a_folder_depends_on_names_and_contents_only(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name / "below").mkdir(parents=True)
        (tmp_path / name / "below" / "file").write_text("same")
    before = input_digest(tmp_path / "a")
    assert before == input_digest(tmp_path / "b")
    (tmp_path / "a" / "__pycache__").mkdir()
    (tmp_path / "a" / "__pycache__" / "module.pyc").write_text("made by an import")
    assert before == input_digest(tmp_path / "a")
    (tmp_path / "b" / "below" / "file").rename(tmp_path / "b" / "below" / "renamed")
    assert before != input_digest(tmp_path / "b")


def test_the_digest_of_a_missing_path_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="does not exist"):
        input_digest(tmp_path / "absent")


def test_a_folder_that_another_process_fills_is_refused_and_left_alone(tmp_path: Path):
    (tmp_path / "run.partial").mkdir()
    (tmp_path / "run.partial" / "theirs").touch()
    with (
        folder_lock(tmp_path / "run"),
        pytest.raises(ConfigError, match=f"filled by process {os.getpid()} on"),
    ):
        stage(tmp_path / "run", make=make_nothing)
    assert (tmp_path / "run.partial" / "theirs").exists()
    stage(tmp_path / "other")


def test_a_failed_build_releases_its_folder(tmp_path: Path):
    with pytest.raises(ZeroDivisionError), folder_lock(tmp_path / "run"):
        1 / 0  # noqa: B018
    stage(tmp_path / "run")
