"""Real tokens per second of one training step: packed rows and a masked-only MLM head against the padded model.

Both sides use the same rows, weights, precision and optimizer (fused AdamW) and alternate; results are medians and
their ratio. The padded side is Hugging Face's BertForPreTraining with sdpa, on batches of its
DataCollatorForLanguageModeling: all rows padded to the maximum length, 15 % masked, MLM logits at every position.
Making batches is not timed, since both sides can do it in parallel with the step; the collator's time is reported as a
share of the padded step (benchmarks/loader.py measures loading). Utilisation is the arithmetic that real tokens need,
with logits at masked positions only, divided by the rate of a large matrix product in the same run. On a GPU, precision
is bfloat16 (autocast), attention dropout is 0, and the time to copy rows to the device is measured too.

    python benchmarks/training_step.py --size small --fill 0.6
    python benchmarks/training_step.py --size base --max-length 128 --max-length 512      # on one GPU, if there is one
    python benchmarks/training_step.py --size base --max-length 128 --max-length 512 --compile
"""

import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
import numpy as np
import torch
from _measuring import record
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from transformers import (
    BertConfig,
    BertForPreTraining,
    DataCollatorForLanguageModeling,
    PreTrainedTokenizerFast,
)

from bimed_dist.model.attention import kernel_name, on_device
from bimed_dist.model.packed import PackedPretraining
from bimed_dist.pretraining.micro_batch import to_tensors
from bimed_dist.shards.packing import PackedBatch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
DTYPE = torch.bfloat16 if DEVICE.type == "cuda" else torch.float32


def random_batch(rng: np.random.Generator, rows: int, max_length: int, fill: float, vocabulary: int) -> PackedBatch:
    """Return rows with lengths around fill * max_length, of which 15 % of the tokens are masked."""
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


def collator(max_length: int) -> DataCollatorForLanguageModeling:
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {name: number for number, name in enumerate([*names, *(f"p{i}" for i in range(5, VOCABULARY))])}
    words = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    special = zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), names, strict=True)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, **dict(special))
    return DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15, pad_to_multiple_of=max_length)


def rows_of(batch: PackedBatch) -> list[dict[str, Any]]:
    """Return rows in the form of a `datasets` data set."""
    ends = batch.row_starts[1:-1]
    ids, types = (np.split(values, ends) for values in (batch.input_ids, batch.token_type_ids))
    return [
        {"input_ids": i.tolist(), "token_type_ids": t.tolist(), "next_sentence_label": int(label)}
        for i, t, label in zip(ids, types, batch.nsp_labels, strict=True)
    ]


def padded_step(model: BertForPreTraining, collated: dict[str, torch.Tensor]) -> torch.Tensor:
    return model(**{name: on_device(values.numpy(), DEVICE) for name, values in collated.items()}).loss


def packed_step(module: PackedPretraining, batch: PackedBatch) -> torch.Tensor:
    mlm, nsp, _, _ = module(to_tensors(batch, DEVICE))
    return mlm.mean() + nsp.mean()


def seconds(run: Callable[[], Any]) -> float:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def train(step: Callable[[Any], torch.Tensor], model: torch.nn.Module, batch: Any) -> None:
    with torch.autocast(DEVICE.type, torch.bfloat16, enabled=DEVICE.type == "cuda"):
        loss = step(batch)
    loss.backward()
    model.optimizer.step()
    model.optimizer.zero_grad()


def product_flops(repeats: int = 5) -> float:
    """Return the FLOP/s of a large matrix product, the denominator of utilisation."""
    size = 8192 if DEVICE.type == "cuda" else 2048
    a, b = (torch.randn(size, size, device=DEVICE, dtype=DTYPE) for _ in range(2))
    a @ b
    calls = 20 if DEVICE.type == "cuda" else 2
    return max(2 * size**3 * calls / seconds(lambda: [a @ b for _ in range(calls)]) for _ in range(repeats))


@dataclass(frozen=True)
class Size:
    layers: int
    width: int
    tokens: int
    """Tokens of a micro-batch if its rows were full, few enough that a step on a CPU takes seconds, not minutes."""
    gpu_tokens: int


SIZES = {
    "small": Size(layers=4, width=256, tokens=32 * 128, gpu_tokens=512 * 128),
    "base": Size(layers=12, width=768, tokens=16 * 128, gpu_tokens=256 * 128),
}
VOCABULARY = 45_056


def model_of(size: Size, dropout: float, attention_dropout: float | None = None) -> BertForPreTraining:
    """Return a model with the same weights each time; `attention_dropout` defaults to `dropout`."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=size.width, num_hidden_layers=size.layers,
        num_attention_heads=size.width // 64, intermediate_size=4 * size.width, hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout if attention_dropout is None else attention_dropout,
    )  # fmt: skip
    return BertForPreTraining(config).train()


def step_flops(size: Size, batch: PackedBatch) -> float:
    """Return the FLOPs of a step: 6 per weight and real token, attention within rows, logits at masks only."""
    lengths = np.diff(batch.row_starts).astype(float)
    layer = 12 * size.width**2 * lengths.sum() + 2 * size.width * (lengths**2).sum()
    head = (size.width**2 + size.width * VOCABULARY) * len(batch.mlm_labels)
    return 6 * (size.layers * layer + head)


def measure(
    size: Size, max_length: int, fill: float, dropout: float, compiled: bool, repeats: int, limit: float
) -> dict[str, Any]:
    attention_dropout = dropout if DEVICE.type == "cpu" else 0.0
    models = []
    for _ in range(2):
        model = model_of(size, dropout, attention_dropout).to(DEVICE)
        model.optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        models.append(model)
    padded, packed = models[0], PackedPretraining(models[1])
    packed.optimizer = models[1].optimizer
    if compiled:
        packed.compile_layers()
    sides = {
        "padded": (padded, lambda batch: padded_step(padded, batch)),
        "packed": (packed, lambda batch: packed_step(packed, batch)),
    }
    collate = collator(max_length)
    rows = (size.gpu_tokens if DEVICE.type == "cuda" else size.tokens) // max_length
    rng, speeds, used, copying = np.random.default_rng(0), {"padded": [], "packed": []}, [], []
    collating = []
    for repeat in range(-3 if DEVICE.type == "cuda" else -1, repeats):
        batch = random_batch(rng, rows, max_length, fill, VOCABULARY)
        features = rows_of(batch)
        start = time.perf_counter()
        given = {"padded": collate(features), "packed": batch}
        collated = time.perf_counter() - start
        for side, (model, step) in sides.items():
            taken = seconds(lambda model=model, step=step, side=side, given=given: train(step, model, given[side]))
            if repeat >= 0:  # earlier repeats are warm-up
                speeds[side].append(len(batch.input_ids) / taken)
                if side == "padded":
                    collating.append(collated / taken)
                else:
                    used.append(step_flops(size, batch) / taken / limit)
                    copying.append(seconds(lambda batch=batch: to_tensors(batch, DEVICE)) / taken)
    ratios = [a / b for a, b in zip(speeds["packed"], speeds["padded"], strict=True)]
    return {
        "layers": size.layers,
        "width": size.width,
        "rows": rows,
        "max_length": max_length,
        "fill": fill,
        "dropout": dropout,
        "compiled": compiled,
        "attention": kernel_name(DEVICE, DTYPE, attention_dropout),
        "real_tokens_per_second": {side: round(statistics.median(values)) for side, values in speeds.items()},
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
        "utilisation": round(statistics.median(used), 3),
        "share_of_the_collator_beside_the_padded_step": round(statistics.median(collating), 4),
        "share_of_copying_rows": round(statistics.median(copying), 4),
    }


@click.command(help=__doc__)
@click.option("--size", "sizes", type=click.Choice(list(SIZES)), multiple=True, default=list(SIZES), show_default=True)
@click.option("--fill", "fills", multiple=True, type=float, default=[1.0, 0.6], show_default=True,
              help="Mean share of max-length that is real tokens.")  # fmt: skip
@click.option("--dropout", "dropouts", multiple=True, type=float, default=[0.0, 0.1], show_default=True)
@click.option("--max-length", "lengths", multiple=True, type=int, default=[128], show_default=True)
@click.option("--compile", "compiled", is_flag=True, help="Let torch compile the layers of the packed side.")
@click.option("--repeats", default=5, show_default=True)
def main(sizes, fills, dropouts, lengths, compiled, repeats):
    limit = product_flops()
    results = []
    for size, length, fill, dropout in itertools.product(sizes, lengths, fills, dropouts):
        found = measure(SIZES[size], length, fill, dropout, compiled, repeats, limit)
        results.append({"size": size, **found})
        click.echo(
            f"{size}, length {length}, fill {fill}, dropout {dropout}: {found['ratio']} times, "
            f"{found['utilisation']:.1%} of a matrix product's rate",
            err=True,
        )
    setting = {
        "vocabulary": VOCABULARY,
        "device": DEVICE.type,
        "precision": str(DTYPE).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "repeats": repeats,
        "matrix_product_tflops": round(limit / 1e12, 3),
    }
    record("training_step_gpu" if DEVICE.type == "cuda" else "training_step", {"setting": setting, "results": results})


if __name__ == "__main__":
    main()
