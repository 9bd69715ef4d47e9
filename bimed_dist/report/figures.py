"""Figures as inline SVG: drawn by matplotlib without a display, coloured by the page.

Text is drawn as paths, so that a page looks the same everywhere. Colours become CSS variables, so that one figure
serves light, dark and print. Ids are prefixed with the figure's name, because all figures share one page.
"""

import io
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bimed_dist.evaluation.results_format import ProbabilityCounts
from bimed_dist.report.scores import MainRow
from bimed_dist.report.text import metric_title

log = logging.getLogger(__name__)

CURVES = {
    "mlm_loss": "MLM loss",
    "nsp_loss": "NSP loss",
    "sop_loss": "SOP loss",
    "mlm_accuracy": "MLM accuracy",
    "nsp_accuracy": "NSP accuracy",
    "sop_accuracy": "SOP accuracy",
    "mlm_bits_per_character": "MLM bits per character",
}
"""Validation metrics of metrics.jsonl and their titles; NSP or SOP depends on the run's sentence objective."""
_KOREAN_FONTS = (
    "Noto Sans KR",
    "Noto Sans CJK KR",
    "Noto Sans CJK JP",
    "NanumGothic",
    "NanumBarunGothic",
    "Apple SD Gothic Neo",
    "AppleGothic",
    "Malgun Gothic",
    "UnDotum",
    "Baekmuk Dotum",
)
_KOREAN_FILES = re.compile(
    r"(noto ?sans ?(cjk|kr)|nanum(barun)?gothic\.|malgun\.|applesdgothic|undotum)[^/\\]*$", re.IGNORECASE
)
_HANGUL = re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")

# Placeholder colours, which are replaced by the page's variables.
_INK, _MUTED, _RULE, _PAPER, _GAIN, _LOSS = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
_SERIES = tuple(f"#0{i}0a0b" for i in range(1, 7))
_VARIABLES = {
    _INK: "var(--ink)",
    _MUTED: "var(--muted)",
    _RULE: "var(--rule)",
    _PAPER: "var(--paper)",
    _GAIN: "var(--gain)",
    _LOSS: "var(--loss)",
    **{color: f"var(--series-{i})" for i, color in enumerate(_SERIES, start=1)},
}
_DASHES = ("", "5 2", "1.5 1.5")
_STYLE = {
    "svg.fonttype": "path",
    "svg.hashsalt": "bimed_dist",
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _RULE,
    "axes.labelcolor": _MUTED,
    "axes.titlecolor": _INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": _RULE,
    "grid.linewidth": 0.6,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "lines.solid_capstyle": "round",
}


def korean_font() -> str | None:
    """Return the name of an installed font with Hangul, or None."""
    name = _known_korean_font()
    if name is None:
        # matplotlib caches its list of fonts; a font that was installed later is missing there.
        # Regular weights come first: `NotoSansCJK-Bold.ttc` sorts before `NotoSansCJK-Regular.ttc`.
        files = sorted(filter(_KOREAN_FILES.search, font_manager.findSystemFonts()))
        if files:
            path = min(files, key=lambda path: "regular" not in Path(path).name.lower())
            font_manager.fontManager.addfont(path)
            # A file may hold several fonts: the next call must choose the same one.
            name = _known_korean_font() or font_manager.FontProperties(fname=path).get_name()
    return name


def _known_korean_font() -> str | None:
    known = {font.name for font in font_manager.fontManager.ttflist}
    return next((name for name in _KOREAN_FONTS if name in known), None)


def series_style(index: int) -> tuple[int, str]:
    """Return (number of the colour, SVG dash pattern) of a run: colours first, then dashes."""
    return index % len(_SERIES) + 1, _DASHES[index // len(_SERIES) % len(_DASHES)]


def curve_names(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Return the validation metrics that any run has, in the order of the page."""
    names = {name for lines in curves.values() for line in lines if line["kind"] == "validation" for name in line}
    return [name for name in CURVES if name in names]


def curve_panels(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[tuple[str, str]]:
    """Return (title, SVG) of a panel per metric: validation by step, one line per run (Kim et al. 2022, figure 2).

    Losses also show the training loss as a thin line.
    """
    return [(CURVES[key], _curve_panel(key, curves)) for key in curve_names(curves)]


def _curve_panel(key: str, curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.3, 2.7), layout="constrained")
        axes = figure.subplots()
        for i, lines in enumerate(curves.values()):
            number, dashes = series_style(i)
            style: dict[str, Any] = {"color": _SERIES[number - 1]}
            if dashes:
                style["linestyle"] = (0, tuple(float(part) for part in dashes.split()))
            if key.endswith("loss"):
                _draw(axes, lines, "train", key, linewidth=0.6, alpha=0.45, **style)
            _draw(axes, lines, "validation", key, linewidth=1.8, marker="o", markersize=2.6, **style)
        axes.set_title(CURVES[key])
        axes.set_xlabel("step")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        return _svg(figure, key, f"{CURVES[key]} on held-out text by step, one line per run")


def _draw(axes: Axes, lines: Sequence[Mapping[str, Any]], kind: str, key: str, **style: Any) -> None:
    points = [(line["step"], line[key]) for line in lines if line["kind"] == kind and line.get(key) is not None]
    if points:
        axes.plot(*zip(*points, strict=True), **style)


def next_panels(task: str, counts: Mapping[str, ProbabilityCounts]) -> list[tuple[str, str]]:
    """Return (model, SVG): true next sentences and random sentences by their predicted probability of IsNext."""
    return [(model, _next_panel(f"next-{task}-{i}", model, counts[model])) for i, model in enumerate(counts)]


def _next_panel(name: str, model: str, counts: ProbabilityCounts) -> str:
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.3, 2.7), layout="constrained")
        axes = figure.subplots()
        sides = (("next sentence", counts["next"], _GAIN), ("random sentence", counts["random"], _LOSS))
        for label, pairs, color in sides:
            edges = [i / len(pairs) for i in range(len(pairs) + 1)]
            axes.stairs([n / max(sum(pairs), 1) for n in pairs], edges, color=color, label=label)
        axes.set(xlabel="predicted probability of IsNext", ylabel="share of pairs", xlim=(0, 1), ylim=(0, None))
        axes.set_title(_shortened(model, 40))
        axes.legend(frameon=False, fontsize=8)
        return _svg(figure, name, f"{model}: predicted probability of IsNext for true and for random next sentences")


def change_figure(rows: Sequence[MainRow], korean: str | None) -> str | None:
    """Return foundation (ring) and adapted model (dot) of every comparison in which higher is better; None if none.

    korean: a font with Hangul; without one, tasks with Hangul titles are shown by their short names.
    """
    groups: dict[str, list[MainRow]] = {}
    for row in rows:
        if row.difference is not None and not row.lower_is_better:
            groups.setdefault(_heading(row, korean), []).append(row)
    if not groups:
        return None
    places = len(groups) + sum(map(len, groups.values()))
    family = [korean, "DejaVu Sans"] if korean else ["DejaVu Sans"]
    with matplotlib.rc_context({**_STYLE, "font.family": family, "axes.grid.axis": "x"}):
        figure = Figure(figsize=(5.6, 0.65 + 0.23 * places), layout="constrained")
        axes = figure.subplots()
        names: dict[int, str] = {}
        top = 0
        for heading, group in groups.items():
            # On paper colour, so that the grid does not cross the text.
            box = {"facecolor": _PAPER, "edgecolor": "none", "pad": 1.5}
            axes.text(0, top, _shortened(heading), transform=axes.get_yaxis_transform(), va="center", bbox=box)
            for y, row in enumerate(group, start=top + 1):
                names[y] = _shortened(row.model, 24)
                _draw_change(axes, y, row)
            top += 1 + len(group)
        axes.set_yticks(list(names), list(names.values()))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_ylim(places - 0.4, -0.6)
        axes.set_xlabel("score (ring: foundation, dot: adapted model; orange: worse)")
        return _svg(figure, "change", "Score of each foundation and of the model adapted from it, by task")


def _draw_change(axes: Axes, y: int, row: MainRow) -> None:
    before, after = row.foundation_score.mean, row.model_score.mean
    color = _LOSS if row.gain < 0 else _GAIN
    axes.plot([before, after], [y, y], color=color, linewidth=2.2, zorder=2)
    axes.plot([before], [y], "o", markersize=5.5, markerfacecolor=_PAPER, markeredgecolor=_MUTED, zorder=3)
    axes.plot([after], [y], "o", markersize=6, color=color, zorder=4)


def _heading(row: MainRow, korean: str | None) -> str:
    title = row.title
    if korean is None and _HANGUL.search(title):
        log.info("no font with Hangul is installed (such as fonts-nanum): the figure shows a task as %s", row.task)
        title = row.task
    return f"{_shortened(title, 48)} · {metric_title(row.metric)}" + ("" if row.split == "test" else f" · {row.split}")


def _shortened(label: str, length: int = 90) -> str:
    # matplotlib reads $...$ as mathematics.
    return (label if len(label) <= length else label[: length - 1] + "…").replace("$", r"\$")


def _svg(figure: Figure, name: str, label: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    # Comments repeat the text of labels unescaped.
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r' id="([^"]+)"', rf' id="{name}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, variable)
    # The view box gives the proportions; the page gives the width.
    svg = re.sub(r'(<svg[^>]*?) width="[^"]+"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]+"', r"\1", svg, count=1)
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1).strip()
