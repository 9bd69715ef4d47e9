import random
from collections import Counter
from itertools import pairwise

import pytest

from bimed_dist.errors import DataError
from bimed_dist.vocabulary.training import (
    SPECIAL_TOKENS,
    find_alphabet,
    replace_pair,
    split_characters,
    train_vocabulary,
)


def slow_reference(word_counts, size, min_frequency):
    """Byte-pair merging as the definition says: count all pairs anew before every merge."""
    alphabet = find_alphabet(word_counts, min_frequency)
    pieces = [*SPECIAL_TOKENS, *alphabet]
    words = {word: split_characters(word) for word in word_counts}
    words = {word: symbols for word, symbols in words.items() if set(symbols) <= set(alphabet)}
    while len(pieces) < size:
        pairs = Counter()
        for word, symbols in words.items():
            for pair in pairwise(symbols):
                pairs[pair] += word_counts[word]
        if not pairs or max(pairs.values()) < min_frequency:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merged = best[0] + best[1].removeprefix("##")
        if merged not in pieces:
            pieces.append(merged)
        words = {word: replace_pair(symbols, best, merged) for word, symbols in words.items()}
    return tuple(pieces)


@pytest.mark.parametrize("seed", range(20))
def test_incremental_merging_equals_counting_all_pairs_anew(seed):
    rng = random.Random(seed)
    letters = "ab가" if seed % 2 else "abcd가나다"
    words = {"".join(rng.choices(letters, k=rng.randint(1, 9))): rng.randint(1, 30) for _ in range(80)}
    for min_frequency in (1, 2, 40):
        expected = slow_reference(words, 150, min_frequency)
        assert train_vocabulary(words, 150, min_frequency).pieces == expected


def test_the_most_frequent_pair_is_merged_first_and_ties_go_by_text():
    pieces = train_vocabulary({"폐렴": 5, "폐암": 5, "mass": 4}, 300, 1).pieces
    first_merges = pieces[len(SPECIAL_TOKENS) + len(["폐", "##렴", "##암", "m", "##a", "##s"]) :]
    assert first_merges == ("폐렴", "폐암", "##as", "##ass", "mass")


def test_a_repeated_letter_is_merged_from_the_left():
    assert replace_pair([1, 1, 1, 2, 1, 1], (1, 1), 9) == [9, 1, 2, 9]


def test_every_frequent_character_is_a_piece_in_the_forms_that_were_seen():
    assert find_alphabet({"ab": 2, "bc": 1, "d": 1}, min_frequency=2) == ["##b", "a", "b"]
    pieces = train_vocabulary({"ab": 2, "bc": 1, "d": 1}, 300, min_frequency=1).pieces
    assert {"a", "b", "d", "##b", "##c"} <= set(pieces)


def test_pieces_are_distinct_and_the_special_ones_come_first():
    vocabulary = train_vocabulary({"abab": 3, "ababab": 3, "aba": 3}, 300, 1)
    assert vocabulary.pieces[:5] == SPECIAL_TOKENS
    assert len(set(vocabulary.pieces)) == len(vocabulary.pieces)
    assert vocabulary.alphabet == 3


def test_the_size_is_exact_where_the_corpus_has_enough_pairs():
    words = {f"word{i}": 2 for i in range(500)}
    assert len(train_vocabulary(words, 300, 2).pieces) == 300


def test_a_size_below_the_alphabet_is_refused_with_the_smallest_possible_one():
    words = {chr(code): 2 for code in range(0xAC00, 0xAC00 + 400)}
    with pytest.raises(DataError, match="with the special tokens 405; give at least that"):
        train_vocabulary(words, 300, 2)
    assert len(train_vocabulary(words, 405, 2).pieces) == 405


def test_words_that_can_only_be_unknown_teach_nothing():
    assert not any("xy" in piece for piece in train_vocabulary({"xyq": 1, "x": 2, "aby": 2}, 300, 2).pieces)
    assert train_vocabulary({"z" * 101: 9}, 300, 2).pieces[5:] == ("##z", "z")
