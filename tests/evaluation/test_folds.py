import json

import pytest

from bimed_dist.errors import ConfigError, DataError
from bimed_dist.evaluation import stage
from bimed_dist.evaluation.folds import dealt, fold_of, turn
from bimed_dist.evaluation.preparation import prepare_tasks
from bimed_dist.evaluation.task import Example
from bimed_dist.evaluation_settings import EvaluatedModel, TaskSettings

ROWS = tuple(Example(f"line {i}", (f"text {i}", "b"), float(i % 6)) for i in range(300))


def test_every_row_is_tested_once_and_never_by_a_model_that_it_trained_or_chose():
    folds = dealt("sts", {"train": ROWS[:200], "dev": ROWS[200:250], "test": ROWS[250:]}, 5)
    turns = [turn(folds, i) for i in range(5)]
    tested = [example.id for of_turn in turns for example in of_turn["test"]]
    assert sorted(tested) == sorted(example.id for example in ROWS)
    for of_turn in turns:
        ids = [{example.id for example in of_turn[split]} for split in ("train", "dev", "test")]
        assert sum(map(len, ids)) == len(set().union(*ids)) == len(ROWS)
        assert all(ids)


def test_rows_of_one_document_share_a_fold_and_the_external_split_stays_out():
    visits = tuple(Example(str(i), (f"visit {i}",), (1,), document=f"patient {i % 7}") for i in range(70))
    assert all(fold_of("multilabel", e, 4) == fold_of("multilabel", visits[i % 7], 4) for i, e in enumerate(visits))
    assert sum(map(len, dealt("multilabel", {"test": visits[:30], "external": visits[30:]}, 4))) == 30


@pytest.fixture
def recipe(korsts, tiny_model, make_recipe):
    models = {"base": EvaluatedModel(folder=str(tiny_model("base")))}
    return make_recipe(
        models, {"sts": TaskSettings(task="korsts", path="korsts", folds=3)}, learning_rates=(1e-3, 3e-3)
    )


def test_folds_are_written_down_and_their_predictions_are_scored_together(recipe, tmp_path):
    work = tmp_path / "work"
    stage.run(recipe, work)
    results = json.loads((work / "evaluation" / "results.json").read_text(encoding="utf-8"))
    assert results["failures"] == []
    (main,) = (row for row in results["scores"] if row["main"])
    assert (main["split"], main["n"], len(main["values"])) == ("test", results["tasks"]["sts"]["rows"]["test"], 2)
    assert results["tasks"]["sts"]["folds"] == 3
    assert main["interval"][0] < main["mean"] < main["interval"][1]
    written = json.loads((work / "evaluation" / "cells" / "sts" / "folds.json").read_text(encoding="utf-8"))["folds"]
    assert written["fold=3"]["chosen_on"] == "fold=1"
    (prepared,) = prepare_tasks(recipe, work).values()
    for one in prepared.folds:
        place = work / "evaluation" / "cells" / "sts" / one.fold / "base"
        key = json.loads((place / "choice.json").read_text(encoding="utf-8"))["key"]
        assert key["data_digest"] == one.digest
        tested = one.sealed.open(place / "choice.json", key)["test"]
        assert written[one.fold]["rows"] == [example.id for example in tested]
        assert len({e.digest for e in prepared.folds}) == 3
    assert sum(len(fold["rows"]) for fold in written.values()) == main["n"]


def test_folds_are_refused_where_nothing_is_trained_and_with_limited_rows(tmp_path, make_recipe):
    tasks = {
        "mlm": TaskSettings(task="mlm", corpus="c", folds=3),
        "sts": TaskSettings(task="korsts", path="korsts", folds=3, rows={"train": 5}),
    }
    with pytest.raises(ConfigError, match=r"(?s)takes no folds.*folds take all rows"):
        prepare_tasks(make_recipe({"m": EvaluatedModel(folder="m")}, tasks), tmp_path)


def test_a_fold_without_a_type_of_entity_in_training_is_refused_by_its_name(bc5cdr, tmp_path, make_recipe):
    path = bc5cdr / "train.tsv"
    path.write_text(path.read_text(encoding="utf-8").replace("B-Disease", "B-Rare", 1), encoding="utf-8")
    tasks = {"ner": TaskSettings(task="bc5cdr", path="bc5cdr", folds=3)}
    with pytest.raises(
        DataError, match=r"ner: fold=\d: split (test|dev): 1 rows have a type of entity that train has not"
    ):
        prepare_tasks(make_recipe({"m": EvaluatedModel(folder="m")}, tasks), tmp_path)


def test_folds_pool_groups_tuned_thresholds_and_windows_with_the_rules_on_the_same_rows(
    tiny_model, tmp_path, make_recipe
):
    texts = [f"{'폐렴 ' if i % 5 == 0 else ''}{i} {'nodule ' * 20}{'mass' if i % 2 else ''}" for i in range(120)]
    lines = [f"{text},{int(i % 5 == 0)},{i % 2},p{i // 2}" for i, text in enumerate(texts)]
    (tmp_path / "a.csv").write_text("\n".join(["text,pneumonia,mass,patient", *lines]) + "\n", encoding="utf-8")
    table = {"files": {"all": "a.csv"}, "texts": ("text",), "targets": ("pneumonia", "mass"), "group": "patient"}
    settings = {"rules": {"pneumonia": ("폐렴",)}, "threshold": "dev", "long_texts": "windows", "max_length": 16}
    tasks = {"ct": TaskSettings(task="table_multilabel", path=str(tmp_path), table=table, folds=3, **settings)}
    recipe = make_recipe({"base": EvaluatedModel(folder=str(tiny_model("base")))}, tasks, learning_rates=(1e-3,))
    stage.run(recipe, tmp_path / "work")
    results = json.loads((tmp_path / "work" / "evaluation" / "results.json").read_text(encoding="utf-8"))
    assert results["failures"] == []
    (model,), (rules,) = ([row for row in results[kind] if row["main"]] for kind in ("scores", "baselines"))
    assert (model["split"], model["n"]) == (rules["split"], rules["n"]) == ("test", 120)
    notes = results["tasks"]["ct"]["notes"]
    assert notes[0].startswith("3-fold") and "base: 120 of 120 test rows read in windows of 16 pieces" in notes
    (prepared,) = prepare_tasks(recipe, tmp_path / "work").values()
    folds = [{e.document for e in (*one.dev,)} for one in prepared.folds]
    assert len(set().union(*folds)) == sum(map(len, folds)) == 60
    # The bootstrap draws 60 patients for models and rules alike, in the same order.
    tested = [example for one in prepared.folds for example in one.sealed._parts["test"]]
    assert prepared.rules["test"].examples == tuple(tested)
    for one in prepared.folds:
        place = tmp_path / "work" / "evaluation" / "cells" / "ct" / one.fold / "base"
        record = json.loads((place / "lr=0.001,epochs=1,seed=1.json").read_text(encoding="utf-8"))
        assert len(record["thresholds"]) == 2


def test_a_task_with_folds_lends_no_test_split_and_borrows_none(tmp_path, make_recipe):
    plain = {"task": "korsts", "path": "korsts"}
    tasks = {
        "a": TaskSettings(**plain, folds=3, also_test=("b",)),
        "b": TaskSettings(**plain),
        "c": TaskSettings(**plain, also_test=("a",)),
    }
    with pytest.raises(ConfigError, match=r"(?s)^2 problem.*tasks.a: also_test: neither.*tasks.c: also_test: neither"):
        prepare_tasks(make_recipe({"m": EvaluatedModel(folder="m")}, tasks), tmp_path)
