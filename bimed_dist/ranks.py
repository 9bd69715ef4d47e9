"""The processes of one `accelerate launch` and the exchanges between them, over torch.distributed.

Every process takes the same steps, each with its share of the forward passes (`indices_of_rank`). A process that fails
reports it in place of its next exchange, so that all processes leave the run together. Without a launcher there is one
process and nothing is exchanged.
"""

import datetime
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from bimed_dist.agreement import values_or_raise
from bimed_dist.errors import BimedError, ConfigError, RankError, Stopped, one_line
from bimed_dist.processes import require_gpu_each

T = TypeVar("T")
TIMEOUT = datetime.timedelta(days=1)
"""Other processes wait while rank 0 reads and checks; a process that has ended is noticed at once."""
_stop_reason: str | None = None
"""Why this process was asked to stop."""


def connect() -> None:
    """Join the process group if a launcher started several processes.

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
    # Gradients are exchanged between GPUs, everything else between hosts.
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=TIMEOUT)


def disconnect() -> None:
    """Leave the process group, after the last exchange."""
    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def indices_of_rank(count: int) -> range:
    """Return which of `count` forward passes this process computes."""
    return range(rank(), count, world_size())


def request_stop(reason: str) -> None:
    """Make the next exchange raise Stopped in all processes; called by signal handlers.

    An exception raised by the handler itself could surface anywhere in transformers or torch, in one process only.
    """
    global _stop_reason
    _stop_reason = reason


def all_gather(value: T) -> list[T]:
    """Return every process's value in rank order; value may be any object that can be pickled."""
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def gather(value: T) -> list[T]:
    """Return every process's value in rank order.

    Raises RankError if another process failed instead, and Stopped if one was asked to stop or has ended.
    """
    return [value] if world_size() == 1 else _exchange(value, None)


def report_failure(error: BaseException) -> None:
    """Report to the other processes, in place of the exchange that they wait in, that this process failed."""
    if world_size() == 1 or isinstance(error, RankError):  # a failure elsewhere, which all processes know of
        return
    try:
        _exchange(None, BimedError(one_line(error)))
    except RankError:
        return


def _exchange(value: Any, error: Exception | None) -> list[Any]:
    with _connected():
        outcomes = all_gather((value, error if _stop_reason is None else Stopped(_stop_reason)))
    return values_or_raise(outcomes, _stop_or_failure)


def _stop_or_failure(errors: Mapping[int, Exception]) -> Exception:
    stops = [error for error in errors.values() if isinstance(error, Stopped)]
    if stops:
        return stops[0]
    failed, error = next(iter(errors.items()))
    return RankError(f"process {failed} failed: {error}")


def sum_gradients(model: nn.Module, loss: float) -> float:
    """Sum gradients over all processes, in place; return the sum of their losses.

    A process without a pass contributes zeros. Parameters without a gradient on any process keep none.
    """
    if world_size() == 1:
        return loss
    parameters = list(model.parameters())
    shares = gather((loss, [parameter.grad is not None for parameter in parameters]))
    with _connected():
        for parameter, users in zip(parameters, zip(*(used for _, used in shares), strict=True), strict=True):
            if any(users):
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                dist.all_reduce(parameter.grad)
    return sum(part for part, _ in shares)


def broadcast(value: T) -> T:
    """Return rank 0's value on every process."""
    values = [value]
    with _connected():
        dist.broadcast_object_list(values, src=0)
    return values[0]


@contextmanager
def _connected() -> Iterator[None]:
    """Raise Stopped in place of torch's RuntimeError about a lost connection, which is no failure of this run."""
    try:
        yield
    except RuntimeError as error:
        raise Stopped(
            f"another process of this job has ended ({one_line(error)}); finished trials are kept, run the same "
            "command again to continue"
        ) from error
