"""DeepSpeed's configuration: ZeRO keys from a file of ds_configs/, every number from the recipe, nothing `auto`."""

import json
import os
from pathlib import Path
from typing import Any

from bimed_dist.errors import ConfigError
from bimed_dist.recipe.pretraining import Phase, PretrainingSettings

ENVIRONMENT_NAME = "ACCELERATE_DEEPSPEED_CONFIG_FILE"
_OTHER_ENGINES = {
    "ACCELERATE_USE_FSDP": "fsdp_config",
    "ACCELERATE_USE_MEGATRON_LM": "megatron_lm_config",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "parallelism_config",
    "ACCELERATE_DYNAMO_BACKEND": "dynamo_config",
}
"""Environment variable of `accelerate launch` -> part of its config."""
_OWN_KEYS = {"zero_optimization", "zero_allow_untested_optimizer", "zero_force_ds_cpu_optimizer"}


def rows_per_rank(phase: Phase, world_size: int) -> int:
    if phase.global_batch % world_size:
        raise ConfigError(
            f"{phase.place}global_batch={phase.global_batch} is not a multiple of the {world_size} processes; change "
            "one of them"
        )
    return phase.global_batch // world_size


def accumulation(phase: Phase, world_size: int) -> int:
    """Micro-batches per update on each rank."""
    return -(-rows_per_rank(phase, world_size) // phase.micro_batch)


def most_accumulation(settings: PretrainingSettings, world_size: int) -> int:
    """Of all phases: the number that the engine is told, and divides every loss by."""
    return max(accumulation(phase, world_size) for phase in settings.phases)


def read_zero_file(path: Path) -> dict[str, Any]:
    """A file of ds_configs/: ZeRO keys only, since the recipe owns batch, precision, clipping and learning rate."""
    if not path.is_file():
        raise ConfigError(f"there is no DeepSpeed file {path}; ready ones are in ds_configs/ (run from the repository)")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from None
    foreign = sorted(set(found) - _OWN_KEYS)
    if foreign:
        raise ConfigError(f"{path} sets {', '.join(foreign)}; the recipe owns these, so remove them from the file")
    zero = found.get("zero_optimization", {})
    if zero.get("stage") not in (1, 2, 3):
        # DeepSpeed's stage 0 neither tells the gradient's norm nor leaves out an update that is not finite.
        raise ConfigError(
            f"{path}: zero_optimization.stage must be 1, 2 or 3; plain DDP is stage 0 (cpu_ddp.yaml is an example)"
        )
    automatic = sorted(key for key, value in zero.items() if value == "auto")
    if automatic:
        raise ConfigError(f"{path}: {', '.join(automatic)} can't be auto; give numbers")
    for key in ("offload_optimizer", "offload_param"):
        if (zero.get(key) or {}).get("device") == "nvme":
            # DeepSpeed keeps no weights where a checkpoint takes them from.
            raise ConfigError(f"{path}: {key}.device can't be nvme, which checkpoints don't know; use cpu")
    for key in ("contiguous_gradients", "reduce_scatter"):
        # With both false ZeRO-1/2 leaves out gradient buckets on CPU (DeepSpeed pull request 8382).
        if zero.get(key) is False:
            raise ConfigError(f"{path}: {key} must stay true; DeepSpeed loses gradients on CPU without it")
    return found


def resolve(zero: dict[str, Any], settings: PretrainingSettings, world_size: int) -> dict[str, Any]:
    """The whole configuration that the engine gets."""
    if settings.optimizer == "lamb":
        raise ConfigError(
            "optimizer=lamb needs whole tensors, which ZeRO cuts into parts of equal size: use adamw, or launch with "
            "plain DDP (cpu_ddp.yaml is an example); the optimizer state of a BERT fits on every GPU"
        )
    if settings.reproducible:
        raise ConfigError(
            f"reproducible={settings.reproducible} needs whole gradients, which ZeRO cuts into parts and sums in an "
            "order of its own: launch with plain DDP (cpu_ddp.yaml is an example)"
        )
    for phase in settings.phases:
        per_rank, cuts = rows_per_rank(phase, world_size), accumulation(phase, world_size)
        if per_rank % cuts:
            raise ConfigError(
                f"{per_rank} rows per process can't be cut into {cuts} equal micro-batches; choose {phase.place}"
                f"micro_batch so that it divides {phase.place}global_batch / processes = {per_rank}"
            )
    # DeepSpeed wants the batch to be the product of these; it reads no rows by it.
    phase = max(settings.phases, key=lambda phase: accumulation(phase, world_size))
    steps = accumulation(phase, world_size)
    # Without it the whole weights of ZeRO-3 could not be exported at the end.
    whole = {"stage3_gather_16bit_weights_on_model_save": True} if zero["zero_optimization"]["stage"] == 3 else {}
    return {
        **zero,
        "zero_optimization": {**zero["zero_optimization"], **whole},
        "train_batch_size": phase.global_batch,
        "train_micro_batch_size_per_gpu": rows_per_rank(phase, world_size) // steps,
        "gradient_accumulation_steps": steps,
        "gradient_clipping": settings.clip_norm,
        # As with plain DDP: float32 weights, bfloat16 arithmetic. DeepSpeed's own `bf16` casts the weights themselves.
        # Without the list gradients, and the weights that ZeRO-3 gathers, would be exchanged in bfloat16.
        "torch_autocast": {
            "enabled": settings.precision == "bf16",
            "dtype": "bfloat16",
            "lower_precision_safe_modules": [],
        },
        "steps_per_print": 2**31,
        "wall_clock_breakdown": False,
        # Our AdamW is torch's own; without these DeepSpeed refuses it or compiles its own Adam for CPU.
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
    }


def requested_file() -> Path | None:
    """The DeepSpeed file that `accelerate launch` asks this process to use; ConfigError for another engine."""
    _refuse_other_engines()
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() != "true":
        return None
    name = os.environ.get(ENVIRONMENT_NAME, "none")
    if "RANK" in os.environ and "TORCHELASTIC_RUN_ID" not in os.environ:
        raise ConfigError(
            "processes were not started by accelerate's `standard` launcher; the others append the whole environment, "
            "secrets included, to a file .deepspeed_env: look for it and remove it, and set "
            "deepspeed_multinode_launcher: standard"
        )
    if name == "none":
        raise ConfigError(
            "accelerate was told to use DeepSpeed without deepspeed_config_file; use a file of ds_configs/accelerate/"
        )
    return Path(name)


def _refuse_other_engines() -> None:
    """ConfigError where accelerate would cut or compile the model in ways that checkpoints don't know."""
    named = [part for name, part in _OTHER_ENGINES.items() if os.environ.get(name, "no").lower() not in ("no", "false")]
    if named:
        raise ConfigError(
            f"accelerate was told to use {', '.join(named)}, which checkpoints don't know; they know plain DDP and "
            "DeepSpeed ZeRO: use a file of ds_configs/accelerate/"
        )
