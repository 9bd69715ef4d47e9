"""Which part of every parameter and its optimizer state a rank holds, as slices to save and to load into.

Any engine on any number of ranks writes its parts without communicating and reads the ranges it needs. The addresses
inside ZeRO's buffers are those of DeepSpeed 0.19.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bimed_dist.errors import CheckpointError
from bimed_dist.pretraining.snapshot import WEIGHT, ParameterSlice, SavedState


@dataclass(frozen=True)
class Partition:
    """The part of a parameter that this rank holds, inside a tensor known to the optimizer."""

    parameter: str
    tensor: Tensor
    offset: int
    """Its first element in `tensor`."""
    start: int
    """Its first element in the flattened parameter."""
    count: int
    is_replicated: bool = False
    """All ranks hold the same."""


def zero_partitions(module: nn.Module, zero: Any, *, stage: int, rank: int) -> Iterator[Partition]:
    """Yield this rank's partitions under DeepSpeed; `zero` is the engine's ZeRO optimizer."""
    for name, parameter in module.named_parameters():
        if stage == 3:
            tensor, offset, size = parameter.ds_tensor, 0, parameter.ds_tensor.numel()
            if parameter.requires_grad:
                group, offset, size = zero.grad_position[zero.get_param_id(parameter)]
                tensor = zero.fp32_partitioned_groups_flat[group]
            start = rank * size
            count = max(0, min(size, parameter.ds_numel - start))  # the rest is padding
            if count:
                yield Partition(name, tensor, offset, start, count)
        elif parameter.requires_grad:
            part = parameter._hp_mapping
            if part is not None:
                tensor = zero.single_partition_of_fp32_groups[part.param_group_index]
                fragment = part.lp_fragment_address
                yield Partition(name, tensor, part.hp_fragment_address.start, fragment.start, fragment.numel)
        else:
            yield _whole(name, parameter)


def whole_parameters(module: nn.Module) -> Iterator[Partition]:
    """Yield every parameter as one replicated partition (one process, or DDP)."""
    for name, parameter in module.named_parameters():
        yield _whole(name, parameter)


def _whole(name: str, parameter: nn.Parameter) -> Partition:
    return Partition(name, parameter, 0, 0, parameter.numel(), is_replicated=True)


def slices_to_save(
    partitions: Iterator[Partition], optimizer: torch.optim.Optimizer, *, rank: int, world_size: int
) -> Iterator[ParameterSlice]:
    """Yield the slices of weights and optimizer state that this rank saves; of replicated parameters an equal share."""
    for held in partitions:
        start, stop = held.start, held.start + held.count
        if held.is_replicated:
            start, stop = (held.count * (rank + i) // world_size for i in (0, 1))
        first = held.offset + start - held.start
        for key, value in {WEIGHT: held.tensor, **optimizer.state.get(held.tensor, {})}.items():
            if torch.is_tensor(value) and value.shape == held.tensor.shape:
                if start < stop:
                    part = value.detach().view(-1)[first : first + stop - start]
                    assert part.numel() == stop - start, f"{held.parameter} is not where it was expected"
                    yield ParameterSlice(held.parameter, key, start, part)
            elif start == 0 and (stop > 0 or held.count == 0):
                yield ParameterSlice(held.parameter, key, 0, torch.as_tensor(value).detach())


def load_optimizer_state(state: SavedState, partitions: Iterator[Partition], optimizer: torch.optim.Optimizer) -> None:
    """Load this rank's partitions of the optimizer state, saved by any engine on any number of ranks.

    Raises CheckpointError if parameters whose state the optimizer keeps as one have different step counts.
    """
    for held in partitions:
        for key in state.keys(held.parameter) - {WEIGHT}:
            target = optimizer.state[held.tensor]
            if state.is_number(held.parameter, key):
                number = state.number(held.parameter, key)
                if key in target and not torch.equal(torch.as_tensor(target[key]).cpu(), number):
                    raise CheckpointError(f"{key} differs between parameters whose optimizer state is kept as one")
                target[key] = number.to(held.tensor.device) if number.is_floating_point() else int(number)
                continue
            if key not in target:
                target[key] = torch.zeros_like(held.tensor)
            part = target[key].view(-1)[held.offset : held.offset + held.count]
            part.copy_(state.read(held.parameter, key, held.start, held.start + held.count))
