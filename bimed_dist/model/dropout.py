"""Dropout on CPUs from 16 random bits for each number.

torch draws a number for each value, one after the other on processors that are not Intel's, and that was 7 % of a step
of BERT-base on two cores of an AMD EPYC (docs/performance.md). Here four values share a draw of 64 bits, and every make
of processor drops the same ones.
"""

import torch
from torch import Tensor, nn

_BITS = 16


class Dropout(nn.Dropout):
    """torch's own anywhere but on a CPU."""

    def forward(self, given: Tensor) -> Tensor:
        if not self.training or not self.p or given.device.type != "cpu":
            return super().forward(given)
        return given * kept(given, self.p)


def kept(given: Tensor, p: float) -> Tensor:
    """What to multiply `given` with, in its shape and type: 0 with the probability p, else 1 / (1 - p).

    p is rounded to a multiple of 2**-16 and the scale is that of the rounded p, so that the mean stays the same (in
    half precision as nearly as the scale can be written). Which values are dropped follows from torch's generator and
    not from the number of threads.
    """
    steps = 2**_BITS
    dropped = min(round(p * steps), steps - 1)
    draws = torch.empty(-(-given.numel() * _BITS // 64), dtype=torch.int64).random_(-(2**63), None)
    bits = draws.view(torch.int16)[: given.numel()].view(given.shape)
    return (bits >= dropped - steps // 2).to(given.dtype).mul_(steps / (steps - dropped))


def use_in(model: nn.Module) -> None:
    """Put `Dropout` in place of every torch.nn.Dropout of a model."""
    for part in list(model.modules()):
        for name, child in part.named_children():
            if type(child) is nn.Dropout:
                setattr(part, name, Dropout(child.p).train(child.training))
