import gzip

import pytest

from bimed_dist.errors import DataError
from bimed_dist.files.lines import Problems, Span
from bimed_dist.files.tables import TableFile, read_columns


def rows(path, *columns, literal_quotes=False, encoding="auto", problems=None):
    problems = problems or Problems(path.name)
    table_rows = list(read_columns(TableFile.whole(path, encoding), columns, problems, literal_quotes=literal_quotes))
    problems.raise_any()
    return [(row.line, row.last_line, row.cells) for row in table_rows]


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_quoted_csv_cell_holds_line_ends_as_line_feeds_and_its_row_has_two_lines(tmp_path):
    content = 'id,note\r\n1,"He said ""ok"",\r\nleft."\r\n\r\n2,짧다\r\n'
    for name, written in (("a.csv", content.encode()), ("a.CSV.gz", gzip.compress(content.encode("cp949")))):
        expected = [(2, 3, ['He said "ok",\nleft.', "1"]), (5, 5, ["짧다", "2"])]
        assert rows(write(tmp_path / name, written), "note", "id") == expected


def test_quotes_around_a_tsv_cell_are_dropped_unless_they_are_literal(tmp_path):
    path = write(tmp_path / "a.tsv", 'ko\ten\n"예"라고\ta "b\n x \t"whole ""cell"""\n \t\n')
    assert rows(path, "ko", "en") == [(2, 2, ['"예"라고', 'a "b']), (3, 3, [" x ", 'whole "cell"'])]
    assert rows(path, "en", literal_quotes=True) == [(2, 2, ['a "b']), (3, 3, ['"whole ""cell"""'])]


def test_names_of_columns_are_compared_without_surrounding_spaces(tmp_path):
    assert rows(write(tmp_path / "a.csv", "\ufeff note , n\nx,1\n"), "note", "n ") == [(2, 2, ["x", "1"])]


def test_bad_rows_are_reported_together_and_left_out(tmp_path):
    path = write(tmp_path / "a.csv", b"t,n\nx,1\n1\ny,\xff\nz,2\n")
    problems = Problems(collect_only=True)
    assert rows(path, "t", encoding="utf-8", problems=problems) == [(2, 2, ["x"]), (5, 5, ["z"])]
    assert [line[:18] for line in problems.lines()] == ["a.csv line 3: 1 ce", "a.csv line 4, byte"]


def test_a_column_must_be_there_once_and_no_cell_is_shown(tmp_path):
    for first in ("폐렴\t김철수\n", "text\ttext\n", ""):
        with pytest.raises(DataError, match=r"columns text once; its first line has \d cells") as raised:
            rows(write(tmp_path / "a.tsv", first), "text")
        assert "김철수" not in str(raised.value)


def test_a_span_of_a_table_has_the_names_of_its_file(tmp_path):
    content = "n,t\n1,a\n2,b\n3,c\n"
    path = write(tmp_path / "a.csv", content)
    table = TableFile.whole(path)._replace(span=Span("a.csv", content.index("2"), content.index("3"), 3))
    assert [row.cells for row in read_columns(table, ("t",), Problems())] == [["b"]]
