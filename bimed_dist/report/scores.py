"""Rows of the main table, from results.json.

A score is measured, `failed` (its error is kept) or `n/a` (its reason is kept); it is never a made-up number.
Differences are adapted model minus its own foundation. A gain is a difference in the good direction of its metric.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bimed_dist.evaluation.metrics.definitions import find_metric
from bimed_dist.evaluation.results_format import Chosen, ComparisonRow, Results
from bimed_dist.evaluation.task import FINE_TUNED_KINDS

SIGNIFICANCE = 0.05


@dataclass(frozen=True, kw_only=True)
class Score:
    state: Literal["measured", "failed", "n/a"]
    mean: float | None = None
    sd: float | None = None
    seeds: int = 0
    """Number of values that the mean is over: seeds, or repetitions of a zero-shot task."""
    rows: int = 0
    """Rows of the split that were scored."""
    interval: tuple[float, float] | None = None
    chosen: Chosen | None = None
    reason: str = ""
    """Why there is no score, or which trials are missing from it."""


@dataclass(frozen=True, kw_only=True)
class MainRow:
    """An adapted model against its foundation on one split of a task; or a model or baseline without a foundation."""

    task: str
    title: str
    language: str
    split: str
    slice: Literal["language", "source"] | None
    """Set if the split is one language or one source of the test split."""
    metric: str
    foundation: str | None
    model: str
    foundation_score: Score | None
    model_score: Score
    difference: float | None
    interval: tuple[float, float] | None
    p: float | None
    p_holm: float | None
    best: frozenset[str]
    """Models with the best mean on this split of this task."""
    is_baseline: bool = False
    """The keyword rules, which are no model."""
    labels_from: str = ""
    """Origin of the task's labels, for people."""

    @property
    def lower_is_better(self) -> bool:
        return find_metric(self.metric).lower_is_better

    @property
    def gain(self) -> float | None:
        """The difference, positive if the adapted model is better."""
        if self.difference is None:
            return None
        return -self.difference if self.lower_is_better else self.difference

    @property
    def is_tested(self) -> bool:
        return self.p_holm is not None or self.interval is not None

    @property
    def is_significant(self) -> bool:
        """Holm-corrected p below 0.05; without a p, an interval that excludes 0."""
        if self.p_holm is not None:
            return self.p_holm < SIGNIFICANCE
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


def main_rows(results: Results) -> list[MainRow]:
    """Return the rows of the main table: by task, then split, then model, in the order of the recipe.

    Single languages and sources of a test split are left out, because the test split holds them all.
    """
    return [row for row in result_rows(results) if row.slice is None]


def result_rows(results: Results) -> list[MainRow]:
    """Return the rows of the main table and of every single language and source."""
    foundations = {model["adapted_from"] for model in results["models"].values()} - {None}
    rows = []
    for task in results["tasks"]:
        labels = [*results["models"], *baselines(results, task)]
        for split, metric in main_measures(results, task):
            scores = {label: find_score(results, task, label, split, metric) for label in labels}
            # A foundation has no row of its own: it is shown in the row of each model adapted from it.
            rows += [
                _main_row(results, task, split, metric, label, scores)
                for label, model in results["models"].items()
                if model["adapted_from"] is not None or label not in foundations
            ]
            rows += [
                _main_row(results, task, split, metric, label, scores)
                for label in baselines(results, task)
                if scores[label].state == "measured"
            ]
    return rows


def baselines(results: Results, task: str) -> list[str]:
    """Return the labels of the baselines that were scored on a task, such as `rules`."""
    return list(dict.fromkeys(row["model"] for row in results["baselines"] if row["task"] == task))


def is_zero_shot(results: Results, task: str) -> bool:
    """Whether a task trains nothing: its values vary with random masks or sentence pairs, not with training."""
    return results["tasks"][task]["kind"] not in FINE_TUNED_KINDS


def main_measures(results: Results, task: str) -> list[tuple[str, str]]:
    """Return (split, metric) of the task's main scores, failed ones included; the test split if there are none."""
    metric = results["tasks"][task]["metric"]
    measures = dict.fromkeys((s["split"], s["metric"]) for s in results["scores"] if s["task"] == task and s["main"])
    failed = (f["split"] for f in results["failures"] if f["task"] == task and f["split"] is not None)
    measures |= dict.fromkeys((split, metric) for split in failed)
    return list(measures) or [("test", metric)]


def find_score(results: Results, task: str, model: str, split: str, metric: str) -> Score:
    failures = [
        f
        for f in results["failures"]
        if f["task"] == task and f["model"] == model and (f["split"] is None or f["split"] == split)
    ]
    errors = "; ".join(dict.fromkeys(f"{f['trial']}: {f['error']}" for f in failures))
    for s in (*results["scores"], *results["baselines"]):
        if (s["task"], s["model"], s["split"], s["metric"]) == (task, model, split, metric):
            return Score(
                state="measured",
                mean=s["mean"],
                sd=s["sd"],
                seeds=len(s["values"]),
                rows=s["n"],
                interval=_ends(s["interval"]),
                chosen=s["chosen"],
                reason=f"{len(failures)} trial(s) failed: {errors}" if failures else "",
            )
    if failures:
        return Score(state="failed", reason=errors)
    reason = results["tasks"][task]["not_applicable"].get(model)
    return Score(state="n/a", reason=reason or "not measured for this model")


def _ends(interval: list[float] | None) -> tuple[float, float] | None:
    return None if interval is None else (interval[0], interval[1])


def _main_row(results: Results, task: str, split: str, metric: str, label: str, scores: Mapping[str, Score]) -> MainRow:
    entry = results["tasks"][task]
    is_baseline = label not in results["models"]
    foundation = None if is_baseline else results["models"][label]["adapted_from"]
    difference = comparison = None
    if foundation is not None and scores[label].mean is not None and scores[foundation].mean is not None:
        comparison = _find_comparison(results, task, split, metric, label)
        difference = comparison["difference"] if comparison else scores[label].mean - scores[foundation].mean
    return MainRow(
        task=task,
        title=entry["title"],
        language=entry["split_languages"].get(split, entry["language"]),
        split=split,
        slice=entry["slices"].get(split),
        metric=metric,
        foundation=foundation,
        model=label,
        foundation_score=None if foundation is None else scores[foundation],
        model_score=scores[label],
        difference=difference,
        interval=_ends(comparison["interval"]) if comparison else None,
        p=comparison["p"] if comparison else None,
        p_holm=comparison["p_holm"] if comparison else None,
        best=_best(metric, scores),
        is_baseline=is_baseline,
        labels_from=entry["labels_from"],
    )


def _find_comparison(results: Results, task: str, split: str, metric: str, model: str) -> ComparisonRow | None:
    key = (task, split, metric, model)
    rows = results["comparisons"]
    return next((c for c in rows if (c["task"], c["split"], c["metric"], c["model"]) == key), None)


def _best(metric: str, scores: Mapping[str, Score]) -> frozenset[str]:
    means = {label: score.mean for label, score in scores.items() if score.mean is not None}
    if len(means) < 2:
        return frozenset()
    best = (min if find_metric(metric).lower_is_better else max)(means.values())
    return frozenset(label for label, mean in means.items() if mean == best)


def forgetting_rows(rows: Iterable[MainRow], languages: Mapping[str, Sequence[str]]) -> list[MainRow]:
    """Return the comparisons in the foundation's own languages; in every single language if those are not known.

    languages: foundation -> `ko`, `en`, ...
    """
    return [
        row
        for row in rows
        if row.difference is not None
        and row.foundation is not None
        and (
            row.language in languages[row.foundation]
            if languages.get(row.foundation)
            else row.language not in ("mixed", "any", "other")
        )
    ]


def verdict(row: MainRow) -> str:
    """Return what a difference shows, in words."""
    if not row.gain:
        return "no change"
    direction = "better" if row.gain > 0 else "worse"
    if not row.is_tested:
        return f"{direction}, not tested"
    return direction if row.is_significant else "no significant change"
