"""Our dropout against what dropout has to be, and packed rows with it."""

import numpy as np
import pytest
import torch

from bimed_dist.model import attention
from bimed_dist.model.dropout import Dropout, dropout_mask, replace_dropout

P = 0.1
DROPPED = 6554 / 65536
"""P as 16 bits can say it."""
N = 400_000


@pytest.mark.parametrize("place", range(4))
def test_each_of_the_four_values_of_a_draw_is_dropped_with_the_probability_and_without_regard_to_the_others(place):
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
def test_what_is_kept_is_scaled_so_that_the_mean_stays_and_gradients_go_the_same_way(shape, dtype):
    given = torch.ones(shape, dtype=dtype, requires_grad=True)
    torch.manual_seed(1)
    found = Dropout(0.5).train()(given)
    found.sum().backward()
    assert found.dtype == dtype and set(found.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(given.grad, found)
    torch.manual_seed(1)
    assert torch.equal(
        dropout_mask(given, P).unique().double(), torch.tensor([0, 1 / (1 - DROPPED)], dtype=dtype).double()
    )


def test_a_seed_gives_the_same_dropout_with_any_number_of_threads():
    found, before = [], torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        torch.manual_seed(2)
        found.append(dropout_mask(torch.empty(N), P))
    torch.set_num_threads(before)
    assert torch.equal(*found)


def test_nothing_is_dropped_where_a_model_does_not_train_and_every_dropout_of_it_is_replaced():
    model = torch.nn.Sequential(torch.nn.Dropout(0.3), torch.nn.Sequential(torch.nn.Dropout(0.2))).eval()
    replace_dropout(model)
    replaced = [part for part in model.modules() if isinstance(part, torch.nn.Dropout)]
    assert [(type(part), part.p) for part in replaced] == [(Dropout, 0.3), (Dropout, 0.2)]
    given = torch.randn(50)
    assert torch.equal(model(given), given)


def test_attention_weights_are_dropped_so_that_the_mean_of_outputs_stays():
    """Rows of 5, 9 and 40 tokens, so that two rectangles are made and one holds padding."""
    starts = np.array([0, 5, 14, 54])
    torch.manual_seed(3)
    q, k, v = (torch.randn(1, 2, 54, 8, dtype=torch.float64) for _ in range(3))
    packing = attention.packing(starts, torch.device("cpu"))

    def outputs(dropout: float) -> torch.Tensor:
        return attention.packed_attention(torch.nn.Module(), q, k, v, None, packing=packing, dropout=dropout)[0]

    whole, draws = outputs(0.0), torch.stack([outputs(0.3) for _ in range(2000)])
    assert not torch.equal(draws[0], whole)
    # 864 means, none of which is further than 5 standard errors from what it should be: 5e-4 by chance for all of them.
    assert ((draws.mean(0) - whole).abs() < 5 * draws.std(0) / 2000**0.5).all()


def test_in_half_precision_attention_stays_torchs_own_which_computes_in_float32():
    q, k, v = (torch.randn(1, 2, 40, 8).bfloat16() for _ in range(3))
    packing = attention.packing(np.array([0, 40]), torch.device("cpu"))
    torch.manual_seed(4)
    found, _ = attention.packed_attention(torch.nn.Module(), q, k, v, None, packing=packing, dropout=0.3)
    torch.manual_seed(4)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=0.3)
    assert torch.equal(found, expected.transpose(1, 2))
