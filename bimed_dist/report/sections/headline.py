"""The headline: scores that continued pre-training improved and worsened."""

from collections.abc import Sequence

from bimed_dist.report.scores import MainRow
from bimed_dist.report.text import decimal, metric_title, plural, signed


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
