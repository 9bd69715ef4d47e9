"""The learning rate as a function of the step, and which parameters decay."""

import torch
from torch import nn

from bimed_dist.config import PretrainingSettings


def learning_rate(step: int, settings: PretrainingSettings) -> float:
    """Rate of update `step`, counted from 0: linear warm-up, then linear decay to 0, or constant."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return settings.learning_rate
    return settings.learning_rate * (settings.steps - step) / (settings.steps - settings.warmup_steps)


def optimizer(model: nn.Module, settings: PretrainingSettings) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019) in which biases and layer norms, the one-dimensional tensors, do not decay."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas, eps=settings.epsilon, fused=True)
