"""Shared by the benchmarks: machine and versions of a measurement, the results file, and data to measure on."""

import contextlib
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import click
import psutil

from bimed_dist.manifest import read_manifest, versions, write_json
from bimed_dist.recipe.loading import parse_recipe
from bimed_dist.recipe.recipe import Recipe

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def environment() -> dict[str, Any]:
    """Return machine, versions, commit and date of a measurement."""
    return {"machine": _machine(), "versions": versions(), "commit": _commit(), "measured": _today()}


def record(name: str, result: dict[str, Any]) -> None:
    """Print the result with its environment and write it to benchmarks/results/NAME.json."""
    document = {"benchmark": name, **result, **environment()}
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / f"{name}.json", document)
    click.echo(json.dumps(document, ensure_ascii=False, indent=1))


class Run(NamedTuple):
    seconds: float
    memory_mb: float
    """Peak resident memory, including workers."""
    result: Any


def run_in_process(function: Callable[..., Any], *arguments: Any) -> Run:
    """Run a function in a new process.

    Memory is measured from outside, because a process's own peak includes the memory of its parent at its start.
    """
    peak = 0
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        running = pool.submit(_timed, function, *arguments)
        while not running.done():
            peak = max(peak, _memory_of_children())
            time.sleep(0.02)
    seconds, result = running.result()
    return Run(seconds, peak / 2**20, result)


def _timed(function: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def _memory_of_children() -> int:
    resident = 0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            resident += process.memory_info().rss
    return resident


def synthetic_recipe() -> Recipe:
    """Return a recipe of synthetic Korean, English and mixed documents, a vocabulary of 8,000 tokens, and shards."""
    tree = {
        "name": "benchmark",
        "seed": 1,
        "corpus": {"synthetic": {"sources": [{"kind": "synthetic", "name": "synthetic", "documents": 3000}]}},
        "vocabulary": {"synthetic": {"corpus": "synthetic", "size": 8000}},
        "shards": {"synthetic": {"corpus": "synthetic", "tokenizer": "vocabulary/synthetic"}},
    }
    return parse_recipe(tree, where="benchmark")


def corpus_of(folder: Path | None, work: Path) -> Path:
    """Return `folder`, or build the synthetic corpus in `work`."""
    from bimed_dist.corpus import stage as corpus_stage

    return folder or corpus_stage.run(synthetic_recipe(), "synthetic", work).folder


def shards_of(folder: Path | None, work: Path) -> Path:
    """Return `folder`, or build the shards of the synthetic corpus in `work`."""
    if folder is not None:
        return folder
    # Imported here, since a machine that only trains need not have the libraries of these stages.
    from bimed_dist.corpus import stage as corpus_stage
    from bimed_dist.shards import stage as shards_stage
    from bimed_dist.vocabulary import stage as vocabulary_stage

    recipe = synthetic_recipe()
    stages = (corpus_stage, vocabulary_stage, shards_stage)
    return [stage.run(recipe, "synthetic", work).folder for stage in stages][-1]


def name_of(folder: Path) -> str:
    """Return name and digest of a built folder; its path is private."""
    manifest = read_manifest(folder)
    return f"{manifest.name} {manifest.digest[:12]}"


def _machine() -> dict[str, Any]:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    torch = sys.modules.get("torch")  # Not imported for benchmarks without torch: it would count as their memory.
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch else []
    return {"cpu": cpu, "gpus": gpus, "cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory, 1)}


def _commit() -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    # Results that another benchmark has just written do not count as changes.
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)benchmarks/results")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("-changed" if changed else "")


def _today() -> str:
    return datetime.datetime.now(datetime.timezone.utc).date().isoformat()
