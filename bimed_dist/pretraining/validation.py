"""Losses and accuracies of a global batch or of the held-out rows, under their names in metrics.jsonl."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bimed_dist.model.packed import PackedPretraining
from bimed_dist.pretraining.distributed import Engine
from bimed_dist.pretraining.micro_batch import to_tensors
from bimed_dist.recipe.pretraining import SentenceObjective
from bimed_dist.shards.packing import PackedBatch

METRIC_PREFIXES = {"next_sentence": "nsp", "sentence_order": "sop"}


def averages(sums: Sequence[float], masked: float, rows: float, objective: SentenceObjective) -> dict[str, float]:
    """Return averages per masked token and per row.

    `sums` are of MLM losses, sentence losses, correct MLM predictions and correct sentence predictions.
    """
    mlm, pair, mlm_correct, pair_correct = sums
    masked, rows = max(masked, 1.0), max(rows, 1.0)
    values = {"mlm_loss": mlm / masked, "mlm_accuracy": mlm_correct / masked}
    if objective in METRIC_PREFIXES:
        name = METRIC_PREFIXES[objective]
        values |= {f"{name}_loss": pair / rows, f"{name}_accuracy": pair_correct / rows}
    return values


@dataclass(frozen=True)
class HeldOut:
    """Held-out rows for validation."""

    batches: Sequence[PackedBatch]
    """This rank's share of the rows, with the same masks at every validation."""
    languages: Sequence[str]
    sources: Sequence[str]
    characters: NDArray[np.int64]
    """(V,) number of characters of every token."""


@torch.no_grad()
def validate(
    engine: Engine, module: PackedPretraining, held_out: HeldOut, objective: SentenceObjective
) -> dict[str, object]:
    """Return averages over the batches of all ranks, and by language and source of segment A.

    They include the bits per character of masked text, which are comparable between vocabularies.
    """
    module.eval()
    languages, sources = held_out.languages, held_out.sources
    # Every row counts once in its language and once in its source.
    names = [*languages, *sources]
    # Columns: the four sums of `averages`, masked tokens, rows, characters of masked tokens.
    sums = torch.zeros(len(names), 7, dtype=torch.float64)
    for batch in held_out.batches:
        values = [v.cpu().double() for v in engine.forward(to_tensors(batch, engine.device))]
        row = torch.from_numpy(np.searchsorted(batch.row_starts, batch.masked_positions, side="right") - 1)
        for codes in (batch.languages.astype(np.int64), len(languages) + batch.sources.astype(np.int64)):
            row_group = torch.from_numpy(codes)
            token_group = row_group[row]
            for column, (value, group) in enumerate(zip(values, [token_group, row_group] * 2, strict=True)):
                sums[:, column].index_add_(0, group, value)
            for column, group in ((4, token_group), (5, row_group)):
                sums[:, column] += torch.bincount(group, minlength=len(names))
            sums[:, 6].index_add_(0, token_group, torch.from_numpy(held_out.characters[batch.mlm_labels]).double())
    sums = engine.sums(sums).cpu()
    module.train()

    def named(part: Tensor) -> dict[str, float]:
        *values, masked, rows, characters = part.tolist()
        bits = values[0] / math.log(2) / max(characters, 1.0)
        return {**averages(values, masked, rows, objective), "mlm_bits_per_character": bits}

    def each(first: int, group: Sequence[str]) -> dict[str, dict[str, float]]:
        return {name: named(sums[first + i]) for i, name in enumerate(group) if sums[first + i, 5] > 0}

    return {
        **named(sums[: len(languages)].sum(0)),
        "by_language": each(0, languages),
        "by_source": each(len(languages), sources),
    }
