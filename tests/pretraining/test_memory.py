"""If memory runs out, the message names the setting to halve."""

import pytest
import torch

from bimed_dist.errors import ConfigError
from bimed_dist.pretraining.loop import out_of_memory_advice
from bimed_dist.recipe.pretraining import PretrainingSettings


def settings(**changes: object) -> PretrainingSettings:
    values = {"model": "m", "shards": "s", "steps": 10, "global_batch": 32, "micro_batch": 16, "max_length": 128}
    return PretrainingSettings(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({}, "halve micro_batch to 8 .* or set activation_checkpointing=true; "),
        ({"activation_checkpointing": True}, "halve micro_batch to 8 [^,]*; "),
        ({"micro_batch": 1}, "halve max_length to 64, or set"),
    ],
)
def test_the_message_names_the_setting_to_halve(changes, advice):
    with (
        pytest.raises(ConfigError, match=f"out of memory with micro_batch=.*{advice}"),
        out_of_memory_advice(settings(**changes)),
    ):
        torch.empty(2**50, dtype=torch.uint8)


def test_another_error_is_not_changed():
    with pytest.raises(RuntimeError, match="shape"), out_of_memory_advice(settings()):
        torch.zeros(2, 3) @ torch.zeros(2, 3)
