"""Data loading: real tokens per second on one core, with masking, and the time to the first batch after a seek.

`PhaseBatches` (masked and packed, as tensors) is compared with Hugging Face's examples (a memory-mapped `datasets`
folder of the same rows, `DataLoader` and `DataCollatorForLanguageModeling`, which pads) and, if litdata is installed,
with its streaming format and the same collator. All deliver the same rows in batches of the same size, alternate, and
use one process. The seek is the first batch of a newly opened stream at step 0 and at step 100,000, with the plans
cached on disk, as after a resume.

    python benchmarks/loader.py --shards work/my/shards/bilingual
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from _measuring import name_of, record, shards_of
from datasets import Dataset, load_from_disk
from torch.utils.data import DataLoader
from transformers import AutoTokenizer, DataCollatorForLanguageModeling

from bimed_dist.pretraining.micro_batch import to_tensors
from bimed_dist.recipe.pretraining import PretrainingSettings
from bimed_dist.shards.batches import PhaseBatches
from bimed_dist.shards.reading import ShardSet

FAR = 100_000


def settings_of(max_length: int, batch: int) -> PretrainingSettings:
    return PretrainingSettings(
        model="none", shards="benchmark", steps=1, global_batch=batch, micro_batch=batch, max_length=max_length
    )


def rows_dataset(stream: PhaseBatches, folder: Path) -> Path:
    """Write the unmasked rows of epoch 0 as a `datasets` folder."""
    shards, plan = stream.shards, stream.plan(0)
    cls, sep = shards.tokens.cls, shards.tokens.sep

    def rows() -> Any:
        for row in range(plan.num_rows):
            starts = np.array([plan.a_start[row], plan.b_start[row]])
            lengths = np.array([plan.a_length[row], plan.b_length[row]])
            ids = shards.gather(starts, lengths).tolist()
            yield {
                "input_ids": [cls, *ids[: lengths[0]], sep, *ids[lengths[0] :], sep],
                "label": int(plan.is_next[row]),
            }

    Dataset.from_list(list(rows())).save_to_disk(folder)
    return folder


def rows_litdata(rows: Path, folder: Path) -> Path:
    """Write the same rows as litdata's chunks."""
    from litdata import optimize

    optimize(load_from_disk(rows).__getitem__, list(range(len(load_from_disk(rows)))), str(folder), chunk_bytes="64MB",
             num_workers=1)  # fmt: skip
    return folder


def with_litdata(folder: Path, collate: Callable[..., Any], batch: int, batches: int) -> float:
    from litdata import StreamingDataLoader, StreamingDataset

    dataset = StreamingDataset(str(folder), shuffle=True)
    return _tokens_per_second(StreamingDataLoader(dataset, batch_size=batch, collate_fn=collate), batches)


def ours(stream: PhaseBatches, batches: int) -> float:
    """Return tokens per second over `batches` steps from the middle of an epoch."""
    first = stream.steps_per_epoch // 2
    start = time.perf_counter()
    tokens = sum(
        to_tensors(part, torch.device("cpu")).input_ids.numel()
        for step in range(first, first + batches)
        for part in stream.step_batches(step, rank=0, world_size=1)
    )
    return tokens / (time.perf_counter() - start)


def with_datasets(folder: Path, collate: Callable[..., Any], batch: int, batches: int) -> float:
    loader = DataLoader(load_from_disk(folder), batch_size=batch, shuffle=True, collate_fn=collate)
    return _tokens_per_second(loader, batches)


def _tokens_per_second(loader: Any, batches: int) -> float:
    loader = iter(loader)
    next(loader)
    tokens, start = 0, time.perf_counter()
    for _ in range(batches):
        tokens += int(next(loader)["attention_mask"].sum())
    return tokens / (time.perf_counter() - start)


def seconds_to_first_batch(folder: Path, settings: PretrainingSettings, step: int) -> float:
    start = time.perf_counter()
    PhaseBatches(ShardSet.open(folder, "train"), settings, seed=1).step_batches(step, rank=0, world_size=1)
    return time.perf_counter() - start


@click.command(help=__doc__)
@click.option("--shards", type=click.Path(path_type=Path, exists=True), help="Folder of shards. [synthetic text]")
@click.option("--max-length", default=128, show_default=True)
@click.option("--batch", default=256, show_default=True)
@click.option("--batches", default=40, show_default=True)
@click.option("--repeats", default=7, show_default=True)
def main(shards: Path | None, max_length: int, batch: int, batches: int, repeats: int) -> None:
    torch.set_num_threads(1)
    settings = settings_of(max_length, batch)
    speeds: dict[str, list[float]] = {"datasets": [], "bimed_dist": []}
    seeks: dict[str, list[float]] = {"step 0": [], f"step {FAR}": []}
    with tempfile.TemporaryDirectory() as work:
        folder = shards_of(shards, Path(work))
        stream = PhaseBatches(ShardSet.open(folder, "train"), settings, seed=1)
        batches = min(batches, stream.steps_per_epoch // 2)
        collator = DataCollatorForLanguageModeling(AutoTokenizer.from_pretrained(folder / "tokenizer"))
        rows = rows_dataset(stream, Path(work) / "rows")
        if importlib.util.find_spec("litdata"):
            chunks = rows_litdata(rows, Path(work) / "chunks")
            speeds["litdata"] = []
        seconds_to_first_batch(folder, settings, FAR)  # writes the plan of its epoch
        for _ in range(repeats):
            speeds["datasets"].append(with_datasets(rows, collator, batch, min(batches, 10)))
            if "litdata" in speeds:
                speeds["litdata"].append(with_litdata(chunks, collator, batch, min(batches, 10)))
            speeds["bimed_dist"].append(ours(stream, batches))
            for name, step in (("step 0", 0), (f"step {FAR}", FAR)):
                seeks[name].append(seconds_to_first_batch(folder, settings, step))
    ratios = {
        side: [a / b for a, b in zip(speeds["bimed_dist"], values, strict=True)]
        for side, values in speeds.items()
        if side != "bimed_dist"
    }
    first, far = (statistics.median(values) for values in seeks.values())
    record(
        "loader",
        {
            "setting": {
                "shards": name_of(folder),
                "rows": stream.num_rows,
                "max_length": max_length,
                "batch": batch,
                "repeats": repeats,
            },
            "tokens_per_second": {side: round(statistics.median(values)) for side, values in speeds.items()},
            "ratio": {side: round(statistics.median(values), 1) for side, values in ratios.items()},
            "ratios": {side: [round(ratio, 1) for ratio in values] for side, values in ratios.items()},
            "first_batch_seconds": {"step 0": round(first, 4), f"step {FAR}": round(far, 4)},
            "seek_ratio": round(far / first, 2),
        },
    )


if __name__ == "__main__":
    main()
