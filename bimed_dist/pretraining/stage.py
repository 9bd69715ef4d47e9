"""The pre-training stage: check, start the engine, resume, train, export. Run by every process of the job."""

import json
import logging
import math
import os
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BertForPreTraining

from bimed_dist import manifest
from bimed_dist.errors import CheckpointError, ConfigError, DataError, NonFiniteError, Stopped
from bimed_dist.hugging_face import load_tokenizer
from bimed_dist.manifest import Manifest, Outcome
from bimed_dist.metrics_log import read_metrics
from bimed_dist.model import attention
from bimed_dist.model.export import export, pad_vocabulary
from bimed_dist.model.foundation import load_bert
from bimed_dist.model.packed import PackedPretraining
from bimed_dist.pretraining import checkpoints, deepspeed_config, duration
from bimed_dist.pretraining import optimizer as schedule
from bimed_dist.pretraining.card import model_card
from bimed_dist.pretraining.distributed import Engine, open_trackers
from bimed_dist.pretraining.duration import Clock
from bimed_dist.pretraining.inputs import check_inputs, held_out_rows, packed_module, training_rows
from bimed_dist.pretraining.loop import Trainer, out_of_memory_advice
from bimed_dist.pretraining.records import RunRecord
from bimed_dist.pretraining.snapshot import SavedState, bytes_of_a_checkpoint
from bimed_dist.pretraining.trackers import flat
from bimed_dist.processes import launch_identity
from bimed_dist.recipe.pretraining import PretrainingSettings
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.shards.batches import PhaseBatches, TrainingBatches
from bimed_dist.workspace import CHECKPOINTS, EXPORT, METRICS, STOPPED, stage_folder

_log = logging.getLogger(__name__)
"""In the folder of a run that was stopped on request and can be continued."""
_ONLY_HOW = (
    "accelerate_config", "lost_after", "time_budget", "checkpoint_every", "keep_checkpoints", "skipped_steps",
    "log_every", "validate_every", "trackers", "profile_steps",
)  # fmt: skip
"""Settings that may change when a run is continued: where it runs, when a launch ends, what is kept and who looks on,
not what it has computed."""


def folder_of(name: str, work: Path) -> Path:
    return stage_folder(work, "pretraining", name)


def check(recipe: Recipe, name: str, work: Path, resume: str, processes: int) -> Outcome | None:
    """Everything that can be wrong before a process is started; the outcome if the run was finished before.

    Also makes the plans of the first epoch, so that ranks only map their files. Raises ConfigError or DataError.
    """
    settings, folder = recipe.pretraining[name], folder_of(name, work)
    begun = _settings(recipe, name), _inputs(settings, work, manifest.verified)
    longer = resume == "auto" and duration.is_of_other_length(folder, *begun)
    done = None if longer else manifest.finished(folder, *begun)
    if done is not None:
        return Outcome(folder, done, was_done=True)
    if resume == "never" and any((folder / CHECKPOINTS).glob("step-*")):
        raise ConfigError(
            f"{folder} holds checkpoints of an unfinished run; add --resume auto to continue it, or remove the folder"
        )
    check_inputs(recipe, settings, work, processes)
    return None


def run(recipe: Recipe, name: str, work: Path, resume: str = "never") -> Outcome:
    """Train `pretraining.NAME`, or continue it; every process of the job calls this."""
    start = time.monotonic()
    restarted = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0  # by the launcher, with the same arguments
    if restarted:
        _refuse_restart_of_stopped(folder_of(name, work))
    engine = Engine(recipe.pretraining[name])
    with engine.naming_the_lost():
        outcome = engine.on_main(lambda: check(recipe, name, work, "auto" if restarted else resume, engine.world_size))
        try:
            if outcome is None:
                _verify_copies(engine, recipe.pretraining[name], work)
                with ExitStack() as held:
                    # Whatever another job did between check and lock, this one continues from what it finds now.
                    engine.on_main(lambda: held.enter_context(manifest.folder_lock(folder_of(name, work))))
                    engine.on_main(lambda: (folder_of(name, work) / STOPPED).unlink(missing_ok=True))
                    outcome = _train(engine, recipe, name, work, start)
        except (Stopped, NonFiniteError):  # all ranks come to the same end, which is no accident
            engine.close()
            raise
        engine.close()
    return outcome


def _verify_copies(engine: Engine, settings: PretrainingSettings, work: Path) -> None:
    """Model and shards may lie on every machine as a copy of its own: each machine verifies its own, once."""
    expected = engine.on_main(lambda: _inputs(settings, work, manifest.read_manifest))

    def verify() -> None:
        try:
            found = _inputs(settings, work, manifest.verified)
        except DataError as error:
            raise DataError(f"on {platform.node()}: {error}") from None
        for made_from, digest in expected.items():
            if found[made_from] != digest:
                raise DataError(f"on {platform.node()}: {work / made_from} is not what rank 0 has; copy it again")

    engine.on_other_machines(verify)


def _refuse_restart_of_stopped(folder: Path) -> None:
    """Stopped where the launcher restarts what was asked to stop: before waiting for machines whose launchers ended."""
    note = folder / STOPPED
    # That of an earlier launch is still there where the first attempt of this one ended before it was removed.
    if note.is_file() and launch_identity() in json.loads(note.read_text(encoding="utf-8")).get("launches", ()):
        raise Stopped("stopped on request before; not restarted")


def _train(engine: Engine, recipe: Recipe, name: str, work: Path, start: float) -> Outcome:
    settings, folder = recipe.pretraining[name], folder_of(name, work)
    begun = {"settings": _settings(recipe, name), "inputs": _inputs(settings, work, manifest.read_manifest)}
    engine.on_main(lambda: duration.begin(folder, **begun))
    # Like manifest.finished: a setting that is newer than the run and is not set is no other setting.
    kept = {
        name: value for name, value in begun["settings"].items() if value is not None and name not in duration.LENGTH
    }
    run_digest = manifest.digest_of({**begun, "settings": kept})

    model = load_bert(stage_folder(work, "model", settings.model))
    parameters = model.num_parameters()  # later there are padded rows, and ZeRO-3 takes tensors apart
    module = packed_module(model, settings)
    _check_disk(engine, folder, settings, bytes_of_a_checkpoint(module))
    saved = _resume(engine, module, schedule.optimizer(module, settings), folder, run_digest)
    if settings.reproducible:
        _check_arithmetic(engine, saved)
    first_step = int(saved.get("step", 0))
    clock = Clock(settings, first_step, saved)

    rows = training_rows(recipe, settings, work)
    record = None
    if engine.rank == 0:
        _announce(name, engine, settings, rows, model, parameters, first_step, clock.end)
        trackers = open_trackers(settings.trackers, folder, name, run_digest[:16], first_step)
        for tracker in trackers:
            if tracker.name != "tensorboard":  # which would begin a new run for them
                tracker.store_init_configuration(flat(begun["settings"]))
        record = RunRecord(folder, trackers, first_step=first_step, steps=clock.end, label=name)
    trainer = Trainer(
        engine,
        module,
        settings,
        seed=recipe.seed,
        rows=rows,
        held_out=held_out_rows(recipe, settings, work, engine.rank, engine.world_size),
        folder=folder,
        run_digest=run_digest,
        record=record,
        clock=clock,
        skipped=int(saved.get("skipped", 0)),
        stop_at=start + 3600 * (settings.time_budget or math.inf),
    )
    try:
        with out_of_memory_advice(settings, lambda: trainer.at):
            trainer.train(first_step)
    except Stopped as stop:
        # Launchers don't pass our exit code on, so a script that starts the job anew looks for this file.
        note = {"why": str(stop), "launches": sorted(set(engine.gather(launch_identity())))}
        engine.on_main(lambda: manifest.write_json(folder / STOPPED, note))
        raise
    finally:
        if record:
            record.close()
    weights = engine.weights()
    finish = engine.on_main(
        lambda: _finish(folder, recipe, name, work, weights, begun, _counts(trainer, model, parameters), start)
    )
    return Outcome(folder, finish, was_done=False)


def _counts(trainer: Trainer, model: BertForPreTraining, parameters: int) -> dict[str, Any]:
    """What the manifest tells of a finished run."""
    engine, settings, streams, end = trainer.engine, trainer.settings, trainer.rows.streams, trainer.clock.end
    return {
        "steps": end,
        "skipped_steps": trainer.skipped,
        "rows": settings.rows_before(end),
        "epochs": round(sum((min(s.phase.end, end) - s.phase.first_step) / s.steps_per_epoch for s in streams), 2),
        "phases": [_phase_counts(stream, end) for stream in streams],
        "parameters": parameters,
        "engine": engine.kind,
        "processes": engine.world_size,
        "threads": torch.get_num_threads(),
        "attention": _kernel(engine, settings, model),
    }


def _phase_counts(stream: PhaseBatches, end: int) -> dict[str, Any]:
    """What an epoch of a phase has; the first one's rows by language and source (those of others differ by a few)."""
    plan, shards = stream.plan(0), stream.shards

    def each(codes: NDArray[np.integer], names: Sequence[str]) -> dict[str, int]:
        return dict(zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True))

    return {
        "steps": min(stream.phase.end, end) - stream.phase.first_step,
        "rows_per_epoch": stream.num_rows,
        "dropped_rows_per_epoch": stream.dropped_rows,
        "by_language": each(plan.language, shards.languages),
        "by_source": each(plan.source, shards.sources),
    }


def _settings(recipe: Recipe, name: str) -> dict[str, Any]:
    settings = recipe.pretraining[name].model_dump(mode="json")
    for key in _ONLY_HOW:
        del settings[key]
    return {"seed": recipe.seed, **settings}


def _inputs(settings: PretrainingSettings, work: Path, read: Callable[[Path], Manifest]) -> dict[str, str]:
    made_from = [("model", settings.model), *(("shards", name) for name in settings.all_shards)]
    return {f"{stage}/{name}": read(work / stage / name).digest for stage, name in made_from}


def _check_disk(engine: Engine, folder: Path, settings: PretrainingSettings, size: int) -> None:
    """Before the first step: all processes can write to this very folder, and it has room for the checkpoints."""
    checkpoint_folder = folder / CHECKPOINTS
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
            "keep_checkpoints"
        )


def _kernel(engine: Engine, settings: PretrainingSettings, model: BertForPreTraining) -> str:
    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32
    return attention.kernel_name(engine.device, dtype, model.bert.encoder.layer[0].attention.self.dropout.p)


def _resume(
    engine: Engine, module: PackedPretraining, optimizer: torch.optim.Optimizer, folder: Path, run_digest: str
) -> dict[str, Any]:
    """Give model and optimizer to the engine, with the newest valid checkpoint in them if there is one.

    Returns its record; {} where the run begins.
    """
    found = engine.on_main(lambda: checkpoints.newest(folder / CHECKPOINTS))
    engine.on_main(lambda: checkpoints.remove_unfinished(folder / CHECKPOINTS))
    if found is None:
        engine.prepare(module, optimizer)
        return {}
    path, record = found
    if record["run"] != run_digest:
        raise CheckpointError(
            f"{path} can't be continued: it is of a run with other settings, model or shards. Use another --work"
        )
    if engine.rank == 0:
        _log.info("continuing from %s", path)
        if (record["engine"], record["world_size"]) != (engine.kind, engine.world_size):
            weights = "the same weights" if engine.kind == "ordered" else "weights equal but for the order of sums"
            _log.info(
                "it was saved by %d process(es) with %s and goes on with %d and %s: the same rows in the same order, "
                "%s",
                record["world_size"], record["engine"], engine.world_size, engine.kind, weights,
            )  # fmt: skip
    state = SavedState(path / name for name in record["files"])
    state.load_weights(module)
    engine.prepare(module, optimizer)
    engine.load_optimizer(state)
    return record


def _check_arithmetic(engine: Engine, saved: dict[str, Any]) -> None:
    """ConfigError where processes, now or before, round in another way; a warning where only the device is another."""
    found = engine.gather(engine.arithmetic)
    others = [rank for rank, arithmetic in enumerate(found) if arithmetic != found[0]]
    if others:
        raise ConfigError(
            f"reproducible=across_world_sizes needs the same on every process: rank 0 has {found[0]}, rank {others[0]} "
            f"{found[others[0]]}; set OMP_NUM_THREADS to the same number everywhere, and use one kind of device"
        )
    if saved and saved["threads"] != found[0]["threads"]:
        raise ConfigError(
            f"reproducible=across_world_sizes: the checkpoint was computed with {saved['threads']} threads a process, "
            f"now there are {found[0]['threads']}; set OMP_NUM_THREADS={saved['threads']}"
        )
    if saved and saved["device"] != found[0]["device"] and engine.rank == 0:
        _log.warning(
            "reproducible=across_world_sizes: begun on %s, goes on with %s; the last bits are those of neither",
            saved["device"], found[0]["device"],
        )  # fmt: skip


def _announce(
    name: str,
    engine: Engine,
    settings: PretrainingSettings,
    rows: TrainingBatches,
    model: BertForPreTraining,
    parameters: int,
    first_step: int,
    end: int,
) -> None:
    _log.info(
        "%s: %s on %d process(es), %s, %s, attention kernel %s",
        name, engine.kind, engine.world_size, engine.device, settings.precision, _kernel(engine, settings, model),
    )  # fmt: skip
    if engine.device.type == "cuda" and _kernel(engine, settings, model) == "padded":
        _log.warning(
            "%s: precision: bf16 with attention_dropout: 0 (or with flash-attn installed) attends without padding, "
            "which is much faster on a GPU",
            name,
        )
    _log.info("%s: %d parameters, steps %d to %d", name, parameters, first_step + 1, end)
    for stream in rows.streams:
        phase = stream.phase
        _log.info(
            "%s: to step %d rows of %d tokens, %d an epoch (%d dropped), %d a step in %d micro-batch(es) a process",
            name, phase.end, phase.max_length, stream.num_rows, stream.dropped_rows, phase.global_batch,
            deepspeed_config.accumulation(phase, engine.world_size),
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
    settings = recipe.pretraining[name]
    model_folder = stage_folder(work, "model", settings.model)
    model = load_bert(model_folder)
    tokenizer = load_tokenizer(str(model_folder))
    pad_vocabulary(model)
    model.load_state_dict({key.removeprefix("model."): value for key, value in weights.items()})
    validations = [line for line in read_metrics(folder / METRICS) if line["kind"] == "validation"]
    counts["held_out"] = {key: value for key, value in validations[-1].items() if key not in ("kind", "step")}
    card = model_card(recipe, name, work, counts)
    export(folder / EXPORT, model, tokenizer, card, nsp_head=settings.sentence_objective == "next_sentence")
    files = [p for p in (folder / EXPORT).rglob("*") if p.is_file()] + [folder / METRICS]
    return manifest.write_manifest(
        folder, stage="pretraining", name=name, files=files, counts=counts, seconds=time.monotonic() - start, **begun
    )
