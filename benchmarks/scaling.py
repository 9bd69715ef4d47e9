"""Cost of communication: bytes per step for ZeRO 0 to 3, counted on two processes, and the efficiency they allow.

1. Counts the bytes that two processes exchange in one step, for every stage and two numbers of micro-batches, and
   compares them with the formulas of docs/scaling.md. Counts don't depend on how busy the machine is.
2. Measures the bandwidth of an all-reduce over gloo between two processes of this machine.
3. Prints expected efficiencies for BERT-base by number of GPUs and link. It assumes no overlap of communication
   and arithmetic, which is pessimistic, and no latency, which is optimistic.

    python benchmarks/scaling.py
"""

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
import yaml
from _measuring import ROOT, record

PARAMETERS = 121_300_000
"""BERT-base with 45,056 tokens."""
TOKENS_PER_SECOND = 640_000
"""Assumed tokens per second and GPU: the project's goal for one H200."""
GLOBAL_BATCHES = (4096, 65_536)
"""Rows of 128 tokens; 65,536 is the largest that You et al. 2020 (LAMB) trained BERT with."""
ENGINES = {"zero0": None, "zero1": "zero1.json", "zero2": "zero2.json", "zero3": "zero3.json"}


def bytes_sent(stage: int, parameters: float, ranks: int, micro_batches: int, gradient: int, weight: int) -> float:
    """Return the bytes that each rank sends per step over rings; `gradient` and `weight` are bytes per number.

    A ring all-reduce of M bytes sends 2 (N-1)/N M, a reduce-scatter or an all-gather half of that (Patarasuk and Yuan
    2009). This is the default of DeepSpeed 0.19, which differs slightly from the ZeRO paper: see docs/scaling.md.
    """
    share = (ranks - 1) / ranks * parameters
    if stage == 0:
        return 2 * share * gradient
    if stage == 1:
        return share * (2 * gradient + weight)
    if stage == 2:
        return share * (2 * micro_batches * gradient + weight)
    return share * micro_batches * (gradient + weight)


def efficiency(sent: float, bits_per_second: float, tokens: float, tokens_per_second: float) -> float:
    """Return the share of time spent on arithmetic if a rank computes `tokens` per step and nothing overlaps."""
    compute, communicate = tokens / tokens_per_second, 8 * sent / bits_per_second
    return compute / (compute + communicate)


def tokens_needed(sent: float, bits_per_second: float, target: float, tokens_per_second: float) -> float:
    """Return the tokens per GPU and step for an efficiency of `target`."""
    return target / (1 - target) * 8 * sent / bits_per_second * tokens_per_second


def expectations() -> list[dict[str, Any]]:
    """Return expected efficiencies by stage, GPUs and link, for one micro-batch and float32."""
    rows = []
    for stage, ranks, gigabits in itertools.product(range(4), (8, 64, 512), (1, 10, 100)):
        sent, rate = bytes_sent(stage, PARAMETERS, ranks, 1, 4, 4), gigabits * 1e9
        by_batch = {
            f"efficiency_at_{batch}_rows": round(efficiency(sent, rate, batch * 128 / ranks, TOKENS_PER_SECOND), 3)
            for batch in GLOBAL_BATCHES
        }
        needed = round(tokens_needed(sent, rate, 0.9, TOKENS_PER_SECOND) * ranks / 128)
        row = {"stage": stage, "gpus": ranks, "gigabits": gigabits, "megabytes_sent": round(sent / 1e6)}
        rows.append({**row, **by_batch, "rows_for_0.9": needed})
    return rows


# --------------------------------------------------------------------------------------------- in each of two processes


def start_counting() -> Counter[str]:
    """Count the bytes that this rank sends from now on, by collective, as if sent over rings."""
    import torch
    import torch.distributed as dist

    sent: Counter[str] = Counter()
    share = 1 - 1 / int(os.environ["WORLD_SIZE"])

    def counted(name: str, factor: float) -> None:
        original = getattr(dist, name)

        def call(*arguments: Any, **options: Any) -> Any:
            # The larger tensor is reduced or gathered. The norm of the gradient, one number, is not counted.
            tensors = [value for value in (*arguments, *options.values()) if isinstance(value, torch.Tensor)]
            tensor = max(tensors, key=torch.Tensor.numel)
            if tensor.is_floating_point() and tensor.numel() > 1:
                sent[name] += factor * share * tensor.numel() * tensor.element_size()
            return original(*arguments, **options)

        setattr(dist, name, call)

    for name, factor in (("all_reduce", 2), ("reduce", 1), ("reduce_scatter_tensor", 1), ("all_gather_into_tensor", 1)):
        counted(name, factor)
    return sent


def count_exchanged(micro_batches: int) -> dict[str, Any]:
    """Return the bytes that this rank sends in one step."""
    sent = start_counting()
    # Imported afterwards, since DeepSpeed takes these functions when it is imported.
    import numpy as np
    import torch
    from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
    from training_step import random_batch
    from transformers import BertConfig, BertForPreTraining

    from bimed_dist.model.packed import PackedPretraining
    from bimed_dist.pretraining.distributed import Engine
    from bimed_dist.pretraining.micro_batch import to_tensors
    from bimed_dist.pretraining.optimizer import make_optimizer
    from bimed_dist.recipe.pretraining import PretrainingSettings

    settings = PretrainingSettings(
        model="none", shards="none", steps=9, global_batch=2 * 4 * micro_batches, micro_batch=4
    )
    engine = Engine(settings)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=1024, hidden_size=384, num_hidden_layers=2, num_attention_heads=6, intermediate_size=1536
    )
    module = PackedPretraining(BertForPreTraining(config)).train()
    parameters = module.model.num_parameters()  # before ZeRO-3 partitions them
    engine.prepare(module, make_optimizer(module, settings))
    if engine.kind == "ddp":
        # DDP's own reducer calls nothing that can be counted; this hook does the same through torch.distributed.
        engine._model.register_comm_hook(None, allreduce_hook)

    for step in range(3):  # the first steps set things up
        sent.clear()
        rng = np.random.default_rng(step)
        batches = [random_batch(rng, 4, 64, 0.6, 1024) for _ in range(micro_batches)]

        def loss(batch: Any) -> Any:
            mlm, nsp, _, _ = engine.forward(to_tensors(batch, engine.device))
            return mlm.mean() + nsp.mean()

        engine.accumulate([lambda batch=batch: loss(batch) for batch in batches])
        engine.optimizer_step(1e-4)
    found = {"sent": sum(sent.values()), "by": dict(sent), "parameters": parameters}
    engine.close()
    return found


def bandwidth() -> dict[str, Any]:
    """Return the bandwidth per rank of an all-reduce of 64 MB, the median of nine."""
    import torch
    import torch.distributed as dist

    dist.init_process_group("gloo")
    tensor, seconds = torch.ones(2**24), []
    for _ in range(10):
        dist.barrier()
        start = time.perf_counter()
        dist.all_reduce(tensor)
        seconds.append(time.perf_counter() - start)
    ranks = dist.get_world_size()
    dist.destroy_process_group()
    return {
        "megabytes_per_second": round(
            2 * (ranks - 1) / ranks * tensor.numel() * 4 / statistics.median(seconds[1:]) / 1e6
        )
    }


# --------------------------------------------------------------------------------------------------------- in the first


def two_processes(zero_file: str | None, *arguments: str) -> dict[str, Any]:
    """Run this program as two workers and return the result of the first."""
    name = "cpu_ddp.yaml" if zero_file is None else "cpu.yaml"
    config = yaml.safe_load((ROOT / "ds_configs" / "accelerate" / name).read_text(encoding="utf-8"))
    if zero_file is not None:
        config["deepspeed_config"]["deepspeed_config_file"] = f"ds_configs/{zero_file}"
    with tempfile.TemporaryDirectory() as folder:
        launcher, answer = Path(folder) / "launcher.yaml", Path(folder) / "answer.json"
        launcher.write_text(yaml.safe_dump(config), encoding="utf-8")
        command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(launcher)]
        command += ["--main_process_port", "0", __file__, *arguments, "--answer", str(answer)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise click.ClickException(done.stderr)
        return json.loads(answer.read_text(encoding="utf-8"))


@click.command(help=__doc__)
@click.option("--worker", type=click.Choice(["count", "bandwidth"]), hidden=True)
@click.option("--micro-batches", default=1, hidden=True)
@click.option("--answer", type=click.Path(path_type=Path), hidden=True)
def main(worker: str | None, micro_batches: int, answer: Path | None) -> None:
    if worker:
        found = count_exchanged(micro_batches) if worker == "count" else bandwidth()
        if os.environ["RANK"] == "0":
            answer.write_text(json.dumps(found), encoding="utf-8")
        return
    counts = []
    for stage, (engine, zero_file) in enumerate(ENGINES.items()):
        for micro in (1, 3):
            found = two_processes(zero_file, "--worker", "count", "--micro-batches", str(micro))
            formula = bytes_sent(stage, found["parameters"], 2, micro, 4, 4)
            ratio = round(found["sent"] / formula, 4)
            counts.append({"engine": engine, "micro_batches": micro, "sent": found["sent"], "counted/formula": ratio})
            click.echo(f"{engine}, {micro} micro-batch(es): counted / formula = {ratio}", err=True)
    loopback = two_processes(None, "--worker", "bandwidth")
    setting = {"parameters": PARAMETERS, "assumed_tokens_per_second": TOKENS_PER_SECOND}
    record("scaling", {"setting": setting, "counted": counts, "loopback": loopback, "expected": expectations()})


if __name__ == "__main__":
    main()
