"""Seconds per update of the training loop against a bare loop with the same tricks.

Both sides train the same small model on the same packed rows with the same fused AdamW and clipping, and alternate.
The bare loop is what one would write by hand around the same encoder: no engine, no metrics, no checks, no record. The
ratio is what the loop costs for accuracies, finite checks, other metrics and stop requests.

    python benchmarks/training_loop.py
"""

import statistics
import tempfile
import time
from pathlib import Path

import click
import torch
from _measuring import record, shards_of
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForPreTraining

from bimed_dist.model.packed import PackedPretraining, micro_batch
from bimed_dist.pretraining import schedule
from bimed_dist.pretraining.distributed import Engine
from bimed_dist.pretraining.duration import Clock
from bimed_dist.pretraining.loop import Trainer
from bimed_dist.pretraining_settings import PretrainingSettings
from bimed_dist.shards.batches import RowStream, TrainingRows
from bimed_dist.shards.reading import ShardSet


def model_of(vocabulary: int) -> PackedPretraining:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=vocabulary, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024
    )
    return PackedPretraining(BertForPreTraining(config)).train()


def bare_step(
    module: PackedPretraining, optimizer: torch.optim.Optimizer, stream: RowStream, step: int, clip_norm: float
) -> None:
    batches = stream.step_batches(step, rank=0, world_size=1)
    masked, rows = sum(len(b.mlm_labels) for b in batches), sum(len(b.rows) for b in batches)
    bert, heads = module.model.bert, module.model.cls
    for batch in batches:
        given = micro_batch(batch, torch.device("cpu"))
        hidden = module.encode(given)[0]
        mlm = heads.predictions(hidden.index_select(0, given.masked_positions))
        nsp = heads.seq_relationship(bert.pooler(hidden.index_select(0, given.pair_starts)[:, None]))
        mlm_loss = cross_entropy(mlm, given.mlm_labels, reduction="sum")
        (mlm_loss / masked + cross_entropy(nsp, given.nsp_labels, reduction="sum") / rows).backward()
    torch.nn.utils.clip_grad_norm_(module.parameters(), clip_norm)
    optimizer.step()
    optimizer.zero_grad()


@click.command(help=__doc__)
@click.option("--shards", type=click.Path(path_type=Path, exists=True), help="Folder of shards. [synthetic text]")
@click.option("--steps", default=15, show_default=True, help="Updates that are timed, each on both sides.")
def main(shards: Path | None, steps: int) -> None:
    settings = PretrainingSettings(
        model="none", shards="none", steps=steps + 1, global_batch=64, micro_batch=32, log_every=1
    )
    seconds: dict[str, list[float]] = {"bare": [], "bimed_dist": []}
    with tempfile.TemporaryDirectory() as work:
        stream = RowStream(ShardSet.open(shards_of(shards, Path(work)), "train"), settings, seed=1)
        vocabulary = stream.shards.tokens.vocabulary_size
        bare, ours = model_of(vocabulary), model_of(vocabulary)
        bare_optimizer = schedule.optimizer(bare, settings)
        for group in bare_optimizer.param_groups:
            group["lr"] = settings.learning_rate
        engine = Engine(settings)
        engine.prepare(ours, schedule.optimizer(ours, settings))
        rows = TrainingRows(stream.shards, settings, seed=1)
        trainer = Trainer(
            engine, ours, settings, seed=1, rows=rows, held_out=None, folder=Path(work), run_digest="",
            record=None, clock=Clock(settings),
        )  # fmt: skip
        sides = {
            "bare": lambda step: bare_step(bare, bare_optimizer, stream, step, settings.clip_norm),
            "bimed_dist": lambda step: trainer.step(step, [False]),
        }
        for step in range(steps + 1):
            for side, run in sides.items():
                start = time.perf_counter()
                run(step)
                if step:  # the first is warm-up
                    seconds[side].append(time.perf_counter() - start)
    ratios = [a / b for a, b in zip(seconds["bimed_dist"], seconds["bare"], strict=True)]
    record(
        "training_loop",
        {
            "setting": {
                "model": "4 layers of 256",
                "global_batch": 64,
                "micro_batch": 32,
                "threads": torch.get_num_threads(),
                "steps": steps,
            },
            "seconds_per_update": {side: round(statistics.median(values), 4) for side, values in seconds.items()},
            "ratio": round(statistics.median(ratios), 3),
        },
    )


if __name__ == "__main__":
    main()
