"""The tables of the report: from results and manifests to rows of cells."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bimed_dist.manifest import Manifest
from bimed_dist.report import scores
from bimed_dist.report.cells import (
    DASH,
    Cell,
    Table,
    aligned,
    count,
    csv_text,
    decimal,
    display_width,
    duration,
    language_name,
    make_table,
    measure,
    metric_name,
    nothing,
    p_value,
    share,
    signed,
    text,
)
from bimed_dist.report.records import curve_names
from bimed_dist.report.scores import MainRow, Score

KINDS = {
    "sts": "sentence similarity",
    "sts_classes": "sentence similarity, learned as six classes",
    "classification": "one class a text",
    "multilabel": "several yes/no labels a text",
    "ner": "named entities",
    "mlm": "masked words, no fine-tuning",
    "retrieval": "sentences across languages, no fine-tuning",
    "nsp": "next sentence or not, no fine-tuning",
}
ORIGINS = {
    "copied": "copied, the piece is in both vocabularies",
    "mean": "mean of the old tokenizer's pieces",
    "normal": "drawn from a normal fitted to the old rows",
    "random": "random",
}
FIXED = "fixed, not tuned"
EFFECTS = {"cohens_q": "Cohen's q", "cohens_h": "Cohen's h", "hedges_g": "Hedges' g over seeds"}


def mean_and_sd(score: Score) -> str:
    return decimal(score.mean or 0.0) + ("" if score.sd is None else f" ± {decimal(score.sd)}")


def model_cell(row: MainRow) -> Cell:
    if row.labels_from:
        return Cell(row.model, detail=f"no model; labels: {row.labels_from}")
    return Cell(row.model, detail=f"from {row.foundation}" if row.foundation else "")


def score_cell(score: Score | None, best: bool = False, interval: bool = False) -> Cell:
    if score is None:
        return nothing()
    if score.state == "failed":
        return Cell("failed", "failed", "failed", note=score.reason)
    if score.state == "n/a":
        return Cell("n/a", "n/a", "missing", note=score.reason)
    detail = f"[{decimal(score.interval[0])}, {decimal(score.interval[1])}]" if interval and score.interval else ""
    return Cell(mean_and_sd(score), score.mean, "number", best=best, detail=detail, note=score.reason)


# ----------------------------------------------------------------------------------------------------------- the scores


def main_table(rows: Sequence[MainRow]) -> Table:
    seeds = "Seeds or draws" if any(row.drawn for row in rows) else "Seeds"
    columns = ("Task", "Adapted model", "Foundation", "Adapted", "Difference", "95 % interval", "p (Holm)", seeds)
    return make_table("main", "Main results", columns, [_main_cells(row) for row in rows], grouped=True)


def _main_cells(row: MainRow) -> tuple[Cell, ...]:
    direction = ", lower is better" if row.lower_is_better else ""
    detail = f"{metric_name(row.metric)}{direction} · {row.split} · {language_name(row.language)}"
    seeds = dict.fromkeys(str(s.seeds) for s in (row.foundation_score, row.model_score) if s is not None and s.seeds)
    return (
        Cell(row.title, row.task, detail=detail),
        model_cell(row),
        score_cell(row.foundation_score, best=row.foundation in row.best),
        score_cell(row.model_score, best=row.model in row.best),
        *_difference_cells(row),
        Cell(" / ".join(seeds) or DASH, kind="number"),
    )


def _split_name(row: MainRow) -> str:
    return f"{language_name(row.split)} part of test" if scores.is_language(row.split) else row.split


def _difference_cells(row: MainRow) -> tuple[Cell, Cell, Cell]:
    if row.difference is None:
        # A failed or missing score says why in its own cell.
        return nothing(), nothing(), nothing()
    interval = nothing()
    if row.interval is not None:
        interval = Cell(f"{signed(row.interval[0])} to {signed(row.interval[1])}", kind="number")
    p = nothing() if row.p_holm is None else Cell(p_value(row.p_holm), row.p_holm, "number")
    return Cell(signed(row.difference), row.difference, "number"), interval, p


def main_csv(rows: Sequence[MainRow]) -> str:
    """The main table for programs: one value a column, full precision, `failed` and `n/a` in the state columns."""
    columns = ("task", "title", "language", "split", "metric", "foundation", "model")
    sides = ("state", "mean", "sd", "seeds", "rows", "reason")
    tail = ("difference", "interval_low", "interval_high", "p", "p_holm", "best")
    header = [*columns, *(f"foundation_{s}" for s in sides), *(f"model_{s}" for s in sides), *tail]
    lines = []
    for row in rows:
        values = [getattr(row, column) for column in columns]
        for score in (row.foundation_score, row.model_score):
            values += [None] * len(sides) if score is None else [getattr(score, s) for s in sides]
        low, high = row.interval or (None, None)
        lines.append([*values, row.difference, low, high, row.p, row.p_holm, " ".join(sorted(row.best))])
    return csv_text(header, lines)


def main_table_text(results: Mapping[str, Any]) -> str:
    """The main table as aligned text for a terminal; the best score of a task carries a star."""
    table = main_table(scores.main_rows(results))
    right = [table.numeric(i) for i in range(1, len(table.columns))]
    heads = [f"{row[0].text}: {row[0].detail}" for row in table.rows]
    # A number is followed by a star or a blank, so that digits stay below digits.
    lines = [[f"{c} " if r else c for c, r in zip(table.columns[1:], right, strict=True)]]
    lines += [[_plain(cell) for cell in row[1:]] for row in table.rows]
    header, *body = aligned(lines, right)
    shown = [f"  {header}", "-" * (2 + max(map(display_width, [header, *body])))]
    for i, line in enumerate(body):
        shown += [] if i and heads[i] == heads[i - 1] else [heads[i]]
        shown.append(f"  {line}")
    if any(cell.best for row in table.rows for cell in row):
        shown.append("* best of all models on this task")
    shown += [f"{mark}) {note}" for mark, note in table.notes]
    return "\n".join("".join(c if c.isprintable() else " " for c in line) for line in shown)


def _plain(cell: Cell) -> str:
    after = "*" if cell.best else " " if cell.kind != "text" else ""
    return " ".join([cell.text, *(f"({part})" for part in (cell.detail, cell.mark) if part)]) + after


def task_table(results: Mapping[str, Any], task: str) -> Table:
    """All metrics of one task: a row per metric and split, a column per model, and what the development split chose."""
    labels = [*results["models"], *scores.baselines(results, task)]
    measures = {m: None for m in _measures(results, task) if ":" not in m[1]}
    for measured in scores.main_measures(results, task):
        measures.setdefault(measured)
    rows = []
    for split, metric in measures:
        found = [scores.score_of(results, task, label, split, metric) for label in labels]
        sizes = sorted({s.rows for s in found if s.rows})
        of_rows = " / ".join(f"{size:,}" for size in sizes) + " rows" if sizes else ""
        name = Cell(language_name(split) if scores.is_language(split) else split, split, detail=of_rows)
        rows.append([name, text(metric_name(metric)), *(score_cell(s, interval=True) for s in found)])
    rows += _chosen_rows(results, task, labels)
    columns = ("Split", "Metric", *labels)
    over = "draws of masks or pairs" if scores.is_drawn(results, task) else "seeds"
    caption = f"All metrics: mean ± sd over {over}, [95 % interval]"
    return make_table(f"task-{task}", caption, columns, rows, grouped=True)


def _measures(results: Mapping[str, Any], task: str) -> list[tuple[str, str]]:
    """(split, metric) of everything that was scored, each once."""
    return list(dict.fromkeys((s["split"], s["metric"]) for s in results["scores"] if s["task"] == task))


def label_table(results: Mapping[str, Any], task: str) -> Table | None:
    """Metrics of single labels: a row per label and split, in each cell the first metric with the others below it.

    A label that a split lacks has no F1: every cell tells all metrics in the same places, a dash for what is missing.
    """
    labels = [*results["models"], *scores.baselines(results, task)]
    of_labels = [(split, *metric.split(":", 1)) for split, metric in _measures(results, task) if ":" in metric]
    if not of_labels:
        return None
    names = list(dict.fromkeys(name for _, name, _ in of_labels))
    rows = [
        [text(split), text(label), *(_label_cell(results, task, m, split, label, names) for m in labels)]
        for split, label in dict.fromkeys((split, label) for split, _, label in of_labels)
    ]
    below = ", ".join(["95 % interval", *map(metric_name, names[1:])])
    caption = f"By label: {metric_name(names[0])}, below it {below}"
    return make_table(f"labels-{task}", caption, ("Split", "Label", *labels), rows, grouped=True)


def _label_cell(results: Mapping[str, Any], task: str, model: str, split: str, label: str, names: list[str]) -> Cell:
    measured = [scores.score_of(results, task, model, split, f"{name}:{label}") for name in names]
    if all(s.mean is None for s in measured):
        return nothing()
    first, *others = (nothing() if s.mean is None else score_cell(s, interval=True) for s in measured)
    return replace(first, detail=" · ".join([first.detail or DASH, *(cell.text for cell in others)]), note="")


def is_fixed(task: Mapping[str, Any]) -> bool:
    """Whether a trained task has one candidate only, so that nothing was chosen."""
    grid = task.get("grid")
    return bool(grid) and len(grid["learning_rates"]) == len(grid["epochs"]) == 1


def _chosen_rows(results: Mapping[str, Any], task: str, labels: Sequence[str]) -> list[list[Cell]]:
    chosen = {s["model"]: s["chosen"] for s in results["scores"] if s["task"] == task and s["chosen"]}
    if not chosen:
        return []
    shown: dict[str, Callable[[Any], str]] = {"learning_rate": lambda v: f"{v:g}", "epochs": str}
    return [
        [
            text(FIXED if is_fixed(results["tasks"][task]) else "chosen on dev"),
            text(key.replace("_", " ")),
            *(Cell(write(chosen[m][key]), chosen[m][key], "number") if m in chosen else nothing() for m in labels),
        ]
        for key, write in shown.items()
    ]


def comparison_table(results: Mapping[str, Any], task: str) -> Table | None:
    """Tests and effect sizes of one task; None where nothing was compared. Results of before have no effect sizes, or
    Hedges' g of tasks that train nothing, which is not shown.
    """
    found = [c for c in results["comparisons"] if c["task"] == task and c["difference"] is not None]
    known = {name for c in found for name, value in c.get("effect_sizes", {}).items() if value is not None}
    known -= {"hedges_g"} if scores.is_drawn(results, task) else set()
    effects = {name: title for name, title in EFFECTS.items() if name in known}
    williams = any(c.get("williams") for c in found)
    rows = [
        (
            Cell(c["model"], detail=f"from {c['foundation']}"),
            Cell(language_name(c["split"]) if scores.is_language(c["split"]) else c["split"], c["split"]),
            Cell(signed(c["difference"]), c["difference"], "number"),
            nothing() if c["p_holm"] is None else Cell(p_value(c["p_holm"]), c["p_holm"], "number"),
            *((_williams_cell(c.get("williams")),) if williams else ()),
            *(_effect_cell(c.get("effect_sizes", {}).get(name)) for name in effects),
        )
        for c in found
    ]
    tests = ("p (Holm)", *(("Williams' test (p uncorrected)",) if williams else ()))
    columns = ("Adapted model", "Split", "Difference", *tests, *effects.values())
    return make_table(f"comparisons-{task}", "Tests and effect sizes", columns, rows) if rows else None


def _williams_cell(found: Mapping[str, Any] | None) -> Cell:
    if found is None:
        return nothing()
    return Cell(f"t({found['df']}) = {decimal(found['t'])}, p {_equals(p_value(found['p']))}", found["p"], "number")


def _equals(p: str) -> str:
    return p if p.startswith("<") else f"= {p}"


def _effect_cell(value: float | None) -> Cell:
    return nothing() if value is None else Cell(signed(value), value, "number")


def forgetting_table(rows: Sequence[MainRow], languages: Mapping[str, Sequence[str]]) -> Table:
    """rows: those of `scores.forgetting_rows`; languages: foundation -> its own."""
    columns = ("Adapted model", "Foundation's language", "Task", "Foundation", "Adapted", "Difference", "What it shows")
    cells = [
        (
            model_cell(row),
            text(", ".join(map(language_name, languages.get(row.foundation or "") or ("not recorded",)))),
            Cell(row.title, row.task, detail=f"{metric_name(row.metric)} · {_split_name(row)}"),
            score_cell(row.foundation_score),
            score_cell(row.model_score),
            _difference_cells(row)[0],
            text(scores.verdict(row)),
        )
        for row in rows
    ]
    caption = "Adapted model against its foundation in the foundation's own language; in any where it is not recorded"
    return make_table("forgetting", caption, columns, cells)


# ---------------------------------------------------------------------------------------------------- the stages before


def transplant_table(models: Mapping[str, Manifest]) -> Table:
    rows = []
    for name, manifest in models.items():
        made = [manifest.counts.get(origin, 0) for origin in ORIGINS]
        total = manifest.counts["rows"]
        cells = [Cell(f"{n:,}", n, "number", detail=f"{n / total:.1%}" if n else "") for n in made]
        source = manifest.settings.get("foundation") or "random weights"
        rows.append((text(name), text(source), *cells, count(total), count(manifest.counts.get("parameters"))))
    columns = ("Model", "From", *(origin.capitalize() for origin in ORIGINS), "Rows", "Parameters")
    return make_table("transplant", "How the embedding rows were made", columns, rows)


def tokens_table(shards: Mapping[str, Manifest]) -> Table:
    rows = []
    for name, manifest in shards.items():
        counts = manifest.counts
        for language, part in [*counts["by_language"].items(), ("all", counts)]:
            per_sentence = part["tokens"] / part["sentences"] if part["sentences"] else None
            unknown = part.get("unknown_share")
            fit = Cell(f"{per_sentence:.1f}", per_sentence, "number") if per_sentence else nothing()
            numbers = (count(part["sentences"]), count(part["tokens"]), fit, share(unknown, 3))
            rows.append((text(name), text(language_name(language)), *numbers))
    columns = ("Shards", "Language", "Sentences", "Tokens", "Tokens per sentence", "[UNK] share")
    return make_table("tokens", "Training text in pieces", columns, rows, grouped=True)


def training_table(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    """First and last validation of every run."""
    keys = curve_names(curves)
    rows = []
    for name, lines in curves.items():
        validations = [line for line in lines if line["kind"] == "validation"]
        for line in dict.fromkeys((0, len(validations) - 1)) if validations else ():
            found = validations[line]
            rows.append((text(name), count(found["step"]), *(measure(found.get(key)) for key in keys)))
    columns = ("Run", "Step", *(metric_name(key) for key in keys))
    return make_table("training", "Validation before and after pre-training", columns, rows, grouped=True)


def stages_table(manifests: Mapping[str, Manifest]) -> Table:
    rows = [
        (text(key), Cell(duration(m.seconds), m.seconds, "number"), Cell(m.digest[:12], m.digest))
        for key, m in manifests.items()
    ]
    total = sum(m.seconds for m in manifests.values())
    rows.append((text("all"), Cell(duration(total), total, "number"), text("")))
    return make_table("stages", "Stages of this run", ("Stage", "Time", "Digest"), rows)


def versions_table(manifests: Mapping[str, Manifest]) -> Table:
    """Versions that the stages ran with; several where stages differ."""
    found: dict[str, dict[str, None]] = {}
    for manifest in manifests.values():
        for package, version in manifest.versions.items():
            found.setdefault(package, {})[version] = None
    return make_table(
        "versions", "Versions", ("Package", "Version"), [(text(p), text(", ".join(v))) for p, v in found.items()]
    )
