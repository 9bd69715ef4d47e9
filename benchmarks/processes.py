"""Tokens per second of two processes against one, through the launcher, for DDP, ZeRO-2 and the reproducible mode.

Every side trains the same model with the same number of rows per step on all cores: one process with a thread per core,
or two processes with half of the threads each. The sides alternate in rounds; a round launches each side once, and its
ratio is that of the medians over steps. Two gloo processes exchange gradients through memory, so the ratio shows the
cost of the exchange and the engines, without a network.

Two independent trainings in parallel, each with half of the rows, show the speed of two processes that exchange
nothing. The share of it that the other sides reach is the efficiency for which docs/scaling.md has a formula; the
formula uses the speed of the independent trainings and the bandwidth of an all-reduce, measured here before and after.
(ZeRO-2 also halves the optimizer's work, which each independent training does in full.)

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
from typing import Any, NamedTuple

import click
import yaml
from _measuring import ROOT, record, synthetic_recipe
from safetensors.torch import load_file
from scaling import bytes_sent, efficiency, two_processes

from bimed_dist.corpus import stage as corpus_stage
from bimed_dist.model import stage as model_stage
from bimed_dist.recipe.loading import parse_recipe
from bimed_dist.recipe.pretraining import PretrainingSettings
from bimed_dist.shards import stage as shards_stage
from bimed_dist.shards.batches import PhaseBatches
from bimed_dist.shards.reading import ShardSet
from bimed_dist.vocabulary import stage as vocabulary_stage
from bimed_dist.workspace import METRICS, stage_folder

WARM_UP = 2
"""Steps of each launch that don't count."""
ROWS = 64
"""Rows per step, over all processes."""
REPRODUCIBLE = ("--set", "pretraining.run.reproducible=across_world_sizes")


class Side(NamedTuple):
    launcher: str | None = None
    """File of ds_configs/accelerate."""
    more: tuple[str, ...] = ()
    runs: tuple[str, ...] = ("run",)
    """Names of trainings that run in parallel."""


SIDES = {
    "one process": Side(),
    "two apart": Side(runs=("first_half", "second_half")),
    "two, DDP": Side("cpu_ddp.yaml"),
    "two, ZeRO-2": Side("cpu.yaml"),
    "one process, reproducible": Side(more=REPRODUCIBLE),
    "two, reproducible": Side("cpu_ddp.yaml", REPRODUCIBLE),
}
STAGES = {"two, DDP": 0, "two, ZeRO-2": 2}
"""ZeRO stage of the sides that the formula is checked against."""


def recipe_of(layers: int, width: int, steps: int) -> dict[str, Any]:
    tree = synthetic_recipe().model_dump(mode="json", exclude_unset=True)
    architecture = {
        "num_hidden_layers": layers,
        "hidden_size": width,
        "num_attention_heads": width // 64,
        "intermediate_size": 4 * width,
        "max_position_embeddings": 128,
    }
    run = {
        "model": "benchmark", "shards": "synthetic", "steps": steps + WARM_UP, "global_batch": ROWS, "micro_batch": 16,
        "log_every": 1, "validation_rows": 16, "validate_every": 10**6, "checkpoint_every": 10**6, "trackers": [],
    }  # fmt: skip
    half = {**run, "global_batch": ROWS // 2}
    model = {"benchmark": {"architecture": architecture, "tokenizer": "vocabulary/synthetic"}}
    return {**tree, "model": model, "pretraining": {"run": run, "first_half": half, "second_half": half}}


def tokens_per_second(side: str, recipe: Path, work: Path, cores: int) -> float:
    """Return tokens per second over all processes, the median over the steps of one launch."""
    launcher, more, runs = SIDES[side]
    program = [sys.executable]
    if launcher:
        config = ROOT / "ds_configs" / "accelerate" / launcher
        program += ["-m", "accelerate.commands.launch", "--config_file", str(config), "--main_process_port", "0"]
    program += ["launch/pretrain.py", str(recipe), "--work", str(work), *more]
    processes = 2 if launcher else len(runs)
    environment = {**os.environ, "OMP_NUM_THREADS": str(cores // processes), "CUDA_VISIBLE_DEVICES": ""}
    for run in runs:
        shutil.rmtree(stage_folder(work, "pretraining", run), ignore_errors=True)
    log = work / "log"
    with log.open("w") as file:
        commands = [[*program, "--name", run] for run in runs]
        started = [
            subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file) for command in commands
        ]
    codes = [process.wait() for process in started]
    if any(codes):
        raise RuntimeError(f"{side} failed: {log.read_text(encoding='utf-8')[-2000:]}")
    return sum(_median_of(stage_folder(work, "pretraining", run)) for run in runs)


def _median_of(run: Path) -> float:
    lines = map(json.loads, (run / METRICS).read_text(encoding="utf-8").splitlines())
    return statistics.median([line["tokens_per_second"] for line in lines if line["kind"] == "train"][WARM_UP:])


def tokens_per_step(settings: PretrainingSettings, work: Path) -> float:
    rows = PhaseBatches(ShardSet.open(stage_folder(work, "shards", settings.shards), "train"), settings, seed=1)
    steps = [rows.step_batches(step, rank=0, world_size=1) for step in range(5)]
    return statistics.median(sum(len(batch.input_ids) for batch in batches) for batches in steps)


def parameters_of(model: Path) -> int:
    return sum(tensor.numel() for tensor in load_file(model / "model.safetensors").values())


def megabytes_per_second() -> float:
    return two_processes(None, "--worker", "bandwidth")["megabytes_per_second"]


@click.command(help=__doc__)
@click.option("--layers", default=6, show_default=True)
@click.option("--width", default=384, show_default=True)
@click.option("--steps", default=8, show_default=True, help="Steps of each launch that count.")
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
        settings = parsed.pretraining["run"]
        tokens, parameters = (
            tokens_per_step(settings, work),
            parameters_of(stage_folder(work, "model", "benchmark")),
        )
        bandwidths = [megabytes_per_second()]
        for number in range(rounds):
            for side in SIDES:
                rates[side].append(tokens_per_second(side, recipe, work, cores))
                click.echo(f"round {number + 1} of {rounds}: {side}: {rates[side][-1]:,.0f} tokens/s", err=True)

        bandwidths.append(megabytes_per_second())

    def ratio(side: str, baseline: str) -> float:
        return round(statistics.median(a / b for a, b in zip(rates[side], rates[baseline], strict=True)), 3)

    def formula(side: str) -> float:
        micro_batches = ROWS // 2 // settings.micro_batch
        sent = bytes_sent(STAGES[side], parameters, 2, micro_batches, 4, 4)
        apart = statistics.median(rates["two apart"]) / 2
        return round(efficiency(sent, 8e6 * statistics.mean(bandwidths), tokens / 2, apart), 3)

    record(
        "processes",
        {
            "setting": {
                "model": f"{layers} layers of {width}",
                "parameters": parameters,
                "global_batch": ROWS,
                "micro_batch": settings.micro_batch,
                "tokens_of_an_update": tokens,
                "max_length": 128,
                "threads": f"{cores} for one process, {cores // 2} for each of two",
                "updates_of_a_launch": steps,
                "rounds": rounds,
            },
            "tokens_per_second": {side: round(statistics.median(values)) for side, values in rates.items()},
            "tokens_per_second_of_rounds": {side: list(map(round, values)) for side, values in rates.items()},
            "ratio_to_one_process": {side: ratio(side, "one process") for side in SIDES},
            "reproducible_to_ddp": ratio("two, reproducible", "two, DDP"),
            "all_reduce_megabytes_per_second": bandwidths,
            "efficiency": {side: {"measured": ratio(side, "two apart"), "formula": formula(side)} for side in STAGES},
        },
    )


if __name__ == "__main__":
    main()
