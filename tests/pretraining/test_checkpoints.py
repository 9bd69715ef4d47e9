"""The commit protocol, and the verification of checkpoints before they are loaded."""

import hashlib
import json
import math
import threading
from pathlib import Path

import pytest

from bimed_dist.errors import CheckpointError
from bimed_dist.pretraining import checkpoints


class OneRank:
    rank, world_size = 0, 1

    def gather(self, value):
        return [value]


class FailedPeer(OneRank):
    """The first of two ranks, of which the other could not write."""

    world_size = 2

    def gather(self, value):
        return [value, (None, OSError(28, "No space left on device"))]


def write(folder: Path) -> checkpoints.Files:
    files = {}
    for name in ("a.bin", "b.bin"):
        content = name.encode() * 100
        (folder / name).write_bytes(content)
        files[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return files


def commit(parent: Path, step: int, keep: int = 2, ranks=None, **record) -> Path:
    saver = checkpoints.Saver(parent, ranks or OneRank(), keep)
    saver.start(step, write, record)
    return saver.finish().folder


def test_the_newest_checkpoints_are_kept_and_the_newest_is_found(tmp_path):
    for step in (5, 10, 15):
        commit(tmp_path, step)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000010", "step-00000015"]
    folder, record = checkpoints.newest(tmp_path)
    assert (folder.name, record["step"], record["world_size"]) == ("step-00000015", 15, 1)
    assert set(record["files"]) == {"a.bin", "b.bin"}


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "manifest", "number", "no manifest"])
def test_a_damaged_checkpoint_is_reported_and_skipped(tmp_path, caplog, damage):
    for step in (5, 10):
        commit(tmp_path, step)
    target = tmp_path / "step-00000010" / "b.bin"
    manifest = tmp_path / "step-00000010" / checkpoints.CHECKPOINT_RECORD
    content = bytearray(target.read_bytes())
    if damage == "flip":
        content[7] ^= 1
        target.write_bytes(content)
    elif damage == "cut":
        target.write_bytes(content[:-1])
    elif damage == "remove":
        target.unlink()
    elif damage == "manifest":
        manifest.write_text(manifest.read_text()[:-3])
    elif damage == "number":
        record = json.loads(manifest.read_text())
        manifest.write_text(json.dumps({**record, "world_size": 2}))
    else:
        manifest.unlink()
    folder, _ = checkpoints.newest(tmp_path)
    assert folder.name == "step-00000005"
    assert "step-00000010" in caplog.text and "falling back" in caplog.text


def test_an_unfinished_save_is_never_loaded(tmp_path):
    commit(tmp_path, 5)
    saver = checkpoints.Saver(tmp_path, OneRank(), 2)
    saver.start(10, write, {})
    saver._thread.join()
    assert (tmp_path / "step-00000010.partial" / "b.bin").is_file()
    assert checkpoints.newest(tmp_path)[0].name == "step-00000005"
    checkpoints.remove_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000005"]


def test_a_rank_that_cannot_write_stops_all_and_older_checkpoints_stay(tmp_path):
    commit(tmp_path, 5, keep=1)
    with pytest.raises(CheckpointError, match=r"rank 1.*No space left"):
        commit(tmp_path, 10, keep=1, ranks=FailedPeer())
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000005"]
    assert checkpoints.newest(tmp_path)[1]["step"] == 5


def test_metrics_that_cannot_be_synced_are_an_error_on_all_ranks(tmp_path):
    def fail() -> None:
        raise OSError("[Errno 5] Input/output error")

    errors = []

    class Recording(OneRank):
        def gather(self, value):
            errors.append(value[1] and str(value[1]))
            return [value]

    saver = checkpoints.Saver(tmp_path, Recording(), 2)
    saver.start(5, write, {})
    with pytest.raises(CheckpointError, match="Input/output error"):
        saver.finish(before_commit=fail)
    assert errors == [None, "[Errno 5] Input/output error"]
    assert checkpoints.newest(tmp_path) is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [OSError("no room"), MemoryError(), RuntimeError("a mistake")])
def test_a_writing_thread_that_fails_in_any_way_commits_nothing(tmp_path, error):
    def failing(folder: Path) -> checkpoints.Files:
        raise error

    commit(tmp_path, 5, keep=1)
    saver = checkpoints.Saver(tmp_path, OneRank(), 1)
    saver.start(10, failing, {})
    with pytest.raises(CheckpointError, match=r"rank 0: (no room|the writing thread failed)"):
        saver.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000005"]


def test_training_continues_while_a_thread_writes_and_only_finish_commits(tmp_path):
    go_on = threading.Event()

    def slowly(folder: Path) -> checkpoints.Files:
        go_on.wait(60)
        return write(folder)

    saver = checkpoints.Saver(tmp_path, OneRank(), 2)
    saver.start(5, slowly, {})
    assert not saver.is_written()
    go_on.set()
    saver._thread.join()
    assert saver.is_written() and checkpoints.newest(tmp_path) is None
    assert saver.finish().folder.name == "step-00000005"
    assert saver.finish() is None and checkpoints.newest(tmp_path)[1]["step"] == 5


def test_the_checkpoint_with_the_lowest_held_out_loss_is_kept_next_to_the_newest(tmp_path):
    for step, loss in ((5, 3.0), (10, 1.0), (15, 2.0), (20, None), (25, 1.5)):
        commit(tmp_path, step, **({} if loss is None else {"held_out_loss": loss}))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000010", "step-00000020", "step-00000025"]
    commit(tmp_path, 30, held_out_loss=0.5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000025", "step-00000030"]
    for step in (35, 40, 45):  # a loss that is not finite is never the best
        commit(tmp_path, step, held_out_loss=math.nan)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000030", "step-00000040", "step-00000045"]


def test_a_record_of_another_program_is_refused_with_the_reason(tmp_path, caplog):
    folder = commit(tmp_path, 5)
    (folder / checkpoints.CHECKPOINT_RECORD).write_text(json.dumps({"step": 5, "files": {}}))
    with pytest.raises(CheckpointError, match="none of the 1"):
        checkpoints.newest(tmp_path)
    assert "or was not written by this program" in caplog.text


def test_checkpoints_after_the_one_that_was_resumed_are_removed_and_the_new_one_is_kept(tmp_path):
    for step in (5, 10, 15):
        commit(tmp_path, step, keep=3)
    for step in (10, 15):
        (tmp_path / f"step-{step:08d}" / "b.bin").unlink()
    assert checkpoints.newest(tmp_path)[0].name == "step-00000005"
    commit(tmp_path, 8, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000005", "step-00000008"]


def test_removing_a_later_checkpoint_leaves_the_files_that_another_rank_is_writing_for_that_step(tmp_path):
    commit(tmp_path, 5)
    commit(tmp_path, 15)
    (tmp_path / "step-00000015" / "b.bin").unlink()
    begun = tmp_path / "step-00000015.partial" / "b.bin"

    class FastPeer(OneRank):
        world_size = 2

        def gather(self, value):
            begun.parent.mkdir(exist_ok=True)  # the other rank is already at step 15
            begun.touch()
            return [value]

    commit(tmp_path, 10, ranks=FastPeer())
    assert begun.exists()
    assert sorted(p.name for p in tmp_path.iterdir() if p != begun.parent) == ["step-00000005", "step-00000010"]


def test_a_run_whose_checkpoints_are_all_damaged_is_not_started_over(tmp_path):
    commit(tmp_path, 5)
    (tmp_path / "step-00000005" / "b.bin").unlink()
    with pytest.raises(CheckpointError, match="none of the 1"):
        checkpoints.newest(tmp_path)


def test_a_checkpoint_renamed_to_another_step_is_not_loaded(tmp_path):
    commit(tmp_path, 5)
    commit(tmp_path, 7).rename(tmp_path / "step-00000009")
    assert checkpoints.newest(tmp_path)[0].name == "step-00000005"


def test_without_checkpoints_there_is_no_newest(tmp_path):
    assert checkpoints.newest(tmp_path / "absent") is None
