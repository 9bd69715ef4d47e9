"""Masked language modelling: which tokens of a packed batch are hidden, by what, and what they were.

Every draw is a hash of (seed, epoch, row, position in the row), so a row is masked the same in whatever batch, on
whatever rank, before or after a restart.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bimed_dist.shards import chance
from bimed_dist.shards.reading import TokenTable

# T tokens of all rows one after another, B rows, M masked tokens.

_32 = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True, kw_only=True)
class MaskRule:
    rate: float = 0.15
    """Share of the ordinary tokens (or words) that are to be predicted."""
    unit: Literal["token", "word"] = "token"
    """`word`: a piece and the ## pieces after it are masked together and in the same way. After BERT's pre-tokenizer
    that is a Korean eojeol up to punctuation: `CT상` is one word, `T1-weighted` three, each Chinese character one."""
    mask_token_share: float = 0.8
    """Of the masked ones, the share that is replaced by [MASK]."""
    random_token_share: float = 0.1
    """Of the masked ones, the share that is replaced by a random ordinary token; the rest stays as it is."""


@dataclass(frozen=True)
class Masked:
    input_ids: NDArray[np.int64]
    """(T,)"""
    positions: NDArray[np.int64]
    """(M,) ascending positions in the flat batch."""
    labels: NDArray[np.int64]
    """(M,) what stood there."""


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
) -> Masked:
    """Mask a packed batch of (T,) ids in B rows, numbered `rows`, that begin at `row_starts` (B + 1,).

    Special tokens are never chosen ([UNK] neither: there is nothing to learn from predicting it). A row in which no
    token was drawn gets its lowest draw masked, as long as it has an ordinary token.
    """
    row_lengths = np.diff(row_starts)
    row_keys = chance.draws(chance.key("mask", seed=seed, epoch=epoch), rows)
    bits = chance.draws(np.repeat(row_keys, row_lengths), position_ids)
    ordinary = ~tokens.is_special.take(token_ids)
    if rule.unit == "word":
        bits = _of_word(bits, token_ids, tokens)
    # The upper half of the bits chooses, the lower one says what replaces the token: independent of each other.
    draw = bits >> _32
    chosen = (draw < _threshold(rule.rate)) & ordinary
    _fill_empty_rows(chosen, draw, ordinary, row_starts)
    positions = np.flatnonzero(chosen)
    labels = token_ids.take(positions)
    return Masked(_replaced(token_ids, positions, labels, bits, position_ids, rule, tokens), positions, labels)


def _threshold(share: float) -> np.uint64:
    return np.uint64(round(share * 2**32))


def _of_word(bits: NDArray[np.uint64], token_ids: NDArray[np.int64], tokens: TokenTable) -> NDArray[np.uint64]:
    """(T,) the bits of the first piece of each token's word; special tokens are words, so no word crosses them."""
    begins = ~tokens.continues_word.take(token_ids)
    return bits[begins].take(np.cumsum(begins) - 1)


def _fill_empty_rows(
    chosen: NDArray[np.bool_], draw: NDArray[np.uint64], ordinary: NDArray[np.bool_], row_starts: NDArray[np.integer]
) -> None:
    """Choose, in place, the lowest draw of every row without a chosen token; all pieces of a word share theirs."""
    for row in np.flatnonzero(~np.logical_or.reduceat(chosen, row_starts[:-1])):
        here = slice(row_starts[row], row_starts[row + 1])
        if ordinary[here].any():
            chosen[here] = ordinary[here] & (draw[here] == draw[here][ordinary[here]].min())


def _replaced(
    token_ids: NDArray[np.int64],
    positions: NDArray[np.int64],
    labels: NDArray[np.int64],
    bits: NDArray[np.uint64],
    position_ids: NDArray[np.int64],
    rule: MaskRule,
    tokens: TokenTable,
) -> NDArray[np.int64]:
    bits = bits.take(positions)
    kind = bits & _LOW
    hidden = kind < _threshold(rule.mask_token_share)
    random = ~hidden & (kind < _threshold(rule.mask_token_share + rule.random_token_share))
    # Hashed once more with the position: the pieces of one word share their bits but not their random tokens.
    fresh = chance.draws(bits[random], position_ids.take(positions[random]) + 1)
    replaced = np.where(hidden, tokens.mask, labels)
    replaced[random] = tokens.ordinary_ids[chance.below(fresh, len(tokens.ordinary_ids))]
    input_ids = token_ids.copy()
    input_ids[positions] = replaced
    return input_ids
