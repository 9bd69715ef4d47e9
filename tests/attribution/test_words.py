import numpy as np

from bimed_dist.attribution.words import sums_of_words, words_of_pieces


def test_pieces_belong_to_the_word_that_blanks_part_with_its_particle():
    # [CLS] both lung ##에 nodule [SEP]
    words = words_of_pieces(
        ["both lung에  nodule"], [None, 0, 0, 0, 0, None], [(0, 0), (0, 4), (5, 9), (9, 10), (12, 18), (0, 0)]
    )
    assert words.texts == (("both", "lung에", "nodule"),)
    assert words.of_piece.tolist() == [-1, 0, 1, 1, 2, -1]


def test_byte_level_pieces_that_begin_with_a_blank_belong_to_the_word_after_it():
    words = words_of_pieces(["a mass"], [0, 0, 0], [(0, 1), (1, 4), (4, 6)])
    assert words.of_piece.tolist() == [0, 1, 1]


def test_blanks_behind_the_last_word_are_of_no_word_and_not_of_the_second_texts_first():
    alone = words_of_pieces(["a mass  "], [0, 0, 0], [(0, 1), (1, 6), (6, 8)])
    assert alone.of_piece.tolist() == [0, 1, -1]
    assert sums_of_words(np.array([1.0, 2.0, 4.0]), alone).tolist() == [1.0, 2.0]
    pair = words_of_pieces(["a ", "mass"], [0, 0, 1], [(0, 1), (1, 2), (0, 4)])
    assert pair.of_piece.tolist() == [0, -1, 1]


def test_words_of_the_second_text_are_counted_on():
    words = words_of_pieces(
        ["폐 결절", "폐렴"], [None, 0, 0, None, 1, 1, None], [(0, 0), (0, 1), (2, 4), (0, 0), (0, 1), (1, 2), (0, 0)]
    )
    assert words.texts == (("폐", "결절"), ("폐렴",))
    assert words.of_piece.tolist() == [-1, 0, 1, -1, 2, 2, -1]


def test_sums_keep_signs_leave_special_pieces_out_and_are_nothing_for_words_cut_off():
    words = words_of_pieces(["one two three"], [None, 0, 0, 0], [(0, 0), (0, 2), (2, 3), (4, 7)])
    sums = sums_of_words(np.array([100.0, 1.0, -3.0, 0.5]), words)
    assert sums[:2].tolist() == [-2.0, 0.5]
    assert np.isnan(sums[2])
    assert words.seen.tolist() == [True, True, False]
