"""The packed forward pass against Hugging Face's own padded BertForPreTraining, in float64."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForPreTraining

from bimed_dist.model.export import pad_vocabulary, trim_vocabulary
from bimed_dist.model.packed import PackedPretraining
from bimed_dist.pretraining.micro_batch import to_tensors
from bimed_dist.shards.packing import PackedBatch

VOCABULARY = 101
# Sums of a few thousand float64 products in another order; observed differences are below 1e-13.
TOLERANCE = {"rtol": 1e-10, "atol": 1e-12}


def tiny_bert() -> BertForPreTraining:
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=80,
    )
    return BertForPreTraining(config).double().eval()


def random_rows(lengths: list[int], seed: int = 0) -> PackedBatch:
    rng = np.random.default_rng(seed)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    position_ids = np.concatenate([np.arange(n) for n in lengths])
    types = np.concatenate([(np.arange(n) >= rng.integers(1, n)).astype(np.int64) for n in lengths])
    masked = np.flatnonzero(rng.random(starts[-1]) < 0.2)
    return PackedBatch(
        input_ids=rng.integers(0, VOCABULARY, starts[-1]),
        token_type_ids=types,
        position_ids=position_ids,
        row_starts=starts,
        masked_positions=masked,
        mlm_labels=rng.integers(0, VOCABULARY, len(masked)),
        nsp_labels=rng.integers(0, 2, len(lengths)),
        rows=np.arange(len(lengths)),
        languages=np.zeros(len(lengths), np.int8),
        sources=np.zeros(len(lengths), np.int16),
    )


def padded_losses(model: BertForPreTraining, batch: PackedBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums of MLM and NSP losses by Hugging Face's forward pass over rows padded to the longest."""
    lengths = np.diff(batch.row_starts)
    shape = (len(lengths), lengths.max())
    real = np.arange(shape[1]) < lengths[:, None]
    labels = np.full(len(batch.input_ids), -100)
    labels[batch.masked_positions] = batch.mlm_labels

    def rectangle(flat: np.ndarray, fill: int) -> torch.Tensor:
        out = np.full(shape, fill)
        out[real] = flat
        return torch.from_numpy(out)

    out = model(
        input_ids=rectangle(batch.input_ids, 0),
        token_type_ids=rectangle(batch.token_type_ids, 0),
        attention_mask=torch.from_numpy(real).long(),
    )
    loss = torch.nn.functional.cross_entropy
    return (
        loss(out.prediction_logits.flatten(0, 1), rectangle(labels, -100).flatten(), reduction="sum"),
        loss(out.seq_relationship_logits, torch.from_numpy(batch.nsp_labels), reduction="sum"),
    )


def gradients(model: BertForPreTraining) -> dict[str, torch.Tensor]:
    grads = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return grads


@pytest.mark.parametrize("training", [False, True], ids=["without dropout", "dropout rounded to 0"])
@pytest.mark.parametrize("lengths", [[7, 5, 64, 33, 12, 70, 31], [40], [9, 9, 9]])
def test_packed_losses_and_gradients_equal_the_padded_model(lengths, training):
    batch, model = random_rows(lengths), tiny_bert()
    mlm, nsp = padded_losses(model, batch)
    (mlm + nsp).backward()
    expected = gradients(model)

    module = PackedPretraining(model).train(training)
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 1e-9  # rounds to 0 of 2**16, but selects the attention with dropout
    mlm_losses, nsp_losses, _, _ = module(to_tensors(batch, torch.device("cpu")))
    torch.testing.assert_close(mlm_losses.sum(), mlm, **TOLERANCE)
    torch.testing.assert_close(nsp_losses.sum(), nsp, **TOLERANCE)
    (mlm_losses.sum() + nsp_losses.sum()).backward()
    found = gradients(model)
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], **TOLERANCE)


def test_hidden_states_of_each_row_do_not_depend_on_its_neighbours():
    module = PackedPretraining(tiny_bert())
    together = random_rows([7, 5, 64, 33])
    whole = module.encode(to_tensors(together, torch.device("cpu")))[0]
    for row in range(4):
        start, end = together.row_starts[row : row + 2]
        alone = tiny_bert().bert(
            input_ids=torch.from_numpy(together.input_ids[start:end])[None],
            token_type_ids=torch.from_numpy(together.token_type_ids[start:end])[None],
        )
        torch.testing.assert_close(whole[start:end], alone.last_hidden_state[0], **TOLERANCE)


@pytest.mark.parametrize("parts", [[7], [3, 4], [1, 2, 4], [5, 1, 1]])
def test_gradients_of_a_global_batch_do_not_depend_on_its_micro_batches(parts):
    lengths = [7, 5, 64, 33, 12, 70, 31]
    model = tiny_bert()
    module = PackedPretraining(model)

    def gradients_of(sizes: list[int]) -> dict[str, torch.Tensor]:
        batch, row = random_rows(lengths), 0
        masked = len(batch.masked_positions)
        for size in sizes:
            mlm, nsp, _, _ = module(to_tensors(rows_of(batch, row, row + size), torch.device("cpu")))
            (mlm.sum() / masked + nsp.sum() / len(lengths)).backward()
            row += size
        return gradients(model)

    expected, found = gradients_of([len(lengths)]), gradients_of(parts)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], **TOLERANCE)


def rows_of(batch: PackedBatch, first: int, end: int) -> PackedBatch:
    """Return rows first to end (exclusive) of a batch as a new batch."""
    start, stop = batch.row_starts[first], batch.row_starts[end]
    masked = (batch.masked_positions >= start) & (batch.masked_positions < stop)
    return PackedBatch(
        input_ids=batch.input_ids[start:stop],
        token_type_ids=batch.token_type_ids[start:stop],
        position_ids=batch.position_ids[start:stop],
        row_starts=batch.row_starts[first : end + 1] - start,
        masked_positions=batch.masked_positions[masked] - start,
        mlm_labels=batch.mlm_labels[masked],
        nsp_labels=batch.nsp_labels[first:end],
        rows=batch.rows[first:end],
        languages=batch.languages[first:end],
        sources=batch.sources[first:end],
    )


def test_recomputed_activations_give_the_same_gradients_dropout_included():
    def run(recompute: bool) -> tuple[dict[str, torch.Tensor], int]:
        """Return the gradients and the number of forward passes of layers."""
        model, calls = tiny_bert(), []
        module = PackedPretraining(model).train()
        if recompute:
            module.recompute_activations()
        for layer in model.bert.encoder.layer:
            layer.output.dense.register_forward_hook(lambda *_: calls.append(1))
        for lengths in ([7, 5, 64, 33], [12, 70]):
            torch.manual_seed(5)
            mlm, nsp, _, _ = module(to_tensors(random_rows(lengths), torch.device("cpu")))
            (mlm.sum() + nsp.sum()).backward()
        return gradients(model), len(calls)

    (expected, once), (found, twice) = run(False), run(True)
    assert twice == 2 * once
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.slow
def test_compiled_layers_give_the_same_losses_and_gradients_for_any_number_of_tokens():
    """In float32, the precision of training; the largest observed difference is 2e-7."""
    results = []
    for compiled in (False, True):
        model = tiny_bert().float()
        module = PackedPretraining(model).train()
        if compiled:
            module.compile_layers()
        values = []
        for lengths in ([7, 5, 64, 33], [12, 70], [40, 9, 9]):
            torch.manual_seed(5)
            mlm, nsp, _, _ = module(to_tensors(random_rows(lengths), torch.device("cpu")))
            (mlm.sum() + nsp.sum()).backward()
            values += [mlm, nsp]
        results.append((*values, *gradients(model).values()))
    for expected, compiled_value in zip(*results, strict=True):
        torch.testing.assert_close(compiled_value, expected, rtol=1e-4, atol=1e-5)


def test_a_micro_batch_without_masked_tokens_has_no_mlm_loss_and_a_gradient():
    batch = random_rows([6, 8])
    batch = PackedBatch(
        **{**vars(batch), "masked_positions": np.zeros(0, np.int64), "mlm_labels": np.zeros(0, np.int64)}
    )
    model = tiny_bert()
    mlm, nsp, _, _ = PackedPretraining(model)(to_tensors(batch, torch.device("cpu")))
    (mlm.sum() + nsp.sum()).backward()
    assert mlm.numel() == 0
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_padding_rows_of_the_vocabulary_get_no_probability_and_no_gradient_and_are_trimmed():
    model = tiny_bert()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    plain = [x.item() for x in padded_losses(model, random_rows([20, 30]))]
    pad_vocabulary(model)
    assert model.config.vocab_size == 128
    padded = padded_losses(model, random_rows([20, 30]))
    assert [x.item() for x in padded] == pytest.approx(plain, rel=1e-12)
    sum(padded).backward()
    assert model.get_input_embeddings().weight.grad[VOCABULARY:].abs().max() == 0
    assert model.cls.predictions.bias.grad[VOCABULARY:].abs().max() == 0
    trim_vocabulary(model, VOCABULARY)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
