"""Dropout on CPUs that draws 16 random bits per value.

torch draws one number per value, and does so serially on processors other than Intel's: 7 % of a BERT-base step on two
cores of an AMD EPYC (docs/performance.md). Here four values share a draw of 64 bits, and all processors drop the same
values.
"""

import torch
from torch import Tensor, nn

_BITS = 16


class Dropout(nn.Dropout):
    """Draw by `dropout_mask` on a CPU; torch's own dropout on other devices."""

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or not self.p or values.device.type != "cpu":
            return super().forward(values)
        return values * dropout_mask(values, self.p)


def dropout_mask(values: Tensor, p: float) -> Tensor:
    """Return factors in the shape and type of `values`: 0 with probability p, else 1 / (1 - p).

    p is rounded to a multiple of 2**-16 and the scale follows the rounded p, so the mean is unchanged (in half
    precision, up to the rounding of the scale). Only torch's generator decides which values are dropped, not the
    number of threads.
    """
    steps = 2**_BITS
    dropped = min(round(p * steps), steps - 1)
    draws = torch.empty(-(-values.numel() * _BITS // 64), dtype=torch.int64).random_(-(2**63), None)
    bits = draws.view(torch.int16)[: values.numel()].view(values.shape)
    return (bits >= dropped - steps // 2).to(values.dtype).mul_(steps / (steps - dropped))


def replace_dropout(model: nn.Module) -> None:
    """Replace every torch.nn.Dropout of a model by `Dropout`."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p).train(child.training))
