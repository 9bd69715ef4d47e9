"""A report as values, and how it is written as one self-contained HTML page and one Markdown file.

Every text is escaped: names, titles and errors come from recipes, data files and other programs. Only the report's own
SVG is inserted as it is.
"""

import re
from dataclasses import dataclass

from markupsafe import Markup, escape

from bimed_dist import templates
from bimed_dist.recipe.model import EMBEDDING_ORIGINS
from bimed_dist.report.tables import Cell, Table

_LINK = re.compile(r"https?://[^\s<>\"']+|\b10\.\d{4,9}/[^\s<>\"']+")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~])")


@dataclass(frozen=True)
class ShareBar:
    """A bar of shares that add up to 1."""

    label: str
    shares: tuple[tuple[str, float], ...]
    """(origin, share); the origin is a key of EMBEDDING_ORIGINS and names the CSS class of the bar."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """Shown in the order of the fields."""

    title: str
    anchor: str = ""
    paragraphs: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    points: tuple[str, ...] = ()
    bars: tuple[ShareBar, ...] = ()
    legend: tuple[tuple[str, int, str], ...] = ()
    """(run, number of its colour, dash pattern)"""
    figures: tuple[tuple[str, str], ...] = ()
    """(title, SVG)"""
    tables: tuple[Table, ...] = ()
    closing: tuple[str, ...] = ()
    """Paragraphs below the tables."""
    tables_first: bool = False
    """Show tables before figures."""
    code: str = ""
    parts: tuple["Section", ...] = ()


@dataclass(frozen=True)
class Page:
    title: str
    subtitle: str
    """Recipe, seed and date."""
    headline: str
    sections: tuple[Section, ...]


def html(page: Page) -> str:
    """Return the page as one HTML file: no script, nothing loaded from elsewhere."""
    environment = templates.environment("bimed_dist.report")
    environment.filters["linked"] = linked
    environment.globals["origins"] = EMBEDDING_ORIGINS
    environment.filters["svg"] = Markup  # the report's own figures
    return environment.get_template("page.html.j2").render(page=page)


def linked(text: str) -> Markup:
    """Return the text escaped, with web addresses and DOIs as links."""
    parts, end = [], 0
    for match in _LINK.finditer(text):
        label = match.group().rstrip(".,;:)")
        address = label if label.startswith("http") else f"https://doi.org/{label}"
        parts += [escape(text[end : match.start()]), Markup('<a href="{}">{}</a>').format(address, label)]
        end = match.start() + len(label)
    return Markup("").join([*parts, escape(text[end:])])


def markdown(page: Page) -> str:
    blocks = [f"# {_escaped(page.title)}", _escaped(page.subtitle), f"**{_escaped(page.headline)}**"]
    for section in page.sections:
        blocks += _markdown_section(section, level=2)
    return "\n\n".join(blocks) + "\n"


def _markdown_section(section: Section, level: int) -> list[str]:
    blocks = [f"{'#' * level} {_escaped(section.title)}", *map(_escaped, section.paragraphs)]
    if section.figures:
        blocks.append("(Figures: see index.html.)")
    if section.facts:
        blocks.append("\n".join(f"- {_escaped(label)}: {_escaped(value)}" for label, value in section.facts))
    if section.points:
        blocks.append("\n".join(f"- {_escaped(point)}" for point in section.points))
    for table in section.tables:
        blocks += _markdown_table(table)
    blocks += map(_escaped, section.closing)
    if section.code:
        blocks.append("\n".join("    " + line for line in section.code.splitlines()))
    for part in section.parts:
        blocks += _markdown_section(part, level + 1)
    return blocks


def _markdown_table(table: Table) -> list[str]:
    ruler = ["---:" if table.is_numeric(i) else "---" for i in range(len(table.columns))]
    lines = [[_escaped(column) for column in table.columns], ruler]
    lines += [[_markdown_cell(cell) for cell in row] for row in table.rows]
    blocks = [f"{_escaped(table.caption)}:", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
    if table.notes:
        blocks.append("\n".join(f"- {mark}) {_escaped(note)}" for mark, note in table.notes))
    return blocks


def _markdown_cell(cell: Cell) -> str:
    text = _escaped(cell.text)
    text = f"**{text}**" if cell.best else text
    return text + (f" ({_escaped(cell.detail)})" if cell.detail else "") + (f" {cell.mark})" if cell.mark else "")


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))
