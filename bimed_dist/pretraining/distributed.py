"""The only module that uses accelerate's and DeepSpeed's engines: forward, backward, step, communication, weights.

Four engines behind one class: one process, DDP, DeepSpeed ZeRO, and sums in one order whatever the number of processes
(ordered_sum.py). DDP and ZeRO average gradients over ranks, so losses are scaled by the world size to make them sums
over the global batch.
"""

import datetime
import math
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator, DataLoaderConfiguration, DeepSpeedPlugin, InitProcessGroupKwargs
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from bimed_dist.errors import RankLostError
from bimed_dist.pretraining import deepspeed_config, partitions
from bimed_dist.pretraining.checkpoints import Arithmetic, Files
from bimed_dist.pretraining.cpu_operator import load_operator
from bimed_dist.pretraining.heartbeat import Heartbeat, attempt
from bimed_dist.pretraining.ordered_sum import OrderedSum, sequential_micro_batches
from bimed_dist.pretraining.partitions import Partition
from bimed_dist.pretraining.snapshot import SavedState, Snapshot
from bimed_dist.processes import require_gpu_each
from bimed_dist.ranks import all_gather
from bimed_dist.recipe.pretraining import PretrainingSettings

# DeepSpeed 0.19 calls functions that torch 2.13 has renamed; users can do nothing about it.
warnings.filterwarnings("ignore", message=".*(all_gather_into_tensor|reduce_scatter_tensor).*", category=FutureWarning)
_COLLECTIVE_TIMEOUT = datetime.timedelta(minutes=30)
"""NCCL's default of ten minutes may be too short while rank 0 hashes large shards and plans an epoch."""
_REJOIN_SECONDS = 600
"""Time for all machines after a restart: to notice a lost process, to end, to start and to import."""


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
            _rejoin_after_restart("nccl" if torch.cuda.is_available() else "gloo")
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
            # Without the backend every process of a DeepSpeed job on CPUs takes itself for rank 0 of 1.
            kwargs_handlers=[
                InitProcessGroupKwargs(backend="nccl" if cuda else "gloo", timeout=_COLLECTIVE_TIMEOUT),
                DistributedDataParallelKwargs(gradient_as_bucket_view=True, broadcast_buffers=False),
            ]
            if launched
            else [],
        )
        # Otherwise from_pretrained is a collective call under ZeRO-3, and rank 0 alone could not export.
        unset_hf_deepspeed_config()
        self.rank = self._accelerator.process_index
        self.world_size = self._accelerator.num_processes
        if self.world_size != world_size:
            raise RuntimeError(f"the launcher started {world_size} processes but the engine sees {self.world_size}")
        self.device = self._accelerator.device
        self._snapshot = Snapshot()
        self._heartbeat = None
        if world_size > 1:
            self._heartbeat = Heartbeat(self.rank, world_size, settings.heartbeat_timeout_seconds, self.gather)
        self._zero_stage = plugin.zero_stage if plugin else None
        if plugin:
            self.kind = f"zero{self._zero_stage}"
        elif settings.reproducible:
            self.kind = "ordered"
        else:
            self.kind = "ddp" if world_size > 1 else "single"

    @property
    def arithmetic(self) -> Arithmetic:
        cpu = f"CPU with {torch.backends.cpu.get_cpu_capability()}"
        device = torch.cuda.get_device_name() if self.device.type == "cuda" else cpu
        return {"threads": torch.get_num_threads(), "device": device}

    @property
    def is_deepspeed(self) -> bool:
        return self._zero_stage is not None

    def prepare(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Pass model and optimizer to the engine; the caller keeps the unwrapped module."""
        self._module = module
        if self.kind == "ordered":
            self._model, self._optimizer = module.to(self.device), self._accelerator.prepare_optimizer(optimizer)
        else:
            self._model, self._optimizer = self._accelerator.prepare(module, optimizer)

    def forward(self, batch: Any) -> Any:
        with self._accelerator.autocast():
            return self._model(batch)

    def accumulate(self, losses: Iterable[Callable[[], Tensor]]) -> None:
        """Run backward through the loss of each micro-batch; gradients are exchanged in the last one."""
        losses = list(losses)
        if self.kind == "ordered":
            self._accumulate_in_order(losses)
            return
        for i, loss in enumerate(losses):
            last = i == len(losses) - 1
            if self.is_deepspeed:
                self._model.set_gradient_accumulation_boundary(is_boundary=last)
                # DeepSpeed divides by its accumulation steps and averages over ranks; our losses are sums.
                value = loss() * (self.accumulation * self.world_size)
                self._mark_progress()
                self._model.backward(value)
            else:
                with nullcontext() if last else self._accelerator.no_sync(self._model):
                    value = loss() * self.world_size
                    self._mark_progress()
                    self._accelerator.backward(value)

    def _accumulate_in_order(self, losses: Sequence[Callable[[], Tensor]]) -> None:
        parameters = [parameter for parameter in self._module.parameters() if parameter.requires_grad]
        total = OrderedSum(parameters, run=sequential_micro_batches(len(losses) * self.world_size))
        for loss in losses:
            value = loss()
            self._mark_progress()
            value.backward()
            total.after_backward()
        total.finish(self.world_size)

    def optimizer_step(self, learning_rate: float) -> float:
        """Clip, step and clear gradients; return the gradient norm before clipping, the same on every rank.

        If it is not finite, gradients are cleared, and weights and optimizer state stay unchanged.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        if self.is_deepspeed:
            # DeepSpeed clips, steps and clears in one call, and silently skips a step whose gradient is not finite.
            skipped = self._model.skipped_steps
            self._model.step()
            return float(self._model.get_global_grad_norm()) if self._model.skipped_steps == skipped else math.nan
        norm = float(self._accelerator.clip_grad_norm_(self._model.parameters(), self._clip_norm))
        if math.isfinite(norm):
            self._optimizer.step()
        self._optimizer.zero_grad()
        return norm

    def sums(self, values: Tensor) -> Tensor:
        """Return the element-wise sum over ranks in float64 on this rank's device, without waiting for a GPU."""
        total = values.to(self.device, torch.float64, non_blocking=True)
        self._mark_progress()
        if self.world_size > 1:
            dist.all_reduce(total)
        return total

    def gather(self, value: Any) -> list[Any]:
        """Return every rank's value, in rank order, on every rank."""
        if self.world_size == 1:
            return [value]
        self._mark_progress()
        return all_gather(value)

    def snapshot(self) -> None:
        """Copy this rank's share of weights and optimizer state to host memory; training may continue afterwards."""
        optimizer = self._torch_optimizer()
        self._snapshot.take(
            partitions.slices_to_save(self._partitions(), optimizer, rank=self.rank, world_size=self.world_size)
        )

    def write_snapshot(self, folder: Path) -> Files:
        """Write what `snapshot` copied; may run in a thread."""
        name = f"rank-{self.rank:04d}-of-{self.world_size:04d}.safetensors"
        return {name: self._snapshot.write(folder / name)}

    def load_optimizer(self, state: SavedState) -> None:
        """Load this rank's share of the optimizer state.

        Weights are loaded before `prepare`, which passes them to the engine.
        """
        partitions.load_optimizer_state(state, self._partitions(), self._torch_optimizer())

    def _torch_optimizer(self) -> torch.optim.Optimizer:
        return self._model.optimizer.optimizer if self.is_deepspeed else self._optimizer.optimizer

    def _partitions(self) -> Iterator[Partition]:
        if not self.is_deepspeed:
            return partitions.whole_parameters(self._module)
        return partitions.zero_partitions(self._module, self._model.optimizer, stage=self._zero_stage, rank=self.rank)

    def weights(self) -> dict[str, Tensor]:
        """Return the module's whole state on the CPU in float32; empty on all ranks but 0."""
        state = self._accelerator.get_state_dict(self._model)
        return {name: tensor.detach().float().cpu() for name, tensor in state.items()} if self.rank == 0 else {}

    def training_step(self, may_hang: bool) -> AbstractContextManager[None]:
        """Return the context of a step. With `may_hang`, a rank that stays far behind the others in it is ended."""
        return self._heartbeat.training_step(may_hang) if self._heartbeat else nullcontext()

    def _mark_progress(self) -> None:
        if self._heartbeat:
            self._heartbeat.mark_progress()

    @contextmanager
    def lost_ranks_named(self) -> Iterator[None]:
        """Raise RankLostError in place of a communication error that another rank caused."""
        try:
            yield
        except RuntimeError as error:  # gloo, NCCL and the store have no error class
            lost = self._heartbeat.lost() if self._heartbeat else None
            if lost is None:
                raise
            raise lost from error

    def close(self) -> None:
        if self._heartbeat:
            self.gather(None)  # no heartbeat stops before all ranks are here
            self._heartbeat.stop()
        # DDP must be freed before the process group: if it drops the last reference, torch 2.13 joins gloo's threads
        # while holding the interpreter's lock, which such a thread may wait for.
        self._model = self._optimizer = None
        self._accelerator.free_memory()
        self._accelerator.end_training()


def _rejoin_after_restart(backend: str) -> None:
    """Open the process group when all processes are in the same attempt, if torchrun may restart them.

    torchrun's static rendezvous, accelerate's default, keeps its store with the addresses of processes that have ended,
    so every attempt uses keys of its own. Each machine's launcher counts restarts for itself; processes of a launcher
    that is behind end, to be restarted. Raises RankLostError there, and if processes don't come back in time.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True" or os.environ["TORCHELASTIC_MAX_RESTARTS"] == "0":
        return
    store = dist.TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        is_master=False,
        wait_for_workers=False,
        timeout=datetime.timedelta(seconds=_REJOIN_SECONDS),
    )
    rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    keys = [f"attempt/{number}" for number in range(world_size)]
    store.set(keys[rank], str(attempt()))
    deadline = time.monotonic() + _REJOIN_SECONDS
    while (attempts := [int(value) for value in store.multi_get(keys)]) != [attempt()] * world_size:
        if max(attempts) > attempt():
            raise RankLostError("processes of another machine were restarted once more")
        if time.monotonic() > deadline:
            missing = [number for number, counted in enumerate(attempts) if counted < attempt()]
            raise RankLostError(f"rank(s) {missing} did not come back after a restart in {_REJOIN_SECONDS} s")
        time.sleep(0.2)
    if attempt():
        prefixed = dist.PrefixStore(f"attempt-{attempt()}", store)
        dist.init_process_group(backend, store=prefixed, rank=rank, world_size=world_size, timeout=_COLLECTIVE_TIMEOUT)
