import json

import numpy as np
import pytest

from bimed_dist.errors import ConfigError, DataError
from bimed_dist.evaluation import stage
from bimed_dist.evaluation.preparation.folds import assign_folds, drop_unsplittable_types, fold_splits
from bimed_dist.evaluation.preparation.preparing import prepare_tasks
from bimed_dist.evaluation.task import Example
from bimed_dist.recipe.evaluation import EvaluatedModel, TaskSettings

ROWS = tuple(Example(f"line {i}", (f"text {i}", "b"), float(i % 6)) for i in range(300))


def test_every_row_is_tested_once_and_never_by_a_model_trained_or_chosen_on_it():
    folds = assign_folds("sts", {"train": ROWS[:200], "dev": ROWS[200:250], "test": ROWS[250:]}, 5)
    all_splits = [fold_splits(folds, i) for i in range(5)]
    tested = [example.id for splits in all_splits for example in splits["test"]]
    assert sorted(tested) == sorted(example.id for example in ROWS)
    for splits in all_splits:
        ids = [{example.id for example in splits[split]} for split in ("train", "dev", "test")]
        assert sum(map(len, ids)) == len(set().union(*ids)) == len(ROWS)
        assert all(ids)


def test_rows_of_one_document_share_a_fold_and_the_external_split_stays_out():
    visits = tuple(Example(str(i), (f"visit {i}",), (1,), document=f"patient {i % 7}") for i in range(70))
    folds = assign_folds("multilabel", {"test": visits}, 4)
    patients = [{example.document for example in fold} for fold in folds]
    assert sum(map(len, patients)) == len(set().union(*patients)) == 7
    assert sum(map(len, assign_folds("multilabel", {"test": visits[:30], "external": visits[30:]}, 4))) == 30


def test_labels_are_stratified_whatever_the_order_of_the_rows():
    rng = np.random.default_rng(0)
    targets = [tuple(int(value) for value in rng.random(4) < (0.5, 0.2, 0.05, 0.01)) for _ in range(600)]
    rows = [Example(str(i), (f"text {i}",), target) for i, target in enumerate(targets)]
    folds = assign_folds("multilabel", {"train": rows}, 5)
    sizes = [len(fold) for fold in folds]
    assert max(sizes) - min(sizes) <= 10
    for label in range(4):
        counts = [sum(example.target[label] for example in fold) for fold in folds]
        assert max(counts) - min(counts) <= (3, 2, 2, 1)[label], counts
    others = assign_folds("multilabel", {"train": rows[::-1][:300], "test": rows[::-1][300:]}, 5)
    assert [{e.id for e in fold} for fold in others] == [{e.id for e in fold} for fold in folds]


def test_an_entity_type_of_two_documents_is_never_tested_without_training():
    rare = {3: "B-RARE", 17: "B-RARE"}
    rows = [Example(str(i), ("x",), (rare.get(i, "B-DS" if i % 3 else "O"),), document=f"d{i}") for i in range(40)]
    for folds in (4, 5, 10):
        all_splits = [fold_splits(assign_folds("ner", {"all": rows}, folds), i) for i in range(folds)]
        for splits in all_splits:
            tags = {split: {tag for e in rows for tag in e.target} for split, rows in splits.items()}
            assert tags["test"] | tags["dev"] <= tags["train"]


def test_an_entity_type_of_a_single_document_is_dropped_with_a_note():
    rows = [Example(str(i), ("x", "y"), ("B-DS", "O"), document=f"d{i % 9}") for i in range(27)]
    rows += [Example("lone 1", ("u", "v"), ("B-LONE", "I-LONE"), document="d1")]
    rows += [Example("lone 2", ("v", "w"), ("B-LONE", "B-DS"), document="d1")]
    splits, notes = drop_unsplittable_types({"train": tuple(rows)})
    assert [e.target for e in splits["train"][-2:]] == [("O", "O"), ("O", "B-DS")]
    (note,) = notes
    assert note.startswith("1 type(s) of entities") and note.endswith("2 entities are left out")
    assert drop_unsplittable_types({"train": tuple(rows[:27])}) == ({"train": tuple(rows[:27])}, [])


@pytest.mark.data
def test_meddocans_rare_types_fit_into_five_folds(open_data, make_recipe):
    task = TaskSettings(task="meddocan", path=str(open_data / "phi" / "meddocan_es"), folds=5)
    found = prepare_tasks(make_recipe({"m": EvaluatedModel(folder="m")}, {"m": task}), open_data)["m"]
    sizes = [len(one.dev) for one in found.folds]
    assert max(sizes) < 1.2 * min(sizes)
    assert any(note.startswith("1 type(s) of entities") and "1 entities are left out" in note for note in found.notes)


@pytest.fixture
def recipe(korsts, tiny_model, make_recipe):
    models = {"base": EvaluatedModel(folder=str(tiny_model("base")))}
    return make_recipe(
        models, {"sts": TaskSettings(task="korsts", path="korsts", folds=3)}, learning_rates=(1e-3, 3e-3)
    )


def test_folds_are_written_and_their_predictions_scored_together(recipe, tmp_path):
    work = tmp_path / "work"
    stage.run(recipe, work)
    results = json.loads((work / "evaluation" / "results.json").read_text(encoding="utf-8"))
    assert results["failures"] == []
    (main,) = (row for row in results["scores"] if row["main"])
    assert (main["split"], main["n"], len(main["values"])) == ("test", results["tasks"]["sts"]["rows"]["test"], 2)
    assert results["tasks"]["sts"]["folds"] == 3
    assert main["interval"][0] < main["mean"] < main["interval"][1]
    written = json.loads((work / "evaluation" / "trials" / "sts" / "folds.json").read_text(encoding="utf-8"))["folds"]
    assert written["fold=3"]["chosen_on"] == "fold=1"
    (prepared,) = prepare_tasks(recipe, work).values()
    for one in prepared.folds:
        place = work / "evaluation" / "trials" / "sts" / one.fold / "base"
        key = json.loads((place / "choice.json").read_text(encoding="utf-8"))["key"]
        assert key["data_digest"] == one.digest
        tested = one.sealed.open(place / "choice.json", key)["test"]
        assert written[one.fold]["rows"] == [example.id for example in tested]
        assert len({e.digest for e in prepared.folds}) == 3
    assert sum(len(fold["rows"]) for fold in written.values()) == main["n"]


def test_folds_are_refused_for_tasks_without_training_and_with_max_rows(tmp_path, make_recipe):
    tasks = {
        "mlm": TaskSettings(task="mlm", corpus="c", folds=3),
        "sts": TaskSettings(task="korsts", path="korsts", folds=3, max_rows={"train": 5}),
    }
    with pytest.raises(ConfigError, match=r"(?s)takes no folds.*folds use all rows"):
        prepare_tasks(make_recipe({"m": EvaluatedModel(folder="m")}, tasks), tmp_path)


def test_a_fold_whose_training_split_lacks_an_entity_type_is_refused_by_name(bc5cdr, tmp_path, make_recipe):
    path = bc5cdr / "train.tsv"
    path.write_text(path.read_text(encoding="utf-8").replace("B-Disease", "B-Rare", 1), encoding="utf-8")
    other = bc5cdr / "test.tsv"
    other.write_text(other.read_text(encoding="utf-8").replace("B-Disease", "B-Rare", 1), encoding="utf-8")
    # Of three folds, the two that hold the type are each other's development split.
    tasks = {"ner": TaskSettings(task="bc5cdr", path="bc5cdr", folds=3)}
    with pytest.raises(
        DataError,
        match=r"ner: fold=\d: split (test|dev): 1 rows have an entity type that train lacks.*; take fewer folds",
    ):
        prepare_tasks(make_recipe({"m": EvaluatedModel(folder="m")}, tasks), tmp_path)


def test_folds_work_with_groups_dev_thresholds_windows_and_keyword_rules(tiny_model, tmp_path, make_recipe):
    texts = [f"{'폐렴 ' if i % 5 == 0 else ''}{i} {'nodule ' * 20}{'mass' if i % 2 else ''}" for i in range(120)]
    lines = [f"{text},{int(i % 5 == 0)},{i % 2},p{i // 2}" for i, text in enumerate(texts)]
    (tmp_path / "a.csv").write_text("\n".join(["text,pneumonia,mass,patient", *lines]) + "\n", encoding="utf-8")
    table = {
        "files": {"all": "a.csv"},
        "text_columns": ("text",),
        "label_columns": ("pneumonia", "mass"),
        "group_column": "patient",
    }
    settings = {
        "keyword_rules": {"pneumonia": ("폐렴",)},
        "threshold": "dev",
        "long_texts": "windows",
        "max_length": 16,
    }
    tasks = {"ct": TaskSettings(task="table_multilabel", path=str(tmp_path), table=table, folds=3, **settings)}
    recipe = make_recipe({"base": EvaluatedModel(folder=str(tiny_model("base")))}, tasks, learning_rates=(1e-3,))
    stage.run(recipe, tmp_path / "work")
    results = json.loads((tmp_path / "work" / "evaluation" / "results.json").read_text(encoding="utf-8"))
    assert results["failures"] == []
    (model,), (rules,) = ([row for row in results[kind] if row["main"]] for kind in ("scores", "baselines"))
    assert (model["split"], model["n"]) == (rules["split"], rules["n"]) == ("test", 120)
    notes = results["tasks"]["ct"]["notes"]
    assert notes[0].startswith("3-fold") and "base: 120 of 120 test rows read in windows of 16 tokens" in notes
    (prepared,) = prepare_tasks(recipe, tmp_path / "work").values()
    folds = [{e.document for e in (*one.dev,)} for one in prepared.folds]
    assert len(set().union(*folds)) == sum(map(len, folds)) == 60
    # The bootstrap resamples the same 60 patients for models and rules.
    tested = [example for one in prepared.folds for example in one.sealed._splits["test"]]
    assert prepared.rules["test"].examples == tuple(tested)
    for one in prepared.folds:
        place = tmp_path / "work" / "evaluation" / "trials" / "ct" / one.fold / "base"
        record = json.loads((place / "lr=0.001,epochs=1,seed=1.json").read_text(encoding="utf-8"))
        assert len(record["thresholds"]) == 2


def test_also_test_on_is_refused_with_folds(tmp_path, make_recipe):
    plain = {"task": "korsts", "path": "korsts"}
    tasks = {
        "a": TaskSettings(**plain, folds=3, also_test_on=("b",)),
        "b": TaskSettings(**plain),
        "c": TaskSettings(**plain, also_test_on=("a",)),
    }
    with pytest.raises(
        ConfigError, match=r"(?s)^2 problem.*tasks.a: also_test_on: neither.*tasks.c: also_test_on: neither"
    ):
        prepare_tasks(make_recipe({"m": EvaluatedModel(folder="m")}, tasks), tmp_path)
