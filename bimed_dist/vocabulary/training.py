"""WordPiece vocabulary by byte-pair merging over word counts (Sennrich et al. 2016, with the `##` of BERT).

The same words and counts give the same pieces in the same order, byte for byte: ties are broken by text, and nothing
depends on the order of documents, on hashing or on threads. (`tokenizers.WordPieceTrainer` promises none of that, and
counts in 32 bits; here counts have no limit.)
"""

import heapq
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tqdm import tqdm

from bimed_dist.errors import DataError
from bimed_dist.vocabulary.pieces import LONGEST_WORD, PREFIX, SPECIAL_TOKENS, quota_of, unused_slots


@dataclass(frozen=True)
class Vocabulary:
    pieces: tuple[str, ...]
    """In the order of their ids: special tokens, unused slots, alphabet by code point, protected words, merged pieces
    as they were found."""
    alphabet: int
    """Number of pieces of one character."""
    unfilled: dict[str, int] = field(default_factory=dict)
    """Language -> pieces of its quota that it could not fill; the others got them."""


def train_vocabulary(
    word_counts: Mapping[str, int],
    size: int,
    min_frequency: int,
    *,
    quotas: Mapping[str, float] | None = None,
    alphabet_limit: int | None = None,
    unused: int = 0,
    protected: Collection[str] = (),
) -> Vocabulary:
    """At most `size` pieces, special tokens included; fewer where no pair is left that occurs `min_frequency` times.

    Every character that occurs `min_frequency` times, or the `alphabet_limit` most frequent of them, is in the
    alphabet, as a first and as a continuing piece where it was seen so. `quotas` (ko, en, other -> share of `size`)
    end the merging of a language whose share is full. Raises DataError where something does not fit.
    """
    alphabet = find_alphabet(word_counts, min_frequency, alphabet_limit)
    given = [*SPECIAL_TOKENS, *unused_slots(unused), *alphabet]
    pieces = [*given, *sorted(set(protected) - set(given))]
    _require_room(size, pieces, len(alphabet), min_frequency)
    room = _room(size, pieces, quotas) if quotas else None
    # A protected word is one piece already: its parts would be learned for nothing.
    merger = _Merger(pieces, {word: n for word, n in word_counts.items() if word not in protected})
    unfilled: dict[str, int] = {}
    with tqdm(total=size, initial=len(pieces), desc="vocabulary", unit=" pieces", disable=None) as progress:
        while len(pieces) < size:
            if merger.merge_most_frequent(min_frequency, room):
                progress.update(len(pieces) - progress.n)
            elif room is None:
                break
            else:
                unfilled = {language: left for language, left in room.items() if left}
                room = None
                merger.take_up_waiting()
    return Vocabulary(tuple(pieces), len(alphabet), unfilled)


def find_alphabet(word_counts: Mapping[str, int], min_frequency: int, limit: int | None = None) -> list[str]:
    """Pieces of one character, sorted by text; of the `limit` most frequent characters where it is given."""
    characters: Counter[str] = Counter()
    seen: set[str] = set()
    for word, count in word_counts.items():
        for piece in split_characters(word):
            characters[piece[-1]] += count
            seen.add(piece)
    frequent = [character for character, count in characters.items() if count >= min_frequency]
    kept = set(sorted(frequent, key=lambda character: (-characters[character], character))[:limit])
    return sorted(piece for piece in seen if piece[-1] in kept)


def split_characters(word: str) -> list[str]:
    return [word[0], *(PREFIX + character for character in word[1:])]


def _require_room(size: int, pieces: Sequence[str], alphabet: int, min_frequency: int) -> None:
    if size < len(pieces):
        others = len(pieces) - alphabet - len(SPECIAL_TOKENS)
        and_others = f", unused slots and protected words {others}" if others else ""
        raise DataError(
            f"size={size} is too small: the alphabet of this corpus has {alphabet} pieces, with the special "
            f"tokens{and_others} {len(pieces)}; give at least that, raise min_frequency={min_frequency}, or set "
            "alphabet_limit"
        )


def _room(size: int, pieces: Sequence[str], quotas: Mapping[str, float]) -> dict[str, int]:
    """Pieces that each language may still get."""
    targets = {language: round(share * size) for language, share in quotas.items() if language != "other"}
    targets["other"] = size - sum(targets.values())
    taken = Counter(map(quota_of, pieces))
    full = [
        f"  {language}: quota {targets[language]} pieces, {taken[language]} needed before anything is learned"
        for language in sorted(targets)
        if taken[language] > targets[language]
    ]
    if full:
        raise DataError(
            f"size={size} and the quotas leave no room for alphabet, special tokens and protected words; raise size or "
            "the quota, or lower alphabet_limit\n" + "\n".join(full)
        )
    return {language: target - taken[language] for language, target in targets.items()}


class _Merger:
    """Words as strings with one character per piece, with the counts of their neighbouring pairs kept up to date.

    A character's code is the number of its piece, so that `str.replace` merges a pair everywhere, from the left. The
    heap holds a stale entry for every count that fell since; it is put back with its true count when it comes up.
    """

    def __init__(self, pieces: list[str], word_counts: Mapping[str, int]) -> None:
        self._pieces = pieces
        self._ids = {piece: i for i, piece in enumerate(pieces)}
        self._words: list[str] = []
        self._counts: list[int] = []
        self._pair_counts: dict[str, int] = {}
        self._words_with: dict[str, list[int]] = {}
        self._waiting: list[str] = []
        """Pairs of a language whose quota is full."""
        self._add_words(word_counts)
        self._heap = [self._entry(pair) for pair in self._pair_counts]
        heapq.heapify(self._heap)

    def _add_words(self, word_counts: Mapping[str, int]) -> None:
        """A word with a character outside the alphabet is [UNK] as a whole: left out."""
        codes = {piece: chr(i) for piece, i in self._ids.items()}
        for word in sorted(word_counts):
            if len(word) > LONGEST_WORD:
                continue
            symbols = [codes.get(piece) for piece in split_characters(word)]
            if None in symbols:
                continue
            for pair in pairwise(symbols):
                joined = "".join(pair)
                self._pair_counts[joined] = self._pair_counts.get(joined, 0) + word_counts[word]
                self._words_with.setdefault(joined, []).append(len(self._words))
            self._words.append("".join(symbols))
            self._counts.append(word_counts[word])

    def _entry(self, pair: str) -> tuple[int, str, str, str]:
        return (-self._pair_counts[pair], self._pieces[ord(pair[0])], self._pieces[ord(pair[1])], pair)

    def merge_most_frequent(self, min_frequency: int, room: dict[str, int] | None) -> bool:
        """Merge one pair everywhere; False where none occurs `min_frequency` times, or none of a language with room.

        `room` is counted down.
        """
        while self._heap:
            negative_count, left, right, pair = heapq.heappop(self._heap)
            count = self._pair_counts.get(pair, 0)
            if count < min_frequency:
                continue
            if count != -negative_count:
                heapq.heappush(self._heap, self._entry(pair))
                continue
            text = left + right.removeprefix(PREFIX)
            # Different pairs can spell the same piece.
            if room is not None and text not in self._ids:
                language = quota_of(text)
                if not room[language]:
                    self._waiting.append(pair)
                    continue
                room[language] -= 1
            self._merge(pair, text)
            return True
        return False

    def take_up_waiting(self) -> None:
        """Give pairs whose quota was full another chance."""
        for pair in dict.fromkeys(self._waiting):
            if pair in self._pair_counts:
                heapq.heappush(self._heap, self._entry(pair))
        self._waiting.clear()

    def _merge(self, pair: str, text: str) -> None:
        if text not in self._ids:
            self._ids[text] = len(self._pieces)
            self._pieces.append(text)
        merged = chr(self._ids[text])
        changes: dict[str, int] = {}
        for number in dict.fromkeys(self._words_with.pop(pair)):
            before = self._words[number]
            if pair not in before:
                continue
            after = self._words[number] = before.replace(pair, merged)
            count = self._counts[number]
            for i in range(len(before) - 1):
                old = before[i : i + 2]
                changes[old] = changes.get(old, 0) - count
            for i in range(len(after) - 1):
                new = after[i : i + 2]
                changes[new] = changes.get(new, 0) + count
                if merged in new:
                    self._words_with.setdefault(new, []).append(number)
        for changed, difference in changes.items():
            if difference:
                self._pair_counts[changed] = self._pair_counts.get(changed, 0) + difference
            if difference > 0:
                heapq.heappush(self._heap, self._entry(changed))
        self._pair_counts.pop(pair, None)
