"""The launcher with every engine on real processes: same training, whatever the engine."""

import json

import pytest
import torch
import yaml
from safetensors.torch import load_file

from .conftest import TIMEOUT

# Sums over ranks and micro-batches run in another order, in float32, over twelve updates. The largest difference is
# 1.2e-7, in weights of 0.02 to 1; a lost gradient changes weights by the learning rate, 1e-3.
WEIGHTS = {"rtol": 0.0, "atol": 5e-6}
LOSSES = 1e-4
NORMS = 1e-5
"""Of the whole gradient, before clipping; the largest relative difference found is 9e-7."""
# Dropout is drawn by micro-batch, and other numbers of processes cut other micro-batches.
WITHOUT_DROPOUT = ("--set", "pretraining.run.dropout=0.0")
LAUNCHERS = {"ddp": "cpu_ddp.yaml", "zero1": "cpu_zero1.yaml", "zero2": "cpu.yaml", "zero3": "cpu_zero3.yaml"}


def exported(job) -> dict[str, torch.Tensor]:
    return load_file(job.folder() / "export" / "model.safetensors")


@pytest.fixture(scope="module")
def single(prepared, tmp_path_factory):
    """One process without a launcher: its exported weights and its metrics."""
    job = prepared.copy(tmp_path_factory.mktemp("single") / "work")
    result = job.run(*WITHOUT_DROPOUT)
    assert result.returncode == 0, result.stderr
    return exported(job), job.metrics()


def assert_weights(job, expected: dict[str, torch.Tensor]) -> None:
    """The exported weights are these but for the order of sums."""
    weights = exported(job)
    assert weights.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(weights[name], expected[name], **WEIGHTS)


@pytest.mark.parametrize(
    "engine", ["ddp", "zero2", *(pytest.param(name, marks=pytest.mark.slow) for name in ("zero1", "zero3"))]
)
def test_two_processes_train_what_one_process_trains(job, single, forks, engine):
    if engine == "ddp":
        running = forks.start(job.arguments(*WITHOUT_DROPOUT), 2, engine)
        assert running.wait(TIMEOUT) == [0, 0], running.output()
    else:  # by the real launcher, as users do
        result = job.run(*WITHOUT_DROPOUT, launcher=LAUNCHERS[engine])
        assert result.returncode == 0, result.stderr
    counts = json.loads((job.folder() / "manifest.json").read_text(encoding="utf-8"))["counts"]
    assert (counts["engine"], counts["processes"]) == (engine, 2)
    assert counts["parameters"] == sum(weights.numel() for weights in single[0].values())
    assert_weights(job, single[0])
    for line, other in zip(job.metrics(), single[1], strict=True):
        assert (line["kind"], line["step"]) == (other["kind"], other["step"])
        for name in ("mlm_loss", "nsp_loss", "mlm_accuracy", "nsp_accuracy"):
            assert line[name] == pytest.approx(other[name], rel=LOSSES, abs=LOSSES)
        if line["kind"] == "train":
            assert line["grad_norm"] == pytest.approx(other["grad_norm"], rel=NORMS)
            assert line["grad_norm"] > 1  # clip_norm: the number logged is the norm before clipping
            assert line["learning_rate"] == other["learning_rate"]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["ddp", "zero1", "zero2", "zero3"])
def test_three_processes_train_what_one_process_trains(job, tmp_path, forks, engine):
    options = (*WITHOUT_DROPOUT, "--set", "pretraining.run.global_batch=12")
    alone = job.copy(tmp_path / "alone")
    one, three = forks.start(alone.arguments(*options)), forks.start(job.arguments(*options), 3, engine)
    assert (one.wait(TIMEOUT), three.wait(TIMEOUT)) == ([0], [0, 0, 0]), three.output()
    assert_weights(job, exported(alone))
    for line, other in zip(job.metrics("train"), alone.metrics("train"), strict=True):
        assert line["grad_norm"] == pytest.approx(other["grad_norm"], rel=NORMS)


@pytest.mark.parametrize("micro_batch", [8, pytest.param(3, marks=pytest.mark.slow)])
def test_a_step_does_not_depend_on_how_it_is_cut_into_micro_batches(job, single, micro_batch):
    result = job.run(*WITHOUT_DROPOUT, "--set", f"pretraining.run.micro_batch={micro_batch}")
    assert result.returncode == 0, result.stderr
    assert_weights(job, single[0])


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "processes"), [("single", 1), ("ddp", 2), ("zero2", 2), ("zero3", 2)])
@pytest.mark.parametrize("recompute", [False, True])
def test_compiled_layers_train_the_same(job, single, forks, engine, processes, recompute):
    options = (*WITHOUT_DROPOUT, "--set", "pretraining.run.compile=layers")
    options += ("--set", f"pretraining.run.activation_checkpointing={str(recompute).lower()}")
    running = forks.start(job.arguments(*options), processes, engine)
    assert running.wait(TIMEOUT) == [0] * processes, running.output()
    assert_weights(job, single[0])


@pytest.mark.slow
def test_recomputed_activations_change_nothing_where_weights_come_and_go(job, single):
    recompute = ("--set", "pretraining.run.activation_checkpointing=true")
    result = job.run(*WITHOUT_DROPOUT, *recompute, launcher=LAUNCHERS["zero3"])
    assert result.returncode == 0, result.stderr
    assert_weights(job, single[0])


def test_a_global_batch_that_the_processes_cannot_share_is_refused_before_training(job, forks):
    running = forks.start(job.arguments("--set", "pretraining.run.global_batch=7"), 2, "zero2")
    assert running.wait(60) == [2, 2]
    assert "global_batch=7 is not a multiple of the 2 processes" in running.output()
    assert not (job.folder() / "metrics.jsonl").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("zero_file", "processes"), [("zero2_offload.json", 3), ("zero3_offload.json", 2)])
def test_three_processes_and_offloaded_state_train_what_one_process_trains(job, tmp_path, zero_file, processes):
    changes = ("global_batch=12", "steps=4", "dropout=0.0", "warmup_steps=0")
    alone = job.copy(tmp_path / "alone")
    alone.run_here(*changes)
    config = yaml.safe_load((job.root / "ds_configs" / "accelerate" / "cpu.yaml").read_text(encoding="utf-8"))
    config["num_processes"] = processes
    config["deepspeed_config"]["deepspeed_config_file"] = f"ds_configs/{zero_file}"
    launcher = tmp_path / "launcher.yaml"
    launcher.write_text(yaml.safe_dump(config), encoding="utf-8")
    result = job.run(*(w for c in changes for w in ("--set", f"pretraining.run.{c}")), launcher=str(launcher))
    assert result.returncode == 0, result.stderr
    assert_weights(job, exported(alone))
    assert [line["grad_norm"] for line in job.metrics("train")] == pytest.approx(
        [line["grad_norm"] for line in alone.metrics("train")], rel=NORMS
    )
