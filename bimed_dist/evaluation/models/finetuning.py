"""Fine-tuning of one encoder on one task: a plain torch loop whose result is a function of its arguments.

AdamW (weight decay 0.01, none for biases and normalization), linear warm-up over 10 % of the steps, then linear decay,
gradient norm clipped at 1 (Devlin et al. 2019). Head, dropout and order follow from the seed; on a CPU two runs with
the same number of threads give the same bits.

The items of a step are split into micro-batches, whose gradients are summed. If several processes train together
(`ranks`), they share the micro-batches. Dropout is seeded for each micro-batch by (seed, step, micro-batch), so that it
does not depend on the process that computes it.
"""

import math
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from bimed_dist import ranks
from bimed_dist.errors import NonFiniteError
from bimed_dist.evaluation.models.encoding import IGNORED, EncodedRow, tags_by_unit
from bimed_dist.evaluation.models.loading import load_classifier
from bimed_dist.evaluation.task import Kind

PROTOCOL = {
    "optimizer": "adamw",
    "weight_decay": 0.01,
    "warmup_share": 0.1,
    "schedule": "linear",
    "clip_norm": 1.0,
    "dropout": "seeded by micro-batch",
}
BUCKET_BATCHES = 50
"""Batches whose items are sorted by length together: enough for little padding, few enough to stay shuffled."""
CPU_MICRO_BATCH_TOKENS = 1_024
"""Tokens per forward pass on a CPU, padding included. Larger activations leave the caches and take twice the time."""
GPU_MICRO_BATCH_TOKENS = 65_536
SHARED_MICRO_BATCH_TOKENS = 16_384
"""GPUs that train together divide this number, so that 32 rows of 512 tokens give each of them the same work."""
Item = Sequence[EncodedRow]
"""The rows of one example; several if a long text was split into windows."""
T = TypeVar("T")


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def micro_batch_tokens() -> int:
    """Return the tokens per forward pass, padding included. It decides the order in which gradients are summed."""
    return gpu_micro_batch_tokens(ranks.world_size()) if torch.cuda.is_available() else CPU_MICRO_BATCH_TOKENS


def gpu_micro_batch_tokens(processes: int) -> int:
    return GPU_MICRO_BATCH_TOKENS if processes == 1 else SHARED_MICRO_BATCH_TOKENS // processes


def autocast() -> AbstractContextManager:
    """bf16 on a GPU, fp32 on a CPU."""
    return torch.autocast("cuda", dtype=torch.bfloat16) if torch.cuda.is_available() else nullcontext()


def arithmetic() -> dict[str, Any]:
    """Device, precision and micro-batch size, which affect results."""
    precision = "bf16" if torch.cuda.is_available() else "fp32"
    return {"device": device().type, "precision": precision, "micro_batch_tokens": micro_batch_tokens()}


def learning_rate_at(step: int, steps: int, peak: float) -> float:
    """Return the learning rate of a step, counted from 0."""
    warmup = max(1, round(steps * PROTOCOL["warmup_share"]))
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (steps - step) / max(1, steps - warmup)


def epoch_batches(lengths: np.ndarray, batch_size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the item numbers of each batch of an epoch: every item once, similar lengths in a batch, random order."""
    order = rng.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), batch_size * BUCKET_BATCHES):
        bucket = order[start : start + batch_size * BUCKET_BATCHES]
        bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
        batches += [bucket[i : i + batch_size] for i in range(0, len(bucket), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def micro_batches(lengths: np.ndarray, max_tokens: int) -> list[np.ndarray]:
    """Return item numbers, longest first, in micro-batches of at most `max_tokens` with padding (at least one item)."""
    order = np.argsort(-lengths, kind="stable")
    split, start = [], 0
    while start < len(order):
        size = max(1, max_tokens // int(lengths[order[start]]))
        split.append(order[start : start + size])
        start += size
    return split


def row_lengths(rows: Sequence[EncodedRow]) -> np.ndarray:
    return np.array([len(row.ids) for row in rows])


def item_lengths(items: Sequence[Item]) -> np.ndarray:
    """Return the tokens of each item, the padding of its last window included."""
    return np.array([len(rows) * max(len(row.ids) for row in rows) for rows in items])


def pad_rows(rows: Sequence[EncodedRow], pad_id: int) -> dict[str, torch.Tensor]:
    """Return the model's inputs, padded to the longest row, on the device."""
    length = max(len(row.ids) for row in rows)
    ids = np.full((len(rows), length), pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    segment_ids = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = row.ids
        mask[i, : len(row.ids)] = 1
        if row.segment_ids is not None:
            segment_ids[i, : len(row.segment_ids)] = row.segment_ids
    arrays = {"input_ids": ids, "attention_mask": mask}
    if rows[0].segment_ids is not None:
        arrays["token_type_ids"] = segment_ids
    return {name: torch.from_numpy(array).to(device()) for name, array in arrays.items()}


def summed_loss(kind: Kind, logits: torch.Tensor, rows: Sequence[EncodedRow]) -> torch.Tensor:
    """Return the sum, over `loss_terms`, of the squared error of score / 5 or of the cross entropy."""
    logits = logits.float()
    if kind == "ner":
        target = np.full(logits.shape[:2], IGNORED, dtype=np.int64)
        for i, row in enumerate(rows):
            target[i, : len(row.target)] = row.target
        flat = torch.from_numpy(target).to(logits.device).flatten()
        return functional.cross_entropy(logits.flatten(0, 1), flat, ignore_index=IGNORED, reduction="sum")
    target = torch.from_numpy(np.stack([row.target for row in rows])).to(logits.device)
    if kind in ("classification", "sts_classes"):
        return functional.cross_entropy(logits, target[:, 0], reduction="sum")
    if kind == "sts":
        return functional.mse_loss(logits, target, reduction="sum")
    return functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")


def merge_window_logits(kind: Kind, logits: torch.Tensor, items: Sequence[Item]) -> torch.Tensor:
    """Return the logits of each item from those of its windows, in line with `encoding.merge_windows`: the largest for
    each label, or the logarithm of the mean probability of each class.
    """
    if len(logits) == len(items):
        return logits
    windows = torch.split(logits.float(), [len(rows) for rows in items])
    if kind == "multilabel":
        return torch.stack([part.amax(dim=0) for part in windows])
    return torch.stack([part.log_softmax(-1).logsumexp(dim=0) - math.log(len(part)) for part in windows])


def loss_terms(kind: Kind, rows: Sequence[EncodedRow]) -> int:
    """Return the number of scores, labels or tagged tokens that the mean loss is taken over."""
    return sum(int((row.target != IGNORED).sum()) if kind == "ner" else len(row.target) for row in rows)


def _optimizer(model: nn.Module) -> torch.optim.AdamW:
    decayed = [p for p in model.parameters() if p.ndim > 1]
    undecayed = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": PROTOCOL["weight_decay"]}, {"params": undecayed, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, fused=True)


def fine_tune(
    location: str,
    kind: Kind,
    labels: Sequence[str],
    items: Sequence[Item],
    *,
    pad_id: int,
    learning_rate: float,
    epochs: int,
    seed: int,
    batch_size: int,
    pooling: str = "cls",
) -> nn.Module:
    """Return the encoder in `location`, fine-tuned. All windows of an item are in one micro-batch.

    Raises NonFiniteError before a step whose loss or gradient is not finite.
    """
    seed_torch(seed)
    model = load_classifier(location, kind, labels, pooling).to(device()).train()
    optimizer = _optimizer(model)
    rng = np.random.default_rng(seed)
    lengths = item_lengths(items)
    batches = [numbers for _ in range(epochs) for numbers in epoch_batches(lengths, batch_size, rng)]
    for step, numbers in enumerate(batches):
        optimizer.zero_grad(set_to_none=True)
        loss = _backward(model, kind, [items[i] for i in numbers], pad_id, micro_batch_tokens(), (seed, step))
        if not math.isfinite(loss):
            raise NonFiniteError(f"the loss is not finite at step {step + 1}; try a smaller learning rate")
        # Clipping by an infinite norm would set every gradient to 0, and the untrained head would be scored.
        if not torch.nn.utils.clip_grad_norm_(model.parameters(), PROTOCOL["clip_norm"]).isfinite():
            raise NonFiniteError(f"the gradient is not finite at step {step + 1}; try a smaller learning rate")
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, len(batches), learning_rate)
        optimizer.step()
    return model.eval()


def _backward(
    model: nn.Module, kind: Kind, items: Sequence[Item], pad_id: int, max_tokens: int, seed_and_step: tuple[int, int]
) -> float:
    """Add the gradients of a batch's mean loss, in micro-batches of `max_tokens`; return that loss."""
    terms = max(1, loss_terms(kind, [rows[0] for rows in items]))
    total = 0.0
    split = micro_batches(item_lengths(items), max_tokens)
    for number in ranks.indices_of_rank(len(split)):
        torch.manual_seed(int(np.random.SeedSequence((*seed_and_step, number)).generate_state(1, np.uint64)[0]))
        part = [items[i] for i in split[number]]
        with autocast():
            logits = model(**pad_rows([row for rows in part for row in rows], pad_id)).logits
        loss = summed_loss(kind, merge_window_logits(kind, logits, part), [rows[0] for rows in part]) / terms
        loss.backward()
        total += loss.item()
    return ranks.sum_gradients(model, total)


def seed_torch(seed: int) -> None:
    """Seed the new head. On a GPU, select torch's deterministic kernels where they exist."""
    torch.manual_seed(seed)
    if torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)


def require_finite(logits: torch.Tensor) -> torch.Tensor:
    """Return the logits. Raises NonFiniteError, because argmax and thresholds would turn a NaN into a prediction."""
    if not logits.isfinite().all():
        raise NonFiniteError("the model's outputs are not finite; its weights are damaged or its training diverged")
    return logits


def to_predictions(kind: Kind, logits: torch.Tensor) -> torch.Tensor:
    """Convert logits to the form that the metrics take."""
    if kind == "ner":
        return logits.argmax(-1)
    if kind == "sts_classes":
        return logits.argmax(-1, keepdim=True).float()
    if kind == "classification":
        return logits.softmax(-1)
    return logits * 5 if kind == "sts" else logits.sigmoid()


def map_micro_batches(
    rows: Sequence[EncodedRow], max_tokens: int, compute: Callable[[np.ndarray], Sequence[T]]
) -> list[T]:
    """Return one value per row, in order. `compute` returns the values of the rows with the given numbers; processes
    that work together share the micro-batches.
    """
    split = micro_batches(row_lengths(rows), max_tokens)
    computed = {
        i: value
        for n in ranks.indices_of_rank(len(split))
        for i, value in zip(split[n], compute(split[n]), strict=True)
    }
    values = {i: value for share in ranks.gather(computed) for i, value in share.items()}
    return [values[i] for i in range(len(rows))]


@torch.inference_mode()
def predict(
    model: nn.Module, kind: Kind, rows: Sequence[EncodedRow], units: Sequence[int], pad_id: int
) -> list[np.ndarray]:
    """Return one array per row, in the form that the metrics take. `units`: number of units of each row's item (ner).

    Raises NonFiniteError if an output is not finite.
    """

    def compute(numbers: np.ndarray) -> list[np.ndarray]:
        part = [rows[i] for i in numbers]
        with autocast():
            logits = model(**pad_rows(part, pad_id)).logits
        values = to_predictions(kind, require_finite(logits.float().cpu())).numpy()
        return [
            value if row.unit_spans is None else tags_by_unit(value[: len(row.ids)], row.unit_spans, units[i])
            for i, row, value in zip(numbers, part, values, strict=True)
        ]

    return map_micro_batches(rows, micro_batch_tokens(), compute)
