"""The processes of one `accelerate launch` that compute a cell together: who does what, and how they agree.

Every process takes the same steps on the same cell, each with its share of the passes (`mine`). Whoever fails says so
in its next exchange, which the others wait in or will come to, so that all of them leave the cell together. Without a
launcher there is one process, and nothing is exchanged.
"""

import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from bimed_dist.errors import ConfigError, RankError, Stopped, one_line
from bimed_dist.processes import require_gpu_each

T = TypeVar("T")
PATIENCE = datetime.timedelta(days=1)
"""The others wait while the first reads and checks; a process that has ended is noticed at once."""
_stop: str | None = None
"""Why this process was asked to stop."""


def join() -> None:
    """Meet the other processes, if a launcher started several.

    Raises ConfigError for a launch with DeepSpeed, or with more processes than GPUs.
    """
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true":
        raise ConfigError(
            "fine-tuning needs no DeepSpeed: every process holds the whole model; launch with a configuration without "
            "it, such as ds_configs/accelerate/cpu_ddp.yaml (distributed_type: MULTI_GPU)"
        )
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return
    cuda = torch.cuda.is_available()
    if cuda:
        require_gpu_each(torch.cuda.device_count())
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # Gradients go from GPU to GPU, all else from host to host.
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=PATIENCE)


def leave() -> None:
    """After the last exchange."""
    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def mine(count: int) -> range:
    """Which of `count` passes are this process's."""
    return range(rank(), count, world_size())


def stop(reason: str) -> None:
    """To be called by a signal handler: the next exchange raises Stopped in all processes.

    An exception out of the handler could end up in whatever code of transformers or torch is running, and one process
    would leave alone.
    """
    global _stop
    _stop = reason


def gather(value: T) -> list[T]:
    """Every process's value, in rank order, on all of them.

    Raises RankError where another one failed instead, and Stopped where one was asked to stop or has ended.
    """
    return [value] if world_size() == 1 else _exchanged(value, None)


def tell(error: BaseException) -> None:
    """Say to the others, in place of the exchange that they wait in, that this process failed."""
    if world_size() == 1 or isinstance(error, RankError):  # of another's failure all have heard
        return
    try:
        _exchanged(None, one_line(error))
    except RankError:
        return


def _exchanged(value: Any, error: str | None) -> list[Any]:
    told: list[Any] = [None] * world_size()
    with _connected():
        dist.all_gather_object(told, (value, error, _stop))
    for _, _, reason in told:
        if reason is not None:
            raise Stopped(reason)
    for number, (_, failure, _) in enumerate(told):
        if failure is not None:
            raise RankError(f"process {number} failed: {failure}")
    return [found for found, _, _ in told]


def add_up(model: nn.Module, loss: float) -> float:
    """Sum the gradients of all processes into each one's model; returns the sum of their losses.

    A process without a pass takes part with zeros. Parameters that nobody has a gradient for keep none.
    """
    if world_size() == 1:
        return loss
    parameters = list(model.parameters())
    told = gather((loss, [parameter.grad is not None for parameter in parameters]))
    with _connected():
        for parameter, users in zip(parameters, zip(*(used for _, used in told), strict=True), strict=True):
            if any(users):
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                dist.all_reduce(parameter.grad)
    return sum(part for part, _ in told)


def from_first(value: T) -> T:
    """What the first process gives, on all of them."""
    values = [value]
    with _connected():
        dist.broadcast_object_list(values, src=0)
    return values[0]


@contextmanager
def _connected() -> Iterator[None]:
    """torch tells a lost connection by a RuntimeError, which is not this cell's failure."""
    try:
        yield
    except RuntimeError as error:
        raise Stopped(
            f"another process of this job has ended ({one_line(error)}); finished cells are kept, run the same command "
            "again to go on"
        ) from error
