"""Cells that show scores, models and differences, for the main table and the tables of tasks and forgetting."""

from bimed_dist.report.scores import MainRow, Score
from bimed_dist.report.tables import Cell, empty_cell
from bimed_dist.report.text import decimal, language_name, p_value, signed


def model_cell(row: MainRow) -> Cell:
    if row.is_baseline:
        return Cell(row.model, detail="keyword rules", note=f"labels from: {row.labels_from}")
    return Cell(row.model, detail=f"from {row.foundation}" if row.foundation else "")


def score_cell(score: Score | None, best: bool = False, interval: bool = False) -> Cell:
    if score is None:
        return empty_cell()
    if score.state == "failed":
        return Cell("failed", "failed", "failed", note=score.reason)
    if score.state == "n/a":
        return Cell("n/a", "n/a", "missing", note=score.reason)
    content = decimal(score.mean) + ("" if score.sd is None else f" ± {decimal(score.sd)}")
    detail = f"[{decimal(score.interval[0])}, {decimal(score.interval[1])}]" if interval and score.interval else ""
    return Cell(content, score.mean, "number", best=best, detail=detail, note=score.reason)


def difference_cells(row: MainRow) -> tuple[Cell, Cell, Cell]:
    """Return difference, interval and p; empty if there is no difference, since the scores give the reason."""
    if row.difference is None:
        return empty_cell(), empty_cell(), empty_cell()
    change = ("gain" if row.gain > 0 else "loss") if row.is_significant and row.gain else ""
    interval = empty_cell()
    if row.interval is not None:
        interval = Cell(f"{signed(row.interval[0])} to {signed(row.interval[1])}", kind="number")
    return Cell(signed(row.difference), row.difference, "number", change=change), interval, p_cell(row.p_holm)


def p_cell(p: float | None) -> Cell:
    return empty_cell() if p is None else Cell(p_value(p), p, "number")


def split_name(split: str, slice_kind: str | None) -> str:
    """Return such as `test`, `test (Korean)` or `source books`."""
    return f"test ({language_name(split)})" if slice_kind == "language" else split
