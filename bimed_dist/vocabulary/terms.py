"""Term lists to the words that extend a vocabulary, and what became of every entry.

The procedure is that of KM-BERT-vocab (Kim et al. 2022): terms of lists, counted in the corpus, rare ones dropped, the
most frequent taken, those that the vocabulary has already left out. WordPiece has no piece with a blank, so the words
of a term are taken one by one; a word counts wherever a word of the corpus begins with it, since Korean particles
follow without a blank. (How KM-BERT-vocab did both is not published.)
"""

import csv
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

from bimed_dist.files.terms import Term
from bimed_dist.vocabulary.pieces import LONGEST_WORD

USELESS = ("empty", "duplicate", "without a letter", "too long")
"""Fates of entries that a list would better not have."""
FATES = ("added", "in the base vocabulary", "rare", "below the top", "repeated", *USELESS)
"""`repeated`: the word was in another term before; `duplicate`: the whole term was."""
_SHOWN = 20


@dataclass(frozen=True)
class Candidate:
    """One word of an entry and its fate."""

    entry: Term
    word: str
    """As the tokenizer sees it; empty where the entry has none that can be used."""
    count: int
    fate: str


def choose(
    entries: Iterable[Term],
    always: Iterable[Term],
    cut: Callable[[str], Sequence[str]],
    known: Collection[str],
    word_counts: Mapping[str, int],
    *,
    min_count: int,
    top: int,
) -> list[Candidate]:
    """Every word of every entry with its fate; those `added` are the new pieces.

    `cut` gives the words of a term as the tokenizer sees them, `known` the pieces that there are. As published, known
    pieces take part in the ranking and are left out after it.
    """
    count_of = prefix_counter(word_counts)
    ranked = list(_candidates(entries, cut, count_of, ()))
    frequent = [c for c in ranked if not c.fate and c.count >= min_count]
    taken = {c.word for c in sorted(frequent, key=_by_count)[:top]}

    def decided(candidate: Candidate) -> Candidate:
        if candidate.fate:
            return candidate
        if candidate.word in taken:
            return replace(candidate, fate="in the base vocabulary" if candidate.word in known else "added")
        return replace(candidate, fate="rare" if candidate.count < min_count else "below the top")

    taken_whole = list(_candidates(always, cut, count_of, taken))
    return [decided(c) for c in ranked] + [
        replace(c, fate=c.fate or ("in the base vocabulary" if c.word in known else "added")) for c in taken_whole
    ]


def new_pieces(candidates: Iterable[Candidate]) -> list[str]:
    """Words that are added, most frequent first."""
    added = [candidate for candidate in candidates if candidate.fate == "added"]
    return [candidate.word for candidate in sorted(added, key=_by_count)]


def prefix_counter(word_counts: Mapping[str, int]) -> Callable[[str], int]:
    """A function from a text to the number of occurrences of words that begin with it."""
    ordered = sorted(word_counts)
    sums = [0, *accumulate(word_counts[word] for word in ordered)]

    def count(prefix: str) -> int:
        # U+10FFFF is no character: no word that begins with the prefix sorts behind it.
        return sums[bisect_left(ordered, prefix + "\U0010ffff")] - sums[bisect_left(ordered, prefix)]

    return count


def problems_of(candidates: Sequence[Candidate]) -> list[str]:
    """One line per list and kind of useless row, with the first rows, for the log."""
    rows: dict[tuple[str, str], dict[int, None]] = {}
    for candidate in candidates:
        if candidate.fate in USELESS:
            rows.setdefault((candidate.entry.path, candidate.fate), {})[candidate.entry.row] = None
    lines = []
    for (path, fate), found in rows.items():
        shown = ", ".join(map(str, list(found)[:_SHOWN])) + (", ..." if len(found) > _SHOWN else "")
        lines.append(f"{path}: {len(found)} row(s) {fate}: {shown}")
    return lines


def write_candidates(candidates: Iterable[Candidate], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["list", "row", "column", "word", "count", "fate"])
        for c in candidates:
            table.writerow([c.entry.path, c.entry.row, c.entry.column, c.word, c.count, c.fate])


def counts_of(candidates: Iterable[Candidate]) -> dict[str, int]:
    found = Counter(candidate.fate for candidate in candidates)
    return {fate: found[fate] for fate in FATES}


def _by_count(candidate: Candidate) -> tuple[int, str]:
    return -candidate.count, candidate.word


def _candidates(
    entries: Iterable[Term],
    cut: Callable[[str], Sequence[str]],
    count_of: Callable[[str], int],
    before: Collection[str],
) -> Iterator[Candidate]:
    """Words of the entries; with an empty fate where the word may become a piece. `before` are words that did."""
    terms: set[tuple[str, ...]] = set()
    seen = set(before)
    for entry in entries:
        term = tuple(cut(entry.text))
        words = [word for word in term if any(map(str.isalpha, word))]
        if not words or term in terms:
            fate = "duplicate" if words else "without a letter" if term else "empty"
            yield Candidate(entry, "", 0, fate)
            continue
        terms.add(term)
        for word in words:
            if len(word) > LONGEST_WORD:
                yield Candidate(entry, "", 0, "too long")
            else:
                yield Candidate(entry, word, count_of(word), "repeated" if word in seen else "")
                seen.add(word)
