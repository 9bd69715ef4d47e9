"""The pre-training stage: check, start the engine, resume, train, export. Run by every process of the job."""

import logging
import math
import os
import platform
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from transformers import BertForPreTraining

from bimed_dist import manifest
from bimed_dist.config import PretrainingSettings, Recipe
from bimed_dist.errors import CheckpointError, ConfigError, Stopped
from bimed_dist.manifest import Manifest, Outcome
from bimed_dist.model import attention
from bimed_dist.model.export import export, pad_vocabulary
from bimed_dist.model.foundation import load_prepared
from bimed_dist.model.packed import PackedPretraining
from bimed_dist.pretraining import checkpoints, deepspeed_config, schedule
from bimed_dist.pretraining.card import model_card
from bimed_dist.pretraining.distributed import Engine
from bimed_dist.pretraining.loop import Trainer, out_of_memory_advice
from bimed_dist.pretraining.records import METRICS_NAME, RunRecord, read_metrics
from bimed_dist.pretraining.state import SavedState, bytes_of_a_checkpoint
from bimed_dist.shards.batches import RowStream, validation_batches
from bimed_dist.shards.reading import ShardSet
from bimed_dist.tokenizer import load_tokenizer

_log = logging.getLogger(__name__)
STOPPED_NAME = "stopped.json"
"""In the folder of a run that was stopped on request and can be continued."""


def folder_of(name: str, work: Path) -> Path:
    return work / "pretraining" / name


def check(recipe: Recipe, name: str, work: Path, resume: str, processes: int) -> Outcome | None:
    """Everything that can be wrong before a process is started; the outcome if the run was finished before.

    Also makes the plans of the first epoch, so that ranks only map their files. Raises ConfigError or DataError.
    """
    settings, folder = recipe.pretraining[name], folder_of(name, work)
    done = manifest.finished(folder, _settings(recipe, name), _inputs(settings, work, manifest.verified))
    if done is not None:
        return Outcome(folder, done, was_done=True)
    if resume == "never" and any((folder / "checkpoints").glob("step-*")):
        raise ConfigError(
            f"{folder} holds checkpoints of an unfinished run; add --resume auto to continue it, or remove the folder"
        )
    model_folder, shard_folder = work / "model" / settings.model, work / "shards" / settings.shards
    pieces, shard_pieces = (load_tokenizer(str(f)).get_vocab() for f in (model_folder, shard_folder / "tokenizer"))
    if pieces != shard_pieces:
        raise ConfigError(
            f"shards/{settings.shards} ({len(shard_pieces)} pieces) and model/{settings.model} ({len(pieces)} pieces) "
            "have different vocabularies; name the same tokenizer in both sections"
        )
    positions = BertForPreTraining.config_class.from_pretrained(model_folder).max_position_embeddings
    if settings.max_length > positions:
        raise ConfigError(
            f"max_length={settings.max_length} is above the {positions} positions of model/{settings.model}"
        )
    deepspeed_config.rows_per_rank(settings, processes)
    RowStream(ShardSet.open(shard_folder, "train"), settings, seed=recipe.seed)
    held_out = ShardSet.open(shard_folder, "held_out")
    validation_batches(held_out, settings, seed=recipe.seed, rank=0, world_size=processes)
    manifest.read_manifest(work / "corpus" / recipe.shards[settings.shards].corpus)  # the model card will need it
    return None


def run(recipe: Recipe, name: str, work: Path, resume: str = "never") -> Outcome:
    """Train `pretraining.NAME`, or continue it; every process of the job calls this."""
    start = time.monotonic()
    engine = Engine(recipe.pretraining[name])
    restarted = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0  # by the launcher, with the same arguments
    with engine.naming_the_lost():
        outcome = engine.on_main(lambda: check(recipe, name, work, "auto" if restarted else resume, engine.world_size))
        if outcome is None:
            with ExitStack() as held:
                # Whatever another job did between check and lock, this one continues from what it finds from here on.
                engine.on_main(lambda: held.enter_context(manifest.locked(folder_of(name, work))))
                engine.on_main(lambda: _forget_stop(folder_of(name, work), restarted))
                outcome = _train(engine, recipe, name, work, start)
        engine.close()
    return outcome


def _forget_stop(folder: Path, restarted: bool) -> None:
    """Remove the note of the launch before; Stopped where the launcher restarts what was asked to stop."""
    if restarted and (folder / STOPPED_NAME).is_file():
        raise Stopped("stopped on request before; not restarted")
    (folder / STOPPED_NAME).unlink(missing_ok=True)


def _train(engine: Engine, recipe: Recipe, name: str, work: Path, start: float) -> Outcome:
    settings, folder = recipe.pretraining[name], folder_of(name, work)
    begun = {"settings": _settings(recipe, name), "inputs": _inputs(settings, work, manifest.read_manifest)}
    engine.on_main(lambda: manifest.begin(folder, **begun))
    run_digest = manifest.digest_of(begun)

    model = load_prepared(work / "model" / settings.model)
    _set_dropout(model, settings)
    pad_vocabulary(model)
    module = PackedPretraining(model)
    if settings.activation_checkpointing:
        module.recompute_activations()
    _check_disk(engine, folder, settings, bytes_of_a_checkpoint(module))
    first_step, skipped = _resume(engine, module, schedule.optimizer(module, settings), folder, run_digest)

    shard_folder = work / "shards" / settings.shards
    stream = RowStream(ShardSet.open(shard_folder, "train"), settings, seed=recipe.seed)
    held_out = ShardSet.open(shard_folder, "held_out")
    record = None
    if engine.rank == 0:
        _announce(name, engine, settings, stream, model, first_step)
        record = RunRecord(folder, first_step=first_step, steps=settings.steps, label=name)
    trainer = Trainer(
        engine,
        module,
        settings,
        seed=recipe.seed,
        stream=stream,
        validation=validation_batches(
            held_out, settings, seed=recipe.seed, rank=engine.rank, world_size=engine.world_size
        ),
        languages=held_out.languages,
        folder=folder,
        run_digest=run_digest,
        record=record,
        skipped=skipped,
        stop_at=start + 3600 * (settings.time_budget or math.inf),
    )
    try:
        with out_of_memory_advice(settings):
            trainer.train(first_step)
    except Stopped as stop:
        # Launchers don't pass our exit code on, so a script that starts the job anew looks for this file.
        why = str(stop)
        engine.on_main(lambda: manifest.write_json(folder / STOPPED_NAME, {"why": why}))
        raise
    finally:
        if record:
            record.close()
    weights = engine.weights()
    counts = {
        "steps": settings.steps,
        "skipped_steps": trainer.skipped,
        "rows": settings.steps * settings.global_batch,
        "rows_per_epoch": stream.num_rows,
        "epochs": round(settings.steps / stream.steps_per_epoch, 2),
        "parameters": model.num_parameters(),
        "engine": engine.kind,
        "processes": engine.world_size,
        "threads": torch.get_num_threads(),
        "attention": _kernel(engine, settings, model),
    }
    finish = engine.on_main(lambda: _finish(folder, recipe, name, work, weights, begun, counts, start))
    return Outcome(folder, finish, was_done=False)


def _settings(recipe: Recipe, name: str) -> dict[str, Any]:
    settings = recipe.pretraining[name].model_dump(mode="json")
    for place in ("accelerate_config", "time_budget", "lost_after"):
        del settings[place]  # where and how long a run continues may change, what it computes may not
    return {"seed": recipe.seed, **settings}


def _inputs(settings: PretrainingSettings, work: Path, read: Callable[[Path], Manifest]) -> dict[str, str]:
    return {
        f"{stage}/{name}": read(work / stage / name).digest
        for stage, name in (("model", settings.model), ("shards", settings.shards))
    }


def _check_disk(engine: Engine, folder: Path, settings: PretrainingSettings, size: int) -> None:
    """Before the first step: all processes can write to this very folder, and it has room for the checkpoints."""
    checkpoint_folder = folder / "checkpoints"
    probe = checkpoint_folder / "probe"
    engine.on_main(lambda: (checkpoint_folder.mkdir(exist_ok=True), probe.write_text("")))
    problem, own = None, checkpoint_folder / f"probe-{engine.rank}"
    try:
        probe.stat()
        own.write_text("")
        own.unlink()
    except OSError as error:
        problem = f"rank {engine.rank} on {platform.node()}: {error}"
    problems = [problem for problem in engine.gather(problem) if problem]
    if problems:
        raise ConfigError(f"--work must be one folder that all processes can write to. {'; '.join(problems)}")
    engine.on_main(lambda: (probe.unlink(), _check_room(checkpoint_folder, settings, size)))


def _check_room(folder: Path, settings: PretrainingSettings, size: int) -> None:
    """ConfigError where the newest checkpoints, the best, the one being written and the export would not fit."""
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    number = min(settings.keep_checkpoints + 2, 1 + -(-settings.steps // settings.checkpoint_every))
    needed, free = number * size + size // 3, shutil.disk_usage(folder).free
    if needed > free + there:
        raise ConfigError(
            f"{folder} has {free / 1e9:.3f} GB free, and {needed / 1e9:.3f} GB are needed for {number} checkpoints of "
            f"{size / 1e9:.3f} GB and the trained model ({there / 1e9:.3f} GB are there): make room, or lower "
            "keep_checkpoints in a new run"
        )


def _set_dropout(model: BertForPreTraining, settings: PretrainingSettings) -> None:
    if settings.dropout is None:
        return
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = settings.dropout


def _kernel(engine: Engine, settings: PretrainingSettings, model: BertForPreTraining) -> str:
    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32
    return attention.kernel_name(engine.device, dtype, model.bert.encoder.layer[0].attention.self.dropout.p)


def _resume(
    engine: Engine, module: PackedPretraining, optimizer: torch.optim.Optimizer, folder: Path, run_digest: str
) -> tuple[int, int]:
    """Give model and optimizer to the engine, with the newest valid checkpoint in them if there is one.

    Returns the steps already done and how many were skipped.
    """
    found = engine.on_main(lambda: checkpoints.newest(folder / "checkpoints"))
    engine.on_main(lambda: checkpoints.remove_unfinished(folder / "checkpoints"))
    if found is None:
        engine.prepare(module, optimizer)
        return 0, 0
    path, record = found
    if record["run"] != run_digest:
        raise CheckpointError(
            f"{path} can't be continued: it is of a run with other settings, model or shards. Use another --work"
        )
    if engine.rank == 0:
        _log.info("continuing from %s", path)
        if (record["engine"], record["world_size"]) != (engine.kind, engine.world_size):
            _log.info(
                "it was saved by %d process(es) with %s and goes on with %d and %s: the same rows in the same order, "
                "weights equal but for the order of sums",
                record["world_size"], record["engine"], engine.world_size, engine.kind,
            )  # fmt: skip
    state = SavedState(path / name for name in record["files"])
    state.load_weights(module)
    engine.prepare(module, optimizer)
    engine.load_optimizer(state)
    return int(record["step"]), int(record["skipped"])


def _announce(
    name: str,
    engine: Engine,
    settings: PretrainingSettings,
    stream: RowStream,
    model: BertForPreTraining,
    first_step: int,
) -> None:
    _log.info(
        "%s: %s on %d process(es), %s, %s, attention kernel %s",
        name, engine.kind, engine.world_size, engine.device, settings.precision, _kernel(engine, settings, model),
    )  # fmt: skip
    _log.info(
        "%s: %d parameters; %d rows an epoch (%d dropped), %d a step in %d micro-batch(es) a process; steps %d to %d",
        name, model.num_parameters(), stream.num_rows, stream.dropped_rows, settings.global_batch, engine.accumulation,
        first_step + 1, settings.steps,
    )  # fmt: skip


def _finish(
    folder: Path,
    recipe: Recipe,
    name: str,
    work: Path,
    weights: dict[str, torch.Tensor],
    begun: dict[str, Any],
    counts: dict[str, Any],
    start: float,
) -> Manifest:
    model_folder = work / "model" / recipe.pretraining[name].model
    model = load_prepared(model_folder)
    tokenizer = load_tokenizer(str(model_folder))
    pad_vocabulary(model)
    model.load_state_dict({key.removeprefix("model."): value for key, value in weights.items()})
    validations = [line for line in read_metrics(folder / METRICS_NAME) if line["kind"] == "validation"]
    counts["held_out"] = {key: value for key, value in validations[-1].items() if key not in ("kind", "step")}
    card = model_card(recipe, name, work, counts)
    export(folder / "export", model, tokenizer, card)
    files = [p for p in (folder / "export").rglob("*") if p.is_file()] + [folder / METRICS_NAME]
    return manifest.write_manifest(
        folder, stage="pretraining", name=name, files=files, counts=counts, seconds=time.monotonic() - start, **begun
    )
