"""Aligned sentences found across two languages by an encoder as it is: mean of its last layer, cosine, no training.

Each sentence of either side asks for its partner among all sentences of the other side. What the ranks say: whether the
two languages share one space before any task has aligned them.
"""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from bimed_dist.evaluation.models.encoding import rows_to_read
from bimed_dist.evaluation.models.finetuning import autocast, finite, in_passes, padded, pass_pieces
from bimed_dist.evaluation.models.loading import mean_of_pieces
from bimed_dist.evaluation.task import Example


def partner_ranks(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Example], limit: int
) -> list[np.ndarray]:
    """(2,) for every pair: rank of the second text for the first, and of the first for the second; 1 is the best.

    Sentences as near as the partner count before it, so that equal vectors are no hits.
    """
    first, second = (embeddings(model, tokenizer, [pair.texts[i] for pair in pairs], limit) for i in (0, 1))
    near = first @ second.T
    right = np.diag(near)
    forward, backward = (near >= right[:, None]).sum(axis=1), (near >= right[None, :]).sum(axis=0)
    return list(np.stack([forward, backward], axis=1).astype(np.float64))


@torch.inference_mode()
def embeddings(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], limit: int
) -> np.ndarray:
    """(texts, width) of length 1. Raises NonFiniteError for outputs that are not finite."""
    rows = rows_to_read(tokenizer, list(texts), limit)

    def means_of(numbers: np.ndarray) -> np.ndarray:
        with autocast():
            means = mean_of_pieces(model, padded([rows[i] for i in numbers], tokenizer.pad_token_id))
        return finite(means.float().cpu()).numpy()

    vectors = np.array(in_passes(rows, pass_pieces(), means_of), dtype=np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
