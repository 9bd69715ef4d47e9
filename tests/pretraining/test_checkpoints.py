"""The commit protocol and the loader's distrust."""

import json
from pathlib import Path

import pytest

from bimed_dist.errors import CheckpointError
from bimed_dist.pretraining import checkpoints


class OneRank:
    rank, world_size = 0, 1

    def gather(self, value):
        return [value]


class FailedPeer(OneRank):
    """The first of two ranks; the other one could not write."""

    world_size = 2

    def gather(self, value):
        return [value, value if value is None else (None, "rank 1: [Errno 28] No space left on device")]


def write(folder: Path) -> list[Path]:
    (folder / "engine").mkdir()
    paths = [folder / "engine" / "a.bin", folder / "b.bin"]
    for path in paths:
        path.write_bytes(path.name.encode() * 100)
    return paths


def commit(parent: Path, step: int, keep: int = 2, ranks=None) -> Path:
    return checkpoints.commit(parent, step, ranks or OneRank(), write, {"step": step}, keep)


def test_the_newest_checkpoints_are_kept_and_the_newest_is_found(tmp_path):
    for step in (5, 10, 15):
        commit(tmp_path, step)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000010", "step-00000015"]
    folder, record = checkpoints.newest(tmp_path)
    assert (folder.name, record["step"], record["world_size"]) == ("step-00000015", 15, 1)
    assert set(record["files"]) == {"engine/a.bin", "b.bin"}


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "manifest", "no manifest"])
def test_a_damaged_checkpoint_is_named_and_passed_over(tmp_path, caplog, damage):
    for step in (5, 10):
        commit(tmp_path, step)
    target = tmp_path / "step-00000010" / "b.bin"
    manifest = tmp_path / "step-00000010" / checkpoints.MANIFEST
    content = bytearray(target.read_bytes())
    if damage == "flip":
        content[7] ^= 1
        target.write_bytes(content)
    elif damage == "cut":
        target.write_bytes(content[:-1])
    elif damage == "remove":
        target.unlink()
    elif damage == "manifest":
        manifest.write_text(json.dumps({"step": 10})[:-3])
    else:
        manifest.unlink()
    folder, _ = checkpoints.newest(tmp_path)
    assert folder.name == "step-00000005"
    assert "step-00000010" in caplog.text and "falling back" in caplog.text


def test_an_unfinished_save_is_never_loaded(tmp_path):
    commit(tmp_path, 5)
    (tmp_path / "step-00000010.partial").mkdir()
    write(tmp_path / "step-00000010.partial")
    assert checkpoints.newest(tmp_path)[0].name == "step-00000005"
    commit(tmp_path, 10)
    assert not list(tmp_path.glob("*.partial"))


def test_a_rank_that_cannot_write_stops_all_and_older_checkpoints_stay(tmp_path):
    commit(tmp_path, 5, keep=1)
    with pytest.raises(CheckpointError, match=r"rank 1.*No space left"):
        commit(tmp_path, 10, keep=1, ranks=FailedPeer())
    assert checkpoints.newest(tmp_path)[0].name == "step-00000005"


def test_checkpoints_after_the_one_continued_from_go_and_the_new_one_stays(tmp_path):
    for step in (5, 10, 15):
        commit(tmp_path, step, keep=3)
    for step in (10, 15):
        (tmp_path / f"step-{step:08d}" / "b.bin").unlink()
    assert checkpoints.newest(tmp_path)[0].name == "step-00000005"
    commit(tmp_path, 8, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000005", "step-00000008"]


def test_a_run_whose_checkpoints_are_all_damaged_is_not_started_anew(tmp_path):
    commit(tmp_path, 5)
    (tmp_path / "step-00000005" / "b.bin").unlink()
    with pytest.raises(CheckpointError, match="none of the 1"):
        checkpoints.newest(tmp_path)


def test_a_checkpoint_renamed_to_another_step_is_not_believed(tmp_path):
    commit(tmp_path, 5)
    commit(tmp_path, 7).rename(tmp_path / "step-00000009")
    assert checkpoints.newest(tmp_path)[0].name == "step-00000005"


def test_without_checkpoints_nothing_is_found(tmp_path):
    assert checkpoints.newest(tmp_path / "absent") is None
