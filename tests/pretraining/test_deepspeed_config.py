"""Files of ds_configs and a recipe become one configuration without a gap, which --dry-run shows."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from bimed_dist.errors import ConfigError
from bimed_dist.pretraining import deepspeed_config
from bimed_dist.recipe.pretraining import PretrainingSettings

FILES = sorted(path.name for path in (Path(__file__).resolve().parents[2] / "ds_configs").glob("*.json"))


@pytest.mark.parametrize("name", FILES)
def test_every_file_and_a_recipe_give_numbers_and_never_auto(root, name: str):
    settings = PretrainingSettings(model="m", shards="s", steps=9, global_batch=48, micro_batch=8, clip_norm=0.5)
    zero = deepspeed_config.read_zero_file(root / "ds_configs" / name)
    resolved = deepspeed_config.resolve(zero, settings, 2)
    assert resolved["zero_optimization"]["contiguous_gradients"] is True
    assert resolved["zero_optimization"]["reduce_scatter"] is True
    assert ("offload" in name) == ("offload_optimizer" in resolved["zero_optimization"])
    assert resolved["zero_optimization"]["stage"] == int(name.removeprefix("zero")[0])
    numbers = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping")
    assert [resolved[key] for key in numbers] == [48, 8, 3, 0.5]
    assert '"auto"' not in json.dumps(resolved)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"zero_optimization": {"stage": 0}}, "stage must be 1, 2 or 3"),
        ({"zero_optimization": {"stage": 2, "reduce_scatter": False}}, "reduce_scatter must stay true"),
        ({"zero_optimization": {"stage": 2, "contiguous_gradients": False}}, "contiguous_gradients must stay true"),
        ({"zero_optimization": {"stage": 2, "reduce_bucket_size": "auto"}}, "reduce_bucket_size can't be auto"),
        ({"zero_optimization": {"stage": 3, "offload_optimizer": {"device": "nvme"}}}, "device can't be nvme"),
        ({"zero_optimization": {"stage": 3, "offload_param": {"device": "nvme"}}}, "device can't be nvme"),
        ({"zero_optimization": {"stage": 2}, "bf16": {"enabled": True}}, "sets bf16; the recipe owns these"),
    ],
)
def test_what_the_recipe_owns_or_deepspeed_gets_wrong_is_refused(tmp_path, content, problem: str):
    (tmp_path / "zero.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ConfigError, match=problem):
        deepspeed_config.read_zero_file(tmp_path / "zero.json")


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"optimizer": "lamb"}, "optimizer=lamb needs"),
        ({"reproducible": "across_world_sizes"}, "which ZeRO partitions"),
    ],
)
def test_what_needs_whole_tensors_is_refused_under_zero(root, setting, problem: str):
    settings = PretrainingSettings(model="m", shards="s", steps=9, global_batch=48, micro_batch=8, **setting)
    with pytest.raises(ConfigError, match=problem):
        deepspeed_config.resolve(deepspeed_config.read_zero_file(root / "ds_configs" / "zero1.json"), settings, 2)


def test_a_dry_run_shows_the_configuration_that_the_engine_would_get(job):
    environment = {
        **os.environ,
        "ACCELERATE_USE_DEEPSPEED": "true",
        "ACCELERATE_DEEPSPEED_CONFIG_FILE": "ds_configs/zero2_offload.json",
    }
    done = subprocess.run(
        job.command("--dry-run"), cwd=job.root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout.partition("DeepSpeed on 1 process(es): ")[2])
    zero = deepspeed_config.read_zero_file(job.root / "ds_configs" / "zero2_offload.json")
    settings = PretrainingSettings(model="m", shards="s", steps=9, global_batch=8, micro_batch=2)
    assert shown == deepspeed_config.resolve(zero, settings, 1)
    assert not job.folder().exists()


def test_launchers_that_write_secrets_to_a_file_are_refused_with_the_reason(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ConfigError, match=r"append the whole environment, secrets included, to a file \.deepspeed_env"):
        deepspeed_config.requested_file()


@pytest.mark.parametrize("name", ["ACCELERATE_USE_FSDP", "ACCELERATE_DYNAMO_BACKEND"])
def test_engines_that_checkpoints_do_not_support_are_refused(monkeypatch, name):
    monkeypatch.setenv(name, "inductor")
    with pytest.raises(ConfigError, match="don't support; they support plain DDP and DeepSpeed ZeRO"):
        deepspeed_config.requested_file()
