"""Rows of an epoch plan as one packed, masked batch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bimed_dist.errors import ConfigError
from bimed_dist.recipe.pretraining import PretrainingSettings
from bimed_dist.shards.masking import MaskRule, mask_tokens
from bimed_dist.shards.plan import EpochPlan
from bimed_dist.shards.reading import ShardSet


@dataclass(frozen=True)
class PackedBatch:
    """B rows as one flat sequence of T real tokens without padding; M tokens are to be predicted.

    Each row is [CLS] A [SEP] B [SEP], or [CLS] A [SEP] without a sentence objective.
    """

    input_ids: NDArray[np.int64]
    """(T,) after masking."""
    token_type_ids: NDArray[np.int64]
    """(T,) 0 for [CLS] A [SEP], 1 for B [SEP]."""
    position_ids: NDArray[np.int64]
    """(T,) counted from 0 in every row."""
    row_starts: NDArray[np.int32]
    """(B + 1,) position of every row's [CLS], then T: the cu_seqlens of variable-length attention kernels."""
    masked_positions: NDArray[np.int64]
    """(M,) ascending positions in the flat sequence."""
    mlm_labels: NDArray[np.int64]
    """(M,) original ids at these positions."""
    nsp_labels: NDArray[np.int64]
    """(B,) 0 if B follows A, otherwise 1, as in Hugging Face's BertForPreTraining and AlbertForPreTraining."""
    rows: NDArray[np.int64]
    """(B,) row numbers in the epoch plan."""
    languages: NDArray[np.int8]
    """(B,) language of segment A, index into ShardSet.languages."""
    sources: NDArray[np.int16]
    """(B,) source of segment A, index into ShardSet.sources."""


def pack_rows(shards: ShardSet, plan: EpochPlan, rows: NDArray[np.int64], *, seed: int, rule: MaskRule) -> PackedBatch:
    """Read, lay out and mask `rows` of the plan."""
    a_length, b_length = plan.a_length[rows], plan.b_length[rows]
    num_rows = len(rows)
    row_starts = np.zeros(num_rows + 1, dtype=np.int64)
    np.cumsum(plan.lengths(rows), out=row_starts[1:])
    starts = row_starts[:-1]

    # (rows, 2): A and B of every row alternate, as read from the shards; the special tokens go between them.
    segment_starts, lengths = np.empty((num_rows, 2), dtype=np.int64), np.empty((num_rows, 2), dtype=np.int64)
    segment_starts[:, 0], segment_starts[:, 1] = plan.a_start[rows], plan.b_start[rows]
    lengths[:, 0], lengths[:, 1] = a_length, b_length
    token_ids = np.full(row_starts[-1], shards.tokens.sep, dtype=np.int64)
    token_ids[starts] = shards.tokens.cls
    is_text = np.ones(len(token_ids), dtype=bool)
    is_text[starts] = is_text[starts + a_length + 1] = is_text[row_starts[1:] - 1] = False
    token_ids[is_text] = shards.gather(segment_starts.ravel(), lengths.ravel())

    position_ids = np.arange(len(token_ids)) - np.repeat(starts, np.diff(row_starts))
    masked = mask_tokens(
        token_ids, position_ids, row_starts, rows, seed=seed, epoch=plan.epoch, rule=rule, tokens=shards.tokens
    )
    return PackedBatch(
        input_ids=masked.input_ids,
        token_type_ids=(position_ids >= np.repeat(a_length + 2, np.diff(row_starts))).astype(np.int64),
        position_ids=position_ids,
        row_starts=row_starts.astype(np.int32),
        masked_positions=masked.positions,
        mlm_labels=masked.labels,
        nsp_labels=(~plan.is_next[rows]).astype(np.int64),
        rows=rows,
        languages=plan.language[rows],
        sources=plan.source[rows],
    )


def mask_rule(shards: ShardSet, settings: PretrainingSettings) -> MaskRule:
    """Return the masking settings. Raises ConfigError for whole-word masking without a WordPiece vocabulary."""
    if settings.mask_unit == "word" and not shards.tokens.continuing_ids:
        raise ConfigError("mask_unit=word needs a vocabulary with tokens that start with ##; use mask_unit=token")
    return MaskRule(
        rate=settings.mask_rate,
        unit=settings.mask_unit,
        mask_token_share=settings.mask_token_share,
        random_token_share=settings.random_token_share,
    )
