"""Build results.json from the collected results of all models on all tasks."""

import zlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bimed_dist.evaluation.comparisons import (
    are_dependent,
    comparison_rows,
    correct_p_values,
    unit_count,
    unit_names,
)
from bimed_dist.evaluation.grid.task_result import SplitResult, TaskResult
from bimed_dist.evaluation.metrics import resampling, statistics
from bimed_dist.evaluation.metrics.scores import scores
from bimed_dist.evaluation.metrics.sums import Samples
from bimed_dist.evaluation.preparation.prepared import PreparedTask, task_grid
from bimed_dist.evaluation.results_format import (
    SCHEMA,
    ComparisonRow,
    ModelEntry,
    ProbabilityCounts,
    Results,
    ScoreRow,
    TaskEntry,
)
from bimed_dist.recipe.evaluation import EvaluationSettings

PROBABILITY_BINS = 20
RULES = "rules"
"""Stands for the keyword rules in the place of a model's label."""
ResultsByTaskAndModel = Mapping[tuple[str, str], TaskResult]


def build_results(
    settings: EvaluationSettings,
    seed: int,
    models: Mapping[str, ModelEntry],
    tasks: Mapping[str, PreparedTask],
    results: ResultsByTaskAndModel,
) -> Results:
    """Return results.json; `seed` is the recipe's and draws the resamples."""
    score_rows: list[ScoreRow] = []
    comparisons: list[ComparisonRow] = []
    for name, prepared in tasks.items():
        by_model = {model: results[name, model] for model in settings.models}
        for split in dict.fromkeys(split for result in by_model.values() for split in result.splits):
            resampled = resample_split(prepared, split, by_model, seed)
            for model, result in by_model.items():
                if split in result.splits and result.splits[split].scores:
                    score_rows += _score_rows(prepared, split, model, result, resampled[model])
            comparisons += comparison_rows(settings.models, prepared, split, by_model, resampled)
    correct_p_values(comparisons)
    return {
        "schema": SCHEMA,
        "models": dict(models),
        "tasks": {
            name: _task_entry(settings, prepared, {m: results[name, m] for m in settings.models})
            for name, prepared in tasks.items()
        },
        "grid": {
            "learning_rates": list(settings.learning_rates),
            "epochs": list(settings.epochs),
            "seeds": list(settings.seeds),
            "batch_size": settings.batch_size,
        },
        "statistics": {
            "resamples": resampling.RESAMPLES,
            "ranked_resamples": resampling.RANKED_RESAMPLES,
            "confidence": statistics.CONFIDENCE,
        },
        "scores": score_rows,
        "baselines": [row for prepared in tasks.values() for row in _rule_rows(prepared, seed)],
        "comparisons": comparisons,
        "failures": [failure for result in results.values() for failure in result.failures],
    }


# -------------------------------------------------------------------------------------------------------------- scores


def resample_split(
    prepared: PreparedTask, split: str, results: Mapping[str, TaskResult], seed: int
) -> dict[str, Samples]:
    """Return the metrics of every model with scores on the same resamples of a split's units."""
    predictions = {}
    for model, result in results.items():
        part = result.splits.get(split)
        if part is not None and part.scores:
            units = unit_names(part.examples) if are_dependent(part.examples) else None
            predictions[model] = [
                resampling.prediction_sums(prepared.task.kind, part.gold[s], part.predicted[s], prepared.labels, units)
                for s in part.scores
            ]
    return resampling.resample(predictions, (seed, zlib.crc32(f"{prepared.name}/{split}".encode())))


def _score_rows(
    prepared: PreparedTask, split: str, model: str, result: TaskResult, resampled: Samples
) -> Iterator[ScoreRow]:
    part, chosen = result.splits[split], result.chosen
    for metric in next(iter(part.scores.values())):
        values = [by_metric[metric] for by_metric in part.scores.values()]
        mean, sd = statistics.mean_and_sd(values)
        interval = statistics.interval(resampled[metric]) if metric in resampled else None
        yield {
            "task": prepared.name,
            "model": model,
            "split": split,
            "metric": metric,
            "main": metric == prepared.task.metric,
            "values": values,
            "mean": mean,
            "sd": sd,
            "n": len(next(iter(part.gold.values()))),
            "interval": interval and list(interval),
            "chosen": chosen and {"learning_rate": chosen.learning_rate, "epochs": chosen.epochs},
        }


def _rule_rows(prepared: PreparedTask, seed: int) -> Iterator[ScoreRow]:
    """Yield the scores of the keyword rules, on the resamples that models are scored on."""
    for split, rules in prepared.rules.items():
        values = scores(prepared.task.kind, rules.gold, rules.predicted, prepared.labels)
        part = SplitResult({0: rules.gold}, {0: rules.predicted}, {0: values}, rules.examples)
        result = TaskResult(splits={split: part})
        resampled = resample_split(prepared, split, {RULES: result}, seed)
        yield from _score_rows(prepared, split, RULES, result, resampled[RULES])


# --------------------------------------------------------------------------------------------------------------- tasks


def _task_entry(settings: EvaluationSettings, prepared: PreparedTask, results: Mapping[str, TaskResult]) -> TaskEntry:
    task = prepared.task
    parts = {name: part for result in results.values() for name, part in result.splits.items() if part.scores}
    slices = {name: part.slice_by for name, part in parts.items() if part.slice_by is not None}
    return {
        "task": prepared.settings.task,
        "kind": task.kind,
        "title": task.title,
        "language": task.language,
        "metric": task.metric,
        "citation": task.citation,
        "licence": task.licence,
        "labels_from": task.labels_from,
        "labels_by": task.labels_by,
        "unit": task.unit,
        "digest": prepared.digest,
        "rows": prepared.rows,
        "read": prepared.read,
        "dropped": prepared.dropped,
        "kept_of": prepared.kept_of,
        "grid": task_grid(settings, prepared),
        "folds": len(prepared.folds) or None,
        "variant": prepared.variant(),
        "slices": slices,
        "split_languages": prepared.split_languages | {name: name for name, by in slices.items() if by == "language"},
        "not_applicable": {m: result.not_applicable for m, result in results.items() if result.not_applicable},
        "next_probabilities": _next_probabilities(results) if task.kind == "nsp" else None,
        "notes": [*prepared.notes, *few_unit_notes(parts), *(n for result in results.values() for n in result.notes)],
    }


def few_unit_notes(parts: Mapping[str, SplitResult]) -> list[str]:
    """Return a note on splits, languages and sources whose intervals and p rest on few units."""
    few = [
        f"{name} {units} {'documents or patients' if are_dependent(part.examples) else 'rows'}"
        for name, part in parts.items()
        if (units := unit_count(part.examples)) < statistics.FEW_UNITS
    ]
    if not few:
        return []
    return [
        f"few units are resampled: {', '.join(few)}; intervals are too narrow and p cannot fall below 2^(1 - units)"
    ]


def _next_probabilities(results: Mapping[str, TaskResult]) -> dict[str, ProbabilityCounts]:
    """Count sentence pairs by the predicted probability of IsNext, in PROBABILITY_BINS equal bins."""
    counts: dict[str, ProbabilityCounts] = {}
    for model, result in results.items():
        if "test" in result.splits:
            test = result.splits["test"]
            gold, predicted = (_all_items(by_seed, test.scores) for by_seed in (test.gold, test.predicted))
            counts[model] = {
                side: np.histogram(predicted[gold == value], bins=PROBABILITY_BINS, range=(0, 1))[0].tolist()
                for side, value in (("next", 1), ("random", 0))
            }
    return counts


def _all_items(by_seed: Mapping[int, Sequence[np.ndarray]], seeds: Mapping[int, object]) -> np.ndarray:
    return np.concatenate([item for seed in seeds for item in by_seed[seed]])
