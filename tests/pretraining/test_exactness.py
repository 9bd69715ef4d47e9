"""Loss and gradient of real rows, packed and in micro-batches, against Hugging Face's own padded models in float64."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import BertForMaskedLM, BertForPreTraining

from bimed_dist.model.packed import PackedPretraining
from bimed_dist.pretraining.micro_batch import to_tensors
from bimed_dist.recipe.pretraining import PretrainingSettings
from bimed_dist.shards.batches import PhaseBatches
from bimed_dist.shards.packing import PackedBatch
from bimed_dist.shards.reading import ShardSet

# Sums of some ten thousand float64 products in another order; the largest difference found is 4e-14.
TOLERANCE = {"rtol": 1e-10, "atol": 1e-12}


def padded(parts: list[PackedBatch]) -> dict[str, Tensor]:
    """All rows of the micro-batches as Hugging Face's models take them, padded to the longest."""
    length = max(int(np.diff(part.row_starts).max()) for part in parts)
    columns: dict[str, list[np.ndarray]] = {}
    for part in parts:
        labels = np.full(len(part.input_ids), -100)
        labels[part.masked_positions] = part.mlm_labels
        flat = {"input_ids": part.input_ids, "token_type_ids": part.token_type_ids, "labels": labels}
        flat["attention_mask"] = np.ones(len(labels), np.int64)
        for start, end in zip(part.row_starts[:-1], part.row_starts[1:], strict=True):
            for name, values in flat.items():
                row = np.full(length, -100 if name == "labels" else 0)
                row[: end - start] = values[start:end]
                columns.setdefault(name, []).append(row)
    labels = {"next_sentence_label": torch.from_numpy(np.concatenate([part.nsp_labels for part in parts]))}
    return {name: torch.from_numpy(np.stack(rows)) for name, rows in columns.items()} | labels


def gradients(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("pairing", ["segments", "sentences"])
@pytest.mark.parametrize("objective", ["next_sentence", "sentence_order", "none"])
def test_loss_and_gradient_of_a_global_batch_are_those_of_hugging_face(prepared, pairing: str, objective: str):
    folder, shards = prepared.work / "model" / "tiny", ShardSet.open(prepared.work / "shards" / "tokens", "train")
    settings = PretrainingSettings(
        model="m", shards="s", steps=1, global_batch=11, micro_batch=3, max_length=56, pairing=pairing,
        sentence_objective=objective,
    )  # fmt: skip
    parts = PhaseBatches(shards, settings, seed=4).step_batches(0, rank=0, world_size=1)
    assert len(parts) == 4 and len({int(n) for part in parts for n in np.diff(part.row_starts)}) > 3
    masked = sum(len(part.mlm_labels) for part in parts)

    load: Callable[..., torch.nn.Module] = BertForMaskedLM if objective == "none" else BertForPreTraining
    theirs = load.from_pretrained(folder, dtype=torch.float64).eval()
    inputs = padded(parts)
    if objective == "none":
        del inputs["next_sentence_label"]
    expected = theirs(**inputs).loss
    expected.backward()

    model = BertForPreTraining.from_pretrained(folder, dtype=torch.float64).eval()
    module, total = PackedPretraining(model, sentence_objective=objective != "none"), 0.0
    for part in parts:
        mlm, pair, _, _ = module(to_tensors(part, torch.device("cpu")))
        loss = mlm.sum() / masked + pair.sum() / settings.global_batch
        loss.backward()
        total += loss.detach()
    torch.testing.assert_close(total, expected.detach(), **TOLERANCE)
    found, wanted = gradients(model), gradients(theirs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], **TOLERANCE)
