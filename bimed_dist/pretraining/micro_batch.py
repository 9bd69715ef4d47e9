"""Micro-batches as tensors: what the shards give as numpy arrays, on the device of the model."""

import numpy as np
import torch
from torch import Tensor

from bimed_dist.model import attention
from bimed_dist.model.packed import MicroBatch
from bimed_dist.shards.packing import PackedBatch


def to_tensors(batch: PackedBatch, device: torch.device) -> MicroBatch:
    """Copy a packed batch to `device`."""

    def tensor(array: np.ndarray) -> Tensor:
        return attention.on_device(array.astype(np.int64, copy=False), device)

    return MicroBatch(
        input_ids=tensor(batch.input_ids)[None],
        token_type_ids=tensor(batch.token_type_ids)[None],
        position_ids=tensor(batch.position_ids)[None],
        packing=attention.packing(batch.row_starts, device),
        row_starts=tensor(batch.row_starts[:-1]),
        masked_positions=tensor(batch.masked_positions),
        mlm_labels=tensor(batch.mlm_labels),
        nsp_labels=tensor(batch.nsp_labels),
    )
