"""results.json: everything the report needs, from what was measured."""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from bimed_dist.evaluation.grid.task_result import SplitResult, TaskResult
from bimed_dist.evaluation.metrics import statistics
from bimed_dist.evaluation.metrics.ranking import metrics_from_counts
from bimed_dist.evaluation.metrics.scores import scores
from bimed_dist.evaluation.metrics.sums import Arrays, item_sums, metrics_from_sums
from bimed_dist.evaluation.preparation.prepared import PreparedTask, task_grid
from bimed_dist.evaluation.task import FINE_TUNED_KINDS, SOURCE, Example, Task
from bimed_dist.recipe.evaluation import EvaluationSettings

SCHEMA = 1
"""Raised where a value changes its meaning; values that are added leave it, so that older reports can be made anew."""
PROBABILITY_BINS = 20
RULES = "rules"
"""What stands for the rule baseline where a model's label would."""
Grid = Mapping[tuple[str, str], TaskResult]
"""What was measured, by (task, model)."""


def summarise(
    settings: EvaluationSettings, seed: int, models: Mapping[str, Any], tasks: Mapping[str, PreparedTask], grid: Grid
) -> dict[str, Any]:
    """The whole of results.json; `seed` is the recipe's and draws the resamples."""
    score_rows: list[dict[str, Any]] = []
    comparisons: list[dict[str, Any]] = []
    for name, prepared in tasks.items():
        measured = {model: grid[name, model] for model in settings.models}
        for split in dict.fromkeys(split for m in measured.values() for split in m.splits):
            resampled = _resampled(prepared, split, measured, seed)
            for model, result in measured.items():
                if split in result.splits and result.splits[split].scores:
                    score_rows += _score_rows(prepared, split, model, result, resampled[model])
            comparisons += _comparison_rows(settings, prepared, split, measured, resampled)
    _correct(comparisons)
    baselines = [row for prepared in tasks.values() for row in _rule_rows(prepared, seed)]
    return {
        "schema": SCHEMA,
        "models": dict(models),
        "tasks": {name: _task_entry(settings, prepared, name, grid) for name, prepared in tasks.items()},
        "grid": {
            "learning_rates": list(settings.learning_rates),
            "epochs": list(settings.epochs),
            "seeds": list(settings.seeds),
            "batch": settings.batch_size,
        },
        "statistics": {
            "resamples": statistics.RESAMPLES,
            "ranked_resamples": statistics.RANKED,
            "confidence": statistics.CONFIDENCE,
        },
        "scores": score_rows,
        "baselines": baselines,
        "comparisons": comparisons,
        "failures": [failure for measured in grid.values() for failure in measured.failures],
    }


OfModel = Mapping[str, np.ndarray]
"""Metrics of one model on the resamples; empty where there is a single unit to draw."""


def _resampled(prepared: PreparedTask, split: str, measured: Mapping[str, TaskResult], seed: int) -> dict[str, OfModel]:
    """Every model on the same resamples of a split's units."""
    parts = {model: result.splits[split] for model, result in measured.items() if split in result.splits}
    runs = {
        model: [_run(prepared, part.examples, part.gold[s], part.predicted[s]) for s in part.scores]
        for model, part in parts.items()
        if part.scores
    }
    return _on_resamples(prepared, split, runs, seed)


def _on_resamples(
    prepared: PreparedTask, split: str, runs: Mapping[str, list[statistics.Run]], seed: int
) -> dict[str, OfModel]:
    if any(len(run.sums) < 2 for per_seed in runs.values() for run in per_seed):
        return {model: {} for model in runs}
    return statistics.resampled(runs, _resample_seed(prepared, split, seed)) if runs else {}


def _run(prepared: PreparedTask, examples: tuple[Example, ...], gold: Arrays, predicted: Arrays) -> statistics.Run:
    """Rows of one document or patient are dependent, so that it is the unit; else the row."""
    kind, labels = prepared.task.kind, prepared.labels
    sums = item_sums(kind, gold, predicted, labels)
    unit = np.arange(len(sums))
    if _are_dependent(examples):
        sums, unit = statistics.sums_of_units(sums, _unit_names(examples))
    return statistics.Run(
        sums,
        lambda of_samples: metrics_from_sums(kind, of_samples, labels),
        lambda counts: metrics_from_counts(kind, gold, predicted, labels, counts[unit]),
    )


def _are_dependent(examples: tuple[Example, ...]) -> bool:
    return any(example.document for example in examples)


def _unit_names(examples: tuple[Example, ...]) -> list[str]:
    """The document or patient of each row, or the row itself where it has none."""
    return [example.document or example.id for example in examples]


def _unit_count(examples: tuple[Example, ...]) -> int:
    return len(set(_unit_names(examples))) if _are_dependent(examples) else len(examples)


def _resample_seed(prepared: PreparedTask, split: str, seed: int) -> tuple[int, int]:
    return seed, zlib.crc32(f"{prepared.name}/{split}".encode())


def _rule_rows(prepared: PreparedTask, seed: int) -> Iterator[dict[str, Any]]:
    """Scores of the rule baseline, in the form of a model's, on the resamples that models are scored on."""
    kind = prepared.task.kind
    for split, result in prepared.rules.items():
        runs = {RULES: [_run(prepared, result.examples, result.gold, result.predicted)]}
        resampled = _on_resamples(prepared, split, runs, seed)[RULES]
        values = scores(kind, result.gold, result.predicted, prepared.labels)
        part = SplitResult({0: result.gold}, {0: result.predicted}, {0: values})
        yield from _score_rows(prepared, split, RULES, TaskResult(splits={split: part}), resampled)


def _score_rows(
    prepared: PreparedTask, split: str, model: str, measured: TaskResult, resampled: OfModel
) -> Iterator[dict[str, Any]]:
    part: SplitResult = measured.splits[split]
    chosen = measured.chosen
    main = prepared.task.metric
    for metric in next(iter(part.scores.values())):
        values = [of_seed[metric] for of_seed in part.scores.values()]
        mean, sd = statistics.mean_and_sd(values)
        bounds = statistics.interval(resampled[metric]) if metric in resampled else None
        yield {
            "task": prepared.name,
            "model": model,
            "split": split,
            "metric": metric,
            "main": metric == main,
            "values": values,
            "mean": mean,
            "sd": sd,
            "n": len(next(iter(part.gold.values()))),
            "interval": None if bounds is None else list(bounds),
            "chosen": chosen and {"learning_rate": chosen.learning_rate, "epochs": chosen.epochs},
        }


def _comparison_rows(
    settings: EvaluationSettings,
    prepared: PreparedTask,
    split: str,
    measured: Mapping[str, TaskResult],
    resampled: Mapping[str, OfModel],
) -> Iterator[dict[str, Any]]:
    metric = prepared.task.metric
    for model, evaluated in settings.models.items():
        foundation = evaluated.adapted_from
        if split.startswith(SOURCE):
            # Told with their spread: tests on every source would only make Holm's family larger.
            continue
        if foundation is None or not resampled.get(model) or not resampled.get(foundation):
            continue
        means = [float(np.mean(_values(measured[label], split, metric))) for label in (model, foundation)]
        units = _unit_count(measured[model].splits[split].examples)
        compared = statistics.compare(
            means[0] - means[1], resampled[model][metric], resampled[foundation][metric], units
        )
        yield {
            "task": prepared.name,
            "split": split,
            "metric": metric,
            "model": model,
            "foundation": foundation,
            "difference": compared.difference,
            "interval": compared.interval and list(compared.interval),
            "p": compared.p,
            "units": units,
            "p_holm": None,
            "williams": _williams(prepared, *(measured[label].splits[split] for label in (model, foundation))),
            "effect_sizes": _effect_sizes(
                prepared.task, *(_values(measured[m], split, metric) for m in (model, foundation))
            ),
        }


def _values(measured: TaskResult, split: str, metric: str) -> list[float]:
    return [of_seed[metric] for of_seed in measured.splits[split].scores.values()]


def _williams(prepared: PreparedTask, adapted: SplitResult, foundation: SplitResult) -> dict[str, Any] | None:
    """Williams' test of similarity tasks, on correlations that are means over the seeds which both models have.

    None where rows are dependent, which the test does not know.
    """
    seeds = [seed for seed in adapted.scores if seed in foundation.scores]
    if prepared.task.metric != "pearson" or not seeds or _are_dependent(adapted.examples):
        return None
    between = [
        np.corrcoef(np.concatenate(adapted.predicted[s]), np.concatenate(foundation.predicted[s]))[0, 1] for s in seeds
    ]
    ours, theirs = (float(np.mean([part.scores[s]["pearson"] for s in seeds])) for part in (adapted, foundation))
    found = statistics.williams(ours, theirs, float(np.mean(between)), len(adapted.gold[seeds[0]]))
    return None if found is None else asdict(found)


def _effect_sizes(task: Task, adapted: list[float], foundation: list[float]) -> dict[str, float]:
    """Adapted minus foundation; each measure where it is defined.

    Hedges' g is beside the chance of training: values of untrained tasks differ by the draw of masks or pairs only.
    """
    means = float(np.mean(adapted)), float(np.mean(foundation))
    found = {"hedges_g": statistics.hedges_g(adapted, foundation)} if task.kind in FINE_TUNED_KINDS else {}
    if task.metric == "pearson":
        found["cohens_q"] = statistics.cohens_q(*means)
    if task.metric == "accuracy":
        found["cohens_h"] = statistics.cohens_h(*means)
    return {name: value for name, value in found.items() if value is not None}


def _correct(comparisons: list[dict[str, Any]]) -> None:
    """Holm's correction in place; a family is all tasks and splits of one adapted model."""
    families: dict[str, list[dict[str, Any]]] = {}
    for row in comparisons:
        if row["p"] is not None:
            families.setdefault(row["model"], []).append(row)
    for rows in families.values():
        for row, corrected in zip(rows, statistics.holm([row["p"] for row in rows]), strict=True):
            row["p_holm"] = corrected


def _next_probabilities(name: str, grid: Grid) -> dict[str, dict[str, list[int]]]:
    """Model -> how many next and random pairs have which probability of being next, in PROBABILITY_BINS equal bins."""
    found = {}
    for (of_task, model), measured in grid.items():
        if of_task == name and "test" in measured.splits:
            part = measured.splits["test"]
            gold, predicted = (
                np.concatenate([v for s in part.scores for v in of[s]]) for of in (part.gold, part.predicted)
            )
            found[model] = {
                side: np.histogram(predicted[gold == value], bins=PROBABILITY_BINS, range=(0, 1))[0].tolist()
                for side, value in (("next", 1), ("random", 0))
            }
    return found


def _few_units(parts: Mapping[str, SplitResult]) -> list[str]:
    """A note on the splits, languages and sources whose intervals and p rest on few units, if there are any."""
    few = [
        f"{split}: {number} {'documents or patients' if _are_dependent(part.examples) else 'rows'}"
        for split, part in parts.items()
        if (number := _unit_count(part.examples)) < statistics.FEW_UNITS
    ]
    told = "so few units are resampled that intervals are too narrow, and p is never below 2^(1 - units)"
    return [f"{told}: {', '.join(few)}"] if few else []


def _task_entry(settings: EvaluationSettings, prepared: PreparedTask, name: str, grid: Grid) -> dict[str, Any]:
    task = prepared.task
    of_models = [measured for (of_task, _), measured in grid.items() if of_task == name]
    notes = [note for measured in of_models for note in measured.notes]
    parts = {split: part for measured in of_models for split, part in measured.splits.items() if part.scores}
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
        "split_languages": prepared.split_languages,
        **({"next_probabilities": _next_probabilities(name, grid)} if task.kind == "nsp" else {}),
        "notes": [*prepared.notes, *_few_units(parts), *notes],
    }
