"""Tokens per second of a step with our dropout on CPUs, against the same step with torch's dropout.

Both sides use the same packed rows, weights and optimizer, and alternate. With torch's dropout, attention uses
scaled_dot_product_attention, which applies torch's dropout on CPUs.

    python benchmarks/dropout.py
"""

import itertools
import os
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch is imported

import click
import numpy as np
import torch
from _measuring import record
from training_step import SIZES, VOCABULARY, model_of, packed_step, random_batch, seconds, train

from bimed_dist.model import attention
from bimed_dist.model.dropout import Dropout
from bimed_dist.model.packed import PackedPretraining

DROPOUT = 0.1


def packed(size: str, torchs: bool) -> PackedPretraining:
    module = PackedPretraining(model_of(SIZES[size], DROPOUT))
    for part in module.modules():
        if torchs and isinstance(part, Dropout):
            part.__class__ = torch.nn.Dropout
    module.optimizer = torch.optim.AdamW(module.parameters(), fused=True)
    return module


@contextmanager
def torchs_attention() -> Iterator[None]:
    ours = attention._with_dropout
    attention._with_dropout = lambda q, k, v, mask, dropout, scaling: torch.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, dropout_p=dropout, scale=scaling
    )
    try:
        yield
    finally:
        attention._with_dropout = ours


def measure(size: str, threads: int, fill: float, repeats: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    ours, torchs = packed(size, torchs=False), packed(size, torchs=True)
    rng, speeds = np.random.default_rng(0), {"torch": [], "ours": []}
    for repeat in range(-1, repeats):
        batch = random_batch(rng, SIZES[size].tokens // 128, 128, fill, VOCABULARY)
        with torchs_attention():
            taken = {"torch": seconds(lambda b=batch: train(lambda x: packed_step(torchs, x), torchs, b))}
        taken["ours"] = seconds(lambda b=batch: train(lambda x: packed_step(ours, x), ours, b))
        if repeat >= 0:  # the first is warm-up
            for side in speeds:
                speeds[side].append(len(batch.input_ids) / taken[side])
    ratios = [a / b for a, b in zip(speeds["ours"], speeds["torch"], strict=True)]
    return {
        "size": size,
        "threads": threads,
        "fill": fill,
        "tokens_per_second": {side: round(statistics.median(values)) for side, values in speeds.items()},
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
    }


@click.command(help=__doc__)
@click.option("--size", "sizes", type=click.Choice(list(SIZES)), multiple=True, default=list(SIZES), show_default=True)
@click.option(
    "--threads", "threads", multiple=True, type=int, default=[1, len(os.sched_getaffinity(0))], show_default=True
)
@click.option("--fill", "fills", multiple=True, type=float, default=[1.0], show_default=True)
@click.option("--repeats", default=9, show_default=True)
def main(sizes, threads, fills, repeats):
    results = []
    for size, number, fill in itertools.product(sizes, threads, fills):
        results.append(measure(size, number, fill, repeats))
        click.echo(f"{size}, {number} thread(s), fill {fill}: {results[-1]['ratio']} times", err=True)
    record(
        "dropout", {"setting": {"vocabulary": VOCABULARY, "dropout": DROPOUT, "repeats": repeats}, "results": results}
    )


if __name__ == "__main__":
    main()
