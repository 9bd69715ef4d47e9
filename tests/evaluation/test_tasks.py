import csv
import json
import re
from dataclasses import replace

import pytest

from bimed_dist.errors import ConfigError, DataError
from bimed_dist.evaluation.preparation.preparing import prepare_tasks
from bimed_dist.evaluation.readers.entities import join_eojeols
from bimed_dist.evaluation.readers.rows import read_labelled_texts
from bimed_dist.evaluation.tasks import TASKS, chest_ct, collect_tasks, import_modules, similarity
from bimed_dist.files.lines import Problems
from bimed_dist.recipe.evaluation import EntitySettings, EvaluatedModel, EvaluationSettings, TaskSettings

MODELS = {"m": EvaluatedModel(folder="x")}


def edit(path, line, old, new):
    lines = path.read_text(encoding="utf-8").split("\n")
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new)
    path.write_text("\n".join(lines), encoding="utf-8")


def write_ctclip(folder, train, val):
    folder.mkdir()
    header = ",".join(["AccessionNo", "report_text", *chest_ct.CTCLIP_LABELS])
    for name, rows in (("train", train), ("val", val)):
        lines = [
            header,
            *(f'{name}_{i},"{text}",{",".join(map(str, labels))}' for i, (text, labels) in enumerate(rows)),
        ]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_every_task_is_discovered_and_declares_its_origin():
    assert len(TASKS) == 31
    for name, task in TASKS.items():
        assert name == task.name
        assert all((task.title, task.citation, task.licence, task.labels_from)), name
    by_rules = {name for name, task in TASKS.items() if task.labels_by == "rules"}
    assert by_rules == {"chest_ct_report"}
    assert {name for name, task in TASKS.items() if task.labels_by == "generator"} == {
        name for name in TASKS if name.startswith("synthetic_")
    }


def test_a_new_file_adds_its_tasks_and_a_name_that_is_taken_is_refused(tmp_path, monkeypatch):
    (tmp_path / "extra_tasks").mkdir()
    (tmp_path / "extra_tasks" / "ours.py").write_text(
        "from dataclasses import replace\n"
        "from bimed_dist.evaluation.tasks.similarity import KORSTS\n"
        "OURS = replace(KORSTS, name='ours')\n"
        "SIX = replace(OURS, name='ours_six', kind='sts_classes')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    modules = import_modules([str(tmp_path / "extra_tasks")], "extra_tasks")
    assert collect_tasks([similarity, *modules]).keys() - collect_tasks([similarity]) == {"ours", "ours_six"}
    modules[0].COPY = replace(similarity.KORSTS, title="Another task by the same name")
    with pytest.raises(ValueError, match=r"extra_tasks\.ours: there is another task named korsts"):
        collect_tasks([similarity, *modules])


def test_workers_and_model_languages_do_not_count_in_the_identity_of_the_evaluation():
    def identity(workers, language, seeds):
        models = {"m": EvaluatedModel(folder="x", language=language)}
        tasks = {"s": TaskSettings(task="table_sts")}
        return EvaluationSettings(models=models, tasks=tasks, workers=workers, seeds=seeds).identity()

    assert identity(2, "ko", (1, 2)) == identity(None, ("en", "ko"), (1, 2))
    assert identity(2, "ko", (1, 2)) != identity(2, "ko", (1, 3))


def test_quotes_in_sts_files_are_characters(korsts, tmp_path, make_recipe):
    edit(korsts / "sts-train.tsv", 3, "2012", '"2012')
    path = korsts / "sts-test.tsv"
    path.write_text(path.read_text(encoding="utf-8") + 'm\tf\t2012\t99\t3.0\t"폐 결절\t소견" 없음\n', encoding="utf-8")
    prepared = prepare_tasks(make_recipe(MODELS, {"s": TaskSettings(task="korsts", path="korsts")}), tmp_path)["s"]
    assert prepared.read == {"train": 48, "dev": 16, "test": 25}
    assert prepared.rows["test"] == 25


def test_rows_are_limited_after_leaks_were_dropped_and_both_are_reported(korsts, tmp_path, make_recipe):
    test_row = (korsts / "sts-test.tsv").read_text(encoding="utf-8").split("\n")[1]
    path = korsts / "sts-train.tsv"
    path.write_text(path.read_text(encoding="utf-8") + test_row + "\n", encoding="utf-8")
    settings = TaskSettings(task="korsts", path="korsts", max_rows={"train": 10})
    prepared = prepare_tasks(make_recipe(MODELS, {"s": settings}), tmp_path)["s"]
    assert prepared.read["train"] == 49
    assert prepared.dropped == {"duplicates": 0, "leaked": 1}
    assert prepared.kept_of["train"] == 48
    assert prepared.rows["train"] == len(prepared.train) == 10


def test_contradictory_duplicates_are_in_the_notes_of_the_task(korsts, tmp_path, make_recipe):
    path = korsts / "sts-test.tsv"
    row = path.read_text(encoding="utf-8").split("\n")[1].split("\t")
    twin = ["m", "f", "2012", "99", "5.000" if row[4] != "5.000" else "0.000", row[6], row[5]]
    path.write_text(path.read_text(encoding="utf-8") + "\t".join(twin) + "\n", encoding="utf-8")
    prepared = prepare_tasks(make_recipe(MODELS, {"s": TaskSettings(task="korsts", path="korsts")}), tmp_path)["s"]
    assert prepared.dropped["duplicates"] == 1
    assert any(note.startswith("1 of 1 dropped duplicates contradict the row") for note in prepared.notes)


def test_ctclip_counts_duplicates_and_leaks_and_takes_dev_out_of_train(tmp_path, make_recipe):
    on, off = (1,) * 18, (0,) * 18
    train = [(f"finding {i}, seen", on if i % 2 else off) for i in range(60)]
    train += [train[0], ("shared", on), ("shared", on)]
    write_ctclip(tmp_path / "ct", train, [("shared", on), ("alone", off), ("alone", off)])
    settings = TaskSettings(task="ctclip", path="ct")
    prepared = prepare_tasks(make_recipe(MODELS, {"c": settings}), tmp_path)["c"]
    assert prepared.dropped == {"duplicates": 3, "leaked": 1}
    assert prepared.rows["train"] + prepared.rows["dev"] == 60
    assert prepared.rows["test"] == 2


def test_klue_characters_become_eojeols_with_one_tag_per_character():
    # The entity's first character is a space, as in two sentences of the published file.
    words, tags = join_eojeols(list("박씨는 3월 초에"), ["B-PS", "O", "O", "B-DT", "I-DT", "I-DT", "I-DT", "I-DT", "O"])
    assert words == ("박씨는", "3월", "초에")
    assert tags == ("B-PS", "O", "O", "B-DT", "I-DT", "I-DT", "O")


def test_a_character_that_looks_like_a_comment_is_read(tmp_path, make_recipe):
    folder = tmp_path / "klue"
    folder.mkdir()
    sentences = [f"## id{i}\t<x:PS>\n#\tO\n \tO\n김\tB-PS\n{i // 10}\tO\n{i % 10}\tO\n" for i in range(60)]
    (folder / "klue-ner-v1.1_dev.tsv").write_text("## head\n" + "\n".join(sentences) + "\n", encoding="utf-8")
    settings = TaskSettings(task="klue_ner", path="klue")
    prepared = prepare_tasks(make_recipe(MODELS, {"k": settings}), tmp_path)["k"]
    assert sum(prepared.rows.values()) == 60
    assert prepared.train[0].texts[0] == "#"


def write_klue(path, sentences, start=0):
    blocks = [
        f"## id{i}\t<x:PS>\n#\tO\n \tO\n김\tB-PS\n씨\tO\n{i // 10 % 10}\tO\n{i % 10}\tO\n{'가나'[i // 100]}\tO\n"
        for i in range(start, start + sentences)
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text("## head\n" + "\n".join(blocks) + "\n", encoding="utf-8")


def test_klues_development_file_is_the_test_split_if_the_training_file_exists(tmp_path, make_recipe):
    write_klue(tmp_path / "klue" / "klue-ner-v1.1_dev.tsv", 30)
    write_klue(tmp_path / "klue" / "klue-ner-v1.1_train.tsv", 90, start=100)
    settings = TaskSettings(task="klue_ner", path="klue")
    prepared = prepare_tasks(make_recipe(MODELS, {"k": settings}), tmp_path)["k"]
    assert prepared.rows["test"] == 30 and prepared.rows["train"] + prepared.rows["dev"] == 90
    assert any("development file is the test split" in note for note in prepared.notes)


def test_columns_by_character_become_eojeols_as_in_klue(tmp_path, make_recipe):
    write_klue(tmp_path / "n" / "a.tsv", 60)
    tags = ["B-DS", "I-DS", "O", "O", "B-PS", "O", "O", "O"]
    lines = [json.dumps({"tokens": list(f"폐렴이 김씨{i:02}"), "ner_tags": tags}) for i in range(60)]
    (tmp_path / "n" / "a.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    tasks = {
        name: TaskSettings(task="files_ner_characters", path="n", entities=EntitySettings(files={"all": f"a.{name}"}))
        for name in ("tsv", "jsonl")
    }
    prepared = prepare_tasks(make_recipe(MODELS, tasks), tmp_path)
    example = prepared["tsv"].train[0]
    assert (example.texts[0], example.texts[1][:2]) == ("#", "김씨")
    assert example.target == ("O", "B-PS", "O", "O", "O", "O")
    assert prepared["jsonl"].train[0].texts[0] == "폐렴이" and prepared["jsonl"].labels == ("DS", "PS")
    (tmp_path / "n" / "a.tsv").write_text("폐렴\tB-DS\n이\tO\n\n", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"tsv: a\.tsv line 1: tokens of several characters, needed one per tag; is it a file"
    ):
        prepare_tasks(make_recipe(MODELS, tasks), tmp_path)


@pytest.mark.data
def test_klues_file_gives_the_same_rows_through_its_task_and_through_files_ner_characters(open_data, make_recipe):
    entities = EntitySettings(files={"all": "klue-ner-v1.1_dev.tsv"})
    path = str(open_data / "ner" / "klue_ner_ko")
    tasks = {
        "own": TaskSettings(task="klue_ner", path=path),
        "any": TaskSettings(task="files_ner_characters", path=path, entities=entities),
    }
    prepared = prepare_tasks(make_recipe(MODELS, tasks), open_data)
    assert prepared["own"].train == prepared["any"].train and prepared["own"].rows == prepared["any"].rows


def test_all_problems_of_all_tasks_are_reported_together_by_row_and_without_text(korsts, bc5cdr, tmp_path, make_recipe):
    edit(korsts / "sts-train.tsv", 3, ".000", ".000\tmore")
    score = (korsts / "sts-dev.tsv").read_text(encoding="utf-8").split("\n")[4].split("\t")[4]
    edit(korsts / "sts-dev.tsv", 5, f"\t{score}\t", "\t5.5\t")
    edit(korsts / "sts-test.tsv", 2, "\t2012\t0\t", "\t2012\t0\tnan\t")
    edit(korsts / "sts-test.tsv", 6, "\t2012\t4\t", "\t2012\t4\tsecret\t")
    for line in (2, 6):
        cells = (korsts / "sts-test.tsv").read_text(encoding="utf-8").split("\n")[line - 1].split("\t")
        edit(korsts / "sts-test.tsv", line, f"\t{cells[5]}\t{cells[6]}", f"\t{cells[6]}")
    edit(bc5cdr / "train.tsv", 2, "B-Disease", "I-Disease")
    edit(bc5cdr / "devel.tsv", 1, "B-Chemical", "Chemical")
    tasks = {"s": TaskSettings(task="korsts", path="korsts"), "n": TaskSettings(task="bc5cdr", path="bc5cdr")}
    with pytest.raises(DataError) as raised:
        prepare_tasks(make_recipe(MODELS, tasks), tmp_path)
    message = str(raised.value)
    for expected in (
        "6 problem(s)",
        "s: sts-train.tsv line 3: 8 cells, needed 7",
        "s: sts-dev.tsv line 5: the score is outside 0-5",
        "s: sts-test.tsv line 2: the score is not a number",
        "s: sts-test.tsv line 6: the score is not a number",
        "n: train.tsv line 1: 1 of 7 tags are I- but continue no entity of their type; set tag_scheme if the file is "
        "IOB1; the first at word 2",
        "n: devel.tsv line 1: 1 of 7 tags are not O, B-TYPE or I-TYPE; the first at word 1",
    ):
        assert expected in message
    assert not re.search("secret|결절|nodule|lung|5.5|Disease|Chemical", message)


@pytest.mark.parametrize("cell", ["김철수", "B-김철수", "I-김철수", "010-1234-5678"])
def test_the_cells_of_a_shifted_column_are_never_printed(cell, korsts, bc5cdr, tmp_path, make_recipe):
    for path in (bc5cdr / "test.tsv", korsts / "sts-train.tsv"):
        lines = path.read_text(encoding="utf-8").split("\n")
        cells = lines[1].split("\t")
        cells[1 if len(cells) == 2 else 4] = cell if len(cells) == 2 else cell.replace("-", "")
        path.write_text("\n".join([lines[0], "\t".join(cells), *lines[2:]]), encoding="utf-8")
    tasks = {"n": TaskSettings(task="bc5cdr", path="bc5cdr"), "s": TaskSettings(task="korsts", path="korsts")}
    with pytest.raises(DataError) as raised:
        prepare_tasks(make_recipe(MODELS, tasks), tmp_path)
    message = str(raised.value)
    assert "2 problem(s)" in message and "test" in message and "sts-train.tsv line 2" in message
    assert "김철수" not in message and "1234" not in message


def test_splits_without_entities_or_labels_and_types_that_train_lacks_are_refused(bc5cdr, tmp_path, make_recipe):
    recipe = make_recipe(MODELS, {"n": TaskSettings(task="bc5cdr", path="bc5cdr")})
    path = bc5cdr / "devel.tsv"
    tagged = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"B-\w+", "O", tagged), encoding="utf-8")
    with pytest.raises(DataError, match="n: split dev: no row has a label or entity"):
        prepare_tasks(recipe, tmp_path)
    path.write_text(tagged.replace("B-Chemical", "B-Gene", 1), encoding="utf-8")
    with pytest.raises(DataError, match=r"split dev: 1 rows have an entity type .*, the first devel\.tsv line 1"):
        prepare_tasks(recipe, tmp_path)


def test_a_label_that_a_split_lacks_is_reported(tmp_path, make_recipe):
    on, off = (1,) * 18, (0,) * 18
    train = [(f"finding {i}", on if i % 2 else off) for i in range(60)]
    write_ctclip(tmp_path / "ct", train, [("lung", (1, *off[1:17], 1)), ("heart", (*off[:8], 1, *on[9:]))])
    prepared = prepare_tasks(make_recipe(MODELS, {"c": TaskSettings(task="ctclip", path="ct")}), tmp_path)["c"]
    assert prepared.notes[-1].startswith("test: no row has Arterial wall calcification, Cardiomegaly, ")
    assert prepared.notes[-1].endswith(", Emphysema, which macro F1 leaves out")


def test_missing_and_malformed_labels_and_labels_absent_in_train_are_refused(tmp_path, make_recipe):
    on, off = (1,) * 18, (0,) * 18
    recipe = make_recipe(MODELS, {"c": TaskSettings(task="ctclip", path="ct")})
    rows = [(f"text {i}", on if i % 2 else off) for i in range(40)]
    write_ctclip(tmp_path / "ct", [*rows, ("bad", (*off[:17], 2))], [("test", off)])
    with pytest.raises(DataError, match=r"train\.csv line 42: label not 0 or 1: Interlobular septal thickening"):
        prepare_tasks(recipe, tmp_path)
    for path in (tmp_path / "ct").iterdir():
        path.write_text(path.read_text(encoding="utf-8").replace("Emphysema", "Emphysem"), encoding="utf-8")
    with pytest.raises(DataError, match="needs each of the columns Emphysema once"):
        prepare_tasks(recipe, tmp_path)
    (tmp_path / "ct").rename(tmp_path / "old")
    write_ctclip(tmp_path / "ct", [(text, (1, *labels[1:])) for text, labels in rows], [("test", off)])
    with pytest.raises(DataError, match="split train: no row has Medical material=0"):
        prepare_tasks(recipe, tmp_path)


def test_a_csv_without_a_header_does_not_show_its_first_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("1,김철수 폐렴,0\n", encoding="utf-8")
    with pytest.raises(DataError, match="columns text, label once; its first line has 3 cells") as raised:
        read_labelled_texts(path, "text", ["label"], Problems())
    assert "김철수" not in str(raised.value)


def test_a_report_longer_than_the_csv_modules_limit_is_read(tmp_path):
    limit = csv.field_size_limit(131_072)
    try:
        path = tmp_path / "a.csv"
        path.write_text(f"text,label\n{'x' * 200_000},1\n", encoding="utf-8")
        assert len(read_labelled_texts(path, "text", ["label"], Problems())[0].texts[0]) == 200_000
    finally:
        csv.field_size_limit(limit)


@pytest.mark.parametrize("broken, line", [('"text,label\na,1\n', 1), ('text,label\na,1\n"b,0\nc,1\n', 3)])
def test_an_open_quote_is_refused_in_the_header_and_in_the_rows(broken, line, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(broken, encoding="utf-8")
    with pytest.raises(DataError, match=rf"a\.csv line {line}: not a table from here on .*check the quotes"):
        read_labelled_texts(path, "text", ["label"], Problems())


def test_an_empty_test_split_and_a_missing_file_are_refused(korsts, bc5cdr, tmp_path, make_recipe):
    path = korsts / "sts-test.tsv"
    path.write_text(path.read_text(encoding="utf-8").split("\n")[0] + "\n", encoding="utf-8")
    (bc5cdr / "test.tsv").unlink()
    tasks = {"s": TaskSettings(task="korsts", path="korsts"), "n": TaskSettings(task="bc5cdr", path="bc5cdr")}
    with pytest.raises(DataError, match=r"(?s)s: split test is empty.*test\.tsv does not exist"):
        prepare_tasks(make_recipe(MODELS, tasks), tmp_path)


def test_text_that_is_not_utf8_is_refused_with_its_line(korsts, tmp_path, make_recipe):
    path = korsts / "sts-dev.tsv"
    path.write_bytes(path.read_bytes().decode().encode("cp949"))
    with pytest.raises(DataError, match=r"sts-dev\.tsv line 2, byte \d+: not UTF-8"):
        prepare_tasks(make_recipe(MODELS, {"s": TaskSettings(task="korsts", path="korsts")}), tmp_path)


def test_settings_that_a_task_does_not_take_are_refused_together(tmp_path, make_recipe):
    tasks = {
        "a": TaskSettings(task="nothing"),
        "b": TaskSettings(task="korsts"),
        "c": TaskSettings(task="synthetic_ner", path="x"),
        "d": TaskSettings(task="mlm", epochs=(3,)),
        "e": TaskSettings(task="korsts", path="x", max_rows={"training": 3}),
    }
    with pytest.raises(ConfigError) as raised:
        prepare_tasks(make_recipe(MODELS, tasks), tmp_path)
    for expected in (
        "6 problem(s)",
        "tasks.a: there is no task nothing",
        "tasks.b: task korsts needs path",
        "tasks.c: task synthetic_ner takes no path",
        "tasks.d: task mlm needs corpus",
        "tasks.d: task mlm trains nothing and takes no epochs",
        "tasks.e: max_rows: there is no split training",
    ):
        assert expected in str(raised.value)


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task.source == "synthetic"])
def test_synthetic_tasks_are_complete_and_reproducible(name, tmp_path, make_recipe):
    settings = TaskSettings(task=name, max_rows={"train": 120, "dev": 30, "test": 30})
    first, second = (prepare_tasks(make_recipe(MODELS, {"t": settings}), tmp_path)["t"] for _ in range(2))
    assert first.digest == second.digest
    assert first.rows["train"] > 100
    assert ("external" in first.rows) == (name == "synthetic_ct")


@pytest.mark.data
def test_published_sts_files_have_their_published_rows(open_data, make_recipe):
    tasks = {name: TaskSettings(task=name, path=str(open_data / "sts" / name)) for name in ("korsts", "stsb_en")}
    for prepared in prepare_tasks(make_recipe(MODELS, tasks), open_data).values():
        assert prepared.read == {"train": 5749, "dev": 1500, "test": 1379}


@pytest.mark.data
def test_ctclip_has_fifteen_duplicates_and_four_leaked_rows(open_data, make_recipe):
    settings = TaskSettings(task="ctclip", path=str(open_data / "chest_ct" / "ctclip"))
    prepared = prepare_tasks(make_recipe(MODELS, {"c": settings}), open_data)["c"]
    assert prepared.dropped == {"duplicates": 15, "leaked": 4}
    assert prepared.rows["test"] == 198
