"""Words of term lists that extend a vocabulary, and the outcome for every term.

The procedure is that of KM-BERT-vocab (Kim et al. 2022): words are counted in the corpus, rare ones are dropped, the
most frequent are taken, and those that the vocabulary already has are left out. A WordPiece token can't contain a
space, so the words of a term are taken one by one. An occurrence is every corpus word that begins with the word,
because Korean particles follow without a space. (The paper does not publish how it handles either.)
"""

import csv
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

from bimed_dist.files.terms import Term
from bimed_dist.vocabulary.tokens import MAX_WORD_LENGTH

ADDED, KNOWN, RARE, BEYOND, REPEATED = "added", "in base vocabulary", "too rare", "beyond max_words", "repeated word"
EMPTY, DUPLICATE, NO_LETTER, TOO_LONG = "empty", "duplicate term", "no letter", "too long"
USELESS = (EMPTY, DUPLICATE, NO_LETTER, TOO_LONG)
"""Outcomes of rows that the list should not have."""
OUTCOMES = (ADDED, KNOWN, RARE, BEYOND, REPEATED, *USELESS)
_MAX_ROWS_SHOWN = 20


@dataclass(frozen=True)
class Candidate:
    """One word of a term and its outcome."""

    term: Term
    word: str
    """As the tokenizer normalizes it; empty if the term has no usable word."""
    count: int
    outcome: str
    """One of `OUTCOMES`; empty while undecided."""


def select_words(
    terms: Iterable[Term],
    forced: Iterable[Term],
    split: Callable[[str], Sequence[str]],
    vocabulary: Collection[str],
    word_counts: Mapping[str, int],
    *,
    min_frequency: int,
    max_words: int,
) -> list[Candidate]:
    """Return every word of every term with its outcome.

    `split` returns the words of a term as the tokenizer splits it. As published, words of the base `vocabulary` count
    towards `max_words` and are left out afterwards. All words of `forced` terms are added.
    """
    count_of = prefix_counter(word_counts)
    candidates = list(_candidates(terms, split, count_of, ()))
    frequent = [c for c in candidates if not c.outcome and c.count >= min_frequency]
    selected = {c.word for c in sorted(frequent, key=_by_count)[:max_words]}

    def outcome(candidate: Candidate) -> str:
        if candidate.word in selected:
            return KNOWN if candidate.word in vocabulary else ADDED
        return RARE if candidate.count < min_frequency else BEYOND

    decided = [replace(c, outcome=c.outcome or outcome(c)) for c in candidates]
    for c in _candidates(forced, split, count_of, selected):
        decided.append(replace(c, outcome=c.outcome or (KNOWN if c.word in vocabulary else ADDED)))
    return decided


def added_words(candidates: Iterable[Candidate]) -> list[str]:
    """Return the words with the outcome `ADDED`, most frequent first."""
    added = [candidate for candidate in candidates if candidate.outcome == ADDED]
    return [candidate.word for candidate in sorted(added, key=_by_count)]


def prefix_counter(word_counts: Mapping[str, int]) -> Callable[[str], int]:
    """Return a function from a text to the occurrences of all words that begin with it."""
    ordered = sorted(word_counts)
    sums = [0, *accumulate(word_counts[word] for word in ordered)]

    def count(prefix: str) -> int:
        # U+10FFFF is not a character, so it sorts behind every word that begins with the prefix.
        return sums[bisect_left(ordered, prefix + "\U0010ffff")] - sums[bisect_left(ordered, prefix)]

    return count


def describe_useless_rows(candidates: Sequence[Candidate]) -> list[str]:
    """Return one line per list and useless outcome, with the numbers of the first rows, for the log."""
    rows: dict[tuple[str, str], dict[int, None]] = {}
    for candidate in candidates:
        if candidate.outcome in USELESS:
            rows.setdefault((candidate.term.path, candidate.outcome), {})[candidate.term.row] = None
    lines = []
    for (path, outcome), numbers in rows.items():
        shown = ", ".join(map(str, list(numbers)[:_MAX_ROWS_SHOWN])) + (", ..." * (len(numbers) > _MAX_ROWS_SHOWN))
        lines.append(f"{path}: {len(numbers)} row(s) {outcome}: {shown}")
    return lines


def write_candidates(candidates: Iterable[Candidate], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["list", "row", "column", "word", "count", "outcome"])
        for c in candidates:
            table.writerow([c.term.path, c.term.row, c.term.column, c.word, c.count, c.outcome])


def count_outcomes(candidates: Iterable[Candidate]) -> dict[str, int]:
    counts = Counter(candidate.outcome for candidate in candidates)
    return {outcome: counts[outcome] for outcome in OUTCOMES}


def _by_count(candidate: Candidate) -> tuple[int, str]:
    return -candidate.count, candidate.word


def _candidates(
    terms: Iterable[Term],
    split: Callable[[str], Sequence[str]],
    count_of: Callable[[str], int],
    selected: Collection[str],
) -> Iterator[Candidate]:
    """Yield the words of the terms, with an empty outcome if undecided; words in `selected` are repeated."""
    seen_terms: set[tuple[str, ...]] = set()
    seen_words = set(selected)
    for term in terms:
        all_words = tuple(split(term.text))
        words = [word for word in all_words if any(map(str.isalpha, word))]
        if not words or all_words in seen_terms:
            yield Candidate(term, "", 0, DUPLICATE if words else NO_LETTER if all_words else EMPTY)
            continue
        seen_terms.add(all_words)
        for word in words:
            if len(word) > MAX_WORD_LENGTH:
                yield Candidate(term, "", 0, TOO_LONG)
            else:
                yield Candidate(term, word, count_of(word), REPEATED if word in seen_words else "")
                seen_words.add(word)
