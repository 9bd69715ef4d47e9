"""Prepared models as they are read from their folders."""

import pytest
import torch
from transformers import BertConfig, BertForPreTraining

from bimed_dist.evaluation.models.loading import load_head_model
from bimed_dist.model.foundation import load_prepared

ALIGNMENT = 64
"""Bytes; torch's own allocator and the widest vector registers of CPUs."""


@pytest.mark.parametrize("load", [load_prepared, lambda folder: load_head_model(str(folder), "retrieval")])
def test_weights_are_aligned_so_that_last_bits_do_not_follow_where_a_file_was_mapped(tmp_path, load):
    config = BertConfig(
        vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12,
        max_position_embeddings=16,
    )  # fmt: skip
    written = BertForPreTraining(config)
    written.save_pretrained(tmp_path)
    mapped = BertForPreTraining.from_pretrained(tmp_path)
    assert any(parameter.data_ptr() % ALIGNMENT for parameter in mapped.parameters())  # else this test shows nothing

    read = load(tmp_path)
    assert not any(parameter.data_ptr() % ALIGNMENT for parameter in read.parameters())
    weights = written.state_dict() | written.bert.state_dict()
    for name, values in read.state_dict().items():
        torch.testing.assert_close(values, weights[name], rtol=0, atol=0)
    if isinstance(read, BertForPreTraining):
        assert read.cls.predictions.decoder.weight is read.bert.embeddings.word_embeddings.weight
