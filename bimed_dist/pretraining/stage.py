"""The pre-training stage: check, start the engine, resume, train, export. Run by every process of the job."""

import json
import logging
import math
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import BertForPreTraining

from bimed_dist import manifest
from bimed_dist.agreement import run_on_main
from bimed_dist.errors import CheckpointError, ConfigError, NonFiniteError, Stopped
from bimed_dist.manifest import Outcome
from bimed_dist.model import attention
from bimed_dist.model.foundation import load_bert
from bimed_dist.model.packed import PackedPretraining
from bimed_dist.pretraining import checkpoints, deepspeed_config, duration, preflight
from bimed_dist.pretraining.checkpoints import CheckpointRecord
from bimed_dist.pretraining.distributed import Engine
from bimed_dist.pretraining.duration import Clock
from bimed_dist.pretraining.finish import count_run, finish_run
from bimed_dist.pretraining.inputs import open_held_out_rows, open_training_batches, prepare_module
from bimed_dist.pretraining.loop import Trainer, out_of_memory_advice
from bimed_dist.pretraining.optimizer import make_optimizer
from bimed_dist.pretraining.records import RunRecord
from bimed_dist.pretraining.snapshot import SavedState, checkpoint_bytes
from bimed_dist.pretraining.trackers import open_trackers
from bimed_dist.processes import launch_identity
from bimed_dist.recipe.pretraining import PretrainingSettings
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.workspace import CHECKPOINTS, STOPPED, stage_folder

_log = logging.getLogger(__name__)


class Job(NamedTuple):
    """The run of a recipe that this process trains."""

    recipe: Recipe
    name: str
    work: Path
    start: float
    """`time.monotonic()` when the process started."""

    @property
    def settings(self) -> PretrainingSettings:
        return self.recipe.pretraining[self.name]

    @property
    def folder(self) -> Path:
        return folder_of(self.name, self.work)


def folder_of(name: str, work: Path) -> Path:
    return stage_folder(work, "pretraining", name)


def check(recipe: Recipe, name: str, work: Path, resume: str, processes: int) -> Outcome | None:
    """Check everything that can be checked before a process is started; return the outcome if the run is finished.

    Also makes the plans of the first epoch, so that ranks only map their files. Raises ConfigError or DataError.
    """
    settings, folder = recipe.pretraining[name], folder_of(name, work)
    identity = _identity(recipe, name), preflight.input_digests(settings, work, manifest.verified)
    has_other_length = resume == "auto" and duration.find_length_change(folder, *identity) is not None
    finished = None if has_other_length else manifest.finished(folder, *identity)
    if finished is not None:
        return Outcome(folder, finished, was_done=True)
    if resume == "never" and any((folder / CHECKPOINTS).glob("step-*")):
        raise ConfigError(
            f"{folder} holds checkpoints of an unfinished run; add --resume auto to continue it, or remove the folder"
        )
    preflight.check_inputs(recipe, settings, work, processes)
    return None


def run(recipe: Recipe, name: str, work: Path, resume: str = "never") -> Outcome:
    """Train `pretraining.NAME`, or continue it; every process of the job calls this."""
    job = Job(recipe, name, work, time.monotonic())
    restarted = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0  # by the launcher, with the same arguments
    if restarted:
        _refuse_restart_after_stop(job.folder)
        resume = "auto"
    engine = Engine(job.settings)
    with engine.lost_ranks_named():
        outcome = run_on_main(engine, lambda: check(recipe, name, work, resume, engine.world_size))
        try:
            if outcome is None:
                preflight.verify_copies(engine, job.settings, work)
                with ExitStack() as stack:
                    # What another job did between check and lock is seen from here on.
                    run_on_main(engine, lambda: stack.enter_context(manifest.folder_lock(job.folder)))
                    run_on_main(engine, lambda: (job.folder / STOPPED).unlink(missing_ok=True))
                    outcome = _train(engine, job)
        except (Stopped, NonFiniteError):  # all ranks end in the same way, which is no accident
            engine.close()
            raise
        engine.close()
    return outcome


def _refuse_restart_after_stop(folder: Path) -> None:
    """Raise Stopped if the launcher restarts a run that was asked to stop.

    This comes before waiting for other machines, whose launchers may have ended.
    """
    path = folder / STOPPED
    # The file may also be of an earlier launch, if the first attempt of this one ended before removing it.
    if path.is_file() and launch_identity() in json.loads(path.read_text(encoding="utf-8"))["launches"]:
        raise Stopped("stopped on request before; not restarted")


def _train(engine: Engine, job: Job) -> Outcome:
    settings, folder = job.settings, job.folder
    inputs = preflight.input_digests(settings, job.work, manifest.read_manifest)
    identity = {"settings": _identity(job.recipe, job.name), "inputs": inputs}
    run_on_main(engine, lambda: duration.begin(folder, **identity))
    run_digest = _run_digest(**identity)

    model = load_bert(stage_folder(job.work, "model", settings.model))
    parameters = model.num_parameters()  # before rows are padded and ZeRO-3 partitions the tensors
    module = prepare_module(model, settings)
    preflight.check_disk(engine, folder, settings, checkpoint_bytes(module))
    saved = _load_newest(engine, module, make_optimizer(module, settings), folder, run_digest)
    if settings.reproducible:
        preflight.check_arithmetic(engine, saved)
    kernel = _attention_kernel(engine, settings, model)
    trainer = _make_trainer(engine, job, module, saved, run_digest)
    if engine.rank == 0:
        _log_start(job.name, trainer, parameters, kernel)
    run_on_main(engine, lambda: _open_record(trainer, job.name, identity["settings"]))
    _train_to_end(trainer)
    weights = engine.weights()
    counts = count_run(trainer, parameters, kernel)
    finished = run_on_main(
        engine,
        lambda: finish_run(
            job.recipe, job.name, job.work,
            weights=weights, counts=counts, settings_and_inputs=identity, start=job.start,
        ),
    )  # fmt: skip
    return Outcome(folder, finished, was_done=False)


def _identity(recipe: Recipe, name: str) -> dict[str, Any]:
    return {"seed": recipe.seed, **recipe.pretraining[name].identity()}


def _run_digest(settings: dict[str, Any], inputs: dict[str, str]) -> str:
    """Return a digest of everything that must stay the same when a run is continued."""
    fixed = {name: value for name, value in settings.items() if name not in PretrainingSettings.LENGTH}
    return manifest.digest_of({"settings": fixed, "inputs": inputs})


def _load_newest(
    engine: Engine, module: PackedPretraining, optimizer: torch.optim.Optimizer, folder: Path, run_digest: str
) -> CheckpointRecord | None:
    """Pass model and optimizer to the engine, with the state of the newest valid checkpoint.

    Returns its record; None if the run begins.
    """
    newest = run_on_main(engine, lambda: checkpoints.newest(folder / CHECKPOINTS))
    run_on_main(engine, lambda: checkpoints.remove_unfinished(folder / CHECKPOINTS))
    if newest is None:
        engine.prepare(module, optimizer)
        return None
    path, record = newest
    if record["run_digest"] != run_digest:
        raise CheckpointError(
            f"{path} is of a run with other settings, model or shards and can't be continued; use another --work"
        )
    if engine.rank == 0:
        _log.info("continuing from %s", path)
        if (record["engine"], record["world_size"]) != (engine.kind, engine.world_size):
            weights = "the same weights" if engine.kind == "ordered" else "weights equal but for the order of sums"
            _log.info(
                "it was saved by %d process(es) with %s and continues with %d and %s: the same rows in the same order, "
                "%s",
                record["world_size"], record["engine"], engine.world_size, engine.kind, weights,
            )  # fmt: skip
    state = SavedState(path / name for name in record["files"])
    state.load_weights(module)
    engine.prepare(module, optimizer)
    engine.load_optimizer(state)
    return record


def _make_trainer(
    engine: Engine, job: Job, module: PackedPretraining, saved: CheckpointRecord | None, run_digest: str
) -> Trainer:
    settings = job.settings
    return Trainer(
        engine,
        module,
        settings,
        seed=job.recipe.seed,
        batches=open_training_batches(job.recipe, settings, job.work),
        held_out=open_held_out_rows(job.recipe, settings, job.work, engine.rank, engine.world_size),
        folder=job.folder,
        run_digest=run_digest,
        clock=Clock(settings, saved),
        first_step=saved["step"] if saved else 0,
        skipped_steps=saved["skipped_steps"] if saved else 0,
        stop_time=job.start + 3600 * (settings.time_budget_hours or math.inf),
    )


def _open_record(trainer: Trainer, name: str, settings: Mapping[str, Any]) -> None:
    folder, first_step = trainer.folder, trainer.first_step
    run_id = trainer.run_digest[:16]
    trackers = open_trackers(trainer.settings.trackers, folder, name, run_id, first_step, settings)
    trainer.record = RunRecord(folder, trackers, first_step=first_step, steps=trainer.clock.end, label=name)


def _train_to_end(trainer: Trainer) -> None:
    """Train; if the run is stopped on request, record that in its folder."""
    try:
        with out_of_memory_advice(trainer.settings, lambda: trainer.current_step):
            trainer.train()
    except Stopped as stop:
        # Launchers don't pass on our exit code, so a script that restarts the job looks for this file.
        note = {"why": str(stop), "launches": sorted(set(trainer.engine.gather(launch_identity())))}
        run_on_main(trainer.engine, lambda: manifest.write_json(trainer.folder / STOPPED, note))
        raise
    finally:
        if trainer.record:
            trainer.record.close()


def _attention_kernel(engine: Engine, settings: PretrainingSettings, model: BertForPreTraining) -> str:
    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32
    return attention.kernel_name(engine.device, dtype, model.bert.encoder.layer[0].attention.self.dropout.p)


def _log_start(name: str, trainer: Trainer, parameters: int, kernel: str) -> None:
    engine, settings = trainer.engine, trainer.settings
    _log.info(
        "%s: %s on %d process(es), %s, %s, attention kernel %s",
        name, engine.kind, engine.world_size, engine.device, settings.precision, kernel,
    )  # fmt: skip
    if engine.device.type == "cuda" and kernel == "padded":
        _log.warning(
            "%s: precision: bf16 with attention_dropout: 0 (or with flash-attn installed) attends without padding, "
            "which is much faster on a GPU",
            name,
        )
    _log.info("%s: %d parameters, steps %d to %d", name, parameters, trainer.first_step + 1, trainer.clock.end)
    for batches in trainer.batches.phases:
        phase = batches.phase
        _log.info(
            "%s: to step %d rows of %d tokens, %d per epoch (%d dropped), %d per step, %d micro-batch(es) per process",
            name, phase.end, phase.max_length, batches.num_rows, batches.dropped_rows, phase.global_batch,
            deepspeed_config.accumulation(phase, engine.world_size),
        )  # fmt: skip
