"""DeepSpeed's configuration: ZeRO keys from a file of ds_configs/, all numbers from the recipe, nothing `auto`."""

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
_ALLOWED_KEYS = {"zero_optimization", "zero_allow_untested_optimizer", "zero_force_ds_cpu_optimizer"}


def rows_per_rank(phase: Phase, world_size: int) -> int:
    """Return each rank's rows per step; raise ConfigError if the ranks can't share the global batch equally."""
    if phase.global_batch % world_size:
        raise ConfigError(
            f"{phase.prefix}global_batch={phase.global_batch} is not a multiple of the {world_size} processes; change "
            "one of them"
        )
    return phase.global_batch // world_size


def accumulation(phase: Phase, world_size: int) -> int:
    """Return the micro-batches per step on each rank."""
    return -(-rows_per_rank(phase, world_size) // phase.micro_batch)


def most_accumulation(settings: PretrainingSettings, world_size: int) -> int:
    """Return the maximum over all phases: the number that DeepSpeed is configured with and divides every loss by."""
    return max(accumulation(phase, world_size) for phase in settings.phases)


def read_zero_file(path: Path) -> dict[str, Any]:
    """Read a file of ds_configs/; raise ConfigError for values that break training or that the recipe owns."""
    if not path.is_file():
        raise ConfigError(f"there is no DeepSpeed file {path}; ready ones are in ds_configs/ (run from the repository)")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from None
    foreign = sorted(set(config) - _ALLOWED_KEYS)
    if foreign:
        raise ConfigError(f"{path} sets {', '.join(foreign)}; the recipe owns these, so remove them from the file")
    zero = config.get("zero_optimization", {})
    if zero.get("stage") not in (1, 2, 3):
        # DeepSpeed's stage 0 neither returns the gradient norm nor skips a step whose gradient is not finite.
        raise ConfigError(
            f"{path}: zero_optimization.stage must be 1, 2 or 3; plain DDP is stage 0 (cpu_ddp.yaml is an example)"
        )
    automatic = sorted(key for key, value in zero.items() if value == "auto")
    if automatic:
        raise ConfigError(f"{path}: {', '.join(automatic)} can't be auto; give numbers")
    for key in ("offload_optimizer", "offload_param"):
        if (zero.get(key) or {}).get("device") == "nvme":
            # DeepSpeed then keeps no weights where checkpoints read them.
            raise ConfigError(f"{path}: {key}.device can't be nvme, which checkpoints don't support; use cpu")
    for key in ("contiguous_gradients", "reduce_scatter"):
        # With both false ZeRO-1/2 drops gradient buckets on CPUs (DeepSpeed pull request 8382).
        if zero.get(key) is False:
            raise ConfigError(f"{path}: {key} must stay true; DeepSpeed loses gradients on CPU without it")
    return config


def resolve(zero: dict[str, Any], settings: PretrainingSettings, world_size: int) -> dict[str, Any]:
    """Return the complete DeepSpeed configuration; raise ConfigError for settings that ZeRO can't run with."""
    if settings.optimizer == "lamb":
        raise ConfigError(
            "optimizer=lamb needs whole tensors, which ZeRO partitions: use adamw, or launch with "
            "plain DDP (cpu_ddp.yaml is an example); the optimizer state of a BERT fits on every GPU"
        )
    if settings.reproducible:
        raise ConfigError(
            f"reproducible={settings.reproducible} needs whole gradients, which ZeRO partitions and sums in another "
            "order: launch with plain DDP (cpu_ddp.yaml is an example)"
        )
    for phase in settings.phases:
        per_rank, count = rows_per_rank(phase, world_size), accumulation(phase, world_size)
        if per_rank % count:
            raise ConfigError(
                f"{per_rank} rows per process can't be split into {count} equal micro-batches; choose {phase.prefix}"
                f"micro_batch so that it divides {phase.prefix}global_batch / processes = {per_rank}"
            )
    # DeepSpeed requires the batch to be the product of these; it does not use them to read rows.
    phase = max(settings.phases, key=lambda phase: accumulation(phase, world_size))
    steps = accumulation(phase, world_size)
    # Without it the weights of ZeRO-3 could not be exported.
    whole = {"stage3_gather_16bit_weights_on_model_save": True} if zero["zero_optimization"]["stage"] == 3 else {}
    return {
        **zero,
        "zero_optimization": {**zero["zero_optimization"], **whole},
        "train_batch_size": phase.global_batch,
        "train_micro_batch_size_per_gpu": rows_per_rank(phase, world_size) // steps,
        "gradient_accumulation_steps": steps,
        "gradient_clipping": settings.clip_norm,
        # As with plain DDP: float32 weights, bfloat16 arithmetic. DeepSpeed's `bf16` section casts the weights.
        # With the default list, gradients and the weights that ZeRO-3 gathers are exchanged in bfloat16.
        "torch_autocast": {
            "enabled": settings.precision == "bf16",
            "dtype": "bfloat16",
            "lower_precision_safe_modules": [],
        },
        "steps_per_print": 2**31,
        "wall_clock_breakdown": False,
        # We use torch's AdamW; without these DeepSpeed refuses it or compiles its own Adam for CPUs.
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
    }


def requested_file() -> Path | None:
    """Return the DeepSpeed file that `accelerate launch` sets for this process, None without DeepSpeed.

    Raises ConfigError for engines and launchers that are not supported.
    """
    _refuse_other_engines()
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() != "true":
        return None
    name = os.environ.get(ENVIRONMENT_NAME, "none")
    if "RANK" in os.environ and "TORCHELASTIC_RUN_ID" not in os.environ:
        raise ConfigError(
            "processes were not started by accelerate's `standard` launcher; the others append the whole environment, "
            "secrets included, to a file .deepspeed_env: find and remove it, and set "
            "deepspeed_multinode_launcher: standard"
        )
    if name == "none":
        raise ConfigError(
            "accelerate is configured for DeepSpeed without deepspeed_config_file; use a file of ds_configs/accelerate/"
        )
    return Path(name)


def _refuse_other_engines() -> None:
    """Raise ConfigError if accelerate would partition or compile the model in ways that checkpoints don't support."""
    named = [part for name, part in _OTHER_ENGINES.items() if os.environ.get(name, "no").lower() not in ("no", "false")]
    if named:
        raise ConfigError(
            f"accelerate is configured for {', '.join(named)}, which checkpoints don't support; they support plain DDP "
            "and DeepSpeed ZeRO: use a file of ds_configs/accelerate/"
        )
