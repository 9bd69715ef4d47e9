"""Scan for identities of patients and staff: numbers, addresses and names in their usual forms or after usual cues.

It misses names without a cue, nicknames, postal addresses and identifying stories; docs/privacy.md has measurements on
planted and published identities. The text of a match never leaves this module.
"""

import functools
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from bimed_dist.corpus import presidio
from bimed_dist.corpus.identities import PATTERNS, TYPES, Pattern, Type
from bimed_dist.recipe.corpus import PrivacySettings

_FOLDS = {
    **dict.fromkeys("‐‑‒–—―−⁃ーᅳ➖", "-"),
    **dict.fromkeys("\t\r\x0b\x0c\x85\u1160", " "),
    **dict.fromkeys("\u2028\u2029", "\n"),
    **dict.fromkeys("‘’ʼ`´", "'"),
    # Invisible characters: a number with these in it is still one number.
    **dict.fromkeys(
        [chr(code) for code in (0xAD, 0x34F, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F))], None
    ),
    **dict.fromkeys([chr(code) for code in (*range(0x2060, 0x2070), *range(0xFE00, 0xFE10), 0xFEFF)], None),
}
_TABLE = str.maketrans(_FOLDS)
_FOLDED = re.compile("[" + "".join(map(re.escape, _FOLDS)) + "]")
# These characters never compose with the previous one under NFKC; others may.
_APART = "\x00-\x7f\u1100-\u115e\u2000-\u2069\u3000-\u3029\u3030-\u303f\u4e00-\u9fff가-힣！-～"
_CHUNK = re.compile(f"[{_APART}][^{_APART}]*|[^{_APART}]+")


class Match(NamedTuple):
    type: Type
    start: int
    end: int
    """Offsets into the original text."""


def scanner(settings: PrivacySettings) -> Callable[[str], list[Match]]:
    """Return a function that finds identities by the settings' patterns and, if set, by Presidio."""
    chart_numbers = tuple(map(re.compile, settings.chart_numbers))
    if settings.presidio is None:
        return functools.partial(find, chart_numbers=chart_numbers)

    def scan(text: str) -> list[Match]:
        named = (Match("name", *span) for span in presidio.names(text, settings.presidio))
        return _without_overlaps([*find(text, chart_numbers), *named])

    return scan


def find(text: str, chart_numbers: Sequence[re.Pattern[str]] = ()) -> list[Match]:
    """Return identities in order, without overlaps; `chart_numbers` are further patterns of a hospital's numbers.

    Searches a copy in NFKC with one kind of dash and space. The time is linear in the length of the text.
    """
    patterns = [*PATTERNS, *(Pattern("chart_number", pattern) for pattern in chart_numbers)]
    if unicodedata.is_normalized("NFKC", text) and not _FOLDED.search(text):
        return _matches(text, patterns)
    if not _matches(_fold(text), patterns):
        return []
    copy, starts, ends = _fold_with_offsets(text)
    return _without_overlaps(
        Match(match.type, starts[match.start], ends[match.end - 1]) for match in _matches(copy, patterns)
    )


def mask(text: str, matches: Iterable[Match]) -> str:
    """Replace each match by `[TYPE]`."""
    parts, done = [], 0
    for match in matches:
        parts += [text[done : match.start], placeholder(match.type)]
        done = match.end
    return "".join([*parts, text[done:]])


def placeholder(type: Type) -> str:
    return f"[{type.upper()}]"


def refusal(counts: Mapping[Type, int], characters: int, settings: PrivacySettings) -> str | None:
    """Return why a corpus with these counts by type is refused; None if it may be built."""
    if settings.action != "refuse":
        return None
    total = sum(counts.values())
    allowed = settings.max_per_million_characters * characters / 1e6
    resident = counts.get("resident_number", 0)
    if total <= allowed and resident <= settings.max_resident_numbers:
        return None
    listed = ", ".join(f"{counts[type]:,} {type}" for type in TYPES if counts.get(type))
    rate = 1e6 * total / max(characters, 1)
    return (
        f"the privacy scan found {listed} in {characters:,} characters, {rate:.1f} per million; allowed are "
        f"{settings.max_per_million_characters:g} per million and {settings.max_resident_numbers} resident_number. "
        "De-identify the text and build again, or set privacy.action to mask, or to allow if no patients are named"
    )


def _matches(text: str, patterns: Sequence[Pattern]) -> list[Match]:
    lower = text.lower()
    return _without_overlaps(
        Match(pattern.type, *match.span("v" if "v" in pattern.regex.groupindex else 0))
        for pattern in patterns
        if not pattern.needs or any(need in lower for need in pattern.needs)
        for match in pattern.regex.finditer(text)
        if pattern.accepts is None or pattern.accepts(match["v"])
    )


def _without_overlaps(matches: Iterable[Match]) -> list[Match]:
    """Merge overlapping matches into one, of the type that comes first in TYPES."""
    merged: list[Match] = []
    for match in sorted((match for match in matches if match.start < match.end), key=lambda match: match[1:]):
        if merged and match.start < merged[-1].end:
            last = merged[-1]
            type = min(last.type, match.type, key=TYPES.index)
            merged[-1] = Match(type, last.start, max(last.end, match.end))
        else:
            merged.append(match)
    return merged


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).translate(_TABLE)


def _fold_with_offsets(text: str) -> tuple[str, list[int], list[int]]:
    """Return (folded copy, start and end in `text` of the source of each of its characters)."""
    chunks: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for folded, start, end in _folded_chunks(text):
        chunks.append(folded)
        starts += [start] * len(folded)
        ends += [end] * len(folded)
    return "".join(chunks), starts, ends


def _folded_chunks(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield (folded text, start, end) by character, or by chunk if its characters compose."""
    for chunk in _CHUNK.finditer(text):
        whole, start = _fold(chunk[0]), chunk.start()
        single = [_fold(character) for character in chunk[0]]
        if "".join(single) == whole:
            yield from ((folded, start + i, start + i + 1) for i, folded in enumerate(single))
        else:
            yield whole, start, chunk.end()
