"""Preflight checks: everything that can be wrong is found before the first step."""

import logging
import platform
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from bimed_dist import manifest
from bimed_dist.agreement import run_on_main, run_on_ranks
from bimed_dist.errors import ConfigError, DataError
from bimed_dist.hugging_face import load_config, load_tokenizer
from bimed_dist.manifest import Manifest
from bimed_dist.pretraining import deepspeed_config, ordered_sum
from bimed_dist.pretraining.checkpoints import CheckpointRecord
from bimed_dist.pretraining.distributed import Engine
from bimed_dist.pretraining.inputs import open_held_out_rows, open_training_batches
from bimed_dist.pretraining.trackers import require_trackers
from bimed_dist.recipe.pretraining import PretrainingSettings
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.workspace import CHECKPOINTS, SHARD_TOKENIZER, stage_folder

_log = logging.getLogger(__name__)


def check_inputs(recipe: Recipe, settings: PretrainingSettings, work: Path, processes: int) -> None:
    """Check that these settings can run on these inputs in so many processes.

    Also makes the plans of the first epoch, so that ranks only map their files. Raises ConfigError or DataError.
    """
    require_trackers(settings.trackers)
    model_folder = stage_folder(work, "model", settings.model)
    vocabulary = load_tokenizer(str(model_folder)).get_vocab()
    for shards in settings.all_shards:
        shard_vocabulary = load_tokenizer(str(stage_folder(work, "shards", shards) / SHARD_TOKENIZER)).get_vocab()
        if vocabulary != shard_vocabulary:
            raise ConfigError(
                f"shards/{shards} ({len(shard_vocabulary)} tokens) and model/{settings.model} ({len(vocabulary)} "
                "tokens) have different vocabularies; name the same tokenizer in both sections"
            )
    positions = load_config(str(model_folder)).max_position_embeddings
    for phase in settings.phases:
        if phase.max_length > positions:
            raise ConfigError(
                f"{phase.prefix}max_length={phase.max_length} is above the {positions} positions of "
                f"model/{settings.model}"
            )
        deepspeed_config.rows_per_rank(phase, processes)
    if settings.reproducible:
        ordered_sum.check_processes(settings, processes)
    open_training_batches(recipe, settings, work)
    open_held_out_rows(recipe, settings, work, rank=0, world_size=processes)
    for shards in settings.all_shards:  # the model card reads their manifests
        manifest.read_manifest(stage_folder(work, "corpus", recipe.shards[shards].corpus))


def input_digests(settings: PretrainingSettings, work: Path, read: Callable[[Path], Manifest]) -> dict[str, str]:
    """Return `stage/NAME` -> digest of model and shards; `read` is manifest.verified or manifest.read_manifest."""
    folders = [("model", settings.model), *(("shards", name) for name in settings.all_shards)]
    return {f"{stage}/{name}": read(stage_folder(work, stage, name)).digest for stage, name in folders}


def verify_copies(engine: Engine, settings: PretrainingSettings, work: Path) -> None:
    """Verify model and shards once on every machine, since each may have a copy of its own.

    Raises DataError on every rank if a copy is damaged or differs from that of rank 0.
    """
    expected = run_on_main(engine, lambda: input_digests(settings, work, manifest.read_manifest))

    def verify() -> None:
        try:
            digests = input_digests(settings, work, manifest.verified)
        except DataError as error:
            raise DataError(f"on {platform.node()}: {error}") from None
        for folder, digest in expected.items():
            if digests[folder] != digest:
                raise DataError(f"on {platform.node()}: {work / folder} differs from that of rank 0; copy it again")

    machines = engine.gather(platform.node())
    is_first_of_another_machine = engine.rank > 0 and machines.index(machines[engine.rank]) == engine.rank
    run_on_ranks(engine, verify, here=is_first_of_another_machine)


def check_disk(engine: Engine, folder: Path, settings: PretrainingSettings, checkpoint_bytes: int) -> None:
    """Raise ConfigError unless all processes can write to the same folder and it has room for the checkpoints."""
    checkpoint_folder = folder / CHECKPOINTS
    probe = checkpoint_folder / "probe"
    run_on_main(engine, lambda: (checkpoint_folder.mkdir(exist_ok=True), probe.write_text("")))

    def read_and_write() -> None:
        probe.stat()
        written = checkpoint_folder / f"probe-{engine.rank}"
        try:
            written.write_text("")
            written.unlink()
        except OSError as error:
            raise OSError(f"on {platform.node()}: {error}") from None

    def failure(errors: Mapping[int, Exception]) -> ConfigError:
        details = "; ".join(f"rank {rank} {error}" for rank, error in errors.items())
        return ConfigError(f"--work must be one folder that all processes can write to. {details}")

    run_on_ranks(engine, read_and_write, combine=failure)
    run_on_main(engine, lambda: (probe.unlink(), _check_room(checkpoint_folder, settings, checkpoint_bytes)))


def _check_room(folder: Path, settings: PretrainingSettings, checkpoint_bytes: int) -> None:
    """Raise ConfigError if the newest checkpoints, the best, the one being written and the export don't fit."""
    existing = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    number = min(settings.keep_checkpoints + 2, 1 + -(-settings.steps // settings.checkpoint_every))
    needed, free = number * checkpoint_bytes + checkpoint_bytes // 3, shutil.disk_usage(folder).free
    if needed > free + existing:
        raise ConfigError(
            f"{folder} has {free / 1e9:.3f} GB free, and {needed / 1e9:.3f} GB are needed for {number} checkpoints of "
            f"{checkpoint_bytes / 1e9:.3f} GB and the trained model ({existing / 1e9:.3f} GB exist): make room, or "
            "lower keep_checkpoints"
        )


def check_arithmetic(engine: Engine, saved: CheckpointRecord | None) -> None:
    """Raise ConfigError if processes round differently, among each other or from the checkpoint's.

    Another kind of device than the checkpoint's is only a warning.
    """
    kinds = engine.gather(engine.arithmetic)
    different = [rank for rank, arithmetic in enumerate(kinds) if arithmetic != kinds[0]]
    if different:
        raise ConfigError(
            f"reproducible=across_world_sizes needs the same on every process: rank 0 has {kinds[0]}, rank "
            f"{different[0]} {kinds[different[0]]}; set OMP_NUM_THREADS to the same number everywhere, and use one "
            "kind of device"
        )
    if saved and saved["threads"] != kinds[0]["threads"]:
        raise ConfigError(
            f"reproducible=across_world_sizes: the checkpoint was computed with {saved['threads']} threads per "
            f"process, now there are {kinds[0]['threads']}; set OMP_NUM_THREADS={saved['threads']}"
        )
    if saved and saved["device"] != kinds[0]["device"] and engine.rank == 0:
        _log.warning(
            "reproducible=across_world_sizes: begun on %s, continues on %s; the last bits will match neither",
            saved["device"], kinds[0]["device"],
        )  # fmt: skip
