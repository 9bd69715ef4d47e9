import json
import re

import numpy as np
import pytest
from sklearn.metrics import f1_score

from bimed_dist.errors import ConfigError, DataError
from bimed_dist.evaluation.metrics.scores import scores
from bimed_dist.evaluation.preparation.preparing import prepare_tasks
from bimed_dist.evaluation.readers.entities import Counts, read_brat, read_columns, read_json_lines
from bimed_dist.files.lines import Problems
from bimed_dist.recipe.evaluation import EntitySettings, EvaluatedModel, TaskSettings

MODELS = {"m": EvaluatedModel(folder="x")}


def read(tmp_path, make_recipe, **tasks):
    return prepare_tasks(make_recipe(MODELS, tasks), tmp_path)


def write_brat(folder, name, text, lines):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_bytes(text.encode())
    (folder / f"{name}.ann").write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def brat(folder, unit):
    problems, counts = Problems(collect_only=True), Counts()
    return list(read_brat(folder, unit, problems, counts)), problems.lines(), counts


def test_columns_are_separated_by_tabs_or_spaces_and_the_last_one_is_the_tag(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("-DOCSTART- -X- O\n\n폐렴 NNG B-DS\n소견 NNG O\n\n 흉수\tNNG\tB-DS\nx\n", encoding="utf-8")
    problems = Problems()
    examples = list(read_columns(path, problems))
    assert [(e.texts, e.target) for e in examples] == [(("폐렴", "소견"), ("B-DS", "O")), (("흉수",), ("B-DS",))]
    assert [e.id for e in examples] == ["a.txt line 3", "a.txt line 6"]
    assert problems.lines() == ["a.txt line 7: 1 cells, needed a token and a tag"]


def test_json_lines_need_as_many_words_as_tags(tmp_path):
    path = tmp_path / "a.jsonl"
    good = {"tokens": ["폐렴", "있음"], "ner_tags": ["B-DS", "O"]}
    lines = [json.dumps(good), json.dumps({**good, "tokens": ["김철수"]}), "김철수", json.dumps([1]), ""]
    path.write_text("\n".join(lines), encoding="utf-8")
    problems = Problems()
    (example,) = read_json_lines(path, problems)
    assert (example.texts, example.target) == (("폐렴", "있음"), ("B-DS", "O"))
    assert [problem[:14] for problem in problems.lines()] == ["a.jsonl line 2", "a.jsonl line 3", "a.jsonl line 4"]
    assert "김철수" not in "".join(problems.lines())


def test_korean_particles_stay_outside_of_the_entity_where_characters_carry_the_tags(tmp_path):
    text = "\ufeff폐렴과 흉수가 있음.\r\n다음 줄의 결절을 봄\r\n"
    start = text.index("결절")
    lines = ["T1\tDS 1 3\t폐렴", "T2\tDS 5 7\t흉수", f"T3\tDS {start} {start + 2}\t결절", "A1\tNegation T1"]
    write_brat(tmp_path / "b", "one", text, lines)
    examples, problems, counts = brat(tmp_path / "b", "character")
    assert problems == [] and counts.notes("character") == ()
    assert examples[0].texts == ("폐렴과", "흉수가", "있음.")
    assert "".join(tag[0] for tag in examples[0].target) == "BIOBIOOOO"
    assert examples[1].texts == ("다음", "줄의", "결절을", "봄")
    assert "".join(tag[0] for tag in examples[1].target) == "OOOOBIOO"
    assert {e.document for e in examples} == {"one.txt"}
    words, _, counts = brat(tmp_path / "b", "word")
    assert words[0].target == ("B-DS", "B-DS", "O", "O")
    assert counts.notes("word") == ("3 of 3 entities begin or end inside a word and are widened to it",)


def test_entities_that_tags_can_not_express_are_counted(tmp_path):
    text = "acute lung injury and\nfever"
    lines = ["T1\tDS 0 17\tacute lung injury", "T2\tBD 6 10\tlung", "T3\tDS 18 27\tand\\nfever", "T4\tST 0 5;11 17\tx"]
    write_brat(tmp_path / "b", "one", text, lines[:2] + lines[3:])
    examples, problems, counts = brat(tmp_path / "b", "word")
    assert examples[0].target == ("B-DS", "I-DS", "I-DS", "O") and problems == []
    assert counts.notes("word") == (
        "2 of 3 entities lie inside or across longer ones and are left out",
        "1 of 3 entities have gaps, which are filled",
    )
    write_brat(tmp_path / "c", "one", text, ["T3\tDS 18 27\tand fever"])
    examples, problems, counts = brat(tmp_path / "c", "word")
    assert set(examples[0].target) == {"O"} and problems == []
    assert counts.notes("word") == ("1 of 1 entities span a line end and are left out",)


def test_offsets_that_do_not_fit_the_text_are_reported_by_line_and_without_text(tmp_path):
    lines = ["T1\tDS 0 4\tlung", "T2\tDS 1 5\tlung", "T3\tDS 3 99\tlung", "T4\tDS x\tlung", "T5\tDS 4 4\t"]
    write_brat(tmp_path / "b", "one", "lung disease", lines)
    _, problems, _ = brat(tmp_path / "b", "word")
    assert [re.match(r"one\.ann line (\d)", problem)[1] for problem in problems] == list("2345")
    assert "lung" not in "".join(problems)
    with pytest.raises(DataError, match=r"no \.txt files"):
        brat(tmp_path / "nothing", "word")


def test_files_and_types_come_from_the_recipe_and_missing_splits_are_dealt(tmp_path, make_recipe):
    lines = [f"{word}{i} X {tag}" for i in range(120) for word, tag in (("폐", "B-BD"), ("폐렴", "B-DS"), ("", "O"))]
    blocks = ["\n".join(line if line[0] != " " else "x X O" for line in lines[i : i + 3]) for i in range(0, 360, 3)]
    (tmp_path / "n").mkdir()
    (tmp_path / "n" / "a.bio").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    entities = EntitySettings(files={"all": "a.bio"}, types=("DS",))
    settings = TaskSettings(task="files_ner", path="n", entities=entities)
    task = read(tmp_path, make_recipe, t=settings)["t"]
    assert task.labels == ("DS",)
    assert sum(task.rows.values()) == 120 and set(task.rows) == {"train", "dev", "test"}
    assert task.notes[0] == "dev 10%, test 10% of the rows without a split, chosen by hash"
    with pytest.raises(ConfigError, match="task files_ner needs entities"):
        read(tmp_path, make_recipe, t=settings.model_copy(update={"entities": None}))


def test_documents_of_columns_and_json_lines_are_resampled_as_wholes_and_stay_in_one_split(tmp_path, make_recipe):
    (tmp_path / "n").mkdir()
    columns = "".join(f"-DOCSTART- -X- O\n\n폐렴{i} B-DS\n\n소견{i} O\n흉수{i} B-ST\n\n" for i in range(60))
    objects = [
        json.dumps({"tokens": [f"폐렴{i}", f"흉수{i}"], "ner_tags": ["B-DS", "B-ST"], "document": i // 2})
        for i in range(120)
    ]
    for name, written in (("a.bio", columns), ("a.jsonl", "\n".join(objects))):
        (tmp_path / "n" / name).write_text(written, encoding="utf-8")
        settings = TaskSettings(task="files_ner", path="n", entities=EntitySettings(files={"all": name}))
        task = read(tmp_path, make_recipe, t=settings)["t"]
        splits = [{e.document for e in part} for part in (task.train, task.dev, task.sealed._splits["test"])]
        assert len(set().union(*splits)) == sum(map(len, splits)) == 60
        assert len(splits[2]) < 20
        assert task.notes[-1] == f"intervals and p are computed by resampling {len(splits[2])} whole documents"


def test_brat_files_of_one_name_in_two_folders_are_two_documents(tmp_path):
    for ward in ("ward-a", "ward-b"):
        (tmp_path / ward).mkdir()
        (tmp_path / ward / "1.txt").write_text("폐렴 있음\n", encoding="utf-8")
        (tmp_path / ward / "1.ann").write_text("T1\tDS 0 2\t폐렴\n", encoding="utf-8")
    (tmp_path / "2.txt").write_text("소견 없음\n", encoding="utf-8")
    (tmp_path / "2.ann").write_text("", encoding="utf-8")
    rows = list(read_brat(tmp_path, "word", Problems(), Counts()))
    assert [row.document for row in rows] == ["2.txt", "ward-a/1.txt", "ward-b/1.txt"]
    assert [row.id for row in rows] == [f"{row.document} line 1" for row in rows]


def test_sentences_of_unknown_documents_get_a_note_on_too_narrow_intervals(bc5cdr, tmp_path, make_recipe):
    plain = read(tmp_path, make_recipe, t=TaskSettings(task="bc5cdr", path="bc5cdr"))["t"]
    note = plain.notes[-1]
    assert "do not say which sentences belong to one document" in note and "too narrow" in note
    # One heading is no document.
    path = tmp_path / "a.txt"
    path.write_text("-DOCSTART- O\n\n폐렴 B-DS\n\n소견 O\n", encoding="utf-8")
    assert {e.document for e in read_columns(path, Problems())} == {""}


def test_km_berts_word_class_f1_is_sklearns_over_classes_without_borders():
    rng = np.random.default_rng(5)
    gold = [rng.integers(0, 7, 9) for _ in range(30)]
    predicted = [np.where(rng.random(9) < 0.4, 0, item) for item in gold]
    values = scores("ner", gold, predicted, ("BD", "DS", "ST"))
    classes = [(np.concatenate(items) + 1) // 2 for items in (gold, predicted)]
    assert values["class_f1"] == pytest.approx(f1_score(*classes, labels=[1, 2, 3], average="macro"), abs=1e-12)
    borders = [np.array([1, 2])], [np.array([1, 1])]
    assert scores("ner", *borders, ("BD",)) == {"f1": 0.0, "precision": 0.0, "recall": 0.0, "class_f1": 1.0}


def test_an_inside_tag_that_continues_nothing_is_refused_unless_the_files_are_known_to_begin_so(tmp_path, make_recipe):
    (tmp_path / "n").mkdir()
    lines = "\n\n".join(f"폐렴{i} I-DS\n소견 I-DS\n흉수 I-ST" for i in range(60)) + "\n"
    (tmp_path / "n" / "a.bio").write_text(lines, encoding="utf-8")
    entities = EntitySettings(files={"all": "a.bio"})
    settings = TaskSettings(task="files_ner", path="n", entities=entities)
    with pytest.raises(DataError, match="2 of 3 tags are I- but continue no entity"):
        read(tmp_path, make_recipe, t=settings)
    begin = settings.model_copy(update={"entities": entities.model_copy(update={"tag_scheme": "IOB1"})})
    task = read(tmp_path, make_recipe, t=begin)["t"]
    assert {e.target for e in task.train} == {("B-DS", "I-DS", "B-ST")}
    assert "120 tags I- that continue no entity begin one" in task.notes


@pytest.mark.data
def test_spanish_romanian_and_brat_files_are_read_whole(open_data, make_recipe):
    folders = {"ct_ebm_sp": "ner/ct_ebm_sp", "simonero_ro": "ner/simonero_ro", "meddocan": "phi/meddocan_es"}
    tasks = {name: TaskSettings(task=name, path=str(open_data / folder)) for name, folder in folders.items()}
    prepared = read(open_data, make_recipe, **tasks)
    assert len(prepared["ct_ebm_sp"].labels) == 7
    assert sum(prepared["simonero_ro"].read.values()) == 443
    meddocan = prepared["meddocan"]
    assert "NOMBRE_SUJETO_ASISTENCIA" in meddocan.labels
    assert not {e.document for e in meddocan.train} & {e.document for e in meddocan.dev}
