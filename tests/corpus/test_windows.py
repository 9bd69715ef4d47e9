import itertools
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimed_dist.corpus.windows import units, window_hashes

ROWS = st.lists(st.integers(0, 3), max_size=30).map(lambda row: np.array(row, np.uint32))


def test_letters_and_digits_are_kept_and_a_syllable_takes_two_places():
    assert "".join(map(chr, units("CT상 3.5 cm, (우상엽)"))) == "ct상상35cm우우상상엽엽"


def test_case_whitespace_punctuation_and_unicode_forms_are_ignored():
    text = "우상엽에 Nodule 3.5 mm가 관찰됨."
    others = (
        unicodedata.normalize("NFD", text),
        text.upper(),
        text.replace(" ", ""),
        "우상엽 에  ｎｏｄｕｌｅ (３·５ mm) 가, 관찰됨",
    )
    assert all(np.array_equal(units(text), units(other)) for other in others)


@pytest.mark.parametrize("text", ["", " ", "...", "\u200b"])
def test_text_without_letters_has_no_places(text):
    assert len(units(text)) == 0


@given(st.text())
def test_any_text_is_taken(text):
    assert units(text).dtype == np.uint32


@given(ROWS, st.integers(1, 20))
def test_windows_are_as_many_as_fit(row, width):
    assert len(window_hashes(row, width)) == max(0, len(row) - width + 1)


@given(ROWS, st.integers(1, 20))
def test_hashes_are_equal_exactly_where_windows_are(row, width):
    hashes = window_hashes(row, width).tolist()
    windows = [tuple(row[start : start + width].tolist()) for start in range(len(hashes))]
    for (first, second), (one, other) in zip(
        itertools.combinations(windows, 2), itertools.combinations(hashes, 2), strict=True
    ):
        assert (first == second) == (one == other)


@given(ROWS, ROWS, st.integers(1, 8))
def test_a_window_has_one_hash_wherever_it_stands(before, row, width):
    inside = window_hashes(np.concatenate([before, row]), width)[len(before) :]
    assert np.array_equal(inside, window_hashes(row, width))


def test_a_width_of_zero_is_no_window():
    assert len(window_hashes(np.zeros(3, np.uint32), 0)) == 0
