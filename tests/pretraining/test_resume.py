"""A run that is killed and resumed ends with the bytes of a run never stopped."""

import json
import signal

import patches
import pytest
import torch
from forks import wait_for
from safetensors.torch import load_file

from .conftest import ENDLESS, TIMEOUT

LONG = (
    "--set", "pretraining.run.steps=60", "--set", "pretraining.run.checkpoint_every=5",
    "--set", "pretraining.run.log_every=3",
)  # fmt: skip
TIMED = ("tokens_per_second", "waiting_share")
SHORT = ("--set", "pretraining.run.global_batch=12", "--set", "pretraining.run.checkpoint_every=2")
# Sums over ranks and micro-batches run in another order, in float32, over twelve steps: as in test_engines.py.
ANYWHERE = {"rtol": 0.0, "atol": 5e-6}


def outcome(job) -> tuple[bytes, list[dict]]:
    metrics = [{k: v for k, v in line.items() if k not in TIMED} for line in job.metrics()]
    return (job.folder() / "export" / "model.safetensors").read_bytes(), metrics


@pytest.mark.parametrize(
    "engine",
    [
        "single",
        pytest.param("ddp", marks=pytest.mark.slow),
        pytest.param("zero1", marks=pytest.mark.slow),
        "zero2",
        pytest.param("zero3", marks=pytest.mark.slow),
    ],
)
def test_a_run_killed_three_times_and_resumed_is_bit_identical_to_one_never_stopped(job, tmp_path, forks, engine):
    """Dropout on; killed on a commit's step, one after it, and while a save may be under way."""
    processes = 1 if engine == "single" else 2
    whole = job.copy(tmp_path / "whole")
    assert forks.start(whole.arguments(*SHORT), processes, engine).wait(TIMEOUT) == [0] * processes

    for killed_at in (3, 6, 9, None):
        patch = patches.KILL_AT.format(step=killed_at) if killed_at else ""
        running = forks.start(job.arguments(*SHORT, "--resume", "auto"), processes, engine, patch)
        codes = running.wait(TIMEOUT)
        assert codes == ([-signal.SIGKILL] if killed_at else [0]) * processes, running.output()
        if killed_at != 3:
            assert "continuing from" in running.output()
    weights, metrics = outcome(job)
    expected_weights, expected_metrics = outcome(whole)
    assert metrics == expected_metrics
    assert weights == expected_weights


def test_a_run_that_moves_to_other_numbers_of_processes_and_other_stages_trains_the_same_rows_to_the_same_weights(
    job, tmp_path, forks
):
    options = (*SHORT, "--set", "pretraining.run.dropout=0.0", "--set", "pretraining.run.micro_batch=3")
    whole = job.copy(tmp_path / "whole")
    assert forks.start(whole.arguments(*options), patch=ledger(tmp_path / "whole-rows")).wait(TIMEOUT) == [0]

    places = [(1, "single"), (2, "zero2"), (3, "ddp"), (4, "zero1"), (2, "zero3"), (1, "single")]
    for number, (processes, engine) in enumerate(places):
        killed_at = 2 * number + 1 if number < len(places) - 1 else None  # after the commit of step 2 * number
        patch = ledger(tmp_path / "rows")
        patch += patches.KILL_AT.format(step=killed_at) if killed_at else ""
        running = forks.start(job.arguments(*options, "--resume", "auto"), processes, engine, patch)
        codes = running.wait(TIMEOUT)
        assert all(code < 0 for code in codes) if killed_at else codes == [0], running.output()
        if number > 1:
            before = places[number - 1]
            said = (
                f"it was saved by {before[0]} process(es) with {before[1]} and continues with {processes} and {engine}"
            )
            assert said in running.output()
    assert rows_of_each_step(tmp_path, "rows") == rows_of_each_step(tmp_path, "whole-rows")
    weights, expected = (load_file(j.folder() / "export" / "model.safetensors") for j in (job, whole))
    for name in expected:
        torch.testing.assert_close(weights[name], expected[name], **ANYWHERE)


REPRODUCIBLE = ("--set", "pretraining.run.reproducible=across_world_sizes", "--set", "pretraining.run.micro_batch=1")


def test_in_reproducible_mode_one_two_and_four_processes_and_a_run_that_moves_between_them_end_with_the_same_bytes(
    job, tmp_path, forks
):
    """Dropout on; twelve micro-batches per step, so that three are summed sequentially below the tree."""
    options, found = (*SHORT, *REPRODUCIBLE), {}
    for processes in (1, 2, 4):
        whole = job.copy(tmp_path / f"on-{processes}")
        running = forks.start(whole.arguments(*options), processes, "ddp")
        assert running.wait(TIMEOUT) == [0] * processes, running.output()
        found[processes] = outcome(whole)

    for processes, killed_at in ((2, 3), (4, 7), (1, None)):
        patch = patches.KILL_AT.format(step=killed_at) if killed_at else ""
        running = forks.start(job.arguments(*options, "--resume", "auto"), processes, "ddp", patch)
        codes = running.wait(TIMEOUT)
        assert all(code < 0 for code in codes) if killed_at else codes == [0], running.output()
    found["moved"] = outcome(job)
    expected_weights, expected_metrics = found.pop(1)
    for weights, metrics in found.values():
        assert weights == expected_weights
        # Held-out rows are distributed over processes as in other modes, so that their last bits may differ.
        train, expected = ([line for line in lines if line["kind"] == "train"] for lines in (metrics, expected_metrics))
        assert train == expected


@pytest.mark.slow
def test_in_reproducible_mode_eight_processes_end_with_the_bytes_of_one(job, tmp_path, forks):
    options = (*REPRODUCIBLE, "--set", "pretraining.run.global_batch=8")
    alone = job.copy(tmp_path / "alone")
    assert forks.start(alone.arguments(*options)).wait(TIMEOUT) == [0]
    running = forks.start(job.arguments(*options), 8, "ddp")
    assert running.wait(TIMEOUT) == [0] * 8, running.output()
    assert outcome(job)[0] == outcome(alone)[0]


def test_reproducible_mode_refuses_numbers_of_processes_without_a_branch_each_and_other_threads(job, forks):
    options = (*SHORT, *REPRODUCIBLE)
    running = forks.start(job.arguments(*options), 3, "ddp")
    assert running.wait(TIMEOUT) == [2] * 3
    assert "12 micro-batches can be shared by 1, 2, 4, ... up to 4 processes, not by 3" in running.output()

    # The save of step 4 waits for that of step 2, so that one is there.
    killed = forks.start(job.arguments(*options), patch=patches.KILL_AT.format(step=5))
    assert killed.wait(TIMEOUT) == [-signal.SIGKILL]
    more_threads = "import torch; torch.set_num_threads(2)"
    two_threads = forks.start(job.arguments(*options, "--resume", "auto"), patch=more_threads)
    assert two_threads.wait(TIMEOUT) == [2]
    assert "set OMP_NUM_THREADS=1" in two_threads.output()


def ledger(path) -> str:
    return patches.LEDGER.format(path=path)


def rows_of_each_step(folder, name: str) -> dict[int, list[int]]:
    """Return step -> sorted rows of all ranks."""
    shares = {}
    for path in folder.glob(f"{name}.*"):
        for line in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            shares.setdefault((line["step"], line["world_size"]), {})[line["rank"]] = line["rows"]
    whole = {}
    for (step, world_size), ranks in shares.items():
        if len(ranks) == world_size:  # else a rank was killed before it had made this step
            rows = sorted(row for part in ranks.values() for row in part)
            assert whole.setdefault(step, rows) == rows
    return whole


def test_a_second_launch_into_the_same_folder_is_refused_and_the_first_continues(job, forks):
    first = forks.start(job.arguments(*ENDLESS))
    wait_for(lambda: (job.folder() / "metrics.jsonl").is_file(), first)
    second = forks.start(job.arguments(*ENDLESS, "--resume", "auto"))
    assert second.wait(TIMEOUT) == [2]
    assert f"is being filled by process {first.pids[0]} on" in second.output()
    assert first.running()
    first.kill(signal.SIGTERM)
    assert first.wait(60) == [75], first.output()


def killed_before_step_15(job, forks) -> None:
    killed = forks.start(job.arguments(*LONG), patch=patches.KILL_AT.format(step=15))
    assert killed.wait(TIMEOUT) == [-signal.SIGKILL]


def test_checkpoints_of_an_unfinished_run_are_not_trained_over(job, forks):
    killed_before_step_15(job, forks)
    before = sorted((job.folder() / "checkpoints").iterdir())
    again = forks.start(job.arguments(*LONG))
    assert again.wait(TIMEOUT) == [2]
    assert "--resume auto" in again.output()
    assert sorted((job.folder() / "checkpoints").iterdir()) == before


def test_a_run_resumed_with_other_settings_is_refused_and_nothing_changes(job, forks):
    killed_before_step_15(job, forks)
    before = sorted(job.folder().rglob("*"))
    again = forks.start(job.arguments(*LONG, "--set", "pretraining.run.learning_rate=5e-4", "--resume", "auto"))
    assert again.wait(TIMEOUT) == [2]
    assert "learning_rate: was 0.001, now 0.0005" in again.output()
    assert sorted(job.folder().rglob("*")) == before
