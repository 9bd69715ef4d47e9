"""The learning rate as a function of the step; the optimizer, and which parameters decay."""

import math

import torch
from torch import nn

from bimed_dist.pretraining.lamb import Lamb
from bimed_dist.recipe.pretraining import PretrainingSettings


def learning_rate(step: int, settings: PretrainingSettings, end: int | None = None) -> float:
    """Rate of update `step`, counted from 0: linear warm-up, then what `schedule` says of a run of `end` steps.

    Without `end` it has `settings.steps`. In a run of two phases one schedule goes over both.
    `wsd` is warm-up, stable, decay (Hu et al. 2024, MiniCPM): linear to 0 over the last `decay_steps`.
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


def optimizer(model: nn.Module, settings: PretrainingSettings) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019) or LAMB; biases and layer norms, the one-dimensional tensors, do not decay."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    common = {"lr": settings.learning_rate, "betas": settings.betas, "eps": settings.epsilon}
    return Lamb(groups, **common) if settings.optimizer == "lamb" else torch.optim.AdamW(groups, **common, fused=True)
