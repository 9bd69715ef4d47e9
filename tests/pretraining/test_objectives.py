"""Sentence objectives, validation averages and dropout of a run."""

import math

import pytest
import torch
from safetensors.torch import load_file

from bimed_dist.evaluation.models.loading import load_head_model
from bimed_dist.hugging_face import load_tokenizer
from bimed_dist.model.foundation import load_bert, load_foundation
from bimed_dist.pretraining import loop
from bimed_dist.pretraining.inputs import prepare_module
from bimed_dist.recipe.loading import load_recipe
from bimed_dist.shards.batches import validation_batches
from bimed_dist.shards.reading import ShardSet

from .conftest import TIMEOUT, as_options


def test_without_a_sentence_objective_only_mlm_is_trained_whatever_the_engine(job, tmp_path, forks):
    changes = ("sentence_objective=none", "steps=4", "warmup_steps=0", "dropout=0.0")
    other = job.copy(tmp_path / "zero3")
    job.run_here(*changes)
    running = forks.start(other.arguments(*as_options(changes)), 2, "zero3")
    assert running.wait(TIMEOUT) == [0, 0], running.output()

    weights, spread = (load_file(j.folder() / "export" / "model.safetensors") for j in (job, other))
    before = load_file(job.work / "model" / "tiny" / "model.safetensors")
    assert before.keys() - weights.keys() == {"cls.seq_relationship.weight", "cls.seq_relationship.bias"}
    for name, weight in weights.items():
        torch.testing.assert_close(spread[name], weight, rtol=0, atol=5e-6)  # as in test_engines.py
        if "pooler" in name:
            assert torch.equal(weight, before[name])
    assert not torch.equal(weights["bert.encoder.layer.0.output.dense.weight"],
                           before["bert.encoder.layer.0.output.dense.weight"])  # fmt: skip
    for line in job.metrics("train") + job.metrics("validation"):
        assert {key for key in line if key.endswith(("_loss", "_accuracy"))} == {"mlm_loss", "mlm_accuracy"}


def test_a_model_trained_on_sentence_order_has_no_nsp_head_and_can_be_trained_further(job):
    job.run_here("sentence_objective=sentence_order", "steps=4", "warmup_steps=0")
    last = job.metrics("validation")[-1]
    assert {"mlm_loss", "mlm_accuracy", "sop_loss", "sop_accuracy"} <= last.keys()
    assert not any(key.startswith("nsp") for key in last)
    export = job.folder() / "export"
    # The evaluation shows n/a for a model without this head.
    assert load_head_model(str(export), "nsp") is None
    assert load_head_model(str(export), "mlm") is not None
    assert load_foundation(str(export), 1).new_heads == ("nsp_head",)
    card = (export / "README.md").read_text(encoding="utf-8")
    assert "sentence order prediction" in card and f"SOP loss {last['sop_loss']:.3f}" in card


def test_validation_is_averaged_by_language_and_by_source(job):
    job.run_here("steps=4", "warmup_steps=0")
    for line in job.metrics("validation"):
        assert line["by_source"].keys() == {"synthetic"}
        assert set(line["by_language"]) == {"ko", "en", "mixed"}
        for key in ("mlm_loss", "nsp_loss", "mlm_accuracy", "nsp_accuracy"):
            assert line["by_source"]["synthetic"][key] == line[key]
            values = [part[key] for part in line["by_language"].values()]
            assert min(values) <= line[key] <= max(values)


def test_bits_per_character_are_the_losses_over_the_masked_characters(job):
    job.run_here("steps=4", "warmup_steps=0")
    settings = load_recipe(job.recipe).pretraining["run"]
    shards = ShardSet.open(job.work / "shards" / "tokens", "held_out")
    labels = [
        label
        for batch in validation_batches(shards, settings, seed=11, rank=0, world_size=1)
        for label in batch.mlm_labels.tolist()
    ]
    tokens = load_tokenizer(str(job.work / "model" / "tiny")).convert_ids_to_tokens(labels)
    characters = sum(len(token.removeprefix("##")) for token in tokens)
    for line in job.metrics("validation"):
        bits = line["mlm_loss"] * len(labels) / math.log(2) / characters
        assert line["mlm_bits_per_character"] == pytest.approx(bits, rel=1e-12)


def test_attention_dropout_can_be_set_apart_from_the_rest(job):
    changes = ("pretraining.run.dropout=0.2", "pretraining.run.attention_dropout=0.0")
    settings = load_recipe(job.recipe, changes).pretraining["run"]
    bert = prepare_module(load_bert(job.work / "model" / "tiny"), settings).model.bert
    for layer in bert.encoder.layer:
        assert layer.attention.self.dropout.p == 0.0
        assert layer.attention.output.dropout.p == layer.output.dropout.p == 0.2
    assert bert.embeddings.dropout.p == 0.2


def test_every_micro_batch_of_every_step_draws_its_own_dropout(job, monkeypatch):
    drawn, before = [], loop.seed_dropout
    monkeypatch.setattr(loop, "seed_dropout", lambda *numbers: (drawn.append(numbers), before(*numbers)))
    job.run_here("steps=3", "warmup_steps=0")  # 8 rows per step, in micro-batches of 2
    assert [(step, micro) for _, step, micro in drawn] == [(step, micro) for step in range(3) for micro in range(4)]
