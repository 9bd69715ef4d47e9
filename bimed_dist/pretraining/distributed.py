"""The only door to accelerate and DeepSpeed: start the engine, update the weights, agree between ranks, save, load.

Three engines behind one object: one process, DDP, and DeepSpeed ZeRO. Gradients of all are averages over ranks, so a
loss is scaled by the world size to make them sums over the global batch.
"""

import math
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from accelerate import Accelerator, DataLoaderConfiguration, DeepSpeedPlugin, InitProcessGroupKwargs
from accelerate.tracking import MLflowTracker, TensorBoardTracker, TrackioTracker, WandBTracker
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from bimed_dist.errors import BimedError, CheckpointError, ConfigError
from bimed_dist.pretraining import deepspeed_config
from bimed_dist.pretraining.trackers import PROJECT
from bimed_dist.pretraining_settings import PretrainingSettings

_ENGINE_TAG = "engine"
# DeepSpeed 0.19 calls what torch 2.13 has renamed; users can do nothing about it.
warnings.filterwarnings("ignore", message=".*(all_gather_into_tensor|reduce_scatter_tensor).*", category=FutureWarning)
Result = TypeVar("Result")


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
        cuda = torch.cuda.is_available()
        local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        if cuda and local > torch.cuda.device_count():
            raise ConfigError(
                f"{local} processes were started for {torch.cuda.device_count()} GPU(s); lower num_processes, or hide "
                "the GPUs with CUDA_VISIBLE_DEVICES= to train on CPUs"
            )
        plugin = None
        if zero_file is not None:
            # DeepSpeed compiles its shared-memory operator with the ninja of this environment, activated or not.
            os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
            zero = deepspeed_config.read_zero_file(zero_file)
            self.deepspeed_config = deepspeed_config.resolve(zero, settings, world_size)
            plugin = DeepSpeedPlugin(hf_ds_config=self.deepspeed_config, zero3_init_flag=False)
        self._accelerator = Accelerator(
            cpu=not cuda and plugin is None,
            # DeepSpeed has its own autocast; accelerate's bf16 would keep weights, and export them, in bfloat16.
            mixed_precision="bf16" if settings.precision == "bf16" and plugin is None else "no",
            deepspeed_plugin=plugin,
            dataloader_config=DataLoaderConfiguration(dispatch_batches=False),
            gradient_accumulation_steps=self.accumulation if plugin else 1,
            # Without the backend every process of a DeepSpeed job on CPU believes to be rank 0 of 1.
            kwargs_handlers=[
                InitProcessGroupKwargs(backend="nccl" if cuda else "gloo"),
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
        stage = plugin.zero_stage if plugin else None
        self.kind = f"zero{stage}" if plugin else ("ddp" if world_size > 1 else "single")

    @property
    def is_deepspeed(self) -> bool:
        return self.kind.startswith("zero")

    def prepare(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Hand model and optimizer to the engine; the unwrapped module stays the caller's."""
        self._module = module
        self._model, self._optimizer = self._accelerator.prepare(module, optimizer)

    def forward(self, batch: Any) -> Any:
        with self._accelerator.autocast():
            return self._model(batch)

    def accumulate(self, losses: Iterable[Callable[[], Tensor]]) -> None:
        """Backward through each micro-batch's loss; gradients are exchanged with the last one."""
        losses = list(losses)
        for i, loss in enumerate(losses):
            last = i == len(losses) - 1
            if self.is_deepspeed:
                self._model.set_gradient_accumulation_boundary(is_boundary=last)
                # The engine divides by its accumulation steps and averages over ranks; ours are sums.
                self._model.backward(loss() * (self.accumulation * self.world_size))
            else:
                with nullcontext() if last else self._accelerator.no_sync(self._model):
                    self._accelerator.backward(loss() * self.world_size)

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
        """Element-wise sum over ranks, float64 on the host."""
        total = values.to(self.device, torch.float64)
        if self.world_size > 1:
            dist.all_reduce(total)
        return total.cpu()

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, in rank order, on every rank."""
        if self.world_size == 1:
            return [value]
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

    def save(self, folder: Path) -> list[Path]:
        """Write this rank's share of weights and optimizer state; returns the files that this rank wrote.

        The files are pickle: training state is trusted, never exchanged.
        """
        if self.is_deepspeed:
            try:
                self._model.save_checkpoint(str(folder), tag=_ENGINE_TAG)
            except (OSError, RuntimeError) as error:  # torch.save says RuntimeError on a full disk
                dist.barrier()  # the others wait in the barrier that ends save_checkpoint
                raise OSError(str(error)) from error
            written = [path for path in (folder / _ENGINE_TAG).iterdir() if _writer(path.name) == self.rank]
            return written + ([folder / "latest"] if self.rank == 0 else [])
        if self.rank > 0:
            return []
        path = folder / "state.pt"
        try:
            torch.save({"model": self._module.state_dict(), "optimizer": self._optimizer.state_dict()}, path)
        except RuntimeError as error:
            raise OSError(str(error)) from error
        return [path]

    def load(self, folder: Path) -> None:
        """Read what `save` wrote, with the same engine and number of processes."""
        if self.is_deepspeed:
            loaded, _ = self._model.load_checkpoint(str(folder), tag=_ENGINE_TAG)
            if loaded is None:
                raise CheckpointError(f"DeepSpeed found nothing to load in {folder}")
            return
        state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
        self._module.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])

    def weights(self) -> dict[str, Tensor]:
        """The module's whole state on the CPU in float32; complete on rank 0 only."""
        state = self._accelerator.get_state_dict(self._model)
        return {name: tensor.detach().float().cpu() for name, tensor in state.items()} if self.rank == 0 else {}

    def close(self) -> None:
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


def _writer(name: str) -> int:
    """Rank that writes a file of a DeepSpeed checkpoint: its data-parallel number where the name has one, else 0."""
    marker = "zero_pp_rank_"
    if marker not in name:
        return 0
    return int(name.split(marker, 1)[1].split("_", 1)[0])
