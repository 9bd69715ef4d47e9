"""Block-diagonal attention over one flat row of packed tokens.

A micro-batch is one row of T real tokens, the sentence pairs one after another, with no padding anywhere.
transformers hands this row to an attention function registered as `packed`; each token may see its own pair only.
(With transformers' own sdpa, eager and flex functions packed rows would silently see each other.)

Two kernels:
* `varlen`: torch.nn.attention.varlen on CUDA in half precision, without attention dropout, which the kernel lacks;
* `padded`: pairs are gathered into rectangles of similar length, only around scaled_dot_product_attention.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME = "packed"
_LENGTH_STEP = 32
"""Pairs whose lengths round up to the same multiple share a rectangle."""


@dataclass(frozen=True)
class Rectangle:
    """Pairs of similar length inside the padded buffer."""

    start: int
    """First slot in the padded buffer."""
    rows: int
    length: int
    mask: Tensor | None
    """(rows, 1, 1, length) bool, True at real tokens; None where nothing is padding."""


@dataclass(frozen=True)
class Packing:
    """Where each pair lies in the flat row, prepared once per micro-batch and shared by all layers."""

    cumulative: Tensor
    """(B + 1,) int32: pair i is tokens cumulative[i] to cumulative[i + 1]."""
    longest: int
    rectangles: tuple[Rectangle, ...]
    to_padded: Tensor
    """(P,) int64: token of each padded slot (slot of a padding repeats the pair's first token and is masked)."""
    from_padded: Tensor
    """(T,) int64: padded slot of each token."""


def packing(starts: np.ndarray, device: torch.device) -> Packing:
    """Packing for row boundaries `starts` (B + 1,), the last being T."""
    lengths = np.diff(starts)
    rounded = -(-lengths // _LENGTH_STEP) * _LENGTH_STEP
    to_padded, rectangles, slot = [], [], 0
    from_padded = np.empty(starts[-1], np.int64)
    for size in np.unique(rounded):
        rows = np.flatnonzero(rounded == size)
        length = int(lengths[rows].max())
        columns = np.arange(length)
        real = columns[None, :] < lengths[rows, None]
        tokens = np.where(real, starts[rows, None] + columns[None, :], starts[rows, None])
        from_padded[tokens[real]] = slot + np.flatnonzero(real)
        mask = None if real.all() else torch.from_numpy(real)[:, None, None, :].to(device, non_blocking=True)
        rectangles.append(Rectangle(slot, len(rows), length, mask))
        to_padded.append(tokens.ravel())
        slot += tokens.size
    return Packing(
        cumulative=torch.from_numpy(starts.astype(np.int32)).to(device, non_blocking=True),
        longest=int(lengths.max()),
        rectangles=tuple(rectangles),
        to_padded=torch.from_numpy(np.concatenate(to_padded)).to(device, non_blocking=True),
        from_padded=torch.from_numpy(from_padded).to(device, non_blocking=True),
    )


def kernel_name(device: torch.device, dtype: torch.dtype, dropout: float) -> str:
    """`varlen` where it can do what is asked, else `padded`."""
    half = dtype in (torch.bfloat16, torch.float16)
    return "varlen" if device.type == "cuda" and half and dropout == 0.0 else "padded"


def packed_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    packing: Packing,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """Attention for q, k, v of shape (1, heads, T, head width); returns (1, T, heads, head width)."""
    flat = [x[0].transpose(0, 1) for x in (query, key, value)]  # (T, heads, head width)
    if kernel_name(query.device, query.dtype, dropout) == "varlen":
        from torch.nn.attention.varlen import varlen_attn  # not in CPU-only builds of older torch

        bounds, longest = packing.cumulative, packing.longest
        return varlen_attn(*flat, bounds, bounds, longest, longest, scale=scaling)[None], None
    padded = [x.index_select(0, packing.to_padded) for x in flat]
    outputs = []
    for part in packing.rectangles:
        q, k, v = (
            x[part.start : part.start + part.rows * part.length].unflatten(0, (part.rows, part.length)).transpose(1, 2)
            for x in padded
        )
        out = scaled_dot_product_attention(q, k, v, attn_mask=part.mask, dropout_p=dropout, scale=scaling)
        outputs.append(out.transpose(1, 2).flatten(0, 1))
    return torch.cat(outputs).index_select(0, packing.from_padded)[None], None


AttentionInterface.register(NAME, packed_attention)
