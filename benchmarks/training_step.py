"""Real tokens per second of one training step: packed rows and a masked-only MLM head against the padded model.

Both sides see the same rows, masks, weights, precision (float32) and optimizer (fused AdamW), alternate, and are
reported as medians and their ratio. The padded side is Hugging Face's BertForPreTraining as the library runs it: every
row padded to the maximum length, MLM logits at every position.

    python benchmarks/training_step.py --size small --fill 0.6
"""

import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import click
import numpy as np
import torch
from _measuring import record
from transformers import BertConfig, BertForPreTraining

from bimed_dist.model.packed import PackedPretraining, micro_batch
from bimed_dist.shards.batches import PackedBatch

IGNORED = -100


def random_batch(rng: np.random.Generator, rows: int, max_length: int, fill: float, vocabulary: int) -> PackedBatch:
    """`rows` rows whose lengths spread around fill * max_length; 15 % of the tokens are masked."""
    spread = min(fill, 1 - fill) / 2
    lengths = np.rint(max_length * rng.uniform(fill - spread, fill + spread, rows)).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    masked = np.flatnonzero(rng.random(starts[-1]) < 0.15)
    return PackedBatch(
        input_ids=rng.integers(5, vocabulary, starts[-1]),
        token_type_ids=np.concatenate([(np.arange(n) >= n // 2).astype(np.int64) for n in lengths]),
        position_ids=np.concatenate([np.arange(n) for n in lengths]),
        row_starts=starts.astype(np.int32),
        masked_positions=masked,
        mlm_labels=rng.integers(5, vocabulary, len(masked)),
        nsp_labels=rng.integers(0, 2, rows),
        rows=np.arange(rows),
        languages=np.zeros(rows, np.int8),
        sources=np.zeros(rows, np.int16),
    )


def padded_step(model: BertForPreTraining, batch: PackedBatch, max_length: int) -> torch.Tensor:
    real = np.arange(max_length) < np.diff(batch.row_starts)[:, None]
    flat_labels = np.full(len(batch.input_ids), IGNORED)
    flat_labels[batch.masked_positions] = batch.mlm_labels

    def rectangle(flat: np.ndarray, padding: int) -> torch.Tensor:
        values = np.full(real.shape, padding, np.int64)
        values[real] = flat
        return torch.from_numpy(values)

    return model(
        input_ids=rectangle(batch.input_ids, 0),
        token_type_ids=rectangle(batch.token_type_ids, 0),
        attention_mask=torch.from_numpy(real).long(),
        labels=rectangle(flat_labels, IGNORED),
        next_sentence_label=torch.from_numpy(batch.nsp_labels),
    ).loss


def packed_step(module: PackedPretraining, batch: PackedBatch) -> torch.Tensor:
    mlm, nsp, _, _ = module(micro_batch(batch, torch.device("cpu")))
    return mlm.mean() + nsp.mean()


def tokens_per_second(step: Callable[[PackedBatch], torch.Tensor], model: torch.nn.Module, batch: PackedBatch) -> float:
    optimizer = model.optimizer
    start = time.perf_counter()
    step(batch).backward()
    optimizer.step()
    optimizer.zero_grad()
    return len(batch.input_ids) / (time.perf_counter() - start)


@dataclass(frozen=True)
class Size:
    layers: int
    width: int
    rows: int
    """Rows of a micro-batch, so that a step takes seconds and not minutes."""


SIZES = {"small": Size(layers=4, width=256, rows=32), "base": Size(layers=12, width=768, rows=16)}
VOCABULARY = 45_056


def measure(size: Size, max_length: int, fill: float, dropout: float, repeats: int) -> dict[str, Any]:
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=size.width, num_hidden_layers=size.layers,
        num_attention_heads=size.width // 64, intermediate_size=4 * size.width,
        hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout,
    )  # fmt: skip
    models = []
    for _ in range(2):
        torch.manual_seed(0)
        model = BertForPreTraining(config).train()
        model.optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        models.append(model)
    padded, packed = models[0], PackedPretraining(models[1])
    packed.optimizer = models[1].optimizer
    sides = {
        "padded": (padded, lambda batch: padded_step(padded, batch, max_length)),
        "packed": (packed, lambda batch: packed_step(packed, batch)),
    }
    rng, speeds = np.random.default_rng(0), {"padded": [], "packed": []}
    for repeat in range(repeats + 1):
        batch = random_batch(rng, size.rows, max_length, fill, VOCABULARY)
        for side, (model, step) in sides.items():
            speed = tokens_per_second(step, model, batch)
            if repeat:  # the first is warm-up
                speeds[side].append(speed)
    ratios = [a / b for a, b in zip(speeds["packed"], speeds["padded"], strict=True)]
    return {
        **asdict(size),
        "fill": fill,
        "dropout": dropout,
        "real_tokens_per_second": {side: round(statistics.median(values)) for side, values in speeds.items()},
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
    }


@click.command(help=__doc__)
@click.option("--size", "sizes", type=click.Choice(list(SIZES)), multiple=True, default=list(SIZES), show_default=True)
@click.option("--fill", "fills", multiple=True, type=float, default=[1.0, 0.6], show_default=True,
              help="Mean share of max-length that is real tokens.")  # fmt: skip
@click.option("--dropout", "dropouts", multiple=True, type=float, default=[0.0, 0.1], show_default=True)
@click.option("--max-length", default=128, show_default=True)
@click.option("--repeats", default=5, show_default=True)
def main(sizes, fills, dropouts, max_length, repeats):
    results = []
    for size, fill, dropout in itertools.product(sizes, fills, dropouts):
        results.append(measure(SIZES[size], max_length, fill, dropout, repeats))
        click.echo(f"{size}, fill {fill}, dropout {dropout}: {results[-1]['ratio']} times", err=True)
    setting = {
        "vocabulary": VOCABULARY,
        "max_length": max_length,
        "precision": "fp32",
        "threads": torch.get_num_threads(),
        "repeats": repeats,
    }
    record("training_step", {"setting": setting, "results": results})


if __name__ == "__main__":
    main()
