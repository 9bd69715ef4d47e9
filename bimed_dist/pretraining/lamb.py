"""LAMB (You et al. 2020, arXiv 1904.00962, algorithm 2): Adam whose step is scaled by each tensor's own norm.

For batches of thousands of rows. It needs the norm of every whole tensor, so it does not go with ZeRO, which cuts them.
"""

from collections.abc import Callable

import torch
from torch import Tensor


class Lamb(torch.optim.Optimizer):
    """Tensors of groups with weight decay get the trust ratio; the others (biases, layer norms) plain Adam steps.

    The ratio is |w| / |update| and 1 where either is 0, as in the authors' TensorFlow code.
    """

    def __init__(self, groups: list[dict], *, lr: float, betas: tuple[float, float], eps: float) -> None:
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        assert closure is None, "gradients are computed by the caller"
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.sub_(self._update(weight, group))

    def _update(self, weight: Tensor, group: dict) -> Tensor:
        state, (beta1, beta2) = self.state[weight], group["betas"]
        if not state:
            state["step"] = 0
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
        state["step"] += 1
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        mean.lerp_(weight.grad, 1 - beta1)
        square.mul_(beta2).addcmul_(weight.grad, weight.grad, value=1 - beta2)
        spread = (square / (1 - beta2 ** state["step"])).sqrt_().add_(group["eps"])
        update = (mean / (1 - beta1 ** state["step"])).div_(spread)
        if not group["weight_decay"]:
            return update.mul_(group["lr"])
        update.add_(weight, alpha=group["weight_decay"])
        ratio = weight.norm() / update.norm()
        # Both norms stay on the device: a comparison in Python would wait for it at every tensor.
        return update.mul_(torch.where(ratio.isfinite() & (ratio > 0), ratio, 1.0) * group["lr"])
