"""Main results: headline, and every adapted model against its foundation on the page, as CSV and on a terminal."""

from collections.abc import Sequence

from bimed_dist.evaluation.results_format import Results
from bimed_dist.report.figures import change_figure, korean_font
from bimed_dist.report.page import Section
from bimed_dist.report.score_cells import difference_cells, model_cell, score_cell
from bimed_dist.report.scores import MainRow, main_rows
from bimed_dist.report.tables import Cell, Table, aligned, csv_text, display_width, make_table
from bimed_dist.report.text import DASH, decimal, language_name, metric_title, plural, signed

_INTRODUCTION = (
    "Each adapted model is compared with the foundation it was trained from. Values are mean ± standard deviation over "
    "repeats: seeds of fine-tuning or, for zero-shot tasks (no fine-tuning), repeated random masks or sentence pairs. "
    "Bold: best of all models on the task. The page colours significant differences: blue if better, orange if worse."
)
_STATISTICS = (
    "Intervals and p values come from resampling the test rows (whole documents or patients if their rows depend on "
    "each other). p is two-sided and corrected by Holm's method over all tests of one adapted model. Significant "
    "means: corrected p below 0.05. This covers the choice of test rows only; it does not cover a new training run."
)


def main_section(rows: Sequence[MainRow]) -> Section:
    figure = change_figure(rows, korean_font())
    return Section(
        title="Main results",
        anchor="main",
        paragraphs=(_INTRODUCTION,),
        tables=(main_table(rows),),
        closing=(_STATISTICS,),
        tables_first=True,
        figures=(("Change from foundation to adapted model", figure),) if figure else (),
    )


def main_table(rows: Sequence[MainRow]) -> Table:
    columns = ("Task", "Adapted model", "Foundation", "Adapted", "Difference", "95 % interval", "p (Holm)", "Repeats")
    return make_table("main", "Main results", columns, [_cells(row) for row in rows], grouped=1)


def _cells(row: MainRow) -> tuple[Cell, ...]:
    direction = " (lower is better)" if row.lower_is_better else ""
    detail = f"{metric_title(row.metric)}{direction} · {row.split} · {language_name(row.language)}"
    seeds = dict.fromkeys(str(s.seeds) for s in (row.foundation_score, row.model_score) if s is not None and s.seeds)
    return (
        Cell(row.title, row.task, detail=detail),
        model_cell(row),
        score_cell(row.foundation_score, best=row.foundation in row.best),
        score_cell(row.model_score, best=row.model in row.best),
        *difference_cells(row),
        Cell(" / ".join(seeds) or DASH, kind="number"),
    )


def main_csv(rows: Sequence[MainRow]) -> str:
    """Return the main table for programs: one value per column, full precision, `failed` and `n/a` as states."""
    columns = ("task", "title", "language", "split", "metric", "foundation", "model")
    score_fields = ("state", "mean", "sd", "seeds", "rows", "reason")
    tail = ("difference", "interval_low", "interval_high", "p", "p_holm", "best")
    header = [*columns, *(f"foundation_{s}" for s in score_fields), *(f"model_{s}" for s in score_fields), *tail]
    lines = []
    for row in rows:
        values = [getattr(row, column) for column in columns]
        for score in (row.foundation_score, row.model_score):
            values += [None] * len(score_fields) if score is None else [getattr(score, s) for s in score_fields]
        low, high = row.interval or (None, None)
        lines.append([*values, row.difference, low, high, row.p, row.p_holm, " ".join(sorted(row.best))])
    return csv_text(header, lines)


def main_table_text(results: Results) -> str:
    """Return the main table as aligned text for a terminal; a star marks the best score of a task."""
    table = main_table(main_rows(results))
    right = [table.is_numeric(i) for i in range(1, len(table.columns))]
    heads = [f"{row[0].text}: {row[0].detail}" for row in table.rows]
    # A number is followed by a star or a space, so that digits line up.
    lines = [[f"{c} " if r else c for c, r in zip(table.columns[1:], right, strict=True)]]
    lines += [[_plain(cell) for cell in row[1:]] for row in table.rows]
    header, *body = aligned(lines, right)
    output = [f"  {header}", "-" * (2 + max(map(display_width, [header, *body])))]
    for i, line in enumerate(body):
        output += [] if i and heads[i] == heads[i - 1] else [heads[i]]
        output.append(f"  {line}")
    if any(cell.best for row in table.rows for cell in row):
        output.append("* best of all models on this task")
    output += [f"{mark}) {note}" for mark, note in table.notes]
    return "\n".join("".join(c if c.isprintable() else " " for c in line) for line in output)


def _plain(cell: Cell) -> str:
    suffix = "*" if cell.best else " " if cell.kind != "text" else ""
    return " ".join([cell.text, *(f"({part})" for part in (cell.detail, cell.mark) if part)]) + suffix


# ------------------------------------------------------------------------------------------------------------- headline


def headline(rows: Sequence[MainRow]) -> str:
    """Return two sentences, counts and largest changes, and a third if comparisons are missing."""
    if not rows:
        return "This recipe evaluates no models."
    compared = [row for row in rows if row.gain is not None]
    missing = [row for row in rows if row.foundation is not None and row.gain is None]
    if not compared:
        return " ".join(["No adapted model could be compared with its foundation.", *_missing(missing)])
    improved, worsened = ([row for row in compared if sign * row.gain > 0] for sign in (1, -1))
    sentences = [
        f"Continued pre-training improved {len(improved)} of {plural(len(compared), 'score')}{_significant(improved)} "
        f"and worsened {len(worsened) or 'none'}{_significant(worsened)}."
    ]
    return " ".join([*sentences, *_largest(compared), *_missing(missing)])


def _significant(rows: Sequence[MainRow]) -> str:
    tested = [row for row in rows if row.is_tested]
    return f" ({sum(row.is_significant for row in tested) or 'none'} significantly)" if tested else ""


def _largest(compared: Sequence[MainRow]) -> list[str]:
    # Losses and bits have another scale than correlations and F1.
    rows = [row for row in compared if not row.lower_is_better] or compared
    best, worst = max(rows, key=lambda row: row.gain), min(rows, key=lambda row: row.gain)
    changes = [f"largest gain: {_change(best)}"] if best.gain > 0 else []
    changes += [f"largest loss: {_change(worst)}"] if worst.gain < 0 else []
    sentence = "; ".join(changes)
    return [f"{sentence[0].upper()}{sentence[1:]}."] if sentence else []


def _change(row: MainRow) -> str:
    split = "" if row.split == "test" else f", {row.split}"
    values = f"{decimal(row.foundation_score.mean)} to {decimal(row.model_score.mean)} ({signed(row.difference)})"
    return f"{row.title}{split}, {row.model}: {metric_title(row.metric)} {values}"


def _missing(rows: Sequence[MainRow]) -> list[str]:
    if not rows:
        return []
    failed = sum("failed" in (row.foundation_score.state, row.model_score.state) for row in rows)
    reason = f", {failed} of them because a trial failed" if failed else ""
    return [f"{plural(len(rows), 'comparison')} could not be made{reason}."]
