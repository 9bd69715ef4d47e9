"""One JSON record per trial, used again only if its key is the same, and the weights that wait for the test trial."""

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from bimed_dist import ranks
from bimed_dist.manifest import digest_of, versions, write_json
from bimed_dist.workspace import PARTIAL

SCHEMA = 2
"""Schema of a record; a record with another schema is computed again. A field that is added keeps it."""
Key = Mapping[str, Any]
Status = Literal["done", "failed", "not_applicable"]


class Machine(TypedDict):
    """Conditions under which the last digits of a score may differ."""

    processor: str
    """CPU architecture, or name of the GPU."""
    threads: int
    processes: int
    """Processes that computed the trial together."""


class SplitRecord(TypedDict, total=False):
    scores: dict[str, float]
    error: str
    """Why there are no scores."""
    predictions: list[str]
    """See `pack`."""


class TrialRecord(TypedDict, total=False):
    schema: int
    status: Status
    key: dict[str, Any]
    """Everything that decides the result; see `ModelOnTask.key`."""
    seconds: float
    versions: dict[str, str]
    machine: Machine
    error: str
    """If failed."""
    not_applicable: str
    """If not applicable: why the model can't have this score."""
    dev: dict[str, float]
    """Development trial: scores."""
    thresholds: list[float]
    """Development trial: tuned threshold of each label."""
    screening: list[float | None]
    """Development trial: screening thresholds."""
    splits: dict[str, SplitRecord]
    """Test trial: test and external splits."""
    scores: dict[str, float]
    """Zero-shot trial."""
    predictions: list[str]
    """Zero-shot trial."""


def development_name(learning_rate: float, epochs: int, seed: int) -> str:
    """Return the file name, without suffix, of a development trial."""
    return f"lr={learning_rate!r},epochs={epochs},seed={seed}"


def read_record(path: Path, key: Key) -> TrialRecord | None:
    """Return the finished record for exactly this key; None if it is missing, failed, damaged or for another key."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or record.get("schema") != SCHEMA or record.get("key") != dict(key):
        return None
    return record if record.get("status") in ("done", "not_applicable") else None


def write_record(path: Path, key: Key, status: Status, **values: Any) -> TrialRecord:
    """Write a record atomically and return it; if several processes computed it together, the first one writes."""
    record: TrialRecord = {
        "schema": SCHEMA,
        "status": status,
        "key": dict(key),
        **values,
        "versions": versions(),
        "machine": _machine(),
    }
    if ranks.rank() == 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, record)
    return record


def _machine() -> Machine:
    processor = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return {"processor": processor, "threads": torch.get_num_threads(), "processes": ranks.world_size()}


def pack(predicted: Sequence[np.ndarray]) -> list[str]:
    """Return one line of numbers per item, in the fewest digits that give the same numbers back."""
    return [
        " ".join(np.format_float_positional(v, trim="-") if v.dtype.kind == "f" else str(v) for v in item)
        for item in predicted
    ]


def unpack(lines: Sequence[str], dtype: type) -> list[np.ndarray]:
    return [np.array(line.split(), dtype=dtype) for line in lines]


def weights_path(folder: Path, key: Key) -> Path:
    return folder / f"{digest_of(key)[:32]}.safetensors"


def save_weights(model: nn.Module, path: Path) -> None:
    """Save the weights; if several processes trained them together, the first one writes."""
    if ranks.rank() > 0:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(PARTIAL)
    save_model(model, str(temporary))
    temporary.replace(path)


def load_weights(model: nn.Module, path: Path) -> bool:
    """Load weights into the model; return False if they are missing or damaged."""
    try:
        load_model(model, str(path), device=str(model.device))
    except (OSError, SafetensorError):
        return False
    return True
