"""Zero-shot sentence retrieval across two languages: mean of the last layer, cosine similarity, no training.

Each sentence is a query for its translation among all sentences of the other language. The ranks show whether the two
languages share one embedding space before any task has aligned them.
"""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from bimed_dist.evaluation.models.encoding import encode_texts
from bimed_dist.evaluation.models.finetuning import (
    autocast,
    map_micro_batches,
    micro_batch_tokens,
    pad_rows,
    require_finite,
)
from bimed_dist.evaluation.models.loading import mean_pooled
from bimed_dist.evaluation.task import Example


def translation_ranks(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Example], limit: int
) -> list[np.ndarray]:
    """Return (2,) for every pair: rank of the second text among the results for the first, and vice versa; 1 is best.

    Ties count against the translation, so that equal vectors for all sentences are no hits.
    """
    first, second = (
        sentence_embeddings(model, tokenizer, [pair.texts[side] for pair in pairs], limit) for side in (0, 1)
    )
    similarity = first @ second.T
    correct = np.diag(similarity)
    forward = (similarity >= correct[:, None]).sum(axis=1)
    backward = (similarity >= correct[None, :]).sum(axis=0)
    return list(np.stack([forward, backward], axis=1).astype(np.float64))


@torch.inference_mode()
def sentence_embeddings(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], limit: int
) -> np.ndarray:
    """Return (texts, width) unit vectors. Raises NonFiniteError if an output is not finite."""
    rows = encode_texts(tokenizer, list(texts), limit)

    def compute(numbers: np.ndarray) -> np.ndarray:
        with autocast():
            means = mean_pooled(model, pad_rows([rows[i] for i in numbers], tokenizer.pad_token_id))
        return require_finite(means.float().cpu()).numpy()

    vectors = np.array(map_micro_batches(rows, micro_batch_tokens(), compute), dtype=np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
