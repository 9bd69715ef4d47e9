"""Tokens per second of two processes against one, through the launcher, for DDP, ZeRO-2 and the reproducible mode.

Every side trains the same model on the same rows with all cores: one process with a thread for each of them, or two
with half of the threads each. The sides alternate, in rounds; a round is a launch of each, and the ratio of a round is
that of the medians of its updates. Two gloo processes exchange gradients through memory, so this is what the exchange
and the engines cost, and no network.

    python benchmarks/processes.py
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import yaml
from _measuring import ROOT, record, synthetic_recipe

from bimed_dist.config import parse_recipe
from bimed_dist.corpus import stage as corpus_stage
from bimed_dist.model import stage as model_stage
from bimed_dist.shards import stage as shards_stage
from bimed_dist.vocabulary import stage as vocabulary_stage

WARM_UP = 2
"""Updates of each launch that don't count."""
REPRODUCIBLE = ("--set", "pretraining.run.reproducible=across_world_sizes")
SIDES: dict[str, tuple[str | None, tuple[str, ...]]] = {
    "one process": (None, ()),
    "two, DDP": ("cpu_ddp.yaml", ()),
    "two, ZeRO-2": ("cpu.yaml", ()),
    "one process, reproducible": (None, REPRODUCIBLE),
    "two, reproducible": ("cpu_ddp.yaml", REPRODUCIBLE),
}
"""Side -> file of ds_configs/accelerate, more arguments."""


def recipe_of(layers: int, width: int, steps: int) -> dict[str, Any]:
    tree = synthetic_recipe().model_dump(mode="json", exclude_unset=True)
    architecture = {"layers": layers, "width": width, "heads": width // 64, "feed_forward": 4 * width, "positions": 128}
    run = {
        "model": "benchmark", "shards": "synthetic", "steps": steps + WARM_UP, "global_batch": 64, "micro_batch": 16,
        "log_every": 1, "validation_rows": 16, "validate_every": 10**6, "checkpoint_every": 10**6, "trackers": [],
    }  # fmt: skip
    model = {"benchmark": {"architecture": architecture, "tokenizer": "vocabulary/synthetic"}}
    return {**tree, "model": model, "pretraining": {"run": run}}


def tokens_per_second(side: str, recipe: Path, work: Path, cores: int) -> float:
    """Median over the updates of one launch."""
    launcher, more = SIDES[side]
    program = [sys.executable]
    if launcher:
        config = ROOT / "ds_configs" / "accelerate" / launcher
        program += ["-m", "accelerate.commands.launch", "--config_file", str(config), "--main_process_port", "0"]
    run = work / "pretraining" / "run"
    shutil.rmtree(run, ignore_errors=True)
    done = subprocess.run(
        [*program, "launch/pretrain.py", str(recipe), "--work", str(work), *more],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": str(cores // 2 if launcher else cores)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{side} failed: {done.stderr[-2000:]}")
    lines = map(json.loads, (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    rates = [line["tokens_per_second"] for line in lines if line["kind"] == "train"]
    return statistics.median(rates[WARM_UP:])


@click.command(help=__doc__)
@click.option("--layers", default=6, show_default=True)
@click.option("--width", default=384, show_default=True)
@click.option("--steps", default=8, show_default=True, help="Updates of each launch that count.")
@click.option("--rounds", default=5, show_default=True)
def main(layers: int, width: int, steps: int, rounds: int) -> None:
    cores = len(os.sched_getaffinity(0))
    rates: dict[str, list[float]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        work, recipe = Path(folder) / "work", Path(folder) / "recipe.yaml"
        tree = recipe_of(layers, width, steps)
        recipe.write_text(yaml.safe_dump(tree), encoding="utf-8")
        parsed = parse_recipe(tree, where="benchmark")
        for stage in (corpus_stage, vocabulary_stage, shards_stage):
            stage.run(parsed, "synthetic", work)
        model_stage.run(parsed, "benchmark", work)
        for number in range(rounds):
            for side in SIDES:
                rates[side].append(tokens_per_second(side, recipe, work, cores))
                click.echo(f"round {number + 1} of {rounds}: {side}: {rates[side][-1]:,.0f} tokens/s", err=True)

    def ratio(side: str, beside: str) -> float:
        return round(statistics.median(a / b for a, b in zip(rates[side], rates[beside], strict=True)), 3)

    record(
        "processes",
        {
            "setting": {
                "model": f"{layers} layers of {width}",
                "global_batch": 64,
                "micro_batch": 16,
                "max_length": 128,
                "threads": f"{cores} for one process, {cores // 2} for each of two",
                "updates_of_a_launch": steps,
                "rounds": rounds,
            },
            "tokens_per_second": {side: round(statistics.median(values)) for side, values in rates.items()},
            "ratio_to_one_process": {side: ratio(side, "one process") for side in SIDES},
            "reproducible_to_ddp": ratio("two, reproducible", "two, DDP"),
        },
    )


if __name__ == "__main__":
    main()
