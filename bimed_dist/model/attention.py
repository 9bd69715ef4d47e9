"""Block-diagonal attention over one flat row of packed tokens.

A micro-batch is a flat sequence of T real tokens: its rows one after another, without padding. transformers passes
this sequence to an attention function registered as `packed`, in which each token attends to its own row only. (With
transformers' own sdpa, eager and flex functions, packed rows would silently attend to each other.)

The first of three kernels that supports device, precision and dropout is used:
* `varlen`: torch.nn.attention.varlen on CUDA in half precision; it has no attention dropout;
* `flash`: the package flash-attn if it is installed, on CUDA in half precision with attention dropout;
* `padded`: rows are gathered into rectangles of similar length around scaled_dot_product_attention. On a CPU in full
  precision with attention dropout, for which torch has no fused kernel, plain operators replace it.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from bimed_dist.model.dropout import dropout_mask

NAME = "packed"
_LENGTH_STEP = 32
"""Rows whose lengths round up to the same multiple share a rectangle."""


@dataclass(frozen=True)
class Rectangle:
    """Rows of similar length inside the padded buffer."""

    start: int
    """First slot in the padded buffer."""
    rows: int
    length: int
    mask: Tensor | None
    """(rows, 1, 1, length) bool, True at real tokens; None if there is no padding."""


@dataclass(frozen=True)
class Padded:
    """The layout of the `padded` kernel."""

    rectangles: tuple[Rectangle, ...]
    to_padded: Tensor
    """(P,) int64: token in each slot; a padding slot repeats its row's first token and is masked."""
    from_padded: Tensor
    """(T,) int64: slot of each token."""


@dataclass(frozen=True)
class Packing:
    """Where each row lies in the flat sequence; prepared once per micro-batch and shared by all layers."""

    starts: np.ndarray
    """(B + 1,) first token of each row, then T."""
    cumulative: Tensor
    """The same as int32 on the device."""
    longest: int
    """Tokens of the longest row."""

    @cached_property
    def padded(self) -> Padded:
        """The layout for `padded`, computed on first use: the other kernels do not need it."""
        return _padded(self.starts, self.cumulative.device)


def packing(starts: np.ndarray, device: torch.device) -> Packing:
    """Return the packing for row boundaries `starts` (B + 1,), of which the last is T."""
    return Packing(starts, on_device(starts.astype(np.int32), device), int(np.diff(starts).max()))


def on_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Return `array` as a tensor; the copy to a GPU is asynchronous."""
    values = torch.from_numpy(array)
    # A copy from memory that is not pinned waits until the GPU has finished its queue.
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


def _padded(starts: np.ndarray, device: torch.device) -> Padded:
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
        mask = None if real.all() else on_device(real, device)[:, None, None, :]
        rectangles.append(Rectangle(slot, len(rows), length, mask))
        to_padded.append(tokens.ravel())
        slot += tokens.size
    return Padded(tuple(rectangles), on_device(np.concatenate(to_padded), device), on_device(from_padded, device))


def kernel_name(device: torch.device, dtype: torch.dtype, dropout: float) -> str:
    """Return `varlen`, `flash` or `padded`."""
    if device.type != "cuda" or dtype not in (torch.bfloat16, torch.float16):
        return "padded"
    if dropout == 0.0:
        return "varlen"
    return "flash" if _has_flash_attn() else "padded"


@cache
def _has_flash_attn() -> bool:
    return find_spec("flash_attn") is not None


@torch.compiler.disable  # the rectangles differ between micro-batches
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
    """Return attention outputs (1, T, heads, head size) for q, k, v of shape (1, heads, T, head size)."""
    flat = [x[0].transpose(0, 1) for x in (query, key, value)]  # (T, heads, head size)
    bounds, longest = packing.cumulative, packing.longest
    # Both kernels scale by 1 / sqrt(head size) as BERT does; torch 2.10's takes no other scale.
    match kernel_name(query.device, query.dtype, dropout):
        case "varlen":
            from torch.nn.attention.varlen import varlen_attn  # missing in CPU-only builds of older torch

            return varlen_attn(*flat, bounds, bounds, longest, longest)[None], None
        case "flash":
            from flash_attn import flash_attn_varlen_func

            return flash_attn_varlen_func(*flat, bounds, bounds, longest, longest, dropout_p=dropout)[None], None
    layout = packing.padded
    padded = [x.index_select(0, layout.to_padded) for x in flat]
    outputs = []
    for part in layout.rectangles:
        q, k, v = (
            x[part.start : part.start + part.rows * part.length].unflatten(0, (part.rows, part.length)).transpose(1, 2)
            for x in padded
        )
        # In half precision torch keeps scores and weights in float32; plain operators would not.
        if dropout and q.device.type == "cpu" and q.dtype in (torch.float32, torch.float64):
            out = _with_dropout(q, k, v, part.mask, dropout, scaling)
        else:
            out = scaled_dot_product_attention(q, k, v, attn_mask=part.mask, dropout_p=dropout, scale=scaling)
        outputs.append(out.transpose(1, 2).flatten(0, 1))
    return torch.cat(outputs).index_select(0, layout.from_padded)[None], None


def _with_dropout(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float, scaling: float | None
) -> Tensor:
    """Compute scaled_dot_product_attention on a CPU in full precision with our dropout."""
    scores = (q * (scaling or q.shape[-1] ** -0.5)) @ k.transpose(-1, -2)  # (rows, heads, length, length)
    if mask is not None:
        scores.masked_fill_(~mask, -torch.inf)
    weights = scores.softmax(-1)
    return (weights * dropout_mask(weights, dropout)) @ v


AttentionInterface.register(NAME, packed_attention)
