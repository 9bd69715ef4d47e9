"""Records of single results, one JSON file each, that are trusted only for the key they were made for."""

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from bimed_dist import ranks
from bimed_dist.manifest import digest_of, versions, write_json
from bimed_dist.workspace import PARTIAL

SCHEMA = 1
"""Of a record. A change that only adds values keeps it; a record with another one is computed again."""
NOT_APPLICABLE = "not applicable"
"""Status of a cell that this model can't have, such as masked words without the head."""
Key = Mapping[str, Any]


def cell_name(learning_rate: float, epochs: int, seed: int) -> str:
    return f"lr={learning_rate!r},epochs={epochs},seed={seed}"


def read_record(path: Path, key: Key) -> dict[str, Any] | None:
    """The finished record of exactly this key; none where it is missing, failed, damaged or made for something else."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    same = isinstance(record, dict) and record.get("schema") == SCHEMA and record.get("key") == dict(key)
    return record if same and record.get("status") in ("done", NOT_APPLICABLE) else None


def write_record(path: Path, key: Key, status: str, **values: Any) -> dict[str, Any]:
    """Write `done`, `failed` or NOT_APPLICABLE with its values; a reader sees all of it or nothing.

    Of several processes that compute the cell together, the first one writes.
    """
    record = {
        "schema": SCHEMA,
        "status": status,
        "key": dict(key),
        **values,
        "versions": versions(),
        "machine": machine(),
    }
    if ranks.rank() == 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, record)
    return record


def machine() -> dict[str, Any]:
    """Processor or GPU, the threads of torch, and how many processes computed it together.

    With other ones a score may differ in its last digits.
    """
    processor = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return {"processor": processor, "threads": torch.get_num_threads(), "processes": ranks.world_size()}


def packed(predicted: Sequence[np.ndarray]) -> list[str]:
    """One line of numbers per item, in the fewest digits that give the same number back."""
    return [
        " ".join(np.format_float_positional(v, trim="-") if v.dtype.kind == "f" else str(v) for v in item)
        for item in predicted
    ]


def unpacked(lines: Sequence[str], dtype: type) -> list[np.ndarray]:
    return [np.array(line.split(), dtype=dtype) for line in lines]


def weights_path(folder: Path, key: Key) -> Path:
    return folder / f"{digest_of(key)[:32]}.safetensors"


def save_weights(model: nn.Module, path: Path) -> None:
    """Of several processes with the same weights, the first one writes them."""
    if ranks.rank() > 0:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(PARTIAL)
    save_model(model, str(temporary))
    temporary.replace(path)


def load_weights(model: nn.Module, path: Path) -> bool:
    """Whether the weights were there and whole."""
    try:
        load_model(model, str(path), device=str(model.device))
    except (OSError, SafetensorError):
        return False
    return True
