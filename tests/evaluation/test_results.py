"""Resampled units, p values, effect sizes and notes of results.json."""

import itertools
from dataclasses import replace
from types import SimpleNamespace
from typing import get_args, get_origin, get_type_hints, is_typeddict

import numpy as np
import pytest
from scipy import stats

from bimed_dist.evaluation import comparisons, results
from bimed_dist.evaluation.grid.task_result import SplitResult, TaskResult
from bimed_dist.evaluation.metrics.resampling import prediction_sums
from bimed_dist.evaluation.preparation.preparing import prepare_tasks
from bimed_dist.evaluation.results_format import (
    Chosen,
    ComparisonRow,
    ModelEntry,
    Results,
    ScoreRow,
    TaskEntry,
    TaskGrid,
    WilliamsTest,
)
from bimed_dist.evaluation.task import Example
from bimed_dist.evaluation.tasks import TASKS
from bimed_dist.recipe.evaluation import EvaluatedModel, TaskSettings

from .conftest import results_of, write_corpus

WORDS = [("ko", "결절"), ("en", "lung"), ("ko", "소견"), ("en", "small nodule")]


def entries(value, kind):
    """Yield every object of results.json with the TypedDict that describes it."""
    if is_typeddict(kind):
        yield value, kind
        for name, hint in get_type_hints(kind).items():
            yield from entries(value.get(name), hint)
    elif value is not None:
        items = {dict: lambda: value.values(), list: lambda: value}.get(get_origin(kind), lambda: [value])()
        for item, hint in itertools.product(items, get_args(kind)):
            if hint is not type(None):
                yield from entries(item, hint)


def test_every_object_of_results_has_exactly_the_fields_of_its_description(evaluated):
    found = list(entries(results_of(evaluated.work), Results))
    described = {Results, ModelEntry, TaskEntry, TaskGrid, ScoreRow, Chosen, ComparisonRow, WilliamsTest}
    assert {kind for _, kind in found} >= described
    for value, kind in found:
        assert value.keys() == kind.__annotations__.keys(), kind


def test_windows_and_sentence_pairs_of_one_document_are_resampled_together(two_models, tmp_path, make_recipe):
    documents = [
        (language, "s", [f"{word} {i}", f"{word} mass", word, f"no {i}"]) for i, (language, word) in enumerate(WORDS)
    ]
    work = write_corpus(tmp_path / "work", documents)
    tasks = {"nsp": TaskSettings(task="nsp", corpus="c")}
    prepared = prepare_tasks(make_recipe(two_models, tasks), work)["nsp"]
    items = tuple(example for example in prepared.zero_shot_rows for _ in range(2))
    right = np.array([[float(example.document == items[0].document)] for example in items])
    split = SplitResult(gold={1: list(np.ones_like(right))}, predicted={1: list(right)}, scores={1: {"accuracy": 0}})
    split.examples = items
    resampled = results.resample_split(prepared, "test", {"base": TaskResult(splits={"test": split})}, 5)
    # Four documents of four items each, one of them all right.
    assert set(resampled["base"]["accuracy"]) == {0.0, 0.25, 0.5, 0.75, 1.0}


def test_p_of_few_documents_is_not_below_what_their_number_allows_and_a_note_names_them():
    def split(documents, right):
        examples = tuple(Example(str(i), ("a",), None, document=f"d{i % documents}") for i in range(4 * documents))
        gold = {draw: list(np.ones((len(examples), 1))) for draw in (1, 2)}
        predicted = {draw: [np.array([float(right)]) for _ in examples] for draw in (1, 2)}
        # Two draws that differ, as Hedges' g would have it.
        return SplitResult(gold, predicted, {1: {"accuracy": float(right)}, 2: {"accuracy": 0.5}}, examples)

    def splits(right):
        return TaskResult(
            splits={
                "test": split(30, right),
                "ko": split(3, right),
                "source x": replace(split(4, right), slice_by="source"),
            }
        )

    prepared = SimpleNamespace(name="t", task=TASKS["nsp"], labels=())
    models = {"base": EvaluatedModel(folder="x"), "adapted": EvaluatedModel(folder="y", adapted_from="base")}
    by_model = {"base": splits(False), "adapted": splits(True)}
    rows = []
    for name in ("test", "ko", "source x"):
        resampled = results.resample_split(prepared, name, by_model, 5)
        rows += comparisons.comparison_rows(models, prepared, name, by_model, resampled)
    assert [row["effect_sizes"].keys() for row in rows] == [{"cohens_h"}, {"cohens_h"}]
    compared = [(row["split"], row["p"], row["units"]) for row in rows]
    assert compared == [("test", pytest.approx(2 / 10_001), 30), ("ko", 0.25, 3)]
    (note,) = results.few_unit_notes(by_model["base"].splits)
    assert "resampled: ko 3 documents or patients, source x 4 documents or patients; intervals are too narrow" in note
    rows = {"test": SplitResult(examples=tuple(Example(str(i), ("a",), None) for i in range(19)))}
    assert "test 19 rows;" in results.few_unit_notes(rows)[0]
    rows["test"].examples += (Example("19", ("a",), None),)
    assert results.few_unit_notes(rows) == []


def test_metrics_that_depend_on_the_order_of_items_resample_whole_patients_too():
    rng = np.random.default_rng(0)
    gold, predicted = list(rng.random((9, 1))), list(rng.random((9, 1)))
    sums = prediction_sums("sts", gold, predicted, (), [f"patient {i % 3}" for i in range(9)])
    assert sums.sums.shape == (3, 6)
    # The first patient twice, the second not at all.
    rows = [0, 3, 6, 0, 3, 6, 2, 5, 8]
    expected = stats.spearmanr(*(np.concatenate([values[i] for i in rows]) for values in (gold, predicted))).statistic
    assert sums.from_counts(np.array([[2.0], [0.0], [1.0]]))["spearman"] == pytest.approx(expected)
