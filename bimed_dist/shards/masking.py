"""Masking for MLM (Devlin et al. 2019), vectorized over a packed batch.

Every draw is a hash of (seed, epoch, row, position in the row), so a row is masked the same in any batch, on any rank,
and after a restart.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bimed_dist.shards import counter_rng
from bimed_dist.shards.reading import TokenTable

# T tokens of all rows one after another, B rows, M masked tokens.

_32 = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True, kw_only=True)
class MaskRule:
    rate: float = 0.15
    """Share of the tokens (or words) that are predicted; special tokens and [UNK] never are."""
    unit: Literal["token", "word"] = "token"
    """`word`: a token and the ## tokens after it are masked together and in the same way. With BERT's pre-tokenizer a
    word is a Korean eojeol up to punctuation: `CT상` is one word, `T1-weighted` three, each Chinese character one."""
    mask_token_share: float = 0.8
    """Share of the predicted tokens that are replaced by [MASK]."""
    random_token_share: float = 0.1
    """Share of the predicted tokens that are replaced by a random ordinary token; the rest is unchanged."""


@dataclass(frozen=True)
class MaskedTokens:
    input_ids: NDArray[np.int64]
    """(T,)"""
    positions: NDArray[np.int64]
    """(M,) ascending positions in the flat batch."""
    labels: NDArray[np.int64]
    """(M,) original ids at these positions."""


def mask_tokens(
    token_ids: NDArray[np.int64],
    position_ids: NDArray[np.int64],
    row_starts: NDArray[np.integer],
    rows: NDArray[np.int64],
    *,
    seed: int,
    epoch: int,
    rule: MaskRule,
    tokens: TokenTable,
) -> MaskedTokens:
    """Mask a packed batch of (T,) ids in B rows, numbered `rows`, that begin at `row_starts` (B + 1,).

    Special tokens and [UNK] are never chosen. If no token of a row is drawn, the ordinary token with the lowest draw is
    chosen, if the row has one.
    """
    row_lengths = np.diff(row_starts)
    row_keys = counter_rng.draws(counter_rng.key("mask", seed=seed, epoch=epoch), rows)
    bits = counter_rng.draws(np.repeat(row_keys, row_lengths), position_ids)
    ordinary = ~tokens.is_special.take(token_ids)
    if rule.unit == "word":
        bits = _share_within_words(bits, token_ids, tokens)
    # The upper half of the bits chooses the token, the lower half its replacement: they are independent.
    draw = bits >> _32
    chosen = (draw < _threshold(rule.rate)) & ordinary
    _fill_empty_rows(chosen, draw, ordinary, row_starts)
    positions = np.flatnonzero(chosen)
    labels = token_ids.take(positions)
    return MaskedTokens(_replace(token_ids, positions, labels, bits, position_ids, rule, tokens), positions, labels)


def _threshold(share: float) -> np.uint64:
    return np.uint64(round(share * 2**32))


def _share_within_words(
    bits: NDArray[np.uint64], token_ids: NDArray[np.int64], tokens: TokenTable
) -> NDArray[np.uint64]:
    """Give all tokens of a word the bits of its first one, (T,); special tokens are words, so no word crosses them."""
    begins = ~tokens.continues_word.take(token_ids)
    return bits[begins].take(np.cumsum(begins) - 1)


def _fill_empty_rows(
    chosen: NDArray[np.bool_], draw: NDArray[np.uint64], ordinary: NDArray[np.bool_], row_starts: NDArray[np.integer]
) -> None:
    """Choose, in place, the lowest draw of every row without a chosen token; the tokens of a word share their draw."""
    for row in np.flatnonzero(~np.logical_or.reduceat(chosen, row_starts[:-1])):
        span = slice(row_starts[row], row_starts[row + 1])
        if ordinary[span].any():
            chosen[span] = ordinary[span] & (draw[span] == draw[span][ordinary[span]].min())


def _replace(
    token_ids: NDArray[np.int64],
    positions: NDArray[np.int64],
    labels: NDArray[np.int64],
    bits: NDArray[np.uint64],
    position_ids: NDArray[np.int64],
    rule: MaskRule,
    tokens: TokenTable,
) -> NDArray[np.int64]:
    bits = bits.take(positions)
    draw = bits & _LOW
    hidden = draw < _threshold(rule.mask_token_share)
    random = ~hidden & (draw < _threshold(rule.mask_token_share + rule.random_token_share))
    # Hashed again with the position: the tokens of a word share their bits but not their random replacements.
    fresh = counter_rng.draws(bits[random], position_ids.take(positions[random]) + 1)
    replaced = np.where(hidden, tokens.mask, labels)
    replaced[random] = tokens.ordinary_ids[counter_rng.below(fresh, len(tokens.ordinary_ids))]
    input_ids = token_ids.copy()
    input_ids[positions] = replaced
    return input_ids
