"""One self-contained HTML page and one Markdown file from the sections of a report.

Every text is escaped: names, titles and errors come from recipes, data files and other people's programs. Only our own
SVG goes in as it is.
"""

import re
from dataclasses import dataclass

from markupsafe import Markup, escape

from bimed_dist import templates
from bimed_dist.report.cells import Cell, Table
from bimed_dist.report.sections import Section
from bimed_dist.report.tables import ORIGINS

_LINK = re.compile(r"https?://[^\s<>\"']+|\b10\.\d{4,9}/[^\s<>\"']+")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~])")


@dataclass(frozen=True)
class Page:
    title: str
    subtitle: str
    """What was run and when."""
    headline: str
    sections: tuple[Section, ...]


def html(page: Page) -> str:
    """The page as one HTML file: no script, nothing loaded from elsewhere."""
    environment = templates.environment("bimed_dist.report")
    environment.filters["linked"] = linked
    environment.filters["spans"] = spans
    environment.globals["origins"] = ORIGINS
    environment.filters["svg"] = Markup  # our own figures
    return environment.get_template("page.html.j2").render(page=page)


def linked(text: str) -> Markup:
    """The text escaped, with web addresses and DOIs as links."""
    parts, end = [], 0
    for match in _LINK.finditer(text):
        found = match.group().rstrip(".,;:)")
        address = found if found.startswith("http") else f"https://doi.org/{found}"
        parts += [escape(text[end : match.start()]), Markup('<a href="{}">{}</a>').format(address, found)]
        end = match.start() + len(found)
    return Markup("").join([*parts, escape(text[end:])])


def spans(table: Table) -> list[int]:
    """Rows that the first cell of each row covers; 0 where the cell above covers it."""
    covered = [1] * len(table.rows)
    if table.grouped:
        start = 0
        for i in range(1, len(table.rows)):
            first, above = table.rows[i][0], table.rows[start][0]
            if (first.text, first.value, first.detail) == (above.text, above.value, above.detail):
                covered[start] += 1
                covered[i] = 0
            else:
                start = i
    return covered


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
    if section.code:
        blocks.append("\n".join("    " + line for line in section.code.splitlines()))
    for part in section.parts:
        blocks += _markdown_section(part, level + 1)
    return blocks


def _markdown_table(table: Table) -> list[str]:
    ruler = ["---:" if table.numeric(i) else "---" for i in range(len(table.columns))]
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
