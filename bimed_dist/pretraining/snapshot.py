"""Weights and optimizer state as ranges of parameters: copied to host memory, written as safetensors, read anywhere.

A slice is a range of one flattened tensor. However ZeRO partitions parameters, a rank writes the slices it holds
without communicating, and any number of ranks under any stage reads the ranges it needs: no conversion, no pickle.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from bimed_dist.errors import CheckpointError
from bimed_dist.manifest import FileEntry

WEIGHT = "weight"
_DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.bfloat16: "BF16", torch.int64: "I64"}
_BLOCK = 1 << 24


@dataclass(frozen=True)
class ParameterSlice:
    parameter: str
    key: str
    """`weight`, or the optimizer's name: `exp_avg`, `exp_avg_sq`, `step`."""
    start: int
    """First element in the flattened tensor; 0 for a number of the whole parameter."""
    values: Tensor
    """One-dimensional, or a scalar."""

    @property
    def name(self) -> str:
        return f"{self.key}:{self.start}:{self.parameter}"


class Snapshot:
    """One rank's slices in host memory, in the layout of the file; every save reuses the memory."""

    def __init__(self) -> None:
        self._memory = torch.empty(0, dtype=torch.uint8)
        self._header = b""

    def take(self, slices: Iterable[ParameterSlice]) -> None:
        """Copy slices; training may continue when this returns."""
        slices = sorted(slices, key=lambda part: -part.values.element_size())  # so that every slice is aligned
        sizes = [part.values.numel() * part.values.element_size() for part in slices]
        on_gpu = any(part.values.is_cuda for part in slices)
        if self._memory.numel() < sum(sizes):
            self._memory = torch.empty(sum(sizes), dtype=torch.uint8, pin_memory=on_gpu)
        header, end = {}, 0
        for part, size in zip(slices, sizes, strict=True):
            start, end = end, end + size
            self._memory[start:end].view(part.values.dtype).copy_(part.values.reshape(-1), non_blocking=True)
            shape, dtype = list(part.values.shape), _DTYPES[part.values.dtype]
            header[part.name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
        if on_gpu:
            torch.cuda.current_stream().synchronize()
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        self._header, self._size = len(text).to_bytes(8, "little") + text, end

    def write(self, path: Path) -> FileEntry:
        """Write a safetensors file and sync it; return its size and SHA-256.

        The library's own writer needs a second copy of all tensors and can't hash while writing.
        """
        digest = hashlib.sha256(self._header)
        content = memoryview(self._memory.numpy())[: self._size]
        with path.open("wb", buffering=0) as file:
            _write_all(file, memoryview(self._header))
            for start in range(0, self._size, _BLOCK):
                block = content[start : start + _BLOCK]
                _write_all(file, block)
                digest.update(block)
            os.fsync(file.fileno())
        return {"bytes": len(self._header) + self._size, "sha256": digest.hexdigest()}


def _write_all(file: Any, block: memoryview) -> None:
    while block:
        block = block[file.write(block) :]  # a disk that fills up accepts a part first


class SavedState:
    """The slices of all ranks of a checkpoint; files are memory-mapped, so only the requested ranges are read."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._slices: dict[tuple[str, str], list[tuple[int, int, Any, str]]] = {}
        self._keys: dict[str, set[str]] = {}
        for path in files:
            try:
                file = safe_open(path, framework="pt")
            except (OSError, SafetensorError) as error:
                raise CheckpointError(f"{path} can't be read: {error}") from None
            for name in file.keys():  # noqa: SIM118 (not a dictionary)
                key, start, parameter = name.split(":", 2)
                shape = file.get_slice(name).get_shape()
                length = shape[0] if shape else -1
                self._slices.setdefault((parameter, key), []).append((int(start), length, file, name))
                self._keys.setdefault(parameter, set()).add(key)
        for slices in self._slices.values():
            slices.sort(key=lambda part: part[0])

    def keys(self, parameter: str) -> set[str]:
        """Return the keys that were saved for a parameter."""
        return self._keys.get(parameter, set())

    def is_number(self, parameter: str, key: str) -> bool:
        return self._slices[parameter, key][0][1] < 0

    def number(self, parameter: str, key: str) -> Tensor:
        _, _, file, name = self._slices[parameter, key][0]
        return file.get_tensor(name)

    def read(self, parameter: str, key: str, start: int, stop: int) -> Tensor:
        """Return elements start to stop of a flattened tensor, saved by whichever ranks."""
        parts, reached = [], start
        for begin, length, file, name in self._slices.get((parameter, key), []):
            if begin <= reached < min(begin + length, stop):
                end = min(begin + length, stop)
                parts.append(file.get_slice(name)[reached - begin : end - begin])
                reached = end
        if reached < stop:
            raise CheckpointError(f"the checkpoint has no element {reached} of {key} of {parameter}")
        return torch.cat(parts) if parts else torch.empty(0)

    def load_weights(self, module: torch.nn.Module) -> None:
        """Load weights into a module that is not partitioned yet; raise CheckpointError if names or sizes differ."""
        parameters = dict(module.named_parameters())
        if parameters.keys() != self._keys.keys():
            different = sorted(parameters.keys() ^ self._keys.keys())
            raise CheckpointError(
                f"the checkpoint is of another model: {len(different)} parameters differ, {different[0]} first"
            )
        with torch.no_grad():
            for name, parameter in parameters.items():
                last = max(begin + length for begin, length, _, _ in self._slices[name, WEIGHT])
                if last != parameter.numel():
                    raise CheckpointError(f"{name} has {parameter.numel()} elements, but {last} in the checkpoint")
                parameter.copy_(self.read(name, WEIGHT, 0, last).view_as(parameter))


def checkpoint_bytes(module: torch.nn.Module) -> int:
    """Return the size of a checkpoint over all ranks: weights and two moments of the optimizer in float32."""
    return sum(math.prod(p.shape) for p in module.parameters()) * 4 * 3
