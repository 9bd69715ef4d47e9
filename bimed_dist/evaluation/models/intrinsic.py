"""Masked words and next sentences with a checkpoint's own heads; nothing is trained.

MLM: 15 % of the words of each window (at least one) are chosen by (seed, window, word) alone, so that every model
fills the same words; all pieces of a chosen word become [MASK]. Bits per character = bits of the words' pieces /
characters of the words, the only one of the scores that compares across vocabularies. What it still favours: the
number of masks tells how many pieces a word has, and a vocabulary that folds case or accents has less to say. An
[UNK] would be cheap to predict and says nothing of the word, so that it costs UNKNOWN_BITS for every character on
top, and is never right.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from bimed_dist.errors import DataError
from bimed_dist.evaluation.models.encoding import Row, rows_to_read
from bimed_dist.evaluation.models.finetuning import autocast, finite, in_passes, padded, pass_pieces
from bimed_dist.evaluation.task import Example

MASK_RATE = 0.15
UNKNOWN_BITS = 16.0
"""A character of UTF-16, written out."""
MLM_PIECES = 4_096
"""Padded pieces per pass at most, for logits are pieces x vocabulary."""


def chosen_words(example: Example, seed: int) -> np.ndarray:
    """(words,) bool: the words to mask."""
    if example.target is not None:
        return np.array(example.target, dtype=bool)
    digests = [hashlib.sha256(f"{seed} {example.id} {i}".encode()).digest()[:8] for i in range(len(example.texts))]
    drawn = np.array([int.from_bytes(digest, "big") for digest in digests]) / 2**64
    return (drawn < MASK_RATE) | (drawn == drawn.min())


@dataclass(frozen=True)
class _Masked:
    row: Row
    at: np.ndarray
    """Positions of masked pieces."""
    ids: np.ndarray
    """What stood there."""
    word: np.ndarray
    """Number of the word that each masked piece is of."""
    characters: np.ndarray
    """Characters of each word of the window, by word number."""
    covered: np.ndarray
    """Characters that each masked piece stands for."""


def masked_word_sums(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, windows: Sequence[Example], seed: int, limit: int
) -> list[np.ndarray]:
    """`MLM_SUMS` of every window. Words cut off at `limit` pieces are not asked for.

    Raises DataError where the tokenizer has no mask, NonFiniteError for outputs that are not finite.
    """
    if tokenizer.mask_token_id is None:
        raise DataError("the tokenizer has no mask token")
    masked = [_mask(tokenizer, window, seed, limit) for window in windows]

    def sums(numbers: np.ndarray) -> list[np.ndarray]:
        batch = [masked[i] for i in numbers]
        return [
            _window_sums(item, nats, right, tokenizer.unk_token_id)
            for item, (nats, right) in zip(batch, _piece_scores(model, tokenizer, batch), strict=True)
        ]

    return in_passes([item.row for item in masked], min(MLM_PIECES, pass_pieces()), sums)


def _mask(tokenizer: PreTrainedTokenizerBase, window: Example, seed: int, limit: int) -> _Masked:
    found = tokenizer([list(window.texts)], is_split_into_words=True, truncation=True, max_length=limit, padding=False)
    encoding = found.encodings[0]
    ids = np.asarray(encoding.ids, dtype=np.int64)
    word = np.array([-1 if w is None else w for w in encoding.word_ids])
    wanted = chosen_words(window, seed)
    if encoding.overflowing:
        # The last word may have lost pieces: it and what follows are not asked for.
        wanted[word.max(initial=0) :] = False
    at = np.flatnonzero((word >= 0) & wanted[np.maximum(word, 0)])
    inputs = ids.copy()
    inputs[at] = tokenizer.mask_token_id
    types = np.zeros_like(ids) if "token_type_ids" in found else None
    characters = np.array([len(text) for text in window.texts])
    covered = np.array([end - begin for begin, end in encoding.offsets])
    return _Masked(Row(inputs, types, np.empty(0)), at, ids[at], word[at], characters, covered[at])


@torch.inference_mode()
def _piece_scores(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch: Sequence[_Masked]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(nats, right) of the masked pieces of each window."""
    with autocast():
        logits = model(**padded([item.row for item in batch], tokenizer.pad_token_id)).logits
    scores = []
    for item, row in zip(batch, logits, strict=True):
        asked = finite(row[torch.from_numpy(item.at).to(row.device)].float().cpu())
        ids = torch.from_numpy(item.ids)
        nats = functional.cross_entropy(asked, ids, reduction="none").numpy().astype(np.float64)
        right = (asked.argmax(-1) == ids).numpy() & (item.ids != tokenizer.unk_token_id)
        scores.append((nats, right))
    return scores


def _window_sums(item: _Masked, nats: np.ndarray, right: np.ndarray, unknown_id: int | None) -> np.ndarray:
    words = np.unique(item.word)
    wrong = np.unique(item.word[~right])
    bits = nats.sum() / np.log(2) + UNKNOWN_BITS * item.covered[item.ids == unknown_id].sum()
    return np.array(
        [
            bits,
            item.characters[words].sum(),
            nats.sum(),
            len(nats),
            right.sum(),
            len(words),
            len(words) - len(wrong),
        ],
        dtype=np.float64,
    )


def sentence_pairs(examples: Sequence[Example], seed: int) -> tuple[list[tuple[str, str]], np.ndarray]:
    """((first, second) pairs, is_next): every example as it is, and again with the second text of another document.

    Partners are drawn from the same language, as the model could tell the language otherwise.
    """
    rng = np.random.default_rng(seed)
    document = [example.document for example in examples]
    of_language: dict[str, list[int]] = {}
    for i, example in enumerate(examples):
        of_language.setdefault(example.language, []).append(i)
    for language, members in of_language.items():
        if len({document[i] for i in members}) < 2:
            raise DataError(f"a single held-out document in {language}: there is no random sentence from another one")
    pairs: list[tuple[str, str]] = []
    is_next: list[int] = []
    for i, example in enumerate(examples):
        partners = of_language[example.language]
        other = partners[rng.integers(len(partners))]
        while document[other] == document[i]:
            other = partners[rng.integers(len(partners))]
        pairs += [(example.texts[0], example.texts[1]), (example.texts[0], examples[other].texts[1])]
        is_next += [1, 0]
    return pairs, np.array(is_next)


@torch.inference_mode()
def next_probabilities(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[tuple[str, str]], limit: int
) -> np.ndarray:
    """(pairs,) probability of IsNext, which BERT has at index 0.

    Raises NonFiniteError for outputs that are not finite.
    """
    rows = rows_to_read(tokenizer, list(pairs), limit)

    def probabilities(numbers: np.ndarray) -> np.ndarray:
        with autocast():
            logits = model(**padded([rows[i] for i in numbers], tokenizer.pad_token_id)).logits
        return finite(logits.float().cpu()).softmax(-1)[:, 0].numpy()

    return np.array(in_passes(rows, pass_pieces(), probabilities), dtype=np.float64)
