"""Scan for identities of patients and staff: numbers, addresses and names that follow the usual forms and cues.

It finds what looks like an identity and promises nothing: a name without a cue, a nickname, an address or a rare
story passes. docs/privacy.md says what was found and missed on planted and on published identities. No text of a match
ever leaves this module except in place, through `mask`.
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
    # What nobody sees: a number is one number with these in it.
    **dict.fromkeys(
        [chr(code) for code in (0xAD, 0x34F, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F))], None
    ),
    **dict.fromkeys([chr(code) for code in (*range(0x2060, 0x2070), *range(0xFE00, 0xFE10), 0xFEFF)], None),
}
_TABLE = str.maketrans(_FOLDS)
_FOLDED = re.compile("[" + "".join(map(re.escape, _FOLDS)) + "]")
# A character of these never joins the one before it under NFKC; any other might.
_APART = "\x00-\x7f\u1100-\u115e\u2000-\u2069\u3000-\u3029\u3030-\u303f\u4e00-\u9fff가-힣！-～"
_CHUNK = re.compile(f"[{_APART}][^{_APART}]*|[^{_APART}]+")


class Match(NamedTuple):
    type: Type
    start: int
    end: int
    """Offsets into the text as it was given, however it is composed or spelled."""


def scanner(settings: PrivacySettings) -> Callable[[str], list[Match]]:
    """`find` with the patterns and, where it is asked for, the English names of the settings."""
    chart_numbers = tuple(map(re.compile, settings.chart_numbers))
    if settings.presidio is None:
        return functools.partial(find, chart_numbers=chart_numbers)

    def scan(text: str) -> list[Match]:
        named = (Match("name", *span) for span in presidio.names(text, settings.presidio))
        return _without_overlaps([*find(text, chart_numbers), *named])

    return scan


def find(text: str, chart_numbers: Sequence[re.Pattern[str]] = ()) -> list[Match]:
    """Identities in order, without overlaps; `chart_numbers` are further patterns of a hospital's own numbers.

    Runs on a copy after NFKC with one kind of dash and blank. The time is linear in the text.
    """
    patterns = [*PATTERNS, *(Pattern("chart_number", pattern) for pattern in chart_numbers)]
    if unicodedata.is_normalized("NFKC", text) and not _FOLDED.search(text):
        return _found(text, patterns)
    if not _found(_fold(text), patterns):
        return []
    copy, starts, ends = _fold_with_offsets(text)
    return _without_overlaps(
        Match(match.type, starts[match.start], ends[match.end - 1]) for match in _found(copy, patterns)
    )


def mask(text: str, matches: Iterable[Match]) -> str:
    """The text with `[TYPE]` in place of each match."""
    parts, done = [], 0
    for match in matches:
        parts += [text[done : match.start], placeholder(match.type)]
        done = match.end
    return "".join([*parts, text[done:]])


def placeholder(type: Type) -> str:
    return f"[{type.upper()}]"


def refusal(counts: Mapping[Type, int], characters: int, settings: PrivacySettings) -> str | None:
    """Why a corpus with so many matches is refused, by type and count; None where it may be built."""
    if settings.action != "refuse":
        return None
    total = sum(counts.values())
    allowed = settings.most_per_million * characters / 1e6
    resident = counts.get("resident_number", 0)
    if total <= allowed and resident <= settings.most_resident_numbers:
        return None
    found = ", ".join(f"{counts[type]:,} {type}" for type in TYPES if counts.get(type))
    rate = 1e6 * total / max(characters, 1)
    return (
        f"the privacy scan found {found} in {characters:,} characters, {rate:.1f} per million; allowed are "
        f"{settings.most_per_million:g} per million and {settings.most_resident_numbers} resident_number. De-identify "
        "the text and build again, or set privacy.action to mask, or to allow where the matches are no patients'"
    )


def _found(text: str, patterns: Sequence[Pattern]) -> list[Match]:
    lower = text.lower()
    return _without_overlaps(
        Match(pattern.type, *match.span("v" if "v" in pattern.regex.groupindex else 0))
        for pattern in patterns
        if not pattern.needs or any(need in lower for need in pattern.needs)
        for match in pattern.regex.finditer(text)
        if pattern.accepts is None or pattern.accepts(match["v"])
    )


def _without_overlaps(matches: Iterable[Match]) -> list[Match]:
    """Matches that overlap become one over all their text, of the type that comes first in TYPES."""
    merged: list[Match] = []
    for match in sorted((match for match in matches if match.start < match.end), key=lambda match: match[1:]):
        if merged and match.start < merged[-1].end:
            before = merged[-1]
            type = min(before.type, match.type, key=TYPES.index)
            merged[-1] = Match(type, before.start, max(before.end, match.end))
        else:
            merged.append(match)
    return merged


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).translate(_TABLE)


def _fold_with_offsets(text: str) -> tuple[str, list[int], list[int]]:
    """(folded copy, start and end in `text` of what each of its characters was made from)."""
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for piece, start, end in _folded_pieces(text):
        pieces.append(piece)
        starts += [start] * len(piece)
        ends += [end] * len(piece)
    return "".join(pieces), starts, ends


def _folded_pieces(text: str) -> Iterator[tuple[str, int, int]]:
    for chunk in _CHUNK.finditer(text):
        whole, start = _fold(chunk[0]), chunk.start()
        single = [_fold(character) for character in chunk[0]]
        if "".join(single) == whole:
            yield from ((piece, start + i, start + i + 1) for i, piece in enumerate(single))
        else:
            yield whole, start, chunk.end()
