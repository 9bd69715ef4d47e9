import logging
from pathlib import Path

import pytest

from bimed_dist.corpus.contamination import build_index, screen
from bimed_dist.errors import ConfigError, DataError
from bimed_dist.evaluation.preparation.corpus_texts import task_texts
from bimed_dist.recipe.corpus import ContaminationSettings
from bimed_dist.recipe.loading import parse_recipe
from bimed_dist.recipe.recipe import Recipe

PAIRS = (
    (
        "A man is slicing a very large loaf of fresh bread in the kitchen.",
        "어떤 남자가 부엌에서 아주 큰 갓 구운 빵을 자르고 있다.",
    ),
    (
        "Two dogs are running quickly along the long sandy beach today.",
        "개 두 마리가 오늘 긴 모래사장을 따라 빠르게 달리고 있다.",
    ),
)
SETTINGS = ContaminationSettings()


def write_sts(folder: Path) -> None:
    for name, ending, header, side in (("korsts", "tsv", "h\n", 1), ("stsb", "csv", "", 0)):
        (folder / name).mkdir()
        for split in ("train", "dev", "test"):
            rows = [f"g\tf\ty\t{i}\t3.0\t{pair[side]} {split}\t{pair[side]}" for i, pair in enumerate(PAIRS)]
            (folder / name / f"sts-{split}.{ending}").write_text(header + "\n".join(rows) + "\n", encoding="utf-8")


def recipe(data: Path, tasks: dict[str, dict]) -> Recipe:
    models = {"m": {"folder": "hub/name"}}
    tree = {"name": "r", "seed": 1, "data": str(data), "evaluation": {"models": models, "tasks": tasks}}
    return parse_recipe(tree, where="test")


KORSTS = {"task": "korsts", "path": "korsts"}
STSB = {"task": "stsb_en", "path": "stsb"}


def test_every_text_of_every_split_has_its_place(tmp_path):
    write_sts(tmp_path)
    texts = list(task_texts(recipe(tmp_path, {"ko": KORSTS})).texts)
    assert len(texts) == 3 * 2 * 2
    assert (texts[0].task, texts[0].split, texts[0].row, texts[0].text) == (
        "ko", "train", "sts-train.tsv line 2", f"{PAIRS[0][1]} train",
    )  # fmt: skip


def test_english_text_of_a_korean_task_is_reported_for_the_korean_task_too(tmp_path):
    write_sts(tmp_path)
    index = build_index(task_texts(recipe(tmp_path, {"ko": KORSTS, "en": STSB})).texts, SETTINGS.splits)
    found = screen([[f"{PAIRS[1][0]} test"]], index, SETTINGS).overlaps
    assert {(o.task, o.through, o.split, o.row) for o in found if o.split == "test"} == {
        ("en", "", "test", "sts-test.csv line 2"),
        ("ko", "en", "test", "sts-test.tsv line 3"),
    }


def test_a_parallel_task_that_is_not_in_the_recipe_is_named(tmp_path, caplog):
    write_sts(tmp_path)
    with caplog.at_level(logging.INFO):
        list(task_texts(recipe(tmp_path, {"ko": KORSTS})).texts)
    assert "ko: its parallel task stsb_en is not in the recipe" in caplog.text


def test_parallel_tasks_of_unequal_length_are_refused(tmp_path):
    write_sts(tmp_path)
    path = tmp_path / "stsb" / "sts-dev.csv"
    path.write_text(path.read_text(encoding="utf-8").split("\n")[0] + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="same rows in two languages"):
        list(task_texts(recipe(tmp_path, {"ko": KORSTS, "en": STSB})).texts)


def test_tasks_on_held_out_documents_have_no_text_of_their_own_and_synthetic_ones_do(tmp_path):
    tasks = {
        "mlm": {"task": "mlm", "corpus": "c"},
        "ner": {"task": "synthetic_ner", "max_rows": {"train": 3, "dev": 2}},
    }
    tree = recipe(tmp_path, {"ner": tasks["ner"]}).model_dump(mode="json")
    tree["corpus"] = {"c": {"sources": [{"kind": "synthetic", "name": "s", "documents": 1}]}}
    tree["evaluation"]["tasks"]["mlm"] = tasks["mlm"]
    found = task_texts(parse_recipe(tree, where="test"))
    assert set(found.inputs) == {"task/ner"}
    assert [text.split for text in found.texts][:5] == ["train"] * 3 + ["dev"] * 2


def test_inputs_change_with_the_files_of_a_task(tmp_path):
    write_sts(tmp_path)
    before = task_texts(recipe(tmp_path, {"ko": KORSTS})).inputs
    (tmp_path / "korsts" / "sts-dev.tsv").write_text("h\n", encoding="utf-8")
    assert task_texts(recipe(tmp_path, {"ko": KORSTS})).inputs != before


def test_problems_of_all_tasks_are_reported_together_without_text(tmp_path):
    write_sts(tmp_path)
    for path in ("korsts/sts-dev.tsv", "stsb/sts-test.csv"):
        (tmp_path / path).write_text("비밀 내용\n비밀 내용\n", encoding="utf-8")
    with pytest.raises(DataError) as error:
        list(task_texts(recipe(tmp_path, {"ko": KORSTS, "en": STSB})).texts)
    assert "ko: sts-dev.tsv line 2" in str(error.value)
    assert "en: sts-test.csv line 1" in str(error.value)
    assert "비밀" not in str(error.value)


def test_a_table_that_does_not_suit_its_task_is_reported_with_the_name_of_the_task(tmp_path):
    write_sts(tmp_path)
    (tmp_path / "korsts" / "sts-dev.tsv").write_text("h\nx\n", encoding="utf-8")
    table = {"files": {"all": "a.csv"}, "text_columns": ["a", "b"], "label_columns": ["class"]}
    tasks = {"x": {"task": "table_classification", "path": "t", "table": table}, "ko": KORSTS}
    (tmp_path / "t").mkdir()
    with pytest.raises(DataError, match=r"(?s)x: table\.text_columns has 2 columns.*ko: sts-dev\.tsv line 2"):
        list(task_texts(recipe(tmp_path, tasks)).texts)


def test_an_unknown_task_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match=r"evaluation\.tasks\.x: there is no task y"):
        task_texts(recipe(tmp_path, {"x": {"task": "y"}}))


def test_a_recipe_without_evaluation_has_no_texts(tmp_path):
    found = task_texts(parse_recipe({"name": "r", "seed": 1, "data": str(tmp_path)}, where="test"))
    assert (dict(found.inputs), list(found.texts)) == ({}, [])


def test_texts_of_tables_are_read_by_the_columns_that_the_recipe_names(tmp_path):
    (tmp_path / "t").mkdir()
    lines = ["a,b,class", *(f"first {i},second {i},{i % 2}" for i in range(30))]
    (tmp_path / "t" / "a.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = {}
    for column in ("a", "b"):
        table = {"files": {"all": "a.csv"}, "text_columns": [column], "label_columns": ["class"]}
        task = {"task": "table_classification", "path": "t", "table": table}
        found[column] = task_texts(recipe(tmp_path, {"x": task}))
    assert [{one.text.split()[0] for one in of_column.texts} for of_column in found.values()] == [{"first"}, {"second"}]
    assert found["a"].inputs != found["b"].inputs
    with pytest.raises(ConfigError, match="needs table"):
        task_texts(recipe(tmp_path, {"x": {"task": "table_classification", "path": "t"}}))
