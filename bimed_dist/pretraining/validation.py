"""Losses and accuracies of a global batch or of the held-out rows, under the names that metrics.jsonl has them by."""

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
from bimed_dist.shards.batches import PackedBatch

PAIR_NAMES = {"next_sentence": "nsp", "sentence_order": "sop"}


def averages(sums: Sequence[float], masked: float, rows: float, objective: SentenceObjective) -> dict[str, float]:
    """Per masked token and per row; `sums` are MLM losses, pair losses, right MLM guesses, right guesses of pairs."""
    mlm, pair, mlm_right, pair_right = sums
    masked, rows = max(masked, 1.0), max(rows, 1.0)
    found = {"mlm_loss": mlm / masked, "mlm_accuracy": mlm_right / masked}
    if objective in PAIR_NAMES:
        name = PAIR_NAMES[objective]
        found |= {f"{name}_loss": pair / rows, f"{name}_accuracy": pair_right / rows}
    return found


@dataclass(frozen=True)
class HeldOut:
    """What is validated on."""

    batches: Sequence[PackedBatch]
    """This rank's share of the rows, masked once for all."""
    languages: Sequence[str]
    sources: Sequence[str]
    characters: NDArray[np.int64]
    """(V,) characters of every piece."""


@torch.no_grad()
def validate(
    engine: Engine, module: PackedPretraining, held_out: HeldOut, objective: SentenceObjective
) -> dict[str, object]:
    """Averages over every rank's batches, and those of rows whose segment A is of each language and source.

    With them the bits per character of what was masked, which other vocabularies can be compared by.
    """
    module.eval()
    languages, sources = held_out.languages, held_out.sources
    # A row's values count once in its language and once in its source.
    names = [*languages, *sources]
    sums = torch.zeros(len(names), 7, dtype=torch.float64)
    for batch in held_out.batches:
        values = [v.cpu().double() for v in engine.forward(to_tensors(batch, engine.device))]
        row = torch.from_numpy(np.searchsorted(batch.row_starts, batch.masked_positions, side="right") - 1)
        for codes in (batch.languages.astype(np.int64), len(languages) + batch.sources.astype(np.int64)):
            of_row = torch.from_numpy(codes)
            of_token = of_row[row]
            for column, (value, group) in enumerate(zip(values, [of_token, of_row] * 2, strict=True)):
                sums[:, column].index_add_(0, group, value)
            for column, group in ((4, of_token), (5, of_row)):
                sums[:, column] += torch.bincount(group, minlength=len(names))
            sums[:, 6].index_add_(0, of_token, torch.from_numpy(held_out.characters[batch.mlm_labels]).double())
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
