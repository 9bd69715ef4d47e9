"""Reading results.json: what stands in each cell of the main table, and what may be said about it.

A cell is a measured score, `failed` (its error is kept) or `n/a` (its reason is kept); it is never a made-up number.
Differences are adapted model minus its own foundation. A gain is a difference in the good direction of its metric.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bimed_dist.evaluation.task import FINE_TUNED_KINDS

_LOWER = {"loss", "brier", "ece", "bits"}
_CLEAR = 0.05


@dataclass(frozen=True, kw_only=True)
class Score:
    state: Literal["measured", "failed", "n/a"]
    mean: float | None = None
    sd: float | None = None
    seeds: int = 0
    """Seeds that the mean is over."""
    rows: int = 0
    """Rows of the split that were scored."""
    interval: tuple[float, float] | None = None
    chosen: Mapping[str, Any] | None = None
    reason: str = ""
    """Why there is no score, or which of its cells are missing."""


@dataclass(frozen=True, kw_only=True)
class MainRow:
    """One adapted model against its foundation on one split of one task; or one model that has no foundation here."""

    task: str
    title: str
    language: str
    split: str
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
    labels_from: str = ""
    """Rows of a rule baseline: where the labels come from, without which its score says nothing."""
    drawn: bool = False
    """Whether its values differ by the draw of masks or pairs, not by training."""

    @property
    def lower_is_better(self) -> bool:
        return lower_is_better(self.metric)

    @property
    def gain(self) -> float | None:
        """Difference with the sign that means better."""
        if self.difference is None:
            return None
        return -self.difference if self.lower_is_better else self.difference

    @property
    def tested(self) -> bool:
        return self.p_holm is not None or self.interval is not None

    @property
    def clear(self) -> bool:
        """Holm-corrected p below 0.05; without a p, an interval that excludes 0."""
        if self.p_holm is not None:
            return self.p_holm < _CLEAR
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


def lower_is_better(metric: str) -> bool:
    return not _LOWER.isdisjoint(metric.lower().replace("-", "_").split("_"))


def is_language(split: str) -> bool:
    """Whether a split is one language (two letters, mixed or other) of the test split of an intrinsic task."""
    return len(split) == 2 or split in ("mixed", "other")


def is_slice(split: str) -> bool:
    """Whether a split is one language or one source of the test split of an intrinsic task."""
    return is_language(split) or split.startswith("source ")


def main_rows(results: Mapping[str, Any]) -> list[MainRow]:
    """Rows of the main table: by task, then split, then model, in the order of the recipe.

    Languages of an intrinsic task are left out, because its test split holds them all; `compared_rows` has them.
    """
    return [row for row in compared_rows(results) if not is_slice(row.split)]


def baselines(results: Mapping[str, Any], task: str) -> list[str]:
    """What stands beside the models of a task without being one, such as `rules`."""
    return list(dict.fromkeys(row["model"] for row in results.get("baselines", ()) if row["task"] == task))


def is_drawn(results: Mapping[str, Any], task: str) -> bool:
    """Whether the values of a score are of draws of masks or random sentences: the task trains nothing."""
    return results["tasks"][task]["kind"] not in FINE_TUNED_KINDS


def compared_rows(results: Mapping[str, Any]) -> list[MainRow]:
    """As `main_rows`, with a row for each language of intrinsic tasks too."""
    foundations = {model["adapted_from"] for model in results["models"].values()} - {None}
    rows = []
    for task in results["tasks"]:
        for split, metric in main_measures(results, task):
            labels = [*results["models"], *baselines(results, task)]
            scores = {label: score_of(results, task, label, split, metric) for label in labels}
            best = _best(metric, scores)
            for label, model in results["models"].items():
                # A foundation stands in the row of each model adapted from it.
                if model["adapted_from"] is not None or label not in foundations:
                    rows.append(_main_row(results, task, split, metric, label, scores, best))
            beside = [label for label in baselines(results, task) if scores[label].state == "measured"]
            rows += [_main_row(results, task, split, metric, label, scores, best) for label in beside]
    return rows


def main_measures(results: Mapping[str, Any], task: str) -> list[tuple[str, str]]:
    """(split, metric) pairs that the task is judged by, those that failed too; the test split where nothing was
    measured.
    """
    metric = results["tasks"][task]["metric"]
    found = dict.fromkeys((s["split"], s["metric"]) for s in results["scores"] if s["task"] == task and s["main"])
    found |= dict.fromkeys((f["split"], metric) for f in results["failures"] if f["task"] == task and "split" in f)
    return list(found) or [("test", metric)]


def score_of(results: Mapping[str, Any], task: str, model: str, split: str, metric: str) -> Score:
    # A failure that names a split is of that one alone.
    errors = [
        f for f in results["failures"] if f["task"] == task and f["model"] == model and f.get("split", split) == split
    ]
    told = "; ".join(dict.fromkeys(f"{f['cell']}: {f['error']}" for f in errors))
    for s in (*results["scores"], *results.get("baselines", ())):
        if (s["task"], s["model"], s["split"], s["metric"]) == (task, model, split, metric) and s["mean"] is not None:
            interval = tuple(s["interval"]) if s["interval"] else None
            reason = f"{len(errors)} cell(s) failed: {told}" if errors else ""
            return Score(
                state="measured",
                mean=s["mean"],
                sd=s["sd"],
                seeds=len(s["values"]),
                rows=s["n"],
                interval=interval,
                chosen=s["chosen"],
                reason=reason,
            )
    if errors:
        return Score(state="failed", reason=told)
    opening = f"{model}: not applicable, "
    notes = [note.removeprefix(opening) for note in results["tasks"][task]["notes"] if note.startswith(opening)]
    return Score(state="n/a", reason="; ".join(notes) or "not measured for this model")


def _main_row(
    results: Mapping[str, Any],
    task: str,
    split: str,
    metric: str,
    label: str,
    scores: Mapping[str, Score],
    best: frozenset[str],
) -> MainRow:
    is_baseline = label not in results["models"]
    foundation = None if is_baseline else results["models"][label]["adapted_from"]
    difference, compared = None, {}
    if foundation is not None and scores[label].mean is not None and scores[foundation].mean is not None:
        difference = scores[label].mean - scores[foundation].mean
        compared = _comparison(results, task, split, metric, label)
    described = results["tasks"][task]
    return MainRow(
        task=task,
        title=described["title"],
        language=split
        if is_language(split)
        else described.get("split_languages", {}).get(split, described["language"]),
        split=split,
        metric=metric,
        foundation=foundation,
        model=label,
        foundation_score=None if foundation is None else scores[foundation],
        model_score=scores[label],
        difference=compared.get("difference", difference),
        interval=tuple(compared["interval"]) if compared.get("interval") else None,
        p=compared.get("p"),
        p_holm=compared.get("p_holm"),
        best=best,
        labels_from=described["labels_from"] if is_baseline else "",
        drawn=is_drawn(results, task),
    )


def _comparison(results: Mapping[str, Any], task: str, split: str, metric: str, label: str) -> Mapping[str, Any]:
    wanted = (task, split, metric, label)
    for c in results["comparisons"]:
        if (c["task"], c["split"], c["metric"], c["model"]) == wanted and c["difference"] is not None:
            return c
    return {}


def _best(metric: str, scores: Mapping[str, Score]) -> frozenset[str]:
    means = {label: s.mean for label, s in scores.items() if s.mean is not None}
    if len(means) < 2:
        return frozenset()
    wanted = (min if lower_is_better(metric) else max)(means.values())
    return frozenset(label for label, mean in means.items() if mean == wanted)


def forgetting_rows(rows: Iterable[MainRow], languages: Mapping[str, Sequence[str]]) -> list[MainRow]:
    """Compared rows in the foundation's own languages; in every single language where its own are not known.

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
    """What the data say about one difference, in words."""
    if not row.gain:
        return "no change"
    if not row.tested:
        return "higher score, not tested" if row.gain > 0 else "lower score, not tested"
    if not row.clear:
        return "no clear change"
    return "better" if row.gain > 0 else "worse"
