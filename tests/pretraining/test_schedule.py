"""The learning rate by step, against values worked out by hand; and what the optimizer does to which parameter."""

import pytest
from transformers import BertConfig, BertForPreTraining

from bimed_dist.pretraining.optimizer import learning_rate, make_optimizer
from bimed_dist.recipe.pretraining import PretrainingSettings

# Ten steps, two of warm-up, peak 8.
RATES = {
    "constant": [4, 8, 8, 8, 8, 8, 8, 8, 8, 8],
    "linear": [4, 8, 8, 7, 6, 5, 4, 3, 2, 1],
    # 4 * (1 + cos(pi * k / 8)), k = 0 ... 7
    "cosine": [4, 8, 8, 7.695518, 6.828427, 5.530734, 4, 2.469266, 1.171573, 0.304482],
    "wsd": [4, 8, 8, 8, 8, 8, 8, 6, 4, 2],
}


def settings(schedule: str, **changes: int) -> PretrainingSettings:
    values = {"model": "m", "shards": "s", "steps": 10, "global_batch": 8, "micro_batch": 4, "warmup_steps": 2}
    decay = {"decay_steps": 4} if schedule == "wsd" else {}
    return PretrainingSettings(**{**values, "learning_rate": 8.0, "schedule": schedule, **decay, **changes})


@pytest.mark.parametrize("schedule", RATES)
def test_rates_by_step(schedule):
    found = [learning_rate(step, settings(schedule)) for step in range(10)]
    assert found == pytest.approx(RATES[schedule], abs=1e-6)


@pytest.mark.parametrize("schedule", RATES)
def test_a_run_without_warm_up_begins_at_the_peak(schedule):
    assert learning_rate(0, settings(schedule, warmup_steps=0)) == 8


@pytest.mark.parametrize("name", ["adamw", "lamb"])
def test_every_parameter_is_trained_and_all_but_biases_and_layer_norms_decay(name):
    config = BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    model = BertForPreTraining(config)
    groups = make_optimizer(model, settings("linear", optimizer=name, weight_decay=0.03)).param_groups
    decay = {id(parameter): group["weight_decay"] for group in groups for parameter in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(decay)
    for parameter_name, parameter in model.named_parameters():
        without = parameter_name.endswith("bias") or "LayerNorm" in parameter_name
        assert decay[id(parameter)] == (0.0 if without else 0.03), parameter_name
