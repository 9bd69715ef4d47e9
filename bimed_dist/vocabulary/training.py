"""WordPiece vocabulary by byte-pair merging over word counts (Sennrich et al. 2016, with the `##` of BERT).

The same words and counts give the same pieces in the same order, byte for byte: ties are broken by text, and nothing
depends on the order of documents, on hashing or on threads. (`tokenizers.WordPieceTrainer` promises none of that.)
"""

import heapq
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tqdm import tqdm

from bimed_dist.errors import DataError

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PREFIX = "##"
"""Marks a piece that continues a word."""
LONGEST_WORD = 100
"""Characters; WordPiece encodes longer words as [UNK], so nothing is learned from them."""

Pair = tuple[int, int]


@dataclass(frozen=True)
class Vocabulary:
    pieces: tuple[str, ...]
    """In the order of their ids: special tokens, alphabet by code point, merged pieces as they were found."""
    alphabet: int
    """Number of pieces of one character."""


def train_vocabulary(word_counts: Mapping[str, int], size: int, min_frequency: int) -> Vocabulary:
    """At most `size` pieces, special tokens included; fewer where no pair is left that occurs `min_frequency` times.

    Every character that occurs `min_frequency` times is in the alphabet, as a first and as a continuing piece where it
    was seen so. Raises DataError where the alphabet alone needs more than `size`.
    """
    alphabet = find_alphabet(word_counts, min_frequency)
    smallest = len(SPECIAL_TOKENS) + len(alphabet)
    if size < smallest:
        raise DataError(
            f"size={size} is too small: the alphabet of this corpus has {len(alphabet)} pieces, with the special "
            f"tokens {smallest}; give at least that, or raise min_frequency={min_frequency}"
        )
    pieces = [*SPECIAL_TOKENS, *alphabet]
    merger = _Merger(pieces, *_symbols(word_counts, pieces))
    with tqdm(total=size, initial=smallest, desc="vocabulary", unit=" pieces", disable=None) as progress:
        while len(pieces) < size and merger.merge_most_frequent(min_frequency):
            progress.update(len(pieces) - progress.n)
    return Vocabulary(tuple(pieces), len(alphabet))


def find_alphabet(word_counts: Mapping[str, int], min_frequency: int) -> list[str]:
    """Pieces of one character, sorted by text."""
    characters: Counter[str] = Counter()
    seen: set[str] = set()
    for word, count in word_counts.items():
        for piece in split_characters(word):
            characters[piece[-1]] += count
            seen.add(piece)
    return sorted(piece for piece in seen if characters[piece[-1]] >= min_frequency)


def split_characters(word: str) -> list[str]:
    return [word[0], *(PREFIX + character for character in word[1:])]


def _symbols(word_counts: Mapping[str, int], pieces: list[str]) -> tuple[list[list[int]], list[int]]:
    """Ids of the characters of each word, and its count. A word with a rare character is [UNK] as a whole: left out."""
    ids = {piece: i for i, piece in enumerate(pieces)}
    words, counts = [], []
    for word in sorted(word_counts):
        symbols = [ids.get(piece, -1) for piece in split_characters(word)]
        if len(symbols) <= LONGEST_WORD and -1 not in symbols:
            words.append(symbols)
            counts.append(word_counts[word])
    return words, counts


class _Merger:
    """Words as lists of piece ids, with the counts of their neighbouring pairs kept up to date.

    The heap holds a stale entry for every count that fell since; it is put back with its true count when it comes up.
    """

    def __init__(self, pieces: list[str], words: list[list[int]], counts: list[int]) -> None:
        self._pieces = pieces
        self._ids = {piece: i for i, piece in enumerate(pieces)}
        self._words = words
        self._counts = counts
        self._pair_counts: Counter[Pair] = Counter()
        self._words_with: dict[Pair, list[int]] = {}
        for number, (word, count) in enumerate(zip(words, counts, strict=True)):
            for pair in itertools.pairwise(word):
                self._pair_counts[pair] += count
                self._words_with.setdefault(pair, []).append(number)
        self._heap = [self._entry(pair) for pair in self._pair_counts]
        heapq.heapify(self._heap)

    def _entry(self, pair: Pair) -> tuple[int, str, str, Pair]:
        return (-self._pair_counts[pair], self._pieces[pair[0]], self._pieces[pair[1]], pair)

    def merge_most_frequent(self, min_frequency: int) -> bool:
        """Merge one pair everywhere; False where none occurs `min_frequency` times."""
        while self._heap:
            negative_count, _, _, pair = heapq.heappop(self._heap)
            count = self._pair_counts.get(pair, 0)
            if count < min_frequency:
                continue
            if count != -negative_count:
                heapq.heappush(self._heap, self._entry(pair))
                continue
            self._merge(pair)
            return True
        return False

    def _merge(self, pair: Pair) -> None:
        text = self._pieces[pair[0]] + self._pieces[pair[1]].removeprefix(PREFIX)
        # Different pairs can spell the same piece.
        merged = self._ids.setdefault(text, len(self._pieces))
        if merged == len(self._pieces):
            self._pieces.append(text)
        grown: set[Pair] = set()
        for number in dict.fromkeys(self._words_with.pop(pair)):
            before = self._words[number]
            after = replace_pair(before, pair, merged)
            self._words[number] = after
            count = self._counts[number]
            for old in itertools.pairwise(before):
                self._pair_counts[old] -= count
            for new in itertools.pairwise(after):
                self._pair_counts[new] += count
                if merged in new:
                    self._words_with.setdefault(new, []).append(number)
                    grown.add(new)
        self._pair_counts.pop(pair, None)
        for new in grown:
            heapq.heappush(self._heap, self._entry(new))


def replace_pair(word: Iterable[int], pair: Pair, merged: int) -> list[int]:
    """The word with each occurrence of the pair, from the left, replaced by one piece."""
    replaced: list[int] = []
    previous = None
    for piece in word:
        if previous is not None and (previous, piece) == pair:
            replaced[-1] = merged
            previous = None
        else:
            replaced.append(piece)
            previous = piece
    return replaced
