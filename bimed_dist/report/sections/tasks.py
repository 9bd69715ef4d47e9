"""Tasks in detail: data, hyperparameters, notes, all metrics and all tests of each task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bimed_dist.evaluation.results_format import Results, TaskEntry, WilliamsTest
from bimed_dist.evaluation.task import Kind
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.report.figures import next_panels
from bimed_dist.report.page import Section
from bimed_dist.report.records import Records
from bimed_dist.report.score_cells import p_cell, score_cell, split_name
from bimed_dist.report.scores import baselines, find_score, is_zero_shot, main_measures
from bimed_dist.report.tables import Cell, Table, empty_cell, make_table, text_cell
from bimed_dist.report.text import decimal, language_name, listed, metric_title, p_value, signed

_KINDS: dict[Kind, str] = {
    "sts": "sentence similarity",
    "sts_classes": "sentence similarity, trained as six classes",
    "classification": "single-label classification",
    "multilabel": "multi-label classification",
    "ner": "named-entity recognition",
    "mlm": "masked-LM evaluation, zero-shot",
    "retrieval": "cross-lingual sentence retrieval, zero-shot",
    "nsp": "next-sentence prediction, zero-shot",
}
_DROPPED = {"duplicates": "duplicate rows", "leaked": "training or development rows that are also test rows"}
_FIXED = "fixed, not tuned"
_EFFECT_SIZES = {"cohens_q": "Cohen's q", "cohens_h": "Cohen's h", "hedges_g": "Hedges' g over seeds"}


def tasks_section(results: Results, overlaps: Mapping[str, Sequence[tuple[str, str]]]) -> Section:
    """overlaps: task -> facts on its rows that the corpora hold."""
    grid = results["grid"]
    paragraph = (
        "A row is one example: a text, a sentence pair or a sentence with entities. "
        f"Seeds {', '.join(map(str, grid['seeds']))}; batch size {grid['batch_size']}. If several hyperparameters are "
        "tried, learning rate and epochs are chosen on the development split before the test split is read. If "
        "hyperparameters or seeds were added later, a note says that the choice was repeated after a test score was "
        "known. Effect sizes: Cohen's q compares two correlations, Cohen's h two accuracies, Hedges' g the mean scores "
        "relative to their spread over seeds."
    )
    parts = tuple(_task_section(results, name, overlaps.get(name, ())) for name in results["tasks"])
    return Section(title="Tasks in detail", anchor="tasks", paragraphs=(paragraph,), parts=parts)


def _task_section(results: Results, name: str, overlaps: Sequence[tuple[str, str]]) -> Section:
    task = results["tasks"][name]
    dropped = [f"{number:,} {_DROPPED.get(reason, reason)}" for reason, number in task["dropped"].items() if number]
    facts = [
        ("Kind", f"{_KINDS[task['kind']]}, {language_name(task['language'])}"),
        ("Main metric", metric_title(task["metric"])),
        ("Rows used", rows_used(task)),
        ("Rows dropped", ", ".join(dropped) or "none"),
        *overlaps,
        ("Hyperparameters", hyperparameters(task)),
        ("Other settings", other_settings(task)),
        ("Labels from", task["labels_from"]),
        ("Source", task["citation"]),
        ("Licence", task["licence"]),
    ]
    tables = (task_table(results, name), label_table(results, name), comparison_table(results, name))
    return Section(
        title=task["title"],
        facts=tuple((label, value) for label, value in facts if value),
        points=tuple(task["notes"]),
        figures=tuple(next_panels(name, task["next_probabilities"] or {})),
        tables=tuple(table for table in tables if table is not None),
    )


def hyperparameters(task: TaskEntry) -> str:
    """Return such as `learning rates 2e-05, 5e-05; epochs 2, 4`; empty if nothing is trained."""
    grid = task["grid"]
    if grid is None:
        return ""
    rates, epochs = [f"{rate:g}" for rate in grid["learning_rates"]], [str(number) for number in grid["epochs"]]
    tried = f"learning rate{'s' * (len(rates) > 1)} {', '.join(rates)}; epochs {', '.join(epochs)}"
    return tried + (f" ({_FIXED})" if is_fixed(task) else "")


def is_fixed(task: TaskEntry) -> bool:
    """Whether only one learning rate and one number of epochs was tried, so that nothing was chosen."""
    grid = task["grid"]
    return grid is not None and len(grid["learning_rates"]) == len(grid["epochs"]) == 1


def other_settings(task: TaskEntry) -> str:
    """Return settings that differ from their defaults, such as `threshold dev, long texts windows`."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in task["variant"].items())


def rows_used(task: TaskEntry) -> str:
    """Return such as `train 1,200 of 5,749, dev 300, test 1,379`."""
    kept_of = task["kept_of"]
    return ", ".join(
        f"{split} {number:,}" + (f" of {kept_of[split]:,}" if kept_of.get(split, number) != number else "")
        for split, number in task["rows"].items()
    )


def task_table(results: Results, task: str) -> Table:
    """All metrics of one task: a row per split and metric, a column per model, then the chosen hyperparameters."""
    labels = [*results["models"], *baselines(results, task)]
    measures = {m: None for m in _measures(results, task) if ":" not in m[1]}
    measures |= dict.fromkeys(main_measures(results, task))
    rows = []
    for split, metric in measures:
        scores = [find_score(results, task, label, split, metric) for label in labels]
        sizes = sorted({score.rows for score in scores if score.rows})
        detail = " / ".join(f"{size:,}" for size in sizes) + " rows" if sizes else ""
        name = Cell(_split_name(results, task, split), split, detail=detail)
        rows.append([name, text_cell(metric_title(metric)), *(score_cell(score, interval=True) for score in scores)])
    rows += _chosen_rows(results, task, labels)
    over = "random masks or sentence pairs" if is_zero_shot(results, task) else "seeds"
    caption = f"All metrics: mean ± standard deviation over {over}, [95 % interval]"
    return make_table(f"task-{task}", caption, ("Split", "Metric", *labels), rows, grouped=1)


def _split_name(results: Results, task: str, split: str) -> str:
    return split_name(split, results["tasks"][task]["slices"].get(split))


def _measures(results: Results, task: str) -> list[tuple[str, str]]:
    """Return every (split, metric) that was scored, each once."""
    return list(dict.fromkeys((s["split"], s["metric"]) for s in results["scores"] if s["task"] == task))


def _chosen_rows(results: Results, task: str, labels: Sequence[str]) -> list[list[Cell]]:
    chosen = {s["model"]: s["chosen"] for s in results["scores"] if s["task"] == task and s["chosen"]}
    formats: dict[str, Callable[[Any], str]] = {"learning_rate": lambda rate: f"{rate:g}", "epochs": str}
    title = _FIXED if is_fixed(results["tasks"][task]) else "chosen on dev"
    return [
        [
            text_cell(title),
            text_cell(key.replace("_", " ")),
            *(Cell(write(chosen[m][key]), chosen[m][key], "number") if m in chosen else empty_cell() for m in labels),
        ]
        for key, write in (formats.items() if chosen else ())
    ]


def label_table(results: Results, task: str) -> Table | None:
    """Metrics of single labels: a row per split, label and metric; None if there are none.

    A metric that is undefined on a split (F1 of a label that never occurs) has a row with a dash.
    """
    labels = [*results["models"], *baselines(results, task)]
    measures = [(split, *metric.split(":", 1)) for split, metric in _measures(results, task) if ":" in metric]
    metrics = dict.fromkeys(metric for _, metric, _ in measures)
    rows = [
        [
            text_cell(split),
            text_cell(label),
            text_cell(metric_title(metric)),
            *(_label_cell(results, task, model, split, f"{metric}:{label}") for model in labels),
        ]
        for split, label in dict.fromkeys((split, label) for split, _, label in measures)
        for metric in metrics
    ]
    columns = ("Split", "Label", "Metric", *labels)
    return make_table(f"labels-{task}", "Metrics of each label", columns, rows, grouped=2) if rows else None


def _label_cell(results: Results, task: str, model: str, split: str, metric: str) -> Cell:
    score = find_score(results, task, model, split, metric)
    # Failed trials are reported once, in the table of the whole task.
    return empty_cell() if score.mean is None else replace(score_cell(score, interval=True), note="")


def comparison_table(results: Results, task: str) -> Table | None:
    """Tests and effect sizes of one task; None if nothing was compared."""
    comparisons = [c for c in results["comparisons"] if c["task"] == task]
    effects = {
        name: title for name, title in _EFFECT_SIZES.items() if any(name in c["effect_sizes"] for c in comparisons)
    }
    has_williams = any(c["williams"] for c in comparisons)
    rows = [
        (
            Cell(c["model"], detail=f"from {c['foundation']}"),
            Cell(_split_name(results, task, c["split"]), c["split"]),
            Cell(signed(c["difference"]), c["difference"], "number"),
            p_cell(c["p_holm"]),
            *((_williams_cell(c["williams"]),) if has_williams else ()),
            *(_effect_cell(c["effect_sizes"].get(name)) for name in effects),
        )
        for c in comparisons
    ]
    tests = ("p (Holm)", *(("Williams' test (p uncorrected)",) if has_williams else ()))
    columns = ("Adapted model", "Split", "Difference", *tests, *effects.values())
    return make_table(f"comparisons-{task}", "Tests and effect sizes", columns, rows) if rows else None


def _williams_cell(test: WilliamsTest | None) -> Cell:
    if test is None:
        return empty_cell()
    p = p_value(test["p"])
    equals = p if test["p"] < 0.001 else f"= {p}"
    return Cell(f"t({test['df']}) = {decimal(test['t'])}, p {equals}", test["p"], "number")


def _effect_cell(value: float | None) -> Cell:
    return empty_cell() if value is None else Cell(signed(value), value, "number")


# ------------------------------------------------------------------------------------------------ rows found in corpora


def corpus_overlaps(records: Records, recipe: Recipe, task: str) -> list[tuple[str, str]]:
    """For each corpus that was searched for the task's rows, return how many it held and if they were removed.

    Test splits are always reported, other splits if a row was found.
    """
    facts = []
    for name, manifest in records.of_stage("corpus").items():
        if f"task/{task}" not in manifest.inputs:
            continue
        settings = manifest.settings.get("contamination", {})
        counts = {split: records.overlaps[name][task, split] for split in settings.get("splits", ())}
        rows_read = {split: n for split, n in records.results["tasks"][task]["read"].items() if split in counts}
        shown = [
            f"{counts[split]:,} of {n:,} {split} rows"
            for split, n in rows_read.items()
            if counts[split] or split in ("test", "external")
        ]
        fact = listed(shown) or "its test rows were not searched for"
        if any(counts.values()):
            fact += "; removed from the corpus" if settings["action"] == "remove" else "; left in the corpus"
        if any(starts_elsewhere(recipe, model["folder"]) for model in records.results["models"].values()):
            fact += "; the foundation's training text is not known"
        facts.append((f"Found in corpus {name}", fact))
    return facts


def starts_elsewhere(recipe: Recipe, folder: str) -> bool:
    """Whether a model starts from weights that were not trained in this recipe."""
    run = recipe.pretraining_run(folder)
    if run is None:
        return True
    foundation = recipe.model[recipe.pretraining[run].model].foundation
    return foundation is not None and starts_elsewhere(recipe, foundation)
