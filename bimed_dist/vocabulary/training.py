"""WordPiece vocabulary by byte-pair merging over word counts (Sennrich et al. 2016, with the `##` of BERT).

The same word counts give the same tokens in the same order: ties are broken by text, and nothing depends on the order
of documents, on hashing or on threads. (`tokenizers.WordPieceTrainer` does not promise this and counts in 32 bits;
counts here can't overflow.)
"""

import heapq
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from bimed_dist.errors import DataError
from bimed_dist.progress import Progress
from bimed_dist.vocabulary.tokens import MAX_WORD_LENGTH, PREFIX, SPECIAL_TOKENS, quota_of, unused_tokens


@dataclass(frozen=True)
class Vocabulary:
    tokens: tuple[str, ...]
    """In the order of their ids: special tokens, unused tokens, alphabet by code point, protected words, then merged
    tokens in the order of merging."""
    alphabet: int
    """Number of tokens of one character."""
    unfilled: dict[str, int] = field(default_factory=dict)
    """Quota -> tokens that it could not fill and that went to the others."""


def train_vocabulary(
    word_counts: Mapping[str, int],
    size: int,
    min_frequency: int,
    *,
    quotas: Mapping[str, float] | None = None,
    limit_alphabet: int | None = None,
    unused: int = 0,
    protected: Collection[str] = (),
) -> Vocabulary:
    """Train at most `size` tokens, special tokens included; fewer if no pair occurs `min_frequency` times any more.

    The alphabet holds every character that occurs `min_frequency` times, or the `limit_alphabet` most frequent of them,
    as a first and as a continuing token if it occurs as such. `quotas` maps ko, en and other to shares of `size`: no
    token is merged for a full quota. Raises DataError if `size` or a quota is too small.
    """
    alphabet = find_alphabet(word_counts, min_frequency, limit_alphabet)
    initial = [*SPECIAL_TOKENS, *unused_tokens(unused), *alphabet]
    tokens = [*initial, *sorted(set(protected) - set(initial))]
    _require_size(size, tokens, len(alphabet), min_frequency)
    remaining = _remaining(size, tokens, quotas) if quotas else None
    # A protected word is one token already: its parts would be learned in vain.
    merger = _Merger(tokens, {word: n for word, n in word_counts.items() if word not in protected})
    unfilled: dict[str, int] = {}
    with Progress("vocabulary", size, "tokens", done=len(tokens)) as progress:
        while len(tokens) < size:
            if merger.merge_most_frequent(min_frequency, remaining):
                progress.set(len(tokens))
            elif remaining is None:
                break
            else:
                unfilled = {quota: left for quota, left in remaining.items() if left}
                remaining = None
                merger.restore_deferred()
    return Vocabulary(tuple(tokens), len(alphabet), unfilled)


def find_alphabet(word_counts: Mapping[str, int], min_frequency: int, limit: int | None = None) -> list[str]:
    """Return tokens of one character, sorted by text; of the `limit` most frequent characters if it is given."""
    characters: Counter[str] = Counter()
    seen: set[str] = set()
    for word, count in word_counts.items():
        for token in split_characters(word):
            characters[token[-1]] += count
            seen.add(token)
    frequent = [character for character, count in characters.items() if count >= min_frequency]
    kept = set(sorted(frequent, key=lambda character: (-characters[character], character))[:limit])
    return sorted(token for token in seen if token[-1] in kept)


def split_characters(word: str) -> list[str]:
    return [word[0], *(PREFIX + character for character in word[1:])]


def _require_size(size: int, tokens: Sequence[str], alphabet: int, min_frequency: int) -> None:
    if size < len(tokens):
        others = len(tokens) - alphabet - len(SPECIAL_TOKENS)
        and_others = f", {others} unused tokens and protected words" if others else ""
        raise DataError(
            f"size={size} is too small: {len(tokens)} tokens are needed before anything is learned ({alphabet} of the "
            f"alphabet, {len(SPECIAL_TOKENS)} special{and_others}); raise size or min_frequency={min_frequency}, or "
            "set limit_alphabet"
        )


def _remaining(size: int, tokens: Sequence[str], quotas: Mapping[str, float]) -> dict[str, int]:
    """Return the tokens that each quota may still get. Raises DataError if the initial tokens exceed one."""
    targets = {quota: round(share * size) for quota, share in quotas.items() if quota != "other"}
    targets["other"] = size - sum(targets.values())
    counts = Counter(map(quota_of, tokens))
    exceeded = [
        f"  {quota}: quota {targets[quota]} tokens, {counts[quota]} needed before anything is learned"
        for quota in sorted(targets)
        if counts[quota] > targets[quota]
    ]
    if exceeded:
        raise DataError(
            f"size={size} and the quotas leave no room for alphabet, special tokens and protected words; raise size or "
            "the quota, or lower limit_alphabet\n" + "\n".join(exceeded)
        )
    return {quota: target - counts[quota] for quota, target in targets.items()}


class _Merger:
    """Words as strings with one character per token, and the counts of adjacent pairs, updated at every merge.

    A character's code is the id of its token, so `str.replace` merges a pair everywhere, from the left. A heap entry
    whose count has fallen since is pushed again with the current count when it is popped.
    """

    def __init__(self, tokens: list[str], word_counts: Mapping[str, int]) -> None:
        self._tokens = tokens
        self._ids = {token: i for i, token in enumerate(tokens)}
        self._words: list[str] = []
        self._counts: list[int] = []
        self._pair_counts: dict[str, int] = {}
        self._words_with: dict[str, list[int]] = {}
        self._deferred: list[str] = []
        """Pairs of a full quota."""
        self._add_words(word_counts)
        self._heap = [self._entry(pair) for pair in self._pair_counts]
        heapq.heapify(self._heap)

    def _add_words(self, word_counts: Mapping[str, int]) -> None:
        """Add words; those with a character outside the alphabet are skipped, since they become [UNK]."""
        codes = {token: chr(i) for token, i in self._ids.items()}
        for word in sorted(word_counts):
            if len(word) > MAX_WORD_LENGTH:
                continue
            symbols = [codes.get(token) for token in split_characters(word)]
            if None in symbols:
                continue
            for pair in pairwise(symbols):
                joined = "".join(pair)
                self._pair_counts[joined] = self._pair_counts.get(joined, 0) + word_counts[word]
                self._words_with.setdefault(joined, []).append(len(self._words))
            self._words.append("".join(symbols))
            self._counts.append(word_counts[word])

    def _entry(self, pair: str) -> tuple[int, str, str, str]:
        return (-self._pair_counts[pair], self._tokens[ord(pair[0])], self._tokens[ord(pair[1])], pair)

    def merge_most_frequent(self, min_frequency: int, remaining: dict[str, int] | None) -> bool:
        """Merge the most frequent pair everywhere; return False if no pair is left.

        A pair must occur `min_frequency` times, and its quota in `remaining`, which is reduced, must not be full.
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
            # Different pairs can spell the same token.
            if remaining is not None and text not in self._ids:
                quota = quota_of(text)
                if not remaining[quota]:
                    self._deferred.append(pair)
                    continue
                remaining[quota] -= 1
            self._merge(pair, text)
            return True
        return False

    def restore_deferred(self) -> None:
        """Make pairs of full quotas candidates again."""
        for pair in dict.fromkeys(self._deferred):
            if pair in self._pair_counts:
                heapq.heappush(self._heap, self._entry(pair))
        self._deferred.clear()

    def _merge(self, pair: str, text: str) -> None:
        if text not in self._ids:
            self._ids[text] = len(self._tokens)
            self._tokens.append(text)
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
