"""Fine-tuning of one encoder on one task: a plain torch loop whose result is a function of its arguments.

AdamW (weight decay 0.01 but for biases and normalisation), linear warm-up over 10 % of the updates and linear decay,
gradient norm clipped at 1. Everything random (head, dropout, order) follows from the seed; on CPU two runs agree bit
for bit with the same number of threads.

An update's rows are cut into passes, whose gradients are summed; so are those of the processes where several of them
share the passes (`ranks`). Dropout is drawn anew for each pass from (seed, update, pass), whoever computes it.
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
from bimed_dist.evaluation.models.encoding import IGNORED, Row, tags_of_units
from bimed_dist.evaluation.models.loading import load_classifier
from bimed_dist.evaluation.task import Kind

PROTOCOL = {
    "optimizer": "adamw",
    "weight_decay": 0.01,
    "warmup_share": 0.1,
    "schedule": "linear",
    "clip_norm": 1.0,
    "dropout": "drawn by pass",
}
BUCKET_BATCHES = 50
"""Batches whose rows are sorted by length together: large enough for little padding, small enough to stay shuffled."""
CPU_PIECES = 1_024
"""Padded pieces per forward pass on a CPU: activations of more fall out of its caches and take twice the time."""
GPU_PIECES = 65_536
SHARED_PIECES = 16_384
"""Of a GPU's pass where several share an update, divided by their number: of 32 rows of 512 each gets as many."""
T = TypeVar("T")


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pass_pieces() -> int:
    """Padded pieces per forward pass. Part of the arithmetic: it decides the order in which gradients are summed."""
    return pieces_on_gpu(ranks.world_size()) if torch.cuda.is_available() else CPU_PIECES


def pieces_on_gpu(processes: int) -> int:
    return GPU_PIECES if processes == 1 else SHARED_PIECES // processes


def autocast() -> AbstractContextManager:
    """bf16 on a GPU, fp32 on a CPU."""
    return torch.autocast("cuda", dtype=torch.bfloat16) if torch.cuda.is_available() else nullcontext()


def arithmetic() -> dict[str, Any]:
    """How numbers are reckoned on this machine, as cell keys have it."""
    precision = "bf16" if torch.cuda.is_available() else "fp32"
    return {"device": device().type, "precision": precision, "pass_pieces": pass_pieces()}


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Rate of update `step`, counted from 0."""
    warmup = max(1, round(steps * PROTOCOL["warmup_share"]))
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (steps - step) / max(1, steps - warmup)


def epoch_batches(lengths: np.ndarray, batch: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Row numbers of the batches of one epoch: every row once, alike in length in a batch, batches in random order."""
    order = rng.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), batch * BUCKET_BATCHES):
        bucket = order[start : start + batch * BUCKET_BATCHES]
        bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
        batches += [bucket[i : i + batch] for i in range(0, len(bucket), batch)]
    return [batches[i] for i in rng.permutation(len(batches))]


def passes(lengths: np.ndarray, pieces: int) -> list[np.ndarray]:
    """Row numbers sorted by length, longest first, in passes of at most `pieces` padded pieces (one row at least)."""
    order = np.argsort(-lengths, kind="stable")
    parts, start = [], 0
    while start < len(order):
        size = max(1, pieces // int(lengths[order[start]]))
        parts.append(order[start : start + size])
        start += size
    return parts


def row_lengths(rows: Sequence[Row]) -> np.ndarray:
    return np.array([len(row.ids) for row in rows])


def text_lengths(texts: Sequence[Sequence[Row]]) -> np.ndarray:
    """Padded pieces of each text: of its windows, all but the last are of one length."""
    return np.array([len(text) * max(len(row.ids) for row in text) for text in texts])


def padded(rows: Sequence[Row], pad_id: int) -> dict[str, torch.Tensor]:
    """Model inputs of a batch, padded to its longest row."""
    length = max(len(row.ids) for row in rows)
    ids = np.full((len(rows), length), pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    types = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = row.ids
        mask[i, : len(row.ids)] = 1
        if row.types is not None:
            types[i, : len(row.types)] = row.types
    arrays = {"input_ids": ids, "attention_mask": mask}
    if rows[0].types is not None:
        arrays["token_type_ids"] = types
    return {name: torch.from_numpy(array).to(device()) for name, array in arrays.items()}


def summed_loss(kind: Kind, logits: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
    """Sum over `loss_terms` of squared error of score / 5, or of binary or plain cross entropy."""
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


def of_texts(kind: Kind, logits: torch.Tensor, texts: Sequence[Sequence[Row]]) -> torch.Tensor:
    """One row of logits for each text from those of its windows, as `encoding.of_items` joins their answers: the
    largest of each label, or logarithms of the mean probability of each class.
    """
    if len(logits) == len(texts):
        return logits
    parts = torch.split(logits.float(), [len(text) for text in texts])
    if kind == "multilabel":
        return torch.stack([part.amax(dim=0) for part in parts])
    return torch.stack([part.log_softmax(-1).logsumexp(dim=0) - math.log(len(part)) for part in parts])


def loss_terms(kind: Kind, rows: Sequence[Row]) -> int:
    """Scores, labels or tagged pieces in a batch: what its mean loss is a mean of."""
    return sum(int((row.target != IGNORED).sum()) if kind == "ner" else len(row.target) for row in rows)


def _optimizer(model: nn.Module) -> torch.optim.AdamW:
    decayed = [p for p in model.parameters() if p.ndim > 1]
    kept = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": PROTOCOL["weight_decay"]}, {"params": kept, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, fused=True)


def fine_tune(
    location: str,
    kind: Kind,
    labels: Sequence[str],
    texts: Sequence[Sequence[Row]],
    *,
    pad_id: int,
    peak: float,
    epochs: int,
    seed: int,
    batch: int,
    pooling: str = "cls",
) -> nn.Module:
    """The encoder in `location` trained on texts of one row each; of a long one all windows are in one batch and pass.

    Raises NonFiniteError before an update from a loss or gradient that is not finite.
    """
    seed_torch(seed)
    model = load_classifier(location, kind, labels, pooling).to(device()).train()
    optimizer = _optimizer(model)
    rng = np.random.default_rng(seed)
    lengths = text_lengths(texts)
    batches = [numbers for _ in range(epochs) for numbers in epoch_batches(lengths, batch, rng)]
    for step, numbers in enumerate(batches):
        optimizer.zero_grad(set_to_none=True)
        loss = _backward(model, kind, [texts[i] for i in numbers], pad_id, pass_pieces(), (seed, step))
        if not math.isfinite(loss):
            raise NonFiniteError(f"the loss is not finite at update {step + 1}; try a smaller learning rate")
        # Clipping by an infinite norm would make every gradient 0, and the head would be scored as it was drawn.
        if not torch.nn.utils.clip_grad_norm_(model.parameters(), PROTOCOL["clip_norm"]).isfinite():
            raise NonFiniteError(f"the gradient is not finite at update {step + 1}; try a smaller learning rate")
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, len(batches), peak)
        optimizer.step()
    return model.eval()


def _backward(
    model: nn.Module, kind: Kind, texts: Sequence[Sequence[Row]], pad_id: int, pieces: int, update: tuple[int, int]
) -> float:
    """Gradients of the mean loss of a batch, in passes of `pieces`; returns that loss. `update` is (seed, step)."""
    terms = max(1, loss_terms(kind, [text[0] for text in texts]))
    total = 0.0
    parts = passes(text_lengths(texts), pieces)
    for number in ranks.indices_of_rank(len(parts)):
        torch.manual_seed(int(np.random.SeedSequence((*update, number)).generate_state(1, np.uint64)[0]))
        part = [texts[i] for i in parts[number]]
        with autocast():
            logits = model(**padded([row for text in part for row in text], pad_id)).logits
        loss = summed_loss(kind, of_texts(kind, logits, part), [text[0] for text in part]) / terms
        loss.backward()
        total += loss.item()
    return ranks.sum_gradients(model, total)


def seed_torch(seed: int) -> None:
    """The head follows `seed`; on a GPU torch's deterministic kernels are taken where there are any."""
    torch.manual_seed(seed)
    if torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)


def finite(logits: torch.Tensor) -> torch.Tensor:
    """The same logits. Raises NonFiniteError: a NaN would be scored as an answer, by argmax and by thresholds."""
    if not logits.isfinite().all():
        raise NonFiniteError("the model's outputs are not finite; its weights are damaged or its training diverged")
    return logits


def answers(kind: Kind, logits: torch.Tensor) -> torch.Tensor:
    """What `metrics` takes, from what a head gives."""
    if kind == "ner":
        return logits.argmax(-1)
    if kind == "sts_classes":
        return logits.argmax(-1, keepdim=True).float()
    if kind == "classification":
        return logits.softmax(-1)
    return logits * 5 if kind == "sts" else logits.sigmoid()


def in_passes(rows: Sequence[Row], pieces: int, values_of: Callable[[np.ndarray], Sequence[T]]) -> list[T]:
    """A value for each row, in the rows' order; `values_of` gives those of the rows with some numbers."""
    parts = passes(row_lengths(rows), pieces)
    mine = {
        i: value
        for n in ranks.indices_of_rank(len(parts))
        for i, value in zip(parts[n], values_of(parts[n]), strict=True)
    }
    found = {i: value for share in ranks.gather(mine) for i, value in share.items()}
    return [found[i] for i in range(len(rows))]


@torch.inference_mode()
def predict(model: nn.Module, kind: Kind, rows: Sequence[Row], units: Sequence[int], pad_id: int) -> list[np.ndarray]:
    """One array of numbers per row, in the rows' order, as `metrics` takes it. `units` are the items' lengths (ner).

    Raises NonFiniteError for outputs that are not finite.
    """

    def predicted(numbers: np.ndarray) -> list[np.ndarray]:
        part = [rows[i] for i in numbers]
        with autocast():
            logits = model(**padded(part, pad_id)).logits
        values = answers(kind, finite(logits.float().cpu())).numpy()
        return [
            value if row.covers is None else tags_of_units(value[: len(row.ids)], row.covers, units[i])
            for i, row, value in zip(numbers, part, values, strict=True)
        ]

    return in_passes(rows, pass_pieces(), predicted)
