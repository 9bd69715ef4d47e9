"""The only door to accelerate and DeepSpeed: start the engine, update the weights, agree between ranks, save, load.

Four engines behind one object: one process, DDP, DeepSpeed ZeRO, and sums in one order whatever the number of processes
(ordered_sum.py). Gradients of DDP and ZeRO are averages over ranks, so a loss is scaled by the world size to make them
sums over the global batch.
"""

import datetime
import math
import os
import platform
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from accelerate import Accelerator, DataLoaderConfiguration, DeepSpeedPlugin, InitProcessGroupKwargs
from accelerate.tracking import MLflowTracker, TensorBoardTracker, TrackioTracker, WandBTracker
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from bimed_dist.errors import BimedError, CheckpointError, RankLostError
from bimed_dist.pretraining import deepspeed_config
from bimed_dist.pretraining.cpu_operator import load_operator
from bimed_dist.pretraining.heartbeat import Watch, attempt
from bimed_dist.pretraining.ordered_sum import OrderedSum, neighbours
from bimed_dist.pretraining.snapshot import WEIGHT, Piece, SavedState, Snapshot
from bimed_dist.pretraining.trackers import PROJECT
from bimed_dist.processes import require_gpu_each
from bimed_dist.recipe.pretraining import PretrainingSettings

# DeepSpeed 0.19 calls what torch 2.13 has renamed; users can do nothing about it.
warnings.filterwarnings("ignore", message=".*(all_gather_into_tensor|reduce_scatter_tensor).*", category=FutureWarning)
Result = TypeVar("Result")
_COLLECTIVE_TIMEOUT = datetime.timedelta(minutes=30)
"""NCCL's own ten minutes are less than rank 0 may need to hash large shards and plan an epoch, while others wait."""
_SECONDS_TO_RETURN = 600
"""For the processes of all machines after a restart: to miss a lost one, to end, to start and import."""


class Engine:
    """One process of the training job.

    Every method that communicates must be called by every rank.
    """

    def __init__(self, settings: PretrainingSettings) -> None:
        world_size = int(os.environ.get("WORLD_SIZE", "1"))
        self.accumulation = deepspeed_config.most_accumulation(settings, world_size)
        self._clip_norm = settings.clip_norm
        zero_file = deepspeed_config.requested_file()
        launched = "RANK" in os.environ
        if launched:
            _join_anew("nccl" if torch.cuda.is_available() else "gloo")
        cuda = torch.cuda.is_available()
        if cuda:
            require_gpu_each(torch.cuda.device_count())
        plugin = None
        if zero_file is not None:
            load_operator()
            zero = deepspeed_config.read_zero_file(zero_file)
            config = deepspeed_config.resolve(zero, settings, world_size)
            plugin = DeepSpeedPlugin(hf_ds_config=config, zero3_init_flag=False)
        self._accelerator = Accelerator(
            cpu=not cuda and plugin is None,
            # DeepSpeed has its own autocast; accelerate's bf16 would keep weights, and export them, in bfloat16.
            mixed_precision="bf16" if settings.precision == "bf16" and plugin is None else "no",
            deepspeed_plugin=plugin,
            dataloader_config=DataLoaderConfiguration(dispatch_batches=False),
            gradient_accumulation_steps=self.accumulation if plugin else 1,
            # Without the backend every process of a DeepSpeed job on CPU believes to be rank 0 of 1.
            kwargs_handlers=[
                InitProcessGroupKwargs(backend="nccl" if cuda else "gloo", timeout=_COLLECTIVE_TIMEOUT),
                DistributedDataParallelKwargs(gradient_as_bucket_view=True, broadcast_buffers=False),
            ]
            if launched
            else [],
        )
        # Under ZeRO-3 transformers would make from_pretrained a collective call, and rank 0 alone could never export.
        unset_hf_deepspeed_config()
        self.rank = self._accelerator.process_index
        self.world_size = self._accelerator.num_processes
        if self.world_size != world_size:
            raise RuntimeError(f"the launcher started {world_size} processes but the engine sees {self.world_size}")
        self.device = self._accelerator.device
        self._snapshot = Snapshot()
        self._watch = None
        if world_size > 1:
            self._watch = Watch(self.rank, world_size, settings.lost_after, self.gather)
        stage = plugin.zero_stage if plugin else None
        if plugin:
            self.kind = f"zero{stage}"
        elif settings.reproducible:
            self.kind = "ordered"
        else:
            self.kind = "ddp" if world_size > 1 else "single"

    @property
    def arithmetic(self) -> dict[str, Any]:
        """What the last bits of this rank's sums depend on."""
        cpu = f"CPU with {torch.backends.cpu.get_cpu_capability()}"
        device = torch.cuda.get_device_name() if self.device.type == "cuda" else cpu
        return {"threads": torch.get_num_threads(), "device": device}

    @property
    def is_deepspeed(self) -> bool:
        return self.kind.startswith("zero")

    def prepare(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Hand model and optimizer to the engine; the unwrapped module stays the caller's."""
        self._module = module
        if self.kind == "ordered":
            self._model, self._optimizer = module.to(self.device), self._accelerator.prepare_optimizer(optimizer)
        else:
            self._model, self._optimizer = self._accelerator.prepare(module, optimizer)

    def forward(self, batch: Any) -> Any:
        with self._accelerator.autocast():
            return self._model(batch)

    def accumulate(self, losses: Iterable[Callable[[], Tensor]]) -> None:
        """Backward through each micro-batch's loss; gradients are exchanged with the last one."""
        losses = list(losses)
        if self.kind == "ordered":
            self._accumulate_in_order(losses)
            return
        for i, loss in enumerate(losses):
            last = i == len(losses) - 1
            if self.is_deepspeed:
                self._model.set_gradient_accumulation_boundary(is_boundary=last)
                # The engine divides by its accumulation steps and averages over ranks; ours are sums.
                value = loss() * (self.accumulation * self.world_size)
                self._reached()
                self._model.backward(value)
            else:
                with nullcontext() if last else self._accelerator.no_sync(self._model):
                    value = loss() * self.world_size
                    self._reached()
                    self._accelerator.backward(value)

    def _accumulate_in_order(self, losses: Sequence[Callable[[], Tensor]]) -> None:
        parameters = [parameter for parameter in self._module.parameters() if parameter.requires_grad]
        total = OrderedSum(parameters, run=neighbours(len(losses) * self.world_size))
        for loss in losses:
            value = loss()
            self._reached()
            value.backward()
            total.after_backward()
        total.finish(self.world_size)

    def update(self, learning_rate: float) -> float:
        """Clip, step and clear; returns the gradient norm before clipping, the same on every rank.

        Where it is not finite no update is made: gradients are cleared, weights and optimizer stay as they were.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        if self.is_deepspeed:
            # DeepSpeed clips, steps and clears in one call, and skips without a word what is not finite.
            skipped = self._model.skipped_steps
            self._model.step()
            return float(self._model.get_global_grad_norm()) if self._model.skipped_steps == skipped else math.nan
        norm = float(self._accelerator.clip_grad_norm_(self._model.parameters(), self._clip_norm))
        if math.isfinite(norm):
            self._optimizer.step()
        self._optimizer.zero_grad()
        return norm

    def sums(self, values: Tensor) -> Tensor:
        """Element-wise sum over ranks, float64 on this rank's device; a GPU makes the host wait only who reads it."""
        total = values.to(self.device, torch.float64, non_blocking=True)
        self._reached()
        if self.world_size > 1:
            dist.all_reduce(total)
        return total

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, in rank order, on every rank."""
        if self.world_size == 1:
            return [value]
        self._reached()
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def on_main(self, action: Callable[[], Result]) -> Result:
        """Run `action` on rank 0 and give its result to all; its error is raised on all."""
        outcome: tuple[Any, BimedError | OSError | None] = (None, None)
        if self.rank == 0:
            try:
                outcome = (action(), None)
            except (BimedError, OSError) as error:
                outcome = (None, error)
        result, error = self.gather(outcome)[0]
        if error is not None:
            raise error
        return result

    def on_other_machines(self, action: Callable[[], object]) -> None:
        """Run `action` on the first rank of every machine but rank 0's; an error of one is raised on all."""
        machines = self.gather(platform.node())
        problem = None
        if self.rank and machines.index(machines[self.rank]) == self.rank:
            try:
                action()
            except (BimedError, OSError) as error:
                problem = error
        for error in filter(None, self.gather(problem)):
            raise error

    def snapshot(self) -> None:
        """Copy this rank's share of weights and optimizer state to host memory; training may go on then."""
        self._snapshot.take(self._pieces())

    def write_snapshot(self, folder: Path) -> dict[str, dict[str, Any]]:
        """Write what `snapshot` took; it may run in a thread. Name, size and SHA-256 of the file."""
        name = f"rank-{self.rank:04d}-of-{self.world_size:04d}.safetensors"
        return {name: self._snapshot.write(folder / name)}

    def load_optimizer(self, state: SavedState) -> None:
        """This rank's share of the optimizer state, saved by any engine on any number of processes.

        Weights are loaded before `prepare`, from which the engine takes them.
        """
        known = self._base_optimizer().state
        for held in self._holdings():
            for key in state.keys(held.parameter) - {WEIGHT}:
                target = known[held.tensor]
                if state.is_number(held.parameter, key):
                    number = state.number(held.parameter, key)
                    if key in target and not torch.equal(torch.as_tensor(target[key]).cpu(), number):
                        raise CheckpointError(f"{key} differs between parameters that {self.kind} holds as one")
                    target[key] = number.to(held.tensor.device) if number.is_floating_point() else int(number)
                    continue
                if key not in target:
                    target[key] = torch.zeros_like(held.tensor)
                part = target[key].view(-1)[held.offset : held.offset + held.count]
                part.copy_(state.read(held.parameter, key, held.start, held.start + held.count))

    def _pieces(self) -> Iterator[Piece]:
        known = self._base_optimizer().state
        for held in self._holdings():
            start, stop = held.start, held.start + held.count
            if held.everywhere:  # all ranks hold the same, so each saves an equal part
                start, stop = (held.count * (self.rank + i) // self.world_size for i in (0, 1))
            first = held.offset + start - held.start
            for key, value in {WEIGHT: held.tensor, **known.get(held.tensor, {})}.items():
                if torch.is_tensor(value) and value.shape == held.tensor.shape:
                    if start < stop:
                        part = value.detach().view(-1)[first : first + stop - start]
                        assert part.numel() == stop - start, f"{held.parameter} is not where it was expected"
                        yield Piece(held.parameter, key, start, part)
                elif start == 0 and (stop > 0 or held.count == 0):
                    yield Piece(held.parameter, key, 0, torch.as_tensor(value).detach())

    def in_step(self, may_hang: bool) -> AbstractContextManager[None]:
        """Around a training step; `may_hang` where a rank that stays far behind the others in it is to be ended."""
        return self._watch.step(may_hang) if self._watch else nullcontext()

    def _reached(self) -> None:
        if self._watch:
            self._watch.reached()

    def _base_optimizer(self) -> torch.optim.Optimizer:
        return self._model.optimizer.optimizer if self.is_deepspeed else self._optimizer.optimizer

    def _holdings(self) -> Iterator["_Holding"]:
        """Where this rank has which part of every parameter. ZeRO's addresses are those of DeepSpeed 0.19."""
        zero = self._model.optimizer if self.is_deepspeed else None
        for name, parameter in self._module.named_parameters():
            if self.kind == "zero3":
                partition = parameter.ds_tensor
                tensor, offset, size = partition, 0, partition.numel()
                if parameter.requires_grad:
                    group, offset, size = zero.grad_position[zero.get_param_id(parameter)]
                    tensor = zero.fp32_partitioned_groups_flat[group]
                start = self.rank * size
                count = max(0, min(size, parameter.ds_numel - start))  # the rest is padding
                if count:
                    yield _Holding(name, tensor, offset, start, count)
            elif self.is_deepspeed and parameter.requires_grad:
                part = parameter._hp_mapping
                if part is not None:
                    tensor = zero.single_partition_of_fp32_groups[part.param_group_index]
                    count = part.lp_fragment_address.numel
                    yield _Holding(name, tensor, part.hp_fragment_address.start, part.lp_fragment_address.start, count)
            else:
                yield _Holding(name, parameter, 0, 0, parameter.numel(), everywhere=True)

    def weights(self) -> dict[str, Tensor]:
        """The module's whole state on the CPU in float32; complete on rank 0 only."""
        state = self._accelerator.get_state_dict(self._model)
        return {name: tensor.detach().float().cpu() for name, tensor in state.items()} if self.rank == 0 else {}

    @contextmanager
    def naming_the_lost(self) -> Iterator[None]:
        """RankLostError in place of an error of communication, where another rank is the cause."""
        try:
            yield
        except RuntimeError as error:  # gloo, NCCL and the store have no class of their own
            lost = self._watch.lost() if self._watch else None
            if lost is None:
                raise
            raise lost from error

    def close(self) -> None:
        if self._watch:
            self.gather(None)  # nobody is silent before all have come here
            self._watch.stop()
        # DDP must go before the process group: where it drops the last reference, torch 2.13 joins gloo's threads with
        # the interpreter's lock held, and such a thread may wait for it.
        self._model = self._optimizer = None
        self._accelerator.free_memory()
        self._accelerator.end_training()


def open_trackers(names: Sequence[str], folder: Path, label: str, run_id: str, first_step: int) -> list[Any]:
    """Trackers of a run, started; rank 0 only.

    What they write on this machine lies in the run's folder, unless their own environment variables say otherwise.
    Continued runs go on under the same name in TensorBoard, wandb and trackio; MLflow shows each launch.
    """
    os.environ.setdefault("TRACKIO_DIR", str(folder / "trackio"))
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    makers = {
        "tensorboard": lambda: TensorBoardTracker("tensorboard", folder, purge_step=first_step + 1),
        "wandb": lambda: WandBTracker(PROJECT, name=label, id=run_id, resume="allow", dir=str(folder)),
        "mlflow": lambda: MLflowTracker(PROJECT, run_name=label, tags={"run": run_id}),
        "trackio": lambda: TrackioTracker(PROJECT, name=label, resume="allow"),
    }
    started = [makers[name]() for name in names]
    for tracker in started:
        tracker.start()
    return started


def _join_anew(backend: str) -> None:
    """Where torchrun may restart processes: open the process group once all are of the same attempt.

    Its static rendezvous, accelerate's default, keeps its store, and in it the addresses of those that are gone, so
    every attempt has keys of its own. Each machine's launcher counts its own restarts; processes of one that is behind
    end, to be restarted.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True" or os.environ["TORCHELASTIC_MAX_RESTARTS"] == "0":
        return
    store = dist.TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        is_master=False,
        wait_for_workers=False,
        timeout=datetime.timedelta(seconds=_SECONDS_TO_RETURN),
    )
    rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    keys = [f"attempt/{other}" for other in range(world_size)]
    store.set(keys[rank], str(attempt()))
    deadline = time.monotonic() + _SECONDS_TO_RETURN
    while (attempts := [int(value) for value in store.multi_get(keys)]) != [attempt()] * world_size:
        if max(attempts) > attempt():
            raise RankLostError("processes of another machine were restarted once more")
        if time.monotonic() > deadline:
            missing = [other for other, number in enumerate(attempts) if number < attempt()]
            raise RankLostError(f"rank(s) {missing} did not come back after a restart in {_SECONDS_TO_RETURN} s")
        time.sleep(0.2)
    if attempt():
        prefixed = dist.PrefixStore(f"attempt-{attempt()}", store)
        dist.init_process_group(backend, store=prefixed, rank=rank, world_size=world_size, timeout=_COLLECTIVE_TIMEOUT)


@dataclass(frozen=True)
class _Holding:
    """A part of a parameter, inside the tensor that the optimizer knows."""

    parameter: str
    tensor: Tensor
    offset: int
    """Where the part begins in `tensor`."""
    start: int
    """Where it begins in the flattened parameter."""
    count: int
    everywhere: bool = False
