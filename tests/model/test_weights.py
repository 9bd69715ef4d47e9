"""Damaged weights are reported when a model is built, before anything is trained on them."""

import math

import pytest
import torch
from transformers import BertConfig, BertForPreTraining

from bimed_dist.errors import DataError
from bimed_dist.model.stage import check_weights


def tiny() -> BertForPreTraining:
    return BertForPreTraining(
        BertConfig(vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    )


def test_a_new_model_and_one_without_segment_embeddings_pass():
    model = tiny()
    check_weights(model)
    torch.nn.init.zeros_(model.bert.embeddings.token_type_embeddings.weight)
    check_weights(model)


@pytest.mark.parametrize(
    ("value", "problem"), [(math.nan, "not finite"), (math.inf, "not finite"), (1e5, "1e.05, far")]
)
def test_one_impossible_weight_is_reported(value: float, problem: str):
    model = tiny()
    with torch.no_grad():
        model.bert.encoder.layer[0].output.dense.weight[3, 2] = value
    with pytest.raises(DataError, match=rf"bert\.encoder\.layer\.0\.output\.dense\.weight holds .*{problem}"):
        check_weights(model)


def test_a_matrix_of_zeros_is_reported():
    model = tiny()
    torch.nn.init.zeros_(model.bert.pooler.dense.weight)
    with pytest.raises(DataError, match=r"bert\.pooler\.dense\.weight is zero throughout"):
        check_weights(model)
