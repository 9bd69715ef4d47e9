"""Limits: what a reader must know before relying on the numbers."""

from collections.abc import Mapping, Sequence

from bimed_dist.evaluation.results_format import TaskEntry
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.report.page import Section
from bimed_dist.report.records import Records
from bimed_dist.report.scores import MainRow
from bimed_dist.report.text import plural

_ENOUGH_SEEDS = 5


def limits_section(records: Records, recipe: Recipe, rows: Sequence[MainRow]) -> Section:
    return Section(title="Limits", anchor="limits", points=tuple(limits(records, recipe, rows)))


def limits(records: Records, recipe: Recipe, rows: Sequence[MainRow]) -> list[str]:
    points = []
    if any(source.kind == "synthetic" for corpus in recipe.corpus.values() for source in corpus.sources):
        points.append("Part of the corpus is synthetic: a program wrote it, not clinicians.")
    if records.results is None:
        return [*points, "No model was evaluated."]
    points += task_limits(records.results["tasks"])
    seeds = records.results["grid"]["seeds"]
    if len(seeds) < _ENOUGH_SEEDS:
        points.append(
            f"{plural(len(seeds), 'seed')} per score: scores of fine-tuned models vary with the seed; use "
            f"{_ENOUGH_SEEDS} or more."
        )
    if any(row.is_tested for row in rows):
        points.append(
            "Intervals and p values cover the choice of test rows, not the randomness of training. The standard "
            "deviation over seeds shows the randomness of fine-tuning; that of pre-training is not measured. In "
            "zero-shot tasks the standard deviation shows only the effect of random masks or sentence pairs."
        )
    failures = records.results["failures"]
    if failures:
        points.append(f"{plural(len(failures), 'trial')} failed; the errors are listed below the tables.")
    if any(row.foundation is not None and row.difference is not None and not row.is_tested for row in rows):
        points.append("Differences without an interval or p were not tested and may be due to chance.")
    points.append(
        "A score describes a model on this test set; it does not show that the model is safe in patient care."
    )
    return points


def task_limits(tasks: Mapping[str, TaskEntry]) -> list[str]:
    points = []
    limited = [t["title"] for t in tasks.values() if any(t["rows"].get(s) != n for s, n in t["kept_of"].items())]
    if limited:
        points.append(f"Only part of the rows was used for: {'; '.join(limited)}. Published scores use all rows.")
    dropped = sum(sum(t["dropped"].values()) for t in tasks.values())
    if dropped:
        points.append(
            f"Rows dropped as duplicates or because they are also test rows: {dropped:,}. Published scores may include "
            "them."
        )
    generated = [t["title"] for t in tasks.values() if t["labels_by"] == "generator"]
    if generated:
        points.append(
            f"Texts and labels made by a program: {'; '.join(generated)}. Scores on them say little about clinical "
            "text."
        )
    ruled = [t["title"] for t in tasks.values() if t["labels_by"] == "rules"]
    if ruled:
        points.append(
            f"Labels made by rules on the text itself: {'; '.join(ruled)}. A model or a rule that repeats those rules "
            "scores high."
        )
    return points
