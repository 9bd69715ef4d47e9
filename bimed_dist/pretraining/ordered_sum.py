"""Gradient sums in one order, so that they don't depend on the number of processes in a single bit.

The global batch is split into M = c * 2^a micro-batches, c odd, whatever the number of processes. c neighbouring
micro-batches are summed sequentially, and the 2^a sums in a balanced binary tree. W processes, a power of two up to
2^a, hold neighbouring micro-batches, so each of them sums whole branches, and the top of the tree remains. For that,
every process receives 1 / W of the gradient from all others (all-to-all), sums it in the order of the tree and sends
the sum to all (all-gather). Each process sends 2 (W - 1) / W of the gradient, as in a ring all-reduce.
"""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from bimed_dist.errors import ConfigError
from bimed_dist.recipe.pretraining import Phase, PretrainingSettings


def sequential_micro_batches(micro_batches: int) -> int:
    """Return c, the number of neighbouring micro-batches that are summed sequentially."""
    while micro_batches % 2 == 0:
        micro_batches //= 2
    return micro_batches


def check_processes(settings: PretrainingSettings, processes: int) -> None:
    """Raise ConfigError if the tree can't be shared by so many processes."""
    for phase in settings.phases:
        most = micro_batches(phase) // sequential_micro_batches(micro_batches(phase))
        if processes & (processes - 1) or processes > most:
            raise ConfigError(
                f"reproducible={settings.reproducible}: {phase.prefix}global_batch / micro_batch = "
                f"{micro_batches(phase)} micro-batches can be shared by 1, 2, 4, ... up to {most} processes, not by "
                f"{processes}; change the number of processes, or the batch in a new run"
            )


def micro_batches(phase: Phase) -> int:
    """Return M, the micro-batches of a step over all processes."""
    return phase.global_batch // phase.micro_batch


class OrderedSum:
    """Sums gradients over the micro-batches of one process, then over all processes."""

    def __init__(self, parameters: Sequence[nn.Parameter], *, run: int) -> None:
        """`run`: number of micro-batches that autograd sums sequentially, see `sequential_micro_batches`."""
        self._parameters, self._run, self._passes = parameters, run, 0
        self._branches: list[tuple[int, Tensor]] = []
        """Sums that wait for the other half of their branch: number of runs in each, descending, and (N,) values."""

    def after_backward(self) -> None:
        """Move the gradients of a complete run from the parameters into the tree and sum complete branches."""
        self._passes += 1
        if self._passes % self._run:
            return
        size, total = 1, torch.cat([gradient_of(parameter).reshape(-1) for parameter in self._parameters])
        for parameter in self._parameters:
            parameter.grad = None
        while self._branches and self._branches[-1][0] == size:
            size, total = 2 * size, self._branches.pop()[1].add_(total)
        self._branches.append((size, total))

    def finish(self, world_size: int) -> None:
        """Set every parameter's gradient to the sum over all processes."""
        ((_, total),) = self._branches
        self._branches = []
        total = sum_over_ranks(total, world_size)
        parts = total.split([parameter.numel() for parameter in self._parameters])
        for parameter, part in zip(self._parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)


def gradient_of(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def sum_over_ranks(values: Tensor, world_size: int) -> Tensor:
    """Return the sum of every rank's values, (N,), in the order of a binary tree; the same on every rank."""
    if world_size == 1:
        return values
    share = -(-len(values) // world_size)
    sent = nn.functional.pad(values, (0, share * world_size - len(values)))
    received = torch.empty_like(sent)
    dist.all_to_all_single(received, sent)
    parts = list(received.view(world_size, share))
    while len(parts) > 1:
        parts = [left.add_(right) for left, right in zip(parts[::2], parts[1::2], strict=True)]
    dist.all_gather(list(sent.view(world_size, share)), parts[0])
    return sent[: len(values)]
