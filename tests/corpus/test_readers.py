import gzip
import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from bimed_dist.config import Source
from bimed_dist.corpus.readers import paragraphs_of, read
from bimed_dist.errors import DataError


def documents(path: Path, **settings):
    source = TypeAdapter(Source).validate_python({"name": "s", "path": str(path), **settings}, strict=False)
    return [(document.id, *document.paragraphs) for document in read(source, path, seed=1)]


def refusal(path: Path, **settings) -> str:
    with pytest.raises(DataError) as caught:
        documents(path, **settings)
    return str(caught.value)


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_jsonl(path: Path, *rows) -> Path:
    return write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


# ----------------------------------------------------------------------------------------------------------------- text


def test_a_text_file_is_one_document_whose_paragraphs_are_separated_by_blank_lines(tmp_path):
    path = write(tmp_path / "a.txt", "\n첫 문단은\r\n두 줄이다.\n \t\n\nSecond paragraph.\n")
    assert documents(path, kind="text") == [("a.txt", "첫 문단은 두 줄이다.", "Second paragraph.")]


def test_a_folder_is_read_in_the_order_of_relative_names_and_other_files_are_left_out(tmp_path):
    for name in ("b.txt", "a/z.txt", "a.txt", "README.md"):
        write(tmp_path / name, name)
    assert [name for name, _ in documents(tmp_path, kind="text")] == ["a.txt", "a/z.txt", "b.txt"]


def test_paragraphs_and_lines_can_be_documents_named_by_their_line(tmp_path):
    path = write(tmp_path / "a.txt", "one\ntwo\n\n\nthree\n")
    assert documents(path, kind="text", document="paragraph") == [("a.txt:1", "one two"), ("a.txt:5", "three")]
    assert documents(path, kind="text", document="line") == [
        ("a.txt:1", "one"),
        ("a.txt:2", "two"),
        ("a.txt:5", "three"),
    ]


def test_line_breaks_are_kept_where_they_end_sentences_and_before_list_items(tmp_path):
    path = write(tmp_path / "a.txt", "Findings\nwrapped\n- nodule\n2) effusion\n3 cm\n#4 old\n③폐렴\n")
    assert documents(path, kind="text") == [("a.txt", "Findings wrapped\n- nodule\n2) effusion 3 cm\n#4 old\n③폐렴")]
    assert documents(path, kind="text", line_break="sentence") == [
        ("a.txt", "Findings\nwrapped\n- nodule\n2) effusion\n3 cm\n#4 old\n③폐렴")
    ]


def test_a_byte_order_mark_is_not_part_of_the_text(tmp_path):
    assert documents(write(tmp_path / "a.txt", b"\xef\xbb\xbfabc"), kind="text") == [("a.txt", "abc")]
    path = write(tmp_path / "a.csv", "\ufeffnote,n\nabc,1\n")
    assert documents(path, kind="table", text=["note"]) == [("a.csv:2", "abc")]


def test_invalid_utf8_is_reported_with_file_line_and_byte_for_every_bad_line(tmp_path):
    path = write(tmp_path / "notes" / "a.txt", b"fine\nab\xb0\xfa\n" + b"good\n" + b"\xff\n")
    message = refusal(path.parent, kind="text")
    assert "a.txt, line 2, byte 7: not UTF-8" in message
    assert "a.txt, line 4, byte 15: not UTF-8" in message
    assert "cp949" in message


def test_the_byte_of_invalid_utf8_counts_the_byte_order_mark(tmp_path):
    assert "line 1, byte 4:" in refusal(write(tmp_path / "a.txt", b"\xef\xbb\xbfa\xff"), kind="text")


def test_nul_bytes_are_reported(tmp_path):
    path = write(tmp_path / "a.txt", b"first line\nab\0c")
    assert "a.txt, line 2, byte 13: NUL byte" in refusal(path, kind="text")


def test_a_missing_path_an_empty_folder_and_a_wrong_ending_are_refused(tmp_path):
    assert "does not exist" in refusal(tmp_path / "nowhere", kind="text")
    write(tmp_path / "folder" / "notes.docx", "x")
    assert "no file that ends in .txt, only 1 other" in refusal(tmp_path / "folder", kind="text")
    assert "does not end in .jsonl or .jsonl.gz" in refusal(
        tmp_path / "folder" / "notes.docx", kind="jsonl", text=["text"]
    )


# ----------------------------------------------------------------------------------------------------------- JSON lines


def test_json_fields_become_paragraphs_in_the_order_of_the_settings(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress('{"q": "질문?", "a": "One.\\n\\nTwo\\nlines."}\n\n{"a": "", "q": "왜?"}\n'.encode()))
    assert documents(path, kind="jsonl", text=["q", "a"]) == [
        ("a.jsonl.gz:1", "질문?", "One.", "Two lines."),
        ("a.jsonl.gz:3", "왜?"),
    ]


def test_rows_with_the_same_id_become_one_document_even_if_not_adjacent_or_in_other_files(tmp_path):
    write_jsonl(tmp_path / "1.jsonl", {"id": 7, "t": "a"}, {"id": "8", "t": "b"}, {"id": "7", "t": "c"})
    write_jsonl(tmp_path / "2.jsonl", {"id": " 8 ", "t": "d"})
    assert documents(tmp_path, kind="jsonl", text=["t"], id="id") == [("7", "a", "c"), ("8", "b", "d")]


def test_bad_json_lines_are_reported_together_without_their_text(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"t": "secret"\n[1]\n{"x": "secret", "y": 1}\n{"t": 3}\n{"t": null}\n')
    message = refusal(path, kind="jsonl", text=["t"])
    assert "line 1: not JSON at column" in message
    assert "line 2: a JSON list" in message
    assert "a.jsonl:3: has no field ['t'] among its 2 fields" in message
    assert "a.jsonl:4: text is needed in {'t': 'int'}" in message
    assert "a.jsonl:5: text is needed in {'t': 'NoneType'}" in message
    assert "secret" not in message


def test_a_row_without_the_id_field_is_reported(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", {"id": "", "t": "a"}, {"t": "b"}, {"id": 0, "t": "c"})
    message = refusal(path, kind="jsonl", text=["t"], id="id")
    assert "a.jsonl:1: field 'id'" in message and "a.jsonl:2: field 'id'" in message and "a.jsonl:3" not in message


def test_reading_stops_at_twenty_problems(tmp_path):
    path = write(tmp_path / "a.jsonl", "x\n" * 30)
    message = refusal(path, kind="jsonl", text=["t"])
    assert "line 20:" in message and "line 21:" not in message and "there may be more" in message


def test_a_cut_gzip_file_is_reported(tmp_path):
    whole = gzip.compress(b'{"t": "abc"}\n' * 1000)
    path = write(tmp_path / "a.jsonl.gz", whole[: len(whole) // 2])
    assert "a.jsonl.gz can't be read after" in refusal(path, kind="jsonl", text=["t"])


# --------------------------------------------------------------------------------------------------------------- tables


def test_csv_cells_may_hold_commas_quotes_and_paragraphs(tmp_path):
    path = write(tmp_path / "a.csv", 'id,note\r\n1,"He said ""ok"", then\nleft.\n\nEnd."\r\n\r\n2,짧다\r\n')
    assert documents(path, kind="table", text=["note"]) == [
        ("a.csv:5", 'He said "ok", then left.', "End."),
        ("a.csv:7", "짧다"),
    ]


def test_a_quote_in_a_tsv_cell_is_a_character_and_swallows_no_rows(tmp_path):
    path = write(tmp_path / "a.tsv", 'ko\ten\n"예"라고 했다.\ta "b\nx\t"whole ""cell"""\n')
    assert documents(path, kind="table", text=["ko", "en"]) == [
        ("a.tsv:2", '"예"라고 했다.', 'a "b'),
        ("a.tsv:3", "x", 'whole "cell"'),
    ]


def test_a_very_long_cell_is_read(tmp_path):
    path = write(tmp_path / "a.csv", f"note\n{'x' * 300_000}\n")
    assert len(documents(path, kind="table", text=["note"])[0][1]) == 300_000


def test_a_missing_column_is_reported_with_the_number_of_cells_there_are(tmp_path):
    path = write(tmp_path / "a.tsv", "ko\ten\na\tb\n")
    message = refusal(path, kind="table", text=["ko", "note"], id="id")
    assert "columns ['note', 'id'] once; its first line has 2 cells" in message and "'ko'" not in message


def test_a_table_without_a_header_line_does_not_show_its_first_row(tmp_path):
    path = write(tmp_path / "a.tsv", "1\t김철수\t흉통\n")
    message = refusal(path, kind="table", text=["note"])
    assert "3 cells, is the header missing?" in message and "김철수" not in message and "흉통" not in message


def test_rows_with_a_wrong_number_of_cells_and_open_quotes_are_reported(tmp_path):
    message = refusal(write(tmp_path / "a.csv", "a,b\n1,2\n1\n1,2,3\n"), kind="table", text=["a"])
    assert "a.csv, line 3: 1 cells, the header line has 2" in message
    assert "a.csv, line 4: 3 cells, the header line has 2" in message
    assert "not a table from here on" in refusal(
        write(tmp_path / "b.csv", 'a,b\n1,"2\n3,4\n'), kind="table", text=["a"]
    )


def test_an_empty_table_has_no_columns(tmp_path):
    assert "its first line has 0 cells" in refusal(write(tmp_path / "a.csv", ""), kind="table", text=["a"])


def test_paragraphs_of_a_field_without_text_are_none():
    assert paragraphs_of(" \n\n ") == []
