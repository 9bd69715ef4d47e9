"""A model is looked at once it is built: damaged weights are named before anything is trained on them."""

import math

import pytest
import torch
from transformers import BertConfig, BertForPreTraining

from bimed_dist.errors import DataError
from bimed_dist.model.stage import check_values


def tiny() -> BertForPreTraining:
    return BertForPreTraining(
        BertConfig(vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    )


def test_a_new_model_and_one_without_segment_embeddings_pass():
    model = tiny()
    check_values(model)
    torch.nn.init.zeros_(model.bert.embeddings.token_type_embeddings.weight)
    check_values(model)


@pytest.mark.parametrize(
    ("value", "problem"), [(math.nan, "not numbers"), (math.inf, "not numbers"), (1e5, "1e.05, far")]
)
def test_one_weight_that_can_not_be_is_named(value: float, problem: str):
    model = tiny()
    with torch.no_grad():
        model.bert.encoder.layer[0].output.dense.weight[3, 2] = value
    with pytest.raises(DataError, match=rf"bert\.encoder\.layer\.0\.output\.dense\.weight holds .*{problem}"):
        check_values(model)


def test_a_matrix_of_zeros_is_named():
    model = tiny()
    torch.nn.init.zeros_(model.bert.pooler.dense.weight)
    with pytest.raises(DataError, match=r"bert\.pooler\.dense\.weight is zero throughout"):
        check_values(model)
