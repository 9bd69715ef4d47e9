"""The learning rate as a function of the step; AdamW and LAMB, and which parameters have weight decay."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bimed_dist.recipe.pretraining import PretrainingSettings


def learning_rate(step: int, settings: PretrainingSettings, end: int | None = None) -> float:
    """Return the learning rate of a step, counted from 0: linear warm-up, then the schedule of a run of `end` steps.

    Without `end` it is `settings.steps`. One schedule spans both phases of a run. `wsd` is warm-up, stable, decay
    (Hu et al. 2024, MiniCPM): linear to 0 over the last `decay_steps`.
    """
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    end = settings.steps if end is None else end
    left = end - step
    falling = settings.decay_steps or end - settings.warmup_steps
    if settings.schedule == "constant" or left >= falling:
        return settings.learning_rate
    if settings.schedule == "cosine":
        return settings.learning_rate * (1 - math.cos(math.pi * left / falling)) / 2
    return settings.learning_rate * left / falling


def make_optimizer(model: nn.Module, settings: PretrainingSettings) -> torch.optim.Optimizer:
    """Return AdamW (Loshchilov and Hutter 2019) or LAMB; one-dimensional tensors (biases, layer norms) do not decay."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    common = {"lr": settings.learning_rate, "betas": settings.betas, "eps": settings.epsilon}
    return Lamb(groups, **common) if settings.optimizer == "lamb" else torch.optim.AdamW(groups, **common, fused=True)


class Lamb(torch.optim.Optimizer):
    """LAMB (You et al. 2020, arXiv 1904.00962, algorithm 2): Adam steps scaled by a trust ratio of each tensor.

    For batches of thousands of rows. The ratio is |weights| / |step|, and 1 if either norm is 0, as in the authors'
    TensorFlow code; groups without weight decay (biases, layer norms) take plain Adam steps. It needs the norm of every
    whole tensor, so it can't be combined with ZeRO, which partitions them.
    """

    def __init__(self, groups: list[dict], *, lr: float, betas: tuple[float, float], eps: float) -> None:
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        assert closure is None, "gradients are computed by the caller"
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.sub_(self._step_of(weight, group))

    def _step_of(self, weight: Tensor, group: dict) -> Tensor:
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
        # Both norms stay on the device: a comparison in Python would wait for the GPU at every tensor.
        return update.mul_(torch.where(ratio.isfinite() & (ratio > 0), ratio, 1.0) * group["lr"])
