"""Seconds of one step by kind of operator, from torch's profiler, for BERT-base on a CPU.

Forward and backward of one micro-batch of packed rows, clipping and AdamW are profiled separately, since a step has
several micro-batches but one clipping and one optimizer step. Time is that of the thread that calls an operator and
waits for the other threads.

    python benchmarks/operators.py
"""

import itertools
import os
import statistics
from collections import Counter
from collections.abc import Callable
from typing import Any

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch is imported

import click
import numpy as np
import torch
from _measuring import record
from torch.profiler import ProfilerActivity, profile
from training_step import SIZES, VOCABULARY, model_of, packed_step, product_flops, random_batch, step_flops

from bimed_dist.model.packed import PackedPretraining
from bimed_dist.pretraining.optimizer import make_optimizer
from bimed_dist.recipe.pretraining import PretrainingSettings

KINDS = {
    "products of layers and heads": ("mm", "addmm"),
    "products and softmax of attention": ("bmm", "baddbmm", "_softmax", "_softmax_backward_data", "masked_fill_"),
    "random numbers of dropout": ("bernoulli_", "random_", "ge"),
    "GELU": ("gelu", "gelu_backward"),
    "layer norm": ("native_layer_norm", "native_layer_norm_backward"),
    "loss and accuracy": ("_log_softmax", "_log_softmax_backward_data", "nll_loss_forward", "argmax", "eq"),
    "multiply and add element by element": ("mul", "mul_", "div", "div_", "add", "add_", "where", "sum"),
    "gather, copy, fill": (
        "index_select", "index_add_", "index_put_", "scatter_add_", "embedding_dense_backward", "gather", "cat",
        "copy_", "fill_",
    ),
}  # fmt: skip
"""Operators of forward and backward; `sum` is the gradient of biases. Applying dropout masks is in the last two."""
KIND_OF = {f"aten::{name}": kind for kind, names in KINDS.items() for name in names}
REST = "everything else"


def seconds_by_kind(run: Callable[[], Any]) -> Counter[str]:
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        run()
    found: Counter[str] = Counter()
    for event in profiled.key_averages():
        found[KIND_OF.get(event.key, REST)] += event.self_cpu_time_total / 1e6
    return found


def measure(threads: int, fill: float, dropout: float, repeats: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    size, limit = SIZES["base"], product_flops(repeats=20)
    module = PackedPretraining(model_of(size, dropout))
    settings = PretrainingSettings(model="none", shards="none", steps=1, global_batch=16, micro_batch=16)
    optimizer = make_optimizer(module, settings)
    parts = {
        "clipping": lambda: torch.nn.utils.clip_grad_norm_(module.parameters(), settings.clip_norm),
        "AdamW": lambda: (optimizer.step(), optimizer.zero_grad()),
    }
    rng, rows, steps = np.random.default_rng(0), size.tokens // 128, []
    for repeat in range(-1, repeats):
        batch = random_batch(rng, rows, 128, fill, VOCABULARY)
        found = seconds_by_kind(lambda batch=batch: packed_step(module, batch).backward())
        found.update({part: seconds_by_kind(run).total() for part, run in parts.items()})
        if repeat >= 0:  # the first is warm-up
            products = found["products of layers and heads"] + found["products and softmax of attention"]
            steps.append((found, step_flops(size, batch) / products / limit, len(batch.input_ids)))
    seconds = {kind: statistics.median(found[kind] for found, _, _ in steps) for kind in (*KINDS, REST, *parts)}
    forward_and_backward = sum(seconds[kind] for kind in (*KINDS, REST))
    return {
        "threads": threads,
        "fill": fill,
        "dropout": dropout,
        "tokens": round(statistics.median(tokens for _, _, tokens in steps)),
        "seconds": {kind: round(value, 4) for kind, value in seconds.items()},
        "share_of_forward_and_backward": {
            kind: round(seconds[kind] / forward_and_backward, 4) for kind in (*KINDS, REST)
        },
        "matrix_product_gflops": round(limit / 1e9),
        "rate_within_products": round(statistics.median(rate for _, rate, _ in steps), 3),
    }


@click.command(help=__doc__)
@click.option(
    "--threads", "threads", multiple=True, type=int, default=[1, len(os.sched_getaffinity(0))], show_default=True
)
@click.option("--fill", "fills", multiple=True, type=float, default=[1.0, 0.6], show_default=True)
@click.option("--dropout", default=0.1, show_default=True)
@click.option("--repeats", default=5, show_default=True)
def main(threads, fills, dropout, repeats):
    results = []
    for number, fill in itertools.product(threads, fills):
        results.append(measure(number, fill, dropout, repeats))
        click.echo(f"{number} thread(s), fill {fill}: {results[-1]['share_of_forward_and_backward']}", err=True)
    setting = {"model": "BERT-base", "vocabulary": VOCABULARY, "max_length": 128, "repeats": repeats}
    record("operators", {"setting": setting, "results": results})


if __name__ == "__main__":
    main()
