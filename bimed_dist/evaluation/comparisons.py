"""Rows of results.json that compare each adapted model with its foundation."""

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from bimed_dist.evaluation.grid.task_result import SplitResult, TaskResult
from bimed_dist.evaluation.metrics import statistics
from bimed_dist.evaluation.metrics.sums import Samples
from bimed_dist.evaluation.preparation.prepared import PreparedTask
from bimed_dist.evaluation.results_format import ComparisonRow, WilliamsTest
from bimed_dist.evaluation.task import FINE_TUNED_KINDS, Example, Kind
from bimed_dist.recipe.evaluation import EvaluatedModel


def are_dependent(examples: tuple[Example, ...]) -> bool:
    """Return whether examples belong to documents or patients, which are then resampled as a whole."""
    return any(example.document for example in examples)


def unit_names(examples: tuple[Example, ...]) -> list[str]:
    """Return the document or patient of each example, or its own id if it has none."""
    return [example.document or example.id for example in examples]


def unit_count(examples: tuple[Example, ...]) -> int:
    return len(set(unit_names(examples))) if are_dependent(examples) else len(examples)


def comparison_rows(
    models: Mapping[str, EvaluatedModel],
    prepared: PreparedTask,
    split: str,
    results: Mapping[str, TaskResult],
    resampled: Mapping[str, Samples],
) -> list[ComparisonRow]:
    """Compare the main metric on one split; p values are not corrected yet.

    Slices by source are not compared: they would only enlarge the family of Holm's correction.
    """
    rows: list[ComparisonRow] = []
    for model, settings in models.items():
        foundation = settings.adapted_from
        if foundation is None or not resampled.get(model) or not resampled.get(foundation):
            continue
        both = results[model].splits[split], results[foundation].splits[split]
        if both[0].slice_by != "source":
            rows.append(_comparison_row(prepared, split, (model, foundation), both, resampled))
    return rows


def _comparison_row(
    prepared: PreparedTask,
    split: str,
    names: tuple[str, str],
    both: tuple[SplitResult, SplitResult],
    resampled: Mapping[str, Samples],
) -> ComparisonRow:
    kind, metric = prepared.task.kind, prepared.task.metric
    adapted, foundation = ([by_metric[metric] for by_metric in result.scores.values()] for result in both)
    units = unit_count(both[0].examples)
    difference = float(np.mean(adapted)) - float(np.mean(foundation))
    compared = statistics.compare(difference, *(resampled[name][metric] for name in names), units)
    return {
        "task": prepared.name,
        "split": split,
        "metric": metric,
        "model": names[0],
        "foundation": names[1],
        "difference": compared.difference,
        "interval": compared.interval and list(compared.interval),
        "p": compared.p,
        "units": units,
        "p_holm": None,
        "williams": _williams(*both) if metric == "pearson" else None,
        "effect_sizes": _effect_sizes(kind, metric, adapted, foundation),
    }


def _williams(adapted: SplitResult, foundation: SplitResult) -> WilliamsTest | None:
    """Compare Pearson correlations, each the mean over the seeds that both models have.

    None if items are dependent, because the test assumes independent items.
    """
    seeds = [seed for seed in adapted.scores if seed in foundation.scores]
    if not seeds or are_dependent(adapted.examples):
        return None
    between = [
        np.corrcoef(np.concatenate(adapted.predicted[s]), np.concatenate(foundation.predicted[s]))[0, 1] for s in seeds
    ]
    correlations = (float(np.mean([part.scores[s]["pearson"] for s in seeds])) for part in (adapted, foundation))
    test = statistics.williams(*correlations, float(np.mean(between)), len(adapted.gold[seeds[0]]))
    return None if test is None else asdict(test)


def _effect_sizes(kind: Kind, metric: str, adapted: list[float], foundation: list[float]) -> dict[str, float]:
    """Return the effect sizes (adapted minus foundation) that are defined.

    Hedges' g compares with the variation over training seeds, so it is left out for tasks that train nothing.
    """
    means = float(np.mean(adapted)), float(np.mean(foundation))
    sizes = {"hedges_g": statistics.hedges_g(adapted, foundation)} if kind in FINE_TUNED_KINDS else {}
    if metric == "pearson":
        sizes["cohens_q"] = statistics.cohens_q(*means)
    if metric == "accuracy":
        sizes["cohens_h"] = statistics.cohens_h(*means)
    return {name: value for name, value in sizes.items() if value is not None}


def correct_p_values(rows: list[ComparisonRow]) -> None:
    """Set Holm's corrected p values in place; a family is all tasks and splits of one adapted model."""
    families: dict[str, list[ComparisonRow]] = {}
    for row in rows:
        if row["p"] is not None:
            families.setdefault(row["model"], []).append(row)
    for family in families.values():
        for row, corrected in zip(family, statistics.holm([row["p"] for row in family]), strict=True):
            row["p_holm"] = corrected
