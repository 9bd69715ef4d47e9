"""Tasks that train nothing: repetitions, sources, terms and retrieval."""

import shutil

import numpy as np
import pytest
import torch

from bimed_dist.errors import ConfigError, DataError
from bimed_dist.evaluation import stage
from bimed_dist.evaluation.metrics.scores import scores
from bimed_dist.evaluation.models.loading import load_head_model
from bimed_dist.evaluation.models.zero_shot import sentence_embeddings, translation_ranks, words_to_mask
from bimed_dist.evaluation.preparation.preparing import prepare_tasks
from bimed_dist.evaluation.readers.held_out import read_term_windows
from bimed_dist.evaluation.task import Example, TaskInputs
from bimed_dist.hugging_face import load_tokenizer
from bimed_dist.recipe.base import TermList
from bimed_dist.recipe.evaluation import EvaluatedModel, TaskSettings

from .conftest import document_line, results_of, write_corpus


def test_repetitions_sources_and_probabilities_of_pairs_are_in_the_results(tiny_model, tmp_path, make_recipe):
    documents = [("en", f"s{i % 2}", [f"lung {i}", f"mass {i}", "small nodule", f"no {i}"]) for i in range(4)]
    work = write_corpus(tmp_path / "work", documents)
    tasks = {
        "mlm": TaskSettings(task="mlm", corpus="c", repetitions=5),
        "nsp": TaskSettings(task="nsp", corpus="c", repetitions=3),
    }
    models = {
        "m": EvaluatedModel(folder=str(tiny_model("m"))),
        "n": EvaluatedModel(folder=str(tiny_model("n", seed=1)), adapted_from="m"),
    }
    stage.run(make_recipe(models, tasks, seeds=(7,)), work)
    results = results_of(work)
    assert results["failures"] == []
    rows = {(r["task"], r["split"], r["metric"]): r for r in results["scores"] if r["model"] == "m"}
    assert {split for task, split, _ in rows if task == "mlm"} == {"test", "source s0", "source s1"}
    masked = rows["mlm", "source s0", "accuracy"]
    assert len(masked["values"]) == 5 and masked["sd"] is not None
    assert len(set(rows["mlm", "test", "bits_per_character"]["values"])) == 5
    assert len(rows["nsp", "test", "mean_next_probability"]["values"]) == 3
    assert not [row for row in results["comparisons"] if row["split"].startswith("source ")]
    histogram = results["tasks"]["nsp"]["next_probabilities"]["m"]
    pairs = rows["nsp", "test", "accuracy"]["n"]
    assert {side: sum(counts) for side, counts in histogram.items()} == {"next": 3 * pairs / 2, "random": 3 * pairs / 2}
    assert len(histogram["next"]) == 20


def test_repetitions_are_refused_for_tasks_without_random_masks_or_pairs(korsts, tmp_path, make_recipe):
    settings = TaskSettings(task="korsts", path="korsts", repetitions=5)
    with pytest.raises(ConfigError, match="takes no repetitions"):
        prepare_tasks(make_recipe({"m": {"folder": "x"}}, {"s": settings}), tmp_path)


def test_words_of_terms_are_masked_even_if_a_particle_or_a_comma_follows(tmp_path):
    sentence = "환자는 급성 기관지염이 있고 폐렴은 없음, Acute Bronchitis, 폐렴구균백신 pneumoniae"
    line = document_line(1, "mixed", [[sentence], ["다른 말"]])
    (tmp_path / "held_out.jsonl").write_text(line + "\n", encoding="utf-8")
    terms = ("급성 기관지염", "폐렴", "acute bronchitis", "pneumonia", "()")
    data = read_term_windows(TaskInputs(tmp_path, 1, {}, 120, terms=terms))
    (example,) = data.splits["test"]
    marked = [word for word, mark in zip(example.texts, example.target, strict=True) if mark]
    assert marked == ["급성", "기관지염이", "폐렴은", "Acute", "Bronchitis,"]
    assert words_to_mask(example, 1).tolist() == words_to_mask(example, 2).tolist() == [bool(m) for m in example.target]
    assert data.notes == ("5 words of 4 terms, the same for every model",)


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("CT에서 결절이 보임", ["CT에서"]),
        ("(CT), ct상, MRI로 확인", ["(CT),", "ct상,", "MRI로"]),
        ("이전 chest CT상 chest CT촬영실에서", ["chest", "CT상"]),
        ("암이 암으로 암세포에서 대장암 암모니아", ["암이", "암으로"]),
        ("CTA에서 PET-CT에서 CT2에서 CT의2 CT(조영)에서 에서", []),
        ("\u1111\u1168\u1105\u1167\u11b7이 있음", ["\u1111\u1168\u1105\u1167\u11b7이"]),
    ],
)
def test_a_term_of_any_script_may_carry_a_particle_and_nothing_longer(text, marked, tmp_path):
    (tmp_path / "held_out.jsonl").write_text(document_line(1, "mixed", [[text]]) + "\n", encoding="utf-8")
    terms = ("CT", "MRI", "chest CT", "암", "폐렴")
    examples = read_term_windows(TaskInputs(tmp_path, 1, {}, 120, terms=terms)).splits["test"]
    words = [word for e in examples for word, mark in zip(e.texts, e.target, strict=True) if mark]
    assert words == marked


def test_masked_terms_run_from_the_list_to_results(tiny_model, tmp_path, make_recipe):
    documents = [("en", "s", [f"the lung shows a small nodule {i}", "without effusion"]) for i in range(3)]
    work = write_corpus(tmp_path / "work", documents)
    (tmp_path / "terms.csv").write_text("ko,en\n결절,nodule\n흉수,effusion\n", encoding="utf-8")
    terms = TermList(path="terms.csv", columns=("ko", "en"))
    settings = TaskSettings(task="mlm_terms", corpus="c", terms=terms)
    recipe = make_recipe({"m": EvaluatedModel(folder=str(tiny_model("m")))}, {"t": settings})
    stage.run(recipe, work)
    results = results_of(work)
    (row,) = [row for row in results["scores"] if row["metric"] == "word_accuracy"]
    assert len(row["values"]) == 1
    assert results["tasks"]["t"]["notes"][0] == "6 words of 4 terms, the same for every model"
    (tmp_path / "terms.csv").write_text("ko,en\n결절,nodule\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="other inputs"):
        stage.run(recipe, work)


def test_ties_count_against_the_translation(tiny_model):
    folder = str(tiny_model("m"))
    tokenizer, model = load_tokenizer(folder), load_head_model(folder, "retrieval")
    texts = ["폐 결절", "small nodule", "the mass today", "흉수 없음"]
    same = [Example(str(i), (text, text), None) for i, text in enumerate(texts)]
    assert [ranks.tolist() for ranks in translation_ranks(model, tokenizer, same, 64)] == [[1.0, 1.0]] * 4
    equal = [Example(str(i), ("mass", "mass"), None) for i in range(3)]
    assert [ranks.tolist() for ranks in translation_ranks(model, tokenizer, equal, 64)] == [[3.0, 3.0]] * 3
    turned = [Example(str(i), (texts[i], texts[i - 1]), None) for i in range(4)]
    assert all((ranks > 1).all() for ranks in translation_ranks(model, tokenizer, turned, 64))


def test_embeddings_are_normalized_means_over_tokens(tiny_model):
    folder = str(tiny_model("m"))
    tokenizer, model = load_tokenizer(folder), load_head_model(folder, "retrieval")
    vectors = sentence_embeddings(model, tokenizer, ["폐 결절", "the small mass today"], 64)
    with torch.no_grad():
        mean = model(**tokenizer(["폐 결절"], return_tensors="pt")).last_hidden_state[0].mean(dim=0).numpy()
    assert vectors[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0)


def test_retrieval_scores_are_hits_of_both_directions():
    ranks = [np.array([1.0, 1.0]), np.array([1.0, 4.0]), np.array([2.0, 1.0])]
    found = scores("retrieval", [], ranks, ("Korean", "English"))
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["mean_reciprocal_rank"] == pytest.approx((4 + 0.5 + 0.25) / 6)
    assert found["korean_to_english_accuracy"] == found["english_to_korean_accuracy"] == pytest.approx(2 / 3)


def test_texts_that_are_not_aligned_are_refused(tmp_path, make_recipe):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "covid19_cdc.ko.txt").write_text("하나\n둘\n", encoding="utf-8")
    (tmp_path / "r" / "covid19_cdc.en.txt").write_text("one\n", encoding="utf-8")
    recipe = make_recipe({"m": {"folder": "x"}}, {"r": TaskSettings(task="covid19_retrieval", path="r")})
    with pytest.raises(DataError, match="2 Korean lines and 1 English lines"):
        prepare_tasks(recipe, tmp_path)


@pytest.mark.data
def test_retrieval_runs_on_the_published_guidelines(open_data, tiny_model, tmp_path, make_recipe):
    shutil.copytree(open_data / "corpus" / "covid19_cdc", tmp_path / "r")
    settings = TaskSettings(task="covid19_retrieval", path="r")
    recipe = make_recipe({"m": EvaluatedModel(folder=str(tiny_model("m")))}, {"r": settings})
    stage.run(recipe, tmp_path / "work")
    results = results_of(tmp_path / "work")
    scores = {row["metric"]: row for row in results["scores"]}
    assert set(scores) >= {"accuracy", "mean_reciprocal_rank", "korean_to_english_accuracy"}
    assert len(scores["accuracy"]["values"]) == 1 and scores["accuracy"]["n"] > 240
    assert scores["accuracy"]["interval"] is not None
