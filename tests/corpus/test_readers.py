import gzip
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from bimed_dist.corpus import planning
from bimed_dist.corpus.layout import paragraphs_of
from bimed_dist.corpus.readers import read
from bimed_dist.errors import DataError
from bimed_dist.files.lines import Problems
from bimed_dist.recipe.corpus import CleaningSettings, MimicSource, Source, SyntheticSource
from bimed_dist.synthetic.documents import generate_documents


def raw_documents(path: Path, **settings):
    source = TypeAdapter(Source).validate_python({"name": "s", "path": str(path), **settings}, strict=False)
    plans = [planning.survey(source, file) for file in planning.list_files(source, path)]
    problems = Problems(f"source {source.name}", collect_only=source.bad_rows == "skip")
    documents = [d for part in planning.make_parts(source, plans, 0) for d in read(source, part, 1, problems)]
    return source, documents, problems


def documents(path: Path, **settings):
    source, raw, _ = raw_documents(path, **settings)

    def paragraphs(texts):
        sections = isinstance(source, MimicSource)
        laid_out = (paragraphs_of(text, source.line_break, CleaningSettings(), Counter(), sections) for text in texts)
        return [paragraph for text in laid_out for paragraph in text]

    return [(document.id, *paragraphs(document.paragraphs)) for document in raw]


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
    assert "a.txt line 2, byte 7: not UTF-8" in message
    assert "a.txt line 4, byte 15: not UTF-8" in message
    assert "cp949" in message


def test_the_byte_of_invalid_utf8_counts_the_byte_order_mark(tmp_path):
    assert "line 1, byte 4:" in refusal(write(tmp_path / "a.txt", b"\xef\xbb\xbfa\xff"), kind="text")


def test_nul_bytes_are_reported(tmp_path):
    path = write(tmp_path / "a.txt", b"first line\nab\0c")
    assert "a.txt line 2, byte 13: NUL byte" in refusal(path, kind="text")


def test_a_missing_path_an_empty_folder_and_a_wrong_ending_are_refused(tmp_path):
    assert "does not exist" in refusal(tmp_path / "nowhere", kind="text")
    write(tmp_path / "folder" / "notes.docx", "x")
    assert "no file that ends in .txt or .txt.gz, only 1 other" in refusal(tmp_path / "folder", kind="text")
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


def test_null_is_an_empty_text_in_json_as_in_parquet(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", {"q": "왜?", "a": None}, {"q": None, "a": None})
    pq.write_table(pa.table({"q": ["왜?", None], "a": pa.array([None, None], pa.string())}), tmp_path / "a.parquet")
    for path, kind in ((tmp_path / "a.jsonl", "jsonl"), (tmp_path / "a.parquet", "parquet")):
        assert [document[1:] for document in documents(path, kind=kind, text=["q", "a"])] == [("왜?",), ()]


def test_rows_with_the_same_id_that_follow_each_other_become_one_document(tmp_path):
    write_jsonl(tmp_path / "1.jsonl", {"id": 7, "t": "a"}, {"id": "7", "t": "b"}, {"id": "8", "t": "c"})
    write_jsonl(tmp_path / "2.jsonl", {"id": " 8 ", "t": "d"}, {"id": "7", "t": "e"})
    read_documents = documents(tmp_path, kind="jsonl", text=["t"], id="id")
    assert read_documents == [("7", "a", "b"), ("8", "c"), ("8", "d"), ("7", "e")]


def test_rows_of_one_id_with_different_groups_stay_apart(tmp_path):
    path = write_jsonl(tmp_path / "1.jsonl", {"id": 7, "p": 1, "t": "a"}, {"id": 7, "p": 2, "t": "b"})
    _, raw, _ = raw_documents(path, kind="jsonl", text=["t"], id="id", group="p")
    assert [(document.id, document.group) for document in raw] == [("7", "1"), ("7", "2")]


def test_a_row_without_its_group_is_reported(tmp_path):
    path = write_jsonl(tmp_path / "1.jsonl", {"p": "", "t": "a"})
    assert "1.jsonl:1: field 'p', the group, is missing" in refusal(path, kind="jsonl", text=["t"], group="p")


def test_bad_json_lines_are_reported_together_without_their_text(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"t": "secret"\n[1]\n{"x": "secret", "y": 1}\n{"t": 3}\n')
    message = refusal(path, kind="jsonl", text=["t"])
    assert "line 1: not JSON at column" in message
    assert "line 2: a JSON list" in message
    assert "a.jsonl:3: none of its 2 fields is ['t']" in message
    assert "a.jsonl:4: not text: {'t': 'int'}" in message
    assert "secret" not in message


def test_a_row_without_the_id_field_is_reported(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", {"id": "", "t": "a"}, {"t": "b"}, {"id": 0, "t": "c"})
    message = refusal(path, kind="jsonl", text=["t"], id="id")
    assert "a.jsonl:1: field 'id'" in message and "a.jsonl:2: field 'id'" in message and "a.jsonl:3" not in message


def test_half_a_character_in_an_id_or_a_group_is_a_bad_row(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"i": "\\ud800", "t": "a"}\n{"i": "b", "t": "b"}\n')
    for field in ("id", "group"):
        settings = {"kind": "jsonl", "text": ["t"], field: "i"}
        assert "a.jsonl:1: field 'i'" in refusal(path, **settings)
        _, raw, problems = raw_documents(path, bad_rows="skip", **settings)
        assert [document.paragraphs for document in raw] == [("b",)] and len(problems.notes) == 1


def test_reading_stops_at_twenty_problems(tmp_path):
    path = write(tmp_path / "a.jsonl", "x\n" * 30)
    message = refusal(path, kind="jsonl", text=["t"])
    assert "line 20:" in message and "line 21:" not in message and "there may be more" in message


def test_a_cut_gzip_file_is_reported(tmp_path):
    whole = gzip.compress(b'{"t": "abc"}\n' * 1000)
    path = write(tmp_path / "a.jsonl.gz", whole[: len(whole) // 2])
    assert "a.jsonl.gz can't be read to its end" in refusal(path, kind="jsonl", text=["t"])


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
    assert "columns note, id once; its first line has 2 cells" in message and "'ko'" not in message


def test_a_table_without_a_header_line_does_not_show_its_first_row(tmp_path):
    path = write(tmp_path / "a.tsv", "1\t김철수\t흉통\n")
    message = refusal(path, kind="table", text=["note"])
    assert "3 cells. Is the header missing?" in message and "김철수" not in message and "흉통" not in message


def test_rows_with_a_wrong_number_of_cells_and_open_quotes_are_reported(tmp_path):
    message = refusal(write(tmp_path / "a.csv", "a,b\n1,2\n1\n1,2,3\n"), kind="table", text=["a"])
    assert "a.csv line 3: 1 cells, the header line has 2" in message
    assert "a.csv line 4: 3 cells, the header line has 2" in message
    assert "not a table from here on" in refusal(
        write(tmp_path / "b.csv", 'a,b\n1,"2\n3,4\n'), kind="table", text=["a"]
    )


def test_an_empty_table_has_no_columns(tmp_path):
    assert "its first line has 0 cells" in refusal(write(tmp_path / "a.csv", ""), kind="table", text=["a"])


# --------------------------------------------------------------------------------------------------------- encodings


KOREAN = "환자는 흉통을 주소로 내원하였다.\n과거력상 고혈압이 있었다.\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "euc-kr"])
def test_korean_encodings_are_found_out(tmp_path, encoding):
    path = write(tmp_path / "a.txt", KOREAN.encode(encoding))
    expected = [("a.txt:1", "환자는 흉통을 주소로 내원하였다."), ("a.txt:2", "과거력상 고혈압이 있었다.")]
    assert documents(path, kind="text", document="line") == expected


def test_a_declared_encoding_is_used_and_its_misfits_are_reported(tmp_path):
    path = write(tmp_path / "a.txt", "señales de neumonía\n".encode("cp1252"))
    assert documents(path, kind="text", encoding="cp1252") == [("a.txt", "señales de neumonía")]
    assert "a.txt line 1, byte 2: not UTF-8" in refusal(path, kind="text")
    assert "a.txt line 1, byte 2: not CP949" in refusal(path, kind="text", encoding="cp949")


def test_lines_of_another_encoding_are_reported_whichever_has_the_most(tmp_path):
    korean = KOREAN.encode("cp949")
    path = write(tmp_path / "a.txt", korean + "정상 소견이다.\n".encode() + korean)
    assert "a.txt line 3, byte 59: not CP949" in refusal(path, kind="text")
    # These letters are valid in both encodings, and nonsense in the wrong one.
    path = write(tmp_path / "a.txt", korean + "견환\n".encode() + korean)
    assert "a.txt line 3: UTF-8 in a file that is cp949 elsewhere" in refusal(path, kind="text")
    path = write(tmp_path / "b.txt", KOREAN.encode() + "정상 소견이다.\n".encode("cp949") + KOREAN.encode())
    assert "b.txt line 3, byte" in refusal(path, kind="text")


def test_an_encoding_that_is_none_or_moves_line_ends_is_refused():
    for name in ("utf-16", "klingon", "base64"):
        with pytest.raises(ValueError, match="is unknown or not based on ASCII"):
            TypeAdapter(Source).validate_python({"kind": "text", "name": "s", "path": "x", "encoding": name})


# ---------------------------------------------------------------------------------------------------------- bad input


def test_bad_rows_are_skipped_and_noted_where_the_source_says_so(tmp_path):
    path = write(tmp_path / "a.jsonl", b'{"t": "one"}\nno\n{"t": 3}\n{"t": "\xff"}\n{"t": "\0"}\n{"t": "two"}\n')
    _, raw, problems = raw_documents(path, kind="jsonl", text=["t"], bad_rows="skip")
    assert [document.paragraphs for document in raw] == [("one",), ("two",)]
    assert [place.split(", byte")[0] for place, _ in problems.notes] == [
        "a.jsonl line 2",
        "a.jsonl:3",
        "a.jsonl line 4",
        "a.jsonl line 5",
    ]


def test_a_line_that_is_no_text_for_its_length_is_reported_and_costs_little_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("bimed_dist.files.lines.LONGEST_LINE", 1000)
    path = write(tmp_path / "a.txt", "first\n" + "x" * 5000 + "\nlast\n")
    assert "a.txt line 2: longer than 1,000 bytes" in refusal(path, kind="text")
    _, raw, _ = raw_documents(path, kind="text", document="line", bad_rows="skip")
    assert [(document.id, document.paragraphs) for document in raw] == [
        ("a.txt:1", ("first",)),
        ("a.txt:3", ("last",)),
    ]


@pytest.mark.parametrize("ending", ["jsonl", "txt", "csv"])
def test_a_line_that_is_no_text_for_its_length_is_never_cut_into_lines(tmp_path, monkeypatch, ending):
    for module in ("lines", "tables"):
        monkeypatch.setattr(f"bimed_dist.files.{module}.LONGEST_LINE", 1000)
    monkeypatch.setattr(planning, "PART_BYTES", 200)
    lines = {
        "jsonl": ['{"t": "first"}', '{"t": "last"}'],
        "txt": ["first", "last"],
        "csv": ["t", "first", "last"],
    }[ending]
    lines.insert(-1, "x" * 5000)
    path = write(tmp_path / f"a.{ending}", "\n".join(lines) + "\n")
    settings = {"kind": "text", "document": "line"} if ending == "txt" else {"kind": "jsonl", "text": ["t"]}
    settings = {"kind": "table", "text": ["t"]} if ending == "csv" else settings
    _, raw, problems = raw_documents(path, bad_rows="skip", **settings)
    assert [(document.id, document.paragraphs) for document in raw] == [
        (f"a.{ending}:{len(lines) - 2}", ("first",)),
        (f"a.{ending}:{len(lines)}", ("last",)),
    ]
    assert [place for place, _ in problems.notes] == [f"a.{ending} line {len(lines) - 1}"]


def test_a_file_that_is_one_document_of_any_size_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr("bimed_dist.corpus.readers.LONGEST_DOCUMENT", 100)
    path = write(tmp_path / "a.txt", "word\n" * 50)
    assert "a.txt: a document of more than 100 characters; set `document: paragraph`" in refusal(path, kind="text")
    assert len(documents(path, kind="text", document="line")) == 50


# -------------------------------------------------------------------------------------------------------------- cutting


def cut_in_many(monkeypatch, path: Path, **settings):
    """Documents as read in many parts and as read in one; the ids and texts must be the same."""
    _, whole, _ = raw_documents(path, **settings)
    monkeypatch.setattr(planning, "PART_BYTES", 200)
    source = TypeAdapter(Source).validate_python({"name": "s", "path": str(path), **settings}, strict=False)
    plans = [planning.survey(source, file) for file in planning.list_files(source, path)]
    parts = list(planning.make_parts(source, plans, 0))
    problems = Problems("s", collect_only=source.bad_rows == "skip")
    return whole, [document for part in parts for document in read(source, part, 1, problems)], len(parts)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_file_cut_into_parts_gives_the_same_documents(tmp_path, monkeypatch, zipped):
    pack = gzip.compress if zipped else bytes
    ending = ".gz" if zipped else ""
    rows = [{"id": i // 3, "p": i // 9, "t": f'환자 {i} "정상"\n둘째 줄, 끝'} for i in range(90)]
    jsonl = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    cells = "".join(f'{r["id"]},{r["p"]},"{r["t"].replace(chr(34), chr(34) * 2)}"\r\n' for r in rows)
    lines = "".join(f"환자 {i}번은 정상이다.\n둘째 줄\n{'' if i % 3 else chr(10)}" for i in range(90))
    field = {"text": ["t"], "id": "id", "group": "p"}
    cases = [
        (write(tmp_path / f"a.jsonl{ending}", pack(jsonl.encode())), {"kind": "jsonl", **field}),
        (write(tmp_path / f"a.csv{ending}", pack(b"id,p,t\r\n" + cells.encode("cp949"))), {"kind": "table", **field}),
        (write(tmp_path / f"a.txt{ending}", pack(lines.encode())), {"kind": "text", "document": "line"}),
        (write(tmp_path / f"b.txt{ending}", pack(lines.encode())), {"kind": "text", "document": "paragraph"}),
    ]
    for path, settings in cases:
        with monkeypatch.context() as patched:
            whole, cut, num_parts = cut_in_many(patched, path, **settings)
        assert cut == whole and len(whole) >= 29, path
        assert num_parts > 5, path


def test_rows_of_one_id_stay_together_around_blank_lines_bad_rows_and_a_quoted_header(tmp_path, monkeypatch):
    jsonl = "".join(f'{{"id": {i // 2}, "t": "{"x" * 50}{i}"}}\n\n{{"t": "no id"}}\n' for i in range(20))
    csv = "".join(f"{i // 2},{'x' * 50}{i}\n\n" for i in range(20))
    cases = [
        (write(tmp_path / "a.jsonl", jsonl), "jsonl"),
        (write(tmp_path / "b.jsonl", jsonl.replace("x" * 50, "환자는 정상이다. " * 5).encode("cp949")), "jsonl"),
        (write(tmp_path / "a.csv", '\ufeff"id",t\n' + csv), "table"),
        (write(tmp_path / "a.tsv", '\ufeff"id"\tt\n' + csv.replace(",", "\t")), "table"),
    ]
    for path, kind in cases:
        with monkeypatch.context() as patched:
            settings = {"kind": kind, "text": ["t"], "id": "id", "bad_rows": "skip"}
            whole, cut, num_parts = cut_in_many(patched, path, **settings)
        assert cut == whole and len(whole) == 10, path
        assert num_parts > 3, path


def test_small_files_share_a_part_and_big_ones_do_not(tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "PART_BYTES", 100)
    for name, size in (("a", 30), ("b", 30), ("c", 60), ("d", 400), ("e", 10)):
        write(tmp_path / f"{name}.txt", "x" * size)
    source = TypeAdapter(Source).validate_python({"kind": "text", "name": "s", "path": str(tmp_path)})
    plans = [planning.survey(source, file) for file in planning.list_files(source, tmp_path)]
    parts = [[file.name for file in part.files] for part in planning.make_parts(source, plans, 0)]
    assert parts == [["a.txt", "b.txt"], ["c.txt"], ["d.txt"], ["e.txt"]]


# ---------------------------------------------------------------------------------------------------- columns and notes


def test_parquet_files_and_saved_datasets_are_read_by_row_and_cut_between_documents(tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "PART_BYTES", 1)
    table = pa.table({"id": [1, 1, 2, 2, 3], "text": ["a", None, "b", "c", "d"], "other": [0] * 5})
    (tmp_path / "p").mkdir()
    pq.write_table(table, tmp_path / "p" / "x.parquet", row_group_size=1)
    (tmp_path / "d" / "train").mkdir(parents=True)
    for name in ("data-00000-of-00001", "cache-0123"):
        with pa.ipc.new_stream(tmp_path / "d" / "train" / f"{name}.arrow", table.schema) as writer:
            writer.write_table(table, max_chunksize=1)
    for kind, folder in (("parquet", "p"), ("dataset", "d")):
        settings = {"kind": kind, "text": ["text"], "id": "id"}
        assert documents(tmp_path / folder, **settings) == [("1", "a"), ("2", "b", "c"), ("3", "d")]
        source = TypeAdapter(Source).validate_python({"name": "s", "path": "x", **settings}, strict=False)
        [file] = planning.list_files(source, tmp_path / folder)
        assert [(span.first, span.end, span.line) for span in planning.survey(source, file).spans] == [
            (0, 2, 1),
            (2, 4, 3),
            (4, 5, 5),
        ]
        assert "has no column ['note']" in refusal(tmp_path / folder, kind=kind, text=["note"])
    (tmp_path / "p" / "x.parquet").write_bytes(b"PAR1")
    assert "damaged" in refusal(tmp_path / "p", kind="parquet", text=["text"])


def test_damaged_pages_and_invalid_text_in_columns_are_reported(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": [f"row {i}" * 50 for i in range(2000)]}), path, use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[4:40] = bytes(36)  # the header of the first page
    path.write_bytes(content)
    assert "x.parquet is damaged" in refusal(path, kind="parquet", text=["text"])
    no_text = pa.StringArray.from_buffers(1, pa.array([0, 2], pa.int32()).buffers()[1], pa.py_buffer(b"\xff\xfe"))
    pq.write_table(pa.table({"text": no_text}), path)
    assert "x.parquet is damaged" in refusal(path, kind="parquet", text=["text"])
    with pa.ipc.new_stream(tmp_path / "x.arrow", pa.schema([("text", pa.string())])) as writer:
        writer.write_table(pa.table({"text": no_text}))
    for field in ({}, {"id": "text"}):
        assert "x.arrow is damaged" in refusal(tmp_path / "x.arrow", kind="dataset", text=["text"], **field)


def test_datasets_saved_to_disk_are_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_dict({"text": ["하나", "둘"], "n": [1, 2]}).filter(lambda row: row["n"] == 2)
    datasets.DatasetDict({"train": rows}).save_to_disk(tmp_path / "d")
    assert documents(tmp_path / "d", kind="dataset", text=["text"]) == [("train/data-00000-of-00001.arrow:1", "둘")]


NOTE = (
    " \nName:  ___                     Unit No:   ___\n \nChief Complaint:\nchest pain\n \n"
    "History of Present Illness:\nThe patient is an older adult with a long history of stable angina who came in\n"
    "with pain at rest.\nPain free now.\n \n"
    "Medications on Admission:\n1. Aspirin 81 mg PO DAILY \n2. Metoprolol 25 mg PO BID\n"
    "IMPRESSION: No change.\n"
)


def test_mimic_notes_keep_their_sections_and_lose_their_wraps(tmp_path):
    cells = NOTE.replace('"', '""')
    text = f'note_id,subject_id,hadm_id,text\n10-DS-1,10,20,"{cells}"\n10-DS-2,10,21,"Short note."\n'
    path = write(tmp_path / "discharge.csv.gz", gzip.compress(text.encode()))
    _, raw, _ = raw_documents(path, kind="mimic")
    assert [(document.id, document.group) for document in raw] == [("10-DS-1", "10"), ("10-DS-2", "10")]
    [first, _] = documents(path, kind="mimic")
    assert first[1:] == (
        "Name:  ___                     Unit No:   ___",
        "Chief Complaint:\nchest pain",
        "History of Present Illness:\nThe patient is an older adult with a long history of stable angina who came in "
        "with pain at rest.\nPain free now.",
        "Medications on Admission:\n1. Aspirin 81 mg PO DAILY\n2. Metoprolol 25 mg PO BID",
        "IMPRESSION: No change.",
    )


def test_a_brat_folder_is_a_folder_of_text(tmp_path):
    write(tmp_path / "1.txt", "Nombre: ___\nPaciente con fiebre.\n")
    write(tmp_path / "1.ann", "T1\tNAME 8 11\t___\n")
    assert documents(tmp_path, kind="text", line_break="sentence") == [("1.txt", "Nombre: ___\nPaciente con fiebre.")]


# ----------------------------------------------------------------------------------------------------------- synthetic


def test_a_synthetic_source_gives_documents_of_its_number_languages_and_kinds():
    source = SyntheticSource(kind="synthetic", name="s", documents=5, languages=("ko",), kinds=("report",))
    (part,) = planning.make_parts(source, [], 0)
    assert list(read(source, part, 4, Problems())) == list(generate_documents(4, 5, ("ko",), "s", ("report",)))
