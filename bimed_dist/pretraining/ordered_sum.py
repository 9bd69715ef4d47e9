"""Gradients of an update summed in one order, so that no number of processes changes a bit of them.

The update is cut into M = c * 2^a micro-batches, c odd, before the processes are known. c neighbours are summed one
after the other, and the 2^a sums in a balanced binary tree. W processes, a power of two up to 2^a, hold neighbouring
micro-batches, so each makes the additions of whole branches, and what remains is the top of the tree. For that every
process gets 1 / W of the gradient from all others (all-to-all), adds it up in the tree's order and hands the sum to
all (all-gather). Each process sends 2 (W - 1) / W of the gradient, as much as in a ring's all-reduce.
"""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from bimed_dist.errors import ConfigError
from bimed_dist.recipe.pretraining import Phase, PretrainingSettings


def neighbours(micro_batches: int) -> int:
    """c: how many micro-batches are summed one after the other."""
    while micro_batches % 2 == 0:
        micro_batches //= 2
    return micro_batches


def check_processes(settings: PretrainingSettings, processes: int) -> None:
    """ConfigError where the tree can't be cut between so many processes."""
    for phase in settings.phases:
        most = micro_batches(phase) // neighbours(micro_batches(phase))
        if processes & (processes - 1) or processes > most:
            raise ConfigError(
                f"reproducible={settings.reproducible}: {phase.place}global_batch / micro_batch = "
                f"{micro_batches(phase)} micro-batches can be shared by 1, 2, 4, ... up to {most} processes, not by "
                f"{processes}; change the number of processes, or the batch in a new run"
            )


def micro_batches(phase: Phase) -> int:
    """M: of an update, over all processes."""
    return phase.global_batch // phase.micro_batch


class OrderedSum:
    """Of the gradients of one process's micro-batches, as backward passes leave them; then over all processes."""

    def __init__(self, parameters: Sequence[nn.Parameter], *, run: int) -> None:
        """`run`: how many micro-batches autograd itself sums up, one after the other; `neighbours` of all."""
        self._parameters, self._run, self._passes = parameters, run, 0
        self._branches: list[tuple[int, Tensor]] = []
        """Sums that wait for their other half: how many runs each holds, fewer and fewer, and (N,) values."""

    def after_backward(self) -> None:
        """Where a run is complete, take the gradients off the parameters and add up the branches that are complete."""
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
        """Give every parameter the sum over all processes."""
        ((_, total),) = self._branches
        self._branches = []
        total = sum_over_ranks(total, world_size)
        parts = total.split([parameter.numel() for parameter in self._parameters])
        for parameter, part in zip(self._parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)


def gradient_of(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def sum_over_ranks(values: Tensor, world_size: int) -> Tensor:
    """Values of every rank, (N,), added up as neighbours, then neighbours of these; the same on every rank."""
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
