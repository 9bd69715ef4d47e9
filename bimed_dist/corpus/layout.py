"""Lines and pages to paragraphs: undo what was done to fit text on paper."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence

from bimed_dist.recipe.corpus import CleaningSettings, LineBreak

_BLANK_LINE = re.compile(r"\n\s*\n")
# A line that starts with a list mark is an item, even if other line breaks only wrap the text.
_LIST_ITEM = r"\s*(?:(?:[-*•·▪○●■▶※]|[(#]?\d{1,2}[.)]|#\d{1,2})\s|[①-⑳])"
_WRAP = re.compile(rf"\n(?!{_LIST_ITEM})")
_ITEM = re.compile(_LIST_ITEM)
_HYPHENATED = re.compile(r"(?<=[a-z]{2})-\n[^\S\n]*(?=[a-z]{2})")
_SENTENCE_END = re.compile(r"[.!?:…][\"')\]”’]*\s*\Z")
_SECTION = re.compile(r"^(?=[A-Z][A-Za-z/&,() -]{2,50}:[^\S\n]*$|[A-Z][A-Z/&,() -]{3,50}:)", re.MULTILINE)
_DIGITS = re.compile(r"\d+")

WRAPPED_WIDTH = 60
"""Characters. If the longest line of a block is shorter, no line is taken to be wrapped."""
_PAGE_EDGE = 2
"""Lines at the top and the bottom of a page that may be headers and footers."""
_MIN_PAGES = 3
_RECURRING_SHARE = 0.6


def paragraphs_of(
    text: str, line_break: LineBreak, rules: CleaningSettings, changed: Counter[str], sections: bool = False
) -> list[str]:
    """Split a text into paragraphs at blank lines; `line_break` is the meaning of single line breaks.

    With `sections`, a line that is a title (`Chief Complaint:`) or starts with one in capitals begins a paragraph.
    Counts in `changed` how often each rule applied.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\f" in text:
        pages = text.split("\f")
        if rules.page_furniture:
            pages = _drop_furniture(pages, changed)
        text = _joined_pages(pages)
    if rules.hyphenation and "-\n" in text:
        text, joined = _HYPHENATED.subn("", text)
        changed["hyphenation"] += joined
    if sections:
        text = _SECTION.sub("\n", text)
    return [_joined_lines(part, line_break, changed) for part in _BLANK_LINE.split(text.strip()) if part]


def _joined_lines(block: str, line_break: LineBreak, changed: Counter[str]) -> str:
    if "\n" not in block:
        return block
    if line_break == "space":
        text = _WRAP.sub(" ", block)
    else:
        lines = [line.strip() for line in block.split("\n")]
        text = "\n".join(lines) if line_break == "sentence" else _unwrapped(lines)
    changed["lines_joined"] += block.count("\n") - text.count("\n")
    return text


def _unwrapped(lines: Sequence[str]) -> str:
    """Join a line and the next one if the next one's first word would not have fitted."""
    width = max(map(len, lines))
    text = lines[0]
    for line, following in itertools.pairwise(lines):
        joined_width = len(line) + 1 + len(following.split(" ", 1)[0])
        wraps = width >= WRAPPED_WIDTH and joined_width > 0.9 * width and not _ITEM.match(following)
        text += f" {following}" if wraps else f"\n{following}"
    return text


def _joined_pages(pages: Sequence[str]) -> str:
    """Join pages; a page ends a paragraph unless it ends inside a sentence."""
    text = ""
    for page in pages:
        page = page.strip("\n")
        if text and page:
            text += "\n\n" if _SENTENCE_END.search(text[-20:]) else "\n"
        text += page
    return text


def _drop_furniture(pages: Sequence[str], changed: Counter[str]) -> list[str]:
    """Drop the lines at the edges of pages that recur, ignoring their numbers, on most pages."""
    if len(pages) < _MIN_PAGES:
        return list(pages)
    split = [page.split("\n") for page in pages]
    edges = [_edge_lines(lines) for lines in split]
    seen = Counter(key for edge in edges for key in set(edge.values()))
    min_pages = max(_MIN_PAGES, _RECURRING_SHARE * len(pages))
    kept = []
    for lines, edge in zip(split, edges, strict=True):
        dropped = {number for number, key in edge.items() if seen[key] >= min_pages}
        changed["page_furniture"] += len(dropped)
        kept.append("\n".join(line for number, line in enumerate(lines) if number not in dropped))
    return kept


def _edge_lines(lines: Sequence[str]) -> dict[int, str]:
    """Return {line number: the line with 0 for its numbers} of the lines near the top or bottom of a page."""
    filled = [number for number, line in enumerate(lines) if line.strip()]
    near = {*filled[:_PAGE_EDGE], *filled[-_PAGE_EDGE:]}
    return {number: _DIGITS.sub("0", " ".join(lines[number].split())) for number in near}
