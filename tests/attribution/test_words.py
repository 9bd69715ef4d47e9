"""Which tokens belong to which word, and the score of a word."""

import numpy as np

from bimed_dist.attribution.words import word_scores, words_of_tokens


def test_words_are_separated_by_spaces_and_keep_their_particle():
    # [CLS] both lung ##에 nodule [SEP]
    words = words_of_tokens(
        ["both lung에  nodule"], [None, 0, 0, 0, 0, None], [(0, 0), (0, 4), (5, 9), (9, 10), (12, 18), (0, 0)]
    )
    assert words.texts == (("both", "lung에", "nodule"),)
    assert words.of_token.tolist() == [-1, 0, 1, 1, 2, -1]


def test_byte_level_tokens_that_begin_with_a_space_belong_to_the_next_word():
    words = words_of_tokens(["a mass"], [0, 0, 0], [(0, 1), (1, 4), (4, 6)])
    assert words.of_token.tolist() == [0, 1, 1]


def test_spaces_after_the_last_word_belong_to_no_word():
    alone = words_of_tokens(["a mass  "], [0, 0, 0], [(0, 1), (1, 6), (6, 8)])
    assert alone.of_token.tolist() == [0, 1, -1]
    assert word_scores(np.array([1.0, 2.0, 4.0]), alone).tolist() == [1.0, 2.0]
    pair = words_of_tokens(["a ", "mass"], [0, 0, 1], [(0, 1), (1, 2), (0, 4)])
    assert pair.of_token.tolist() == [0, -1, 1]


def test_words_of_the_second_text_continue_the_numbering():
    words = words_of_tokens(
        ["폐 결절", "폐렴"], [None, 0, 0, None, 1, 1, None], [(0, 0), (0, 1), (2, 4), (0, 0), (0, 1), (1, 2), (0, 0)]
    )
    assert words.texts == (("폐", "결절"), ("폐렴",))
    assert words.of_token.tolist() == [-1, 0, 1, -1, 2, 2, -1]


def test_scores_are_signed_sums_without_special_tokens_and_nan_for_truncated_words():
    words = words_of_tokens(["one two three"], [None, 0, 0, 0], [(0, 0), (0, 2), (2, 3), (4, 7)])
    sums = word_scores(np.array([100.0, 1.0, -3.0, 0.5]), words)
    assert sums[:2].tolist() == [-2.0, 0.5]
    assert np.isnan(sums[2])
    assert words.seen.tolist() == [True, True, False]
