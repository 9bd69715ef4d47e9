import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimed_dist.errors import DataError
from bimed_dist.vocabulary.tokens import SPECIAL_TOKENS, quota_of
from bimed_dist.vocabulary.training import find_alphabet, split_characters, train_vocabulary

QUOTAS = {"ko": 0.5, "en": 0.3, "other": 0.2}


def replace_pair(word, pair, merged):
    """The word with each occurrence of the pair, from the left, replaced by one token."""
    replaced, i = [], 0
    while i < len(word):
        if tuple(word[i : i + 2]) == pair:
            replaced.append(merged)
            i += 2
        else:
            replaced.append(word[i])
            i += 1
    return replaced


def slow_reference(word_counts, size, min_frequency, quotas=None):
    """Byte-pair merging by definition: count all pairs again before every merge."""
    alphabet = find_alphabet(word_counts, min_frequency)
    tokens = [*SPECIAL_TOKENS, *alphabet]
    targets = {language: round(share * size) for language, share in (quotas or {}).items()}
    words = {word: split_characters(word) for word in word_counts}
    words = {word: symbols for word, symbols in words.items() if set(symbols) <= set(alphabet)}
    while len(tokens) < size:
        pairs = Counter()
        for word, symbols in words.items():
            for pair in pairwise(symbols):
                pairs[pair] += word_counts[word]
        pairs = Counter({pair: count for pair, count in pairs.items() if count >= min_frequency})
        taken = Counter(map(quota_of, tokens))
        room = {language: targets.get(language, size) - taken[language] for language in ("ko", "en", "other")}
        in_room = Counter({p: n for p, n in pairs.items() if joined(p) in tokens or room[quota_of(joined(p))] > 0})
        if targets and not in_room:
            targets = {}
            continue
        pairs = in_room
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merged = joined(best)
        if merged not in tokens:
            tokens.append(merged)
        words = {word: replace_pair(symbols, best, merged) for word, symbols in words.items()}
    return tuple(tokens)


def joined(pair):
    return pair[0] + pair[1].removeprefix("##")


@pytest.mark.parametrize("seed", range(20))
def test_incremental_merging_equals_counting_all_pairs_again(seed):
    rng = random.Random(seed)
    letters = "ab가" if seed % 2 else "abcd가나다"
    words = {"".join(rng.choices(letters, k=rng.randint(1, 9))): rng.randint(1, 30) for _ in range(80)}
    for min_frequency in (1, 2, 40):
        expected = slow_reference(words, 150, min_frequency)
        assert train_vocabulary(words, 150, min_frequency).tokens == expected


def test_the_most_frequent_pair_is_merged_first_and_ties_go_by_text():
    tokens = train_vocabulary({"폐렴": 5, "폐암": 5, "mass": 4}, 300, 1).tokens
    first_merges = tokens[len(SPECIAL_TOKENS) + len(["폐", "##렴", "##암", "m", "##a", "##s"]) :]
    assert first_merges == ("폐렴", "폐암", "##as", "##ass", "mass")


@pytest.mark.parametrize("seed", range(12))
def test_quotas_end_the_merging_of_a_language_and_what_it_cannot_use_goes_to_the_others(seed):
    rng = random.Random(seed)
    letters = ("ab가나1", "abc가나다라", "a가나다1")[seed % 3]
    words = {"".join(rng.choices(letters, k=rng.randint(1, 7))): rng.randint(1, 30) for _ in range(60)}
    for min_frequency in (1, 3):
        vocabulary = train_vocabulary(words, 90, min_frequency, quotas=QUOTAS)
        assert vocabulary.tokens == slow_reference(words, 90, min_frequency, QUOTAS)


def test_quotas_are_met_to_the_piece_where_every_language_has_enough_pairs():
    rng = random.Random(1)
    alphabets = ("abcdefgh", "가나다라마바사아", "0123456789")
    words = {"".join(rng.choices(letters, k=8)): 3 for letters in alphabets for _ in range(300)}
    vocabulary = train_vocabulary(words, 1000, 2, quotas={"ko": 0.54, "en": 0.34, "other": 0.12})
    assert Counter(map(quota_of, vocabulary.tokens)) == {"ko": 540, "en": 340, "other": 120}
    assert vocabulary.unfilled == {}


def test_a_quota_that_can_not_be_filled_goes_to_the_others_and_is_reported():
    words = {f"word{i}": 2 for i in range(500)} | {"폐렴": 5}
    vocabulary = train_vocabulary(words, 300, 2, quotas=QUOTAS)
    assert len(vocabulary.tokens) == 300
    assert vocabulary.unfilled["ko"] == 150 - len({"폐", "##렴", "폐렴"})


def test_quotas_that_the_alphabet_exceeds_are_refused_with_both_numbers():
    words = {chr(0xAC00 + i): 2 for i in range(200)}
    with pytest.raises(DataError, match="ko: quota 150 tokens, 200 needed before anything is learned"):
        train_vocabulary(words, 300, 2, quotas=QUOTAS)


def test_limit_alphabet_keeps_the_most_frequent_characters_in_all_their_forms():
    words = {"ab": 5, "ca": 4, "dd": 1, "b": 1}
    assert find_alphabet(words, 1, limit=2) == ["##a", "##b", "a", "b"]
    assert find_alphabet(words, 1, limit=99) == find_alphabet(words, 1)


def test_unused_tokens_follow_the_special_tokens_and_count_in_the_size():
    tokens = train_vocabulary({f"word{i}": 2 for i in range(500)}, 300, 2, unused=3).tokens
    assert tokens[5:8] == ("[unused0]", "[unused1]", "[unused2]")
    assert len(tokens) == 300


def test_protected_words_are_tokens_however_rare_and_nothing_is_learned_from_them():
    words = {"이부프로펜": 9, "약": 9, "약을": 9}
    tokens = train_vocabulary(words, 300, 2, protected=["이부프로펜", "전신경화증"]).tokens
    assert {"이부프로펜", "전신경화증", "약을"} <= set(tokens)
    assert not {"이부", "##부프", "##프로", "##로펜"} & set(tokens)
    assert {"이부", "##부프", "##로펜"} & set(train_vocabulary(words, 300, 2).tokens)


@pytest.mark.parametrize("factor", [2**32, 2**64])
def test_counts_beyond_32_and_64_bits_are_exact(factor):
    words = {"abab": 3, "폐렴": 2, "폐암": 2, "ab": 1}
    large = {word: count * factor + (word == "폐암") for word, count in words.items()}
    tokens = train_vocabulary(large, 300, factor).tokens
    # One occurrence more decides the tie, which by text would go the other way.
    assert tokens.index("폐암") < tokens.index("폐렴")
    assert train_vocabulary(words, 300, 1).tokens.index("폐렴") < train_vocabulary(words, 300, 1).tokens.index("폐암")


@given(st.dictionaries(st.text("ab가나1", min_size=1, max_size=6), st.integers(1, 9), max_size=30), st.randoms())
def test_the_order_of_the_words_does_not_matter(words, rng):
    shuffled = dict(rng.sample(sorted(words.items()), len(words)))
    for settings in ({}, {"quotas": QUOTAS}, {"limit_alphabet": 2}):
        assert train_vocabulary(words, 60, 1, **settings) == train_vocabulary(shuffled, 60, 1, **settings)


def test_every_frequent_character_is_a_token_in_the_forms_that_occur():
    assert find_alphabet({"ab": 2, "bc": 1, "d": 1}, min_frequency=2) == ["##b", "a", "b"]
    tokens = train_vocabulary({"ab": 2, "bc": 1, "d": 1}, 300, min_frequency=1).tokens
    assert {"a", "b", "d", "##b", "##c"} <= set(tokens)


def test_tokens_are_distinct_and_the_special_ones_come_first():
    vocabulary = train_vocabulary({"abab": 3, "ababab": 3, "aba": 3}, 300, 1)
    assert vocabulary.tokens[:5] == SPECIAL_TOKENS
    assert len(set(vocabulary.tokens)) == len(vocabulary.tokens)
    assert vocabulary.alphabet == 3


def test_the_size_is_exact_if_the_corpus_has_enough_pairs():
    words = {f"word{i}": 2 for i in range(500)}
    assert len(train_vocabulary(words, 300, 2).tokens) == 300


def test_a_size_below_the_alphabet_is_refused_with_the_smallest_possible_one():
    words = {chr(code): 2 for code in range(0xAC00, 0xAC00 + 400)}
    with pytest.raises(DataError, match="405 tokens are needed before anything is learned"):
        train_vocabulary(words, 300, 2)
    assert len(train_vocabulary(words, 405, 2).tokens) == 405


def test_nothing_is_learned_from_words_that_become_unknown():
    assert not any("xy" in token for token in train_vocabulary({"xyq": 1, "x": 2, "aby": 2}, 300, 2).tokens)
    assert train_vocabulary({"z" * 101: 9}, 300, 2).tokens[5:] == ("##z", "z")
