"""Attributions against autograd and their axioms, and the curves and checks of their faithfulness."""

import numpy as np
import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from bimed_dist.attribution import faithfulness, gradients
from bimed_dist.attribution.words import Words
from bimed_dist.evaluation.models.encoding import EncodedRow

SHAPE = {
    "vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
    "max_position_embeddings": 64, "num_labels": 3,
}  # fmt: skip
IDS = {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3, "pad_token_id": 0}
MASK = 4
ROW = EncodedRow(np.array([2, 10, 11, 12, 13, 14, 15, 3]), np.array([0, 0, 0, 0, 1, 1, 1, 1]), np.zeros(3))
WORDS = Words((("w0", "w1", "w2"), ("w3",)), np.array([-1, 0, 1, 1, 2, 2, 3, -1]))


def model_of(kind):
    torch.manual_seed(3)
    models = {
        "bert": lambda: BertForSequenceClassification(BertConfig(**SHAPE)),
        "electra": lambda: ElectraForSequenceClassification(ElectraConfig(**SHAPE, embedding_size=16)),
        "roberta": lambda: RobertaForSequenceClassification(RobertaConfig(**SHAPE)),
        "modernbert": lambda: ModernBertForSequenceClassification(ModernBertConfig(**SHAPE, **IDS)),
    }
    model = models[kind]().eval()
    with torch.no_grad():
        # Initial weights are so small that a tiny model gives the same answer to every input.
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    return model


def row_for(kind):
    return ROW if kind in ("bert", "electra") else EncodedRow(ROW.ids, None, ROW.target)


@pytest.mark.parametrize("kind", ["bert", "electra", "roberta", "modernbert"])
def test_integrated_gradients_add_up_to_the_change_of_the_output(kind):
    model, row = model_of(kind), row_for(kind)
    found = gradients.attribute_tokens(model, row, WORDS.of_token >= 0, MASK, output=1)
    assert abs(found.change) > 1e-3
    # The integral is a sum of 50 points.
    assert abs(found.convergence_delta) < 0.05 * max(abs(found.change), 0.1)
    # Special tokens are the same in the row and in the masked row.
    assert found.scores["integrated_gradients"][[0, -1]] == pytest.approx(0, abs=1e-6)


def test_gradient_times_input_agrees_with_autograd():
    model = model_of("bert")
    embedded = model.get_input_embeddings()(torch.from_numpy(ROW.ids)[None]).detach().requires_grad_()
    types = torch.from_numpy(ROW.segment_ids)[None]
    model(inputs_embeds=embedded, attention_mask=torch.ones(1, 8), token_type_ids=types).logits[0, 2].backward()
    expected = (embedded * embedded.grad).sum(-1)[0].detach().numpy()
    found = gradients.attribute_tokens(model, ROW, WORDS.of_token >= 0, MASK, output=2)
    assert found.scores["gradient_x_input"] == pytest.approx(expected, rel=1e-4, abs=1e-6)


def curves_of(model, orders, kind, output=0):
    return faithfulness.mean_curves(model, ROW, WORDS, orders, MASK, kind).of(output)


def test_curves_run_from_the_full_to_the_masked_row_in_the_given_order():
    model = model_of("bert")
    hidden = [
        gradients.masked_row(ROW, np.isin(WORDS.of_token, words), MASK) for words in ([], [0], [1], [2], [3], range(4))
    ]
    whole, *alone, empty = faithfulness.answers(model, hidden, 0, "multilabel")[:, 1]
    order = faithfulness.descending_order(np.array([0.1, 0.2, 0.9, -0.5]), WORDS)
    assert order.tolist() == [2, 1, 0, 3]
    found = curves_of(model, [order], "multilabel", output=1)
    assert found.deletion.shape == found.insertion.shape == (faithfulness.POINTS,)
    assert (found.deletion[0], found.deletion[-1]) == pytest.approx((whole, empty), abs=1e-6)
    assert (found.insertion[0], found.insertion[-1]) == pytest.approx((empty, whole), abs=1e-6)
    # 30 % of four words is one word: the third, which has the highest attribution.
    assert found.deletion[3] == pytest.approx(alone[2], abs=1e-6)
    at_random = curves_of(model, faithfulness.random_orders(WORDS), "multilabel", output=1)
    assert (at_random.deletion[0], at_random.deletion[-1]) == pytest.approx((whole, empty), abs=1e-6)


def test_curves_of_several_orders_are_their_means():
    model, orders = model_of("bert"), faithfulness.random_orders(WORDS)[:2]
    both, *alone = (curves_of(model, part, "sts") for part in (orders, orders[:1], orders[1:]))
    assert np.allclose(both.deletion, np.mean([c.deletion for c in alone], axis=0), atol=1e-6)
    assert np.allclose(both.insertion, np.mean([c.insertion for c in alone], axis=0), atol=1e-6)


def test_the_order_of_true_effects_beats_random_order_and_its_reverse_loses():
    model = model_of("bert")
    hidden = [gradients.masked_row(ROW, WORDS.of_token == word, MASK) for word in range(4)]
    whole, *without = faithfulness.answers(model, [ROW, *hidden], 0, "sts")[:, 0]
    effects = whole - np.array(without)
    orders = (
        [faithfulness.descending_order(effects, WORDS)],
        faithfulness.random_orders(WORDS),
        [faithfulness.descending_order(-effects, WORDS)],
    )
    best, random, worst = (faithfulness.area(curves_of(model, part, "sts").deletion) for part in orders)
    assert best < random < worst


def test_the_area_under_a_straight_line_is_a_half_and_truncated_words_are_ignored():
    assert faithfulness.area(np.linspace(0, 1, 11)) == pytest.approx(0.5)
    assert [len(part) for part in faithfulness.prefixes(np.arange(5))] == [0, 0, 1, 2, 2, 2, 3, 4, 4, 4, 5]
    cut = np.array([1.0, np.nan, 2.0, -3.0])
    assert faithfulness.rank_correlation(cut, np.array([-1.0, 7.0, 2.0, 3.0])) == pytest.approx(1.0)
    assert faithfulness.rank_correlation(cut, np.ones(4)) is None


def test_random_weights_give_another_model_of_the_same_shape():
    model = model_of("bert")
    drawn = faithfulness.with_random_weights(model, 0)
    assert [p.shape for p in drawn.parameters()] == [p.shape for p in model.parameters()]
    assert not torch.equal(
        drawn.bert.encoder.layer[0].attention.self.query.weight, model.bert.encoder.layer[0].attention.self.query.weight
    )
