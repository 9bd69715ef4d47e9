"""Our dropout against the definition of dropout, and attention over packed rows with it."""

import numpy as np
import pytest
import torch

from bimed_dist.model import attention
from bimed_dist.model.dropout import Dropout, dropout_mask, replace_dropout

P = 0.1
DROPPED = 6554 / 65536
"""P rounded to 16 bits."""
N = 400_000


@pytest.mark.parametrize("place", range(4))
def test_the_four_values_of_a_draw_are_dropped_independently_with_the_given_probability(place):
    torch.manual_seed(place)
    dropped = (dropout_mask(torch.empty(N, 4), P) == 0).double()
    rate = dropped[:, place].mean()
    assert abs(rate - DROPPED) < 5 * (DROPPED * (1 - DROPPED) / N) ** 0.5
    for other in {0, 1, 2, 3} - {place}:
        both = (dropped[:, place] * dropped[:, other]).mean()
        assert abs(both - DROPPED**2) < 5 * (DROPPED**2 / N) ** 0.5
    following = (dropped[1:, place] * dropped[:-1, place]).mean()
    assert abs(following - DROPPED**2) < 5 * (DROPPED**2 / N) ** 0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("shape", [(7,), (3, 5, 11)])  # not multiples of the four values of a draw
def test_remaining_values_are_scaled_to_keep_the_mean_and_gradients_use_the_same_mask(shape, dtype):
    values = torch.ones(shape, dtype=dtype, requires_grad=True)
    torch.manual_seed(1)
    dropped = Dropout(0.5).train()(values)
    dropped.sum().backward()
    assert dropped.dtype == dtype and set(dropped.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(values.grad, dropped)
    torch.manual_seed(1)
    assert torch.equal(
        dropout_mask(values, P).unique().double(), torch.tensor([0, 1 / (1 - DROPPED)], dtype=dtype).double()
    )


def test_a_seed_gives_the_same_dropout_with_any_number_of_threads():
    masks, before = [], torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        torch.manual_seed(2)
        masks.append(dropout_mask(torch.empty(N), P))
    torch.set_num_threads(before)
    assert torch.equal(*masks)


def test_every_dropout_of_a_model_is_replaced_and_does_nothing_in_evaluation_mode():
    model = torch.nn.Sequential(torch.nn.Dropout(0.3), torch.nn.Sequential(torch.nn.Dropout(0.2))).eval()
    replace_dropout(model)
    replaced = [part for part in model.modules() if isinstance(part, torch.nn.Dropout)]
    assert [(type(part), part.p) for part in replaced] == [(Dropout, 0.3), (Dropout, 0.2)]
    values = torch.randn(50)
    assert torch.equal(model(values), values)


def test_dropout_of_attention_weights_keeps_the_mean_of_the_outputs():
    """Rows of 5, 9 and 40 tokens make two rectangles, one of them with padding."""
    starts = np.array([0, 5, 14, 54])
    torch.manual_seed(3)
    q, k, v = (torch.randn(1, 2, 54, 8, dtype=torch.float64) for _ in range(3))
    packing = attention.packing(starts, torch.device("cpu"))

    def outputs(dropout: float) -> torch.Tensor:
        return attention.packed_attention(torch.nn.Module(), q, k, v, None, packing=packing, dropout=dropout)[0]

    whole, draws = outputs(0.0), torch.stack([outputs(0.3) for _ in range(2000)])
    assert not torch.equal(draws[0], whole)
    # 864 means within 5 standard errors; by chance one of them is outside with a probability of 5e-4.
    assert ((draws.mean(0) - whole).abs() < 5 * draws.std(0) / 2000**0.5).all()


def test_attention_in_half_precision_uses_torchs_kernel_which_computes_in_float32():
    q, k, v = (torch.randn(1, 2, 40, 8).bfloat16() for _ in range(3))
    packing = attention.packing(np.array([0, 40]), torch.device("cpu"))
    torch.manual_seed(4)
    output, _ = attention.packed_attention(torch.nn.Module(), q, k, v, None, packing=packing, dropout=0.3)
    torch.manual_seed(4)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=0.3)
    assert torch.equal(output, expected.transpose(1, 2))
