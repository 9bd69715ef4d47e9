"""Every engine on real processes: the same training, whatever the engine."""

import json
import os

import forks as forked
import pytest
import torch
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_deepspeed_cmd_env
from safetensors.torch import load_file

from .conftest import TIMEOUT, as_options

# Sums over ranks and micro-batches run in another order, in float32, over twelve steps. The largest difference is
# 1.2e-7, in weights of 0.02 to 1; a lost gradient changes weights by the learning rate, 1e-3.
WEIGHTS = {"rtol": 0.0, "atol": 5e-6}
LOSSES = 1e-4
NORMS = 1e-5
"""Tolerance of gradient norms before clipping; the largest relative difference found is 9e-7."""
# Dropout is drawn by micro-batch, and other numbers of processes have other micro-batches.
WITHOUT_DROPOUT = ("--set", "pretraining.run.dropout=0.0")
LAUNCHERS = {"ddp": "cpu_ddp.yaml", "zero1": "cpu_zero1.yaml", "zero2": "cpu.yaml", "zero3": "cpu_zero3.yaml"}


def exported(job) -> dict[str, torch.Tensor]:
    return load_file(job.folder() / "export" / "model.safetensors")


@pytest.fixture(scope="module")
def single(prepared, tmp_path_factory):
    """One process: its exported weights and its metrics."""
    job = prepared.copy(tmp_path_factory.mktemp("single") / "work")
    job.run_here("dropout=0.0")
    return exported(job), job.metrics()


def assert_weights(job, expected: dict[str, torch.Tensor]) -> None:
    """The exported weights are equal up to the order of sums."""
    weights = exported(job)
    assert weights.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(weights[name], expected[name], **WEIGHTS)


@pytest.mark.parametrize(("name", "engine"), [(name, engine) for engine, name in LAUNCHERS.items()])
def test_the_launcher_files_start_the_engines_that_tests_fork(name, engine, root, monkeypatch):
    """Most tests fork their ranks; this shows that `accelerate launch` would give them the same environment."""
    monkeypatch.chdir(root)
    arguments = ["--config_file", f"ds_configs/accelerate/{name}", "launch/pretrain.py"]
    args, _, _ = _validate_launch_command(launch_command_parser().parse_args(arguments))
    assert args.num_processes == 2
    args.deepspeed_fields_from_accelerate_config = ""  # set by accelerate's main function
    _, environment = prepare_deepspeed_cmd_env(args) if args.use_deepspeed else ([], {})
    expected = forked.environment(2, engine, rank=0, port=0)
    for variable in ("ACCELERATE_USE_DEEPSPEED", "ACCELERATE_DEEPSPEED_ZERO3_INIT"):
        assert environment.get(variable) == expected.get(variable)
    file = environment.get("ACCELERATE_DEEPSPEED_CONFIG_FILE")
    assert (file and os.path.abspath(file)) == expected.get("ACCELERATE_DEEPSPEED_CONFIG_FILE")


@pytest.mark.parametrize(
    "engine", ["ddp", "zero2", *(pytest.param(name, marks=pytest.mark.slow) for name in ("zero1", "zero3"))]
)
def test_two_processes_train_what_one_process_trains(job, single, forks, engine):
    if engine == "zero2":  # by the real launcher, as users do
        result = job.run(*WITHOUT_DROPOUT, launcher=LAUNCHERS[engine])
        assert result.returncode == 0, result.stderr
    else:
        running = forks.start(job.arguments(*WITHOUT_DROPOUT), 2, engine)
        assert running.wait(TIMEOUT) == [0, 0], running.output()
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


@pytest.mark.parametrize("micro_batch", [8, 3])
def test_a_step_does_not_depend_on_how_it_is_split_into_micro_batches(job, single, micro_batch):
    job.run_here("dropout=0.0", f"micro_batch={micro_batch}")
    assert_weights(job, single[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "processes", "recompute"),
    [("single", 1, True), ("ddp", 2, False), ("zero2", 2, True), ("zero3", 2, False)],
)
def test_compiled_layers_train_the_same(job, single, forks, engine, processes, recompute):
    options = (*WITHOUT_DROPOUT, "--set", "pretraining.run.compile=layers")
    options += ("--set", f"pretraining.run.activation_checkpointing={str(recompute).lower()}")
    running = forks.start(job.arguments(*options), processes, engine)
    assert running.wait(TIMEOUT) == [0] * processes, running.output()
    assert_weights(job, single[0])


@pytest.mark.slow
def test_recomputed_activations_change_nothing_when_weights_are_partitioned(job, single, forks):
    recompute = ("--set", "pretraining.run.activation_checkpointing=true")
    running = forks.start(job.arguments(*WITHOUT_DROPOUT, *recompute), 2, "zero3")
    assert running.wait(TIMEOUT) == [0, 0], running.output()
    assert_weights(job, single[0])


def test_a_global_batch_that_the_processes_cannot_share_is_refused_before_training(job, forks):
    running = forks.start(job.arguments("--set", "pretraining.run.global_batch=7"), 2, "zero2")
    assert running.wait(60) == [2, 2]
    assert "global_batch=7 is not a multiple of the 2 processes" in running.output()
    assert not (job.folder() / "metrics.jsonl").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "processes"), [("zero2_offload", 3), ("zero3_offload", 2)])
def test_offloaded_state_trains_what_one_process_trains(job, tmp_path, forks, engine, processes):
    changes = ("global_batch=12", "steps=4", "dropout=0.0", "warmup_steps=0")
    alone = job.copy(tmp_path / "alone")
    alone.run_here(*changes)
    running = forks.start(job.arguments(*as_options(changes)), processes, engine)
    assert running.wait(TIMEOUT) == [0] * processes, running.output()
    assert_weights(job, exported(alone))
    assert [line["grad_norm"] for line in job.metrics("train")] == pytest.approx(
        [line["grad_norm"] for line in alone.metrics("train")], rel=NORMS
    )
