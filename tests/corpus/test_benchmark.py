import random
import sys

import pytest


@pytest.fixture
def benchmark(root, monkeypatch):
    monkeypatch.syspath_prepend(root / "benchmarks")
    monkeypatch.delitem(sys.modules, "corpus", raising=False)
    import corpus

    yield corpus
    del sys.modules["corpus"]


def test_the_benchmark_measures_every_step_of_a_part(benchmark, tmp_path):
    texts = benchmark.texts(None)[:100]
    benchmark.write_corpus(tmp_path / "much.jsonl", texts, 50_000)
    rates = benchmark.steps(
        benchmark.recipe_for(tmp_path / "much.jsonl", 1), tmp_path / "much.jsonl", benchmark.task_texts(texts)
    )
    assert {"read", "contamination", "write", "decisions"} <= rates.keys() and all(rate > 0 for rate in rates.values())


def test_text_for_the_benchmark_keeps_its_shape_and_is_no_copy(benchmark):
    text = "환자는 chest CT상 12 mm nodule 소견 보임. " * 20
    changed = benchmark.perturbed(benchmark.original(text), ["가", "b"], random.Random(1))
    assert len(changed.split()) == len(text.split()) and changed != text
