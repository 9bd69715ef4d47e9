"""Seconds per step of the training loop against a bare loop with the same optimizations.

Both sides train the same model on the same packed rows with the same fused AdamW and clipping, and alternate. The bare
loop is a handwritten one around the same encoder, without engine, metrics, checks and records. The ratio is the cost of
accuracies, finite checks, other metrics and stop requests. The ratio of CPU seconds is more reliable on a busy machine.

    python benchmarks/training_loop.py
"""

import itertools
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch is imported

import click
import torch
from _measuring import record, shards_of
from torch.nn.functional import cross_entropy
from training_step import SIZES, VOCABULARY, model_of

from bimed_dist.model.packed import PackedPretraining
from bimed_dist.pretraining.distributed import Engine
from bimed_dist.pretraining.duration import Clock
from bimed_dist.pretraining.loop import Trainer
from bimed_dist.pretraining.micro_batch import to_tensors
from bimed_dist.pretraining.optimizer import make_optimizer
from bimed_dist.recipe.pretraining import PretrainingSettings
from bimed_dist.shards.batches import PhaseBatches, TrainingBatches
from bimed_dist.shards.reading import ShardSet


def bare_step(
    module: PackedPretraining, optimizer: torch.optim.Optimizer, stream: PhaseBatches, step: int, clip_norm: float
) -> None:
    batches = stream.step_batches(step, rank=0, world_size=1)
    masked, rows = sum(len(b.mlm_labels) for b in batches), sum(len(b.rows) for b in batches)
    bert, heads = module.model.bert, module.model.cls
    for batch in batches:
        tensors = to_tensors(batch, torch.device("cpu"))
        hidden = module.encode(tensors)[0]
        mlm = heads.predictions(hidden.index_select(0, tensors.masked_positions))
        nsp = heads.seq_relationship(bert.pooler(hidden.index_select(0, tensors.row_starts)[:, None]))
        mlm_loss = cross_entropy(mlm, tensors.mlm_labels, reduction="sum")
        (mlm_loss / masked + cross_entropy(nsp, tensors.nsp_labels, reduction="sum") / rows).backward()
    torch.nn.utils.clip_grad_norm_(module.parameters(), clip_norm)
    optimizer.step()
    optimizer.zero_grad()


def measure(size: str, dropout: float, shards: ShardSet, steps: int) -> dict[str, Any]:
    rows = SIZES[size].tokens // 128
    settings = PretrainingSettings(
        model="none", shards="none", steps=steps + 1, global_batch=2 * rows, micro_batch=rows, log_every=1
    )
    seconds: dict[str, list[float]] = {"bare": [], "bimed_dist": []}
    cpu_seconds: dict[str, list[float]] = {"bare": [], "bimed_dist": []}
    stream = PhaseBatches(shards, settings, seed=1)
    bare, ours = (PackedPretraining(model_of(SIZES[size], dropout)) for _ in range(2))
    bare_optimizer = make_optimizer(bare, settings)
    for group in bare_optimizer.param_groups:
        group["lr"] = settings.learning_rate
    engine = Engine(settings)
    engine.prepare(ours, make_optimizer(ours, settings))
    with tempfile.TemporaryDirectory() as work:
        trainer = Trainer(
            engine, ours, settings, seed=1, batches=TrainingBatches(shards, settings, seed=1), held_out=None,
            folder=Path(work), run_digest="", clock=Clock(settings),
        )  # fmt: skip
        sides = {
            "bare": lambda step: bare_step(bare, bare_optimizer, stream, step, settings.clip_norm),
            "bimed_dist": lambda step: trainer.step(step, threading.Event()),
        }
        for step in range(steps + 1):
            for side, run in sides.items():
                start, cpu_start = time.perf_counter(), time.process_time()
                run(step)
                if step:  # the first is warm-up
                    seconds[side].append(time.perf_counter() - start)
                    cpu_seconds[side].append(time.process_time() - cpu_start)
    engine.close()
    ratios = [a / b for a, b in zip(seconds["bimed_dist"], seconds["bare"], strict=True)]
    cpu_ratios = [a / b for a, b in zip(cpu_seconds["bimed_dist"], cpu_seconds["bare"], strict=True)]
    return {
        "size": size,
        "dropout": dropout,
        "global_batch": settings.global_batch,
        "micro_batch": settings.micro_batch,
        "seconds_per_update": {side: round(statistics.median(values), 4) for side, values in seconds.items()},
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "ratio_of_cpu_seconds": round(statistics.median(cpu_ratios), 3),
        "ratios_of_cpu_seconds": [round(ratio, 3) for ratio in cpu_ratios],
    }


@click.command(help=__doc__)
@click.option("--shards", type=click.Path(path_type=Path, exists=True), help="Folder of shards. [synthetic text]")
@click.option("--size", "sizes", type=click.Choice(list(SIZES)), multiple=True, default=list(SIZES), show_default=True)
@click.option("--dropout", "dropouts", multiple=True, type=float, default=[0.0, 0.1], show_default=True)
@click.option("--steps", default=9, show_default=True, help="Timed steps of each side.")
def main(shards, sizes, dropouts, steps):
    results = []
    with tempfile.TemporaryDirectory() as work:
        opened = ShardSet.open(shards_of(shards, Path(work)), "train")
        for size, dropout in itertools.product(sizes, dropouts):
            results.append(measure(size, dropout, opened, steps))
            click.echo(f"{size}, dropout {dropout}: {results[-1]['ratio']} times the bare loop's time", err=True)
    setting = {"vocabulary": VOCABULARY, "max_length": 128, "threads": torch.get_num_threads(), "steps": steps}
    record("training_loop", {"setting": setting, "results": results})


if __name__ == "__main__":
    main()
