import json
import random

import numpy as np
import pytest
import torch
from transformers import AutoModel

from bimed_dist.errors import ConfigError, DataError
from bimed_dist.evaluation import stage
from bimed_dist.evaluation.metrics.scores import scores
from bimed_dist.evaluation.models.encoding import training_target
from bimed_dist.evaluation.models.loading import MeanPooled, mean_pooled
from bimed_dist.evaluation.preparation.preparing import prepare_tasks
from bimed_dist.recipe.evaluation import EvaluatedModel, TableSettings, TaskSettings

MODELS = {"m": EvaluatedModel(folder="x")}


def pairs(count, start=0):
    return [(f"first {i}, nodule", f"second {i}", f"{i % 11 / 2}") for i in range(start, start + count)]


def read(tmp_path, make_recipe, **tasks):
    return prepare_tasks(make_recipe(MODELS, tasks), tmp_path)


def write(path, lines, encoding="utf-8"):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes("".join(line + "\r\n" for line in lines).encode(encoding))


def test_medsts_is_read_from_its_original_files_with_test_scores_in_a_separate_file(tmp_path, make_recipe):
    train, test = pairs(60), pairs(20, 100)
    write(tmp_path / "m" / "clinicalSTS.train.txt", ["\t".join(pair) for pair in train])
    write(tmp_path / "m" / "clinicalSTS.test.txt", [f"{first}\t {second}" for first, second, _ in test])
    write(tmp_path / "m" / "clinicalSTS.test.gs.sim.txt", [score for *_, score in test])
    settings = TaskSettings(task="medsts", path="m")
    found = read(tmp_path, make_recipe, t=settings)["t"]
    assert found.read["test"] == 20 and found.read["train"] + found.read["dev"] == 60 and found.read["dev"] > 0
    assert {e.target for e in found.train} <= {i / 2 for i in range(11)}
    path = tmp_path / "m" / "clinicalSTS.test.gs.sim.txt"
    path.write_text("1.0\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"gs\.sim\.txt has 1 lines but clinicalSTS\.test\.txt has 20"):
        read(tmp_path, make_recipe, t=settings)
    path.unlink()
    with pytest.raises(DataError, match=r"clinicalSTS\.test\.txt line 1: 2 cells, needed 3"):
        read(tmp_path, make_recipe, t=settings)


def test_scores_of_other_pairs_are_never_used_for_medsts_test_pairs(tmp_path, make_recipe):
    train, test = pairs(60), pairs(20, 100)
    folder = tmp_path / "m"
    write(folder / "clinicalSTS.train.txt", ["\t".join(pair) for pair in train])
    write(folder / "clinicalSTS.test.txt", [f"{first}\t{second}" for first, second, _ in test])
    write(folder / "a.train.gs.txt", ["0.0"] * 20)
    write(folder / "clinicalSTS.test.gs.sim.txt", [score for *_, score in test])
    settings = TaskSettings(task="medsts", path="m")
    found = read(tmp_path, make_recipe, t=settings)["t"]
    assert [example.target for example in found.sealed._splits["test"]] == [float(score) for *_, score in test]
    (folder / "clinicalSTS.test.gs.sim.txt").rename(folder / "gs.txt")
    with pytest.raises(DataError, match=r"2 files with scores \(gs\), 0 of them named test; keep the one of the test"):
        read(tmp_path, make_recipe, t=settings)
    for name in ("test.gs.txt", "test.gs.new.txt"):
        write(folder / name, ["0.0"] * 20)
    with pytest.raises(DataError, match="2 of them named test"):
        read(tmp_path, make_recipe, t=settings)


def test_blues_tsv_is_read_by_column_names(tmp_path, make_recipe):
    header = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore"
    for split, start, count in (("train", 0, 40), ("dev", 50, 10), ("test", 70, 12)):
        lines = [f'{i}\tg\tf\t2018\t{i}\ts\ts\t"{a}\t{b}\t{c}' for i, (a, b, c) in enumerate(pairs(count, start))]
        write(tmp_path / "b" / f"{split}.tsv", [header, *lines])
    found = read(tmp_path, make_recipe, t=TaskSettings(task="medsts_blue", path="b"))["t"]
    assert found.rows == {"train": 40, "dev": 10, "test": 12}
    assert found.train[0].texts == ('"first 0, nodule', "second 0")


@pytest.mark.parametrize("encoding", ["cp949", "utf-8"])
def test_korean_medsts_is_read_from_km_berts_csv_in_cp949_or_utf_8(encoding, tmp_path, make_recipe):
    rows = [
        f'{i},{"train" if i < 60 else "test"},x,{c},"환자 {i}, 폐렴",둘째 {i}' for i, (_, _, c) in enumerate(pairs(80))
    ]
    write(tmp_path / "k" / "medsts_ko.csv", ["번호,구분,출처,점수,문장1,문장2", *rows], encoding)
    found = read(tmp_path, make_recipe, t=TaskSettings(task="medsts_ko", path="k"))["t"]
    assert found.read["test"] == 20
    assert found.train[0].texts[0].startswith("환자 ") and ", 폐렴" in found.train[0].texts[0]


def test_any_csv_of_pairs_is_read_by_named_columns(tmp_path, make_recipe):
    write(
        tmp_path / "p" / "a.csv", ["가,나,점수", *(f"{a.replace(',', ' ')},{b},{c}" for a, b, c in pairs(80))], "cp949"
    )
    table = TableSettings(files={"all": "a.csv"}, text_columns=("가", "나"), label_columns=("점수",), encoding="cp949")
    tasks = {name: TaskSettings(task=name, path="p", table=table) for name in ("table_sts", "table_sts_six")}
    found = read(tmp_path, make_recipe, **tasks)
    assert sum(found["table_sts"].rows.values()) == 80
    assert (found["table_sts"].task.kind, found["table_sts_six"].task.kind) == ("sts", "sts_classes")


def test_the_six_class_variant_rounds_half_points_up_and_correlates_the_class_with_the_score():
    gold = np.array([0.0, 0.49, 0.5, 2.5, 3.5, 4.4, 4.5, 5.0])
    classes = [int(training_target("sts_classes", np.array([score]))[0]) for score in gold]
    assert classes == [0, 0, 1, 3, 4, 4, 5, 5]
    predicted = np.array(classes, dtype=float)[:, None]
    found = scores("sts_classes", list(gold[:, None]), list(predicted))
    assert found["pearson"] == pytest.approx(np.corrcoef(gold, classes)[0, 1])


def test_mean_pooling_ignores_padding(tiny_model):
    encoder = AutoModel.from_pretrained(str(tiny_model("m"))).eval()
    short = {"input_ids": torch.tensor([[2, 7, 3]]), "attention_mask": torch.ones(1, 3, dtype=torch.long)}
    padded = {name: torch.nn.functional.pad(tensor, (0, 4)) for name, tensor in short.items()}
    with torch.no_grad():
        expected = encoder(**short).last_hidden_state.mean(dim=1)
        assert torch.allclose(mean_pooled(encoder, padded), expected, atol=1e-5)
        head = MeanPooled(encoder, 6).eval()
        assert torch.allclose(head(**padded).logits, head.head(expected), atol=1e-5)


def write_sts(folder, words, seed):
    rng = random.Random(seed)
    folder.mkdir()
    for split, rows in (("train", 40), ("dev", 12), ("test", 16)):
        lines = ["genre\tfilename\tyear\tid\tscore\tsentence1\tsentence2"]
        for i in range(rows):
            first, second = (" ".join(rng.choices(words, k=4)) + f" {split} {i}" for _ in range(2))
            lines.append(f"main\tf\t2012\t{i}\t{len(set(first.split()) & set(second.split()))}.000\t{first}\t{second}")
        (folder / f"sts-{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_also_test_on_scores_the_models_on_another_task_and_drops_leaks_between_them(tiny_model, tmp_path, make_recipe):
    write_sts(tmp_path / "en", ["lung", "nodule", "mass"], 1)
    write_sts(tmp_path / "ko", ["폐", "결절", "종괴"], 2)
    line = (tmp_path / "ko" / "sts-test.tsv").read_text(encoding="utf-8").split("\n")[1]
    path = tmp_path / "en" / "sts-train.tsv"
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    tasks = {
        "english": TaskSettings(task="korsts", path="en", also_test_on=("korean",), description={"language": "en"}),
        "korean": TaskSettings(task="korsts", path="ko", pooling="mean"),
    }
    recipe = make_recipe({"m": EvaluatedModel(folder=str(tiny_model("m")))}, tasks, seeds=(1,))
    stage.run(recipe, tmp_path / "work")
    found = json.loads((tmp_path / "work" / "evaluation" / "results.json").read_text(encoding="utf-8"))
    assert found["failures"] == []
    english = found["tasks"]["english"]
    assert english["rows"] == {"train": 40, "dev": 12, "test": 16, "test of korean": 16}
    assert english["dropped"]["leaked"] == 1
    # Leaked rows count as dropped, not as rows beyond the limit.
    assert english["kept_of"] == {"train": 40, "dev": 12, "test": 16}
    assert english["split_languages"] == {"test of korean": "ko"}
    splits = {row["split"] for row in found["scores"] if row["task"] == "english"}
    assert splits == {"test", "test of korean"}
    own = prepare_tasks(recipe, tmp_path / "work")
    assert (
        own["english"].digest != prepare_tasks(recipe_without(recipe, "english"), tmp_path / "work")["english"].digest
    )


def test_a_split_that_is_empty_without_its_leaked_rows_is_refused(korsts, tmp_path, make_recipe):
    other = tmp_path / "other"
    other.mkdir()
    for split, of_other in (("train", "train"), ("dev", "test"), ("test", "dev")):
        (other / f"sts-{of_other}.tsv").write_bytes((korsts / f"sts-{split}.tsv").read_bytes())
    tasks = {
        "own": TaskSettings(task="korsts", path="korsts", also_test_on=("other",)),
        "other": TaskSettings(task="korsts", path="other"),
    }
    problem = "own: also_test_on: without the rows that other test splits hold too, split dev is empty"
    with pytest.raises(DataError, match=problem):
        read(tmp_path, make_recipe, **tasks)


def recipe_without(recipe, name):
    task = recipe.evaluation.tasks[name].model_copy(update={"also_test_on": ()})
    evaluation = recipe.evaluation.model_copy(update={"tasks": {**recipe.evaluation.tasks, name: task}})
    return recipe.model_copy(update={"evaluation": evaluation})


def test_also_test_on_needs_an_existing_task_of_the_same_kind(korsts, bc5cdr, tmp_path, make_recipe):
    ner = TaskSettings(task="bc5cdr", path="bc5cdr")
    unknown = TaskSettings(task="korsts", path="korsts", also_test_on=("nothing", "s"))
    with pytest.raises(ConfigError, match="also_test_on: nothing is not another task"):
        read(tmp_path, make_recipe, s=unknown, n=ner)
    other = unknown.model_copy(update={"also_test_on": ("n",)})
    with pytest.raises(DataError, match="s: also_test_on: n is of another kind or has other labels"):
        read(tmp_path, make_recipe, s=other, n=ner)


def test_the_six_class_variant_runs_from_file_to_results(korsts, tiny_model, tmp_path, make_recipe):
    lines = [line.split("\t") for line in (korsts / "sts-train.tsv").read_text(encoding="utf-8").split("\n")[1:-1]]
    write(tmp_path / "s" / "a.csv", ["a,b,score", *(f"{x[5]},{x[6]} {i},{x[4]}" for i, x in enumerate(lines * 3))])
    table = TableSettings(files={"all": "a.csv"}, text_columns=("a", "b"), label_columns=("score",))
    tasks = {"six": TaskSettings(task="table_sts_six", path="s", table=table)}
    recipe = make_recipe({"m": EvaluatedModel(folder=str(tiny_model("m")))}, tasks, seeds=(1,), epochs=(4,))
    stage.run(recipe, tmp_path / "work")
    found = json.loads((tmp_path / "work" / "evaluation" / "results.json").read_text(encoding="utf-8"))
    # After so few steps every pair may get the same class, and the correlation is undefined.
    assert found["tasks"]["six"]["kind"] == "sts_classes"
    assert found["scores"] or all("all equal" in failure["error"] for failure in found["failures"])
