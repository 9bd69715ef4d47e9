"""Tables as values: grouped cells, CSV that no spreadsheet takes for formulas, and aligned text."""

import csv
import io

import pytest

from bimed_dist.report.tables import aligned, csv_cell, csv_text, display_width, make_table, text_cell


@pytest.mark.parametrize("hostile", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_csv_cell_can_not_become_a_formula(hostile):
    content = csv_text(["x"], [[hostile]])
    assert list(csv.reader(io.StringIO(content, newline=""))) == [["x"], ["'" + hostile]]


@pytest.mark.parametrize("harmless", [-0.25, "-0.25", "+1e-5", 0, "가나다", "a=b", None])
def test_numbers_and_plain_text_are_unchanged_in_csv(harmless):
    assert csv_cell(harmless) == ("" if harmless is None else str(harmless))


def test_columns_of_aligned_text_line_up_below_korean():
    lines = aligned([["가나", "1"], ["ab", "22"], ["c", "333"]], [False, True])
    assert lines == ["가나    1", "ab     22", "c     333"]
    assert len({display_width(line) for line in lines}) == 1


def test_equal_leading_cells_are_one_cell_within_the_group_to_their_left():
    rows = [[text_cell(c) for c in line] for line in ("axx", "axy", "ayx", "byx", "byx")]
    table = make_table("t", "t", ("1", "2", "3"), rows, grouped=2)
    assert table.row_spans() == [[3, 2], [0, 0], [0, 1], [2, 2], [0, 0]]
    assert make_table("t", "t", ("1", "2", "3"), rows).row_spans() == [[]] * 5
