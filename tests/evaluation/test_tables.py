import csv
import re

import pytest

from bimed_dist.errors import ConfigError, DataError
from bimed_dist.evaluation.preparation.preparing import prepare_tasks
from bimed_dist.recipe.evaluation import EvaluatedModel, TableSettings, TaskSettings

MODELS = {"m": EvaluatedModel(folder="x")}


def write_csv(path, header, rows, encoding="utf-8", delimiter=","):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])


def prepared(settings, tmp_path, make_recipe):
    return prepare_tasks(make_recipe(MODELS, {"t": settings}), tmp_path)["t"]


def reports(split, count, start=0):
    return [
        [f"소견 {i}, nodule\n둘째 줄", i % 2, (i // 2) % 2, (i // 4) % 2, split] for i in range(start, start + count)
    ]


def test_a_csv_in_the_layout_of_chest_ct_report_has_internal_and_external_test_sets(tmp_path, make_recipe):
    rows = [*reports("train", 40), *reports("val", 8, 40), *reports("test", 8, 60), *reports("external", 8, 80)]
    header = ["report", "pn", "em", "ca", "dataset"]
    write_csv(tmp_path / "ct" / "chest_ct_labeled_data.csv", header, rows, encoding="utf-8-sig")
    task = prepared(TaskSettings(task="chest_ct_report", path="ct"), tmp_path, make_recipe)
    assert task.rows == {"train": 40, "dev": 8, "test": 8, "external": 8}
    assert task.labels == ("pn", "em", "ca")
    assert task.train[3].target == (1, 1, 0)
    assert set(task.rules) == {"test", "external"}


def test_files_columns_and_names_of_splits_come_from_the_recipe(tmp_path, make_recipe):
    rows = [[i, f"텍스트 {i}", i % 2, "학습" if i < 30 else "내부" if i < 40 else "외부"] for i in range(50)]
    write_csv(tmp_path / "d" / "a.csv", ["no", "판독문", "암", "구분"], rows, encoding="cp949")
    table = TableSettings(
        files={"all": "a.csv"},
        text_columns=("판독문",),
        label_columns=("암",),
        split_column="구분",
        split_values={"학습": "train", "내부": "test", "외부": "external"},
        encoding="cp949",
    )
    about = {"title": "우리 병원", "language": "ko", "labels_from": "규칙", "labels_by": "rules"}
    settings = TaskSettings(task="table_multilabel", path="d", table=table, description=about)
    task = prepared(settings, tmp_path, make_recipe)
    assert task.rows["test"] == task.rows["external"] == 10
    assert task.rows["train"] + task.rows["dev"] == 30 and task.rows["dev"] > 0
    assert task.notes == ("dev 10% of the rows without a split, chosen by hash",)
    assert (task.task.title, task.task.language) == ("우리 병원", "ko")
    assert (task.task.labels_from, task.task.labels_by) == ("규칙", "rules")


def test_rows_of_one_patient_stay_in_one_split_where_hashing_deals_them(tmp_path, make_recipe):
    rows = [[f"text {i}", i % 2, f"p{i // 3}"] for i in range(300)]
    write_csv(tmp_path / "d" / "a.tsv", ["text", "label", "patient"], rows, delimiter="\t")
    table = TableSettings(
        files={"all": "a.tsv"}, text_columns=("text",), label_columns=("label",), group_column="patient"
    )
    task = prepared(TaskSettings(task="table_multilabel", path="d", table=table), tmp_path, make_recipe)
    groups = {name: {e.document for e in part} for name, part in (("train", task.train), ("dev", task.dev))}
    assert sum(task.rows.values()) == 300 and all(n % 3 == 0 for n in task.rows.values())
    assert not groups["train"] & groups["dev"]
    of_test = len({example.document for example in task.sealed._splits["test"]})
    note = f"groups (column patient, {of_test} of them in test), which the intervals resample as units"
    assert 0 < of_test < 30 and f"rows belong to 100 {note}" in task.notes


def test_patients_in_two_published_splits_are_reported(tmp_path, make_recipe):
    for split, start in (("train", 0), ("dev", 20), ("test", 38)):
        rows = [[f"text {i}", i % 2, f"p{i // 4}"] for i in range(start, start + 20)]
        write_csv(tmp_path / "d" / f"{split}.csv", ["text", "label", "patient"], rows)
    files = {split: f"{split}.csv" for split in ("train", "dev", "test")}
    table = TableSettings(files=files, text_columns=("text",), label_columns=("label",), group_column="patient")
    task = prepared(TaskSettings(task="table_multilabel", path="d", table=table), tmp_path, make_recipe)
    assert any("; 1 of them have rows in more than one split" in note for note in task.notes)


def test_broken_rows_are_reported_together_by_line_and_without_their_text(tmp_path, make_recipe):
    rows = reports("train", 40) + reports("test", 8, 60)
    rows[1][1], rows[2][4], rows[3][0], rows[4][4] = "김철수", "김철수", " ", "train,김철수"
    rows[5] = rows[5][:3]
    header = ["report", "pn", "em", "ca", "dataset"]
    write_csv(tmp_path / "ct" / "chest_ct_labeled_data.csv", header, rows)
    with pytest.raises(DataError) as raised:
        prepared(TaskSettings(task="chest_ct_report", path="ct"), tmp_path, make_recipe)
    message = str(raised.value)
    assert "5 problem(s)" in message
    for expected in (
        "line 4: label not 0 or 1: pn",
        "line 6: column dataset names no known split",
        "line 8: empty text",
    ):
        assert expected in message
    assert "line 11: 3 cells, the header line has 5" in message
    assert not re.search("김철수|소견", message)


def test_a_table_that_does_not_suit_its_task_is_refused(tmp_path, make_recipe):
    write_csv(tmp_path / "d" / "a.csv", ["text", "label", "label"], [["x", 1, 0]])
    table = TableSettings(files={"train": "a.csv"}, text_columns=("text",), label_columns=("label",))
    settings = TaskSettings(task="table_multilabel", path="d", table=table)
    with pytest.raises(DataError, match="needs each of the columns label once"):
        prepared(settings, tmp_path, make_recipe)
    with pytest.raises(ConfigError, match="task table_multilabel needs table"):
        prepared(settings.model_copy(update={"table": None}), tmp_path, make_recipe)
    two = table.model_copy(update={"text_columns": ("text", "other")})
    with pytest.raises(DataError, match=r"  t: table\.text_columns has 2 columns, this task needs 1"):
        prepared(settings.model_copy(update={"table": two}), tmp_path, make_recipe)
    # With the problems of the other tasks, each by its name.
    both = {"all": "a.csv", "train": "a.csv"}
    tasks = {
        "columns": settings.model_copy(update={"table": two}),
        "splits": settings.model_copy(
            update={"table": table.model_copy(update={"files": both, "label_columns": ("text",)})}
        ),
        "file": settings.model_copy(update={"path": "nowhere"}),
    }
    with pytest.raises(DataError, match=r"(?s)columns: table\.text_col.*splits: files: `all` can't.*file: .*not exist"):
        prepare_tasks(make_recipe(MODELS, tasks), tmp_path)
    unknown = settings.model_copy(update={"keyword_rules": {"no such label": ("x",)}})
    write_csv(tmp_path / "d" / "a.csv", ["text", "label"], [[f"x {i}", i % 2] for i in range(90)])
    table = {"all": "a.csv"}
    unknown = unknown.model_copy(update={"table": unknown.table.model_copy(update={"files": table})})
    with pytest.raises(DataError, match="keyword_rules: there is no label no such label"):
        prepared(unknown, tmp_path, make_recipe)


def test_other_files_than_the_pinned_ones_are_refused(korsts, tmp_path, make_recipe):
    settings = TaskSettings(task="korsts", path="korsts", sha256="0123456789")
    with pytest.raises(DataError, match=r"korsts have the SHA-256 [0-9a-f]{16}, the recipe says 0123456789") as raised:
        prepared(settings, tmp_path, make_recipe)
    digest = re.search(r"SHA-256 ([0-9a-f]{16})", str(raised.value))[1]
    assert prepared(settings.model_copy(update={"sha256": digest}), tmp_path, make_recipe).rows["test"] == 24


def test_files_that_are_not_the_published_ones_are_noted_and_read(korsts, tmp_path, make_recipe):
    task = prepared(TaskSettings(task="korsts", path="korsts"), tmp_path, make_recipe)
    notes = [note for note in task.notes if "not the published files" in note]
    assert [note.partition(":")[0] for note in notes] == ["sts-train.tsv", "sts-dev.tsv", "sts-test.tsv"]
    assert re.search(r"\(digest [0-9a-f]{16}, expected 13f83a3440d9db52\)", notes[2])


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "folder"),
    [("korsts", "sts/korsts"), ("meddocan", "phi/meddocan_es"), ("nubes_sections", "documents/nubes_es")],
)
def test_the_published_files_are_known_as_such(name, folder, open_data, make_recipe):
    task = prepared(TaskSettings(task=name, path=str(open_data / folder)), open_data, make_recipe)
    assert not [note for note in task.notes if "not the published files" in note]


def test_settings_without_any_use_are_refused_with_advice(tmp_path, make_recipe):
    pairs = TableSettings(files={"train": "a", "test": "b"}, text_columns=("a", "b"), label_columns=("score",))
    labels = pairs.model_copy(update={"text_columns": ("a",), "split_column": "dataset"})
    tasks = {
        "terms": TaskSettings(
            task="mlm_terms", corpus="c", terms={"path": "t.csv", "columns": ("ko",)}, repetitions=20
        ),
        "pairs": TaskSettings(task="table_sts", path="d", table=pairs.model_copy(update={"positive_class": "1"})),
        "labels": TaskSettings(task="table_multilabel", path="d", table=labels),
        "splits": TaskSettings(
            task="table_sts",
            path="d",
            table=pairs.model_copy(update={"split_values": {"t": "train"}}),
            epochs=(3, 2, 3),
        ),
        "rates": TaskSettings(task="table_sts", path="d", table=pairs, learning_rates=(1e-4, 1e-4)),
    }
    with pytest.raises(ConfigError) as raised:
        prepare_tasks(make_recipe(MODELS, tasks), tmp_path)
    for expected in (
        "6 problem(s)",
        "tasks.terms: task mlm_terms masks every term, so repetitions would be equal; remove `repetitions`",
        "tasks.pairs: table.positive_class is one of two classes; task table_sts is of kind sts: remove it",
        "tasks.labels: table.split_column needs the file `all` in table.files; name that file, or remove split_column",
        "tasks.splits: table.split_values needs table.split_column; name that column, or remove split_values",
        "tasks.splits: epochs holds a value twice: [3, 2, 3]; give each once",
        "tasks.rates: learning_rates holds a value twice: [0.0001, 0.0001]; give each once",
    ):
        assert expected in str(raised.value)


def test_settings_that_a_kind_has_no_use_for_are_refused(korsts, tmp_path, make_recipe):
    settings = TaskSettings(
        task="korsts", path="korsts", threshold="dev", long_texts="windows", keyword_rules={"a": ("b",)}
    )
    with pytest.raises(ConfigError) as raised:
        prepared(settings, tmp_path, make_recipe)
    for name in ("threshold", "long_texts", "keyword_rules"):
        assert f"task korsts is of kind sts and takes no {name}" in str(raised.value)
