"""Evaluation without training: masked-LM and next-sentence with a checkpoint's own heads, and sentence retrieval.

MLM: 15 % of the words of each window (at least one) are masked, chosen by (seed, window, word) alone, so that every
model predicts the same words. All tokens of a chosen word become [MASK]. Bits per character = bits of the masked words'
tokens / characters of these words; of all scores only this one compares across vocabularies. Two advantages remain: the
number of [MASK] reveals how many tokens a word has, and a vocabulary that folds case or accents has less to predict.
[UNK] is cheap to predict and says nothing about the word, so it is never right and costs UNKNOWN_BITS per character on
top.

Retrieval: each sentence is a query for its translation among all sentences of the other language, by the cosine
similarity of the mean of the last layer. The ranks show whether the two languages share one embedding space before any
task has aligned them.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from bimed_dist.errors import DataError
from bimed_dist.evaluation.models.encoding import EncodedRow, encode_texts
from bimed_dist.evaluation.models.finetuning import (
    autocast,
    map_micro_batches,
    micro_batch_tokens,
    pad_rows,
    require_finite,
)
from bimed_dist.evaluation.models.loading import mean_pooled
from bimed_dist.evaluation.task import Example

MASK_RATE = 0.15
UNKNOWN_BITS = 16.0
"""Bits of a character in UTF-16."""
MLM_MICRO_BATCH_TOKENS = 4_096
"""Limit of tokens per forward pass, because logits are tokens x vocabulary."""


def words_to_mask(example: Example, seed: int) -> np.ndarray:
    """Return (words,) bool."""
    if example.target is not None:
        return np.array(example.target, dtype=bool)
    digests = [hashlib.sha256(f"{seed} {example.id} {i}".encode()).digest()[:8] for i in range(len(example.texts))]
    drawn = np.array([int.from_bytes(digest, "big") for digest in digests]) / 2**64
    return (drawn < MASK_RATE) | (drawn == drawn.min())


@dataclass(frozen=True)
class _MaskedWindow:
    """A window with masked tokens. M is the number of masked tokens."""

    row: EncodedRow
    positions: np.ndarray
    """(M,) positions in the row."""
    ids: np.ndarray
    """(M,) ids before masking."""
    words: np.ndarray
    """(M,) word number of each masked token."""
    word_characters: np.ndarray
    """Characters of each word of the window, by word number."""
    token_characters: np.ndarray
    """(M,) characters of each masked token."""


def masked_lm_sums(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, windows: Sequence[Example], seed: int, limit: int
) -> list[np.ndarray]:
    """Return `metrics.MLM_SUMS` of every window. Words that `limit` tokens truncate are not masked.

    Raises DataError if the tokenizer has no mask token, NonFiniteError if an output is not finite.
    """
    if tokenizer.mask_token_id is None:
        raise DataError("the tokenizer has no mask token")
    masked = [_mask(tokenizer, window, seed, limit) for window in windows]

    def compute(numbers: np.ndarray) -> list[np.ndarray]:
        batch = [masked[i] for i in numbers]
        return [
            _window_sums(window, nats, correct, tokenizer.unk_token_id)
            for window, (nats, correct) in zip(batch, _token_scores(model, tokenizer, batch), strict=True)
        ]

    rows = [window.row for window in masked]
    return map_micro_batches(rows, min(MLM_MICRO_BATCH_TOKENS, micro_batch_tokens()), compute)


def _mask(tokenizer: PreTrainedTokenizerBase, window: Example, seed: int, limit: int) -> _MaskedWindow:
    output = tokenizer([list(window.texts)], is_split_into_words=True, truncation=True, max_length=limit, padding=False)
    encoding = output.encodings[0]
    ids = np.asarray(encoding.ids, dtype=np.int64)
    word_of_token = np.array([-1 if word is None else word for word in encoding.word_ids])
    chosen = words_to_mask(window, seed)
    if encoding.overflowing:
        # The last word may have lost tokens: neither it nor the words after it are masked.
        chosen[word_of_token.max(initial=0) :] = False
    positions = np.flatnonzero((word_of_token >= 0) & chosen[np.maximum(word_of_token, 0)])
    inputs = ids.copy()
    inputs[positions] = tokenizer.mask_token_id
    segment_ids = np.zeros_like(ids) if "token_type_ids" in output else None
    return _MaskedWindow(
        row=EncodedRow(inputs, segment_ids, np.empty(0)),
        positions=positions,
        ids=ids[positions],
        words=word_of_token[positions],
        word_characters=np.array([len(text) for text in window.texts]),
        token_characters=np.array([end - begin for begin, end in encoding.offsets])[positions],
    )


@torch.inference_mode()
def _token_scores(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch: Sequence[_MaskedWindow]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return ((M,) negative log likelihood in nats, (M,) whether the token is predicted) of each window."""
    with autocast():
        logits = model(**pad_rows([window.row for window in batch], tokenizer.pad_token_id)).logits
    scores = []
    for window, row_logits in zip(batch, logits, strict=True):
        masked = require_finite(row_logits[torch.from_numpy(window.positions).to(row_logits.device)].float().cpu())
        ids = torch.from_numpy(window.ids)
        nats = functional.cross_entropy(masked, ids, reduction="none").numpy().astype(np.float64)
        correct = (masked.argmax(-1) == ids).numpy() & (window.ids != tokenizer.unk_token_id)
        scores.append((nats, correct))
    return scores


def _window_sums(window: _MaskedWindow, nats: np.ndarray, correct: np.ndarray, unknown_id: int | None) -> np.ndarray:
    words = np.unique(window.words)
    wrong = np.unique(window.words[~correct])
    bits = nats.sum() / np.log(2) + UNKNOWN_BITS * window.token_characters[window.ids == unknown_id].sum()
    return np.array(
        [
            bits,
            window.word_characters[words].sum(),
            nats.sum(),
            len(nats),
            correct.sum(),
            len(words),
            len(words) - len(wrong),
        ],
        dtype=np.float64,
    )


def sentence_pairs(examples: Sequence[Example], seed: int) -> tuple[list[tuple[str, str]], np.ndarray]:
    """Return ((first, second) pairs, is_next): each example itself, then its first text with a second text of another
    document in the same language, because two languages would give a random pair away.

    Raises DataError if a language has only one document.
    """
    rng = np.random.default_rng(seed)
    document = [example.document for example in examples]
    by_language: dict[str, list[int]] = {}
    for i, example in enumerate(examples):
        by_language.setdefault(example.language, []).append(i)
    for language, members in by_language.items():
        if len({document[i] for i in members}) < 2:
            raise DataError(f"a single held-out document in {language}: there is no random sentence from another one")
    pairs: list[tuple[str, str]] = []
    is_next: list[int] = []
    for i, example in enumerate(examples):
        partners = by_language[example.language]
        partner = partners[rng.integers(len(partners))]
        while document[partner] == document[i]:
            partner = partners[rng.integers(len(partners))]
        pairs += [(example.texts[0], example.texts[1]), (example.texts[0], examples[partner].texts[1])]
        is_next += [1, 0]
    return pairs, np.array(is_next)


@torch.inference_mode()
def next_probabilities(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[tuple[str, str]], limit: int
) -> np.ndarray:
    """Return (pairs,) probability of IsNext, which is output 0 of BERT's head.

    Raises NonFiniteError if an output is not finite.
    """
    rows = encode_texts(tokenizer, list(pairs), limit)

    def compute(numbers: np.ndarray) -> np.ndarray:
        with autocast():
            logits = model(**pad_rows([rows[i] for i in numbers], tokenizer.pad_token_id)).logits
        return require_finite(logits.float().cpu()).softmax(-1)[:, 0].numpy()

    return np.array(map_micro_batches(rows, micro_batch_tokens(), compute), dtype=np.float64)


# ------------------------------------------------------------------------------------------------------------ retrieval


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
