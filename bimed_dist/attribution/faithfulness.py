"""Whether attributions say what the model does: deletion and insertion curves, and the same model with random weights.

Deletion (Petsiuk et al. 2018): the words are masked in falling order of attribution; the answer should fall at once, so
that a small area under the curve is good. Insertion: from a row whose words are all masked they come back in that
order; a large area is good. Both stand beside words in random order. A method whose attributions stay alike when the
weights are drawn anew shows the text and not the model (Adebayo et al. 2018).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from torch import nn

from bimed_dist.attribution.gradients import masked
from bimed_dist.attribution.words import Words
from bimed_dist.evaluation.models.encoding import EncodedRow
from bimed_dist.evaluation.models.finetuning import micro_batch_tokens, pad_rows, require_finite
from bimed_dist.evaluation.models.loading import MeanPooled

POINTS = 11
"""Of a curve: 0 %, 10 %, ... 100 % of the words."""
RANDOM_ORDERS = 10
RANDOM = "random"
"""Where curves stand by method: the mean over random orders."""


class Curves(NamedTuple):
    deletion: np.ndarray
    """(POINTS,) or (POINTS, outputs) answers with the first words masked."""
    insertion: np.ndarray
    """The same with only the first words shown."""

    def of(self, output: int) -> "Curves":
        return Curves(self.deletion[:, output], self.insertion[:, output])


def area(curve: np.ndarray) -> float:
    """Area under a curve whose points lie evenly on 0 to 1."""
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))


def prefixes(order: np.ndarray) -> list[np.ndarray]:
    """The first 0 %, 10 %, ... of the words of an order."""
    return [order[: round(len(order) * point / (POINTS - 1))] for point in range(POINTS)]


def falling(attribution: np.ndarray, words: Words) -> np.ndarray:
    """Numbers of the words that the model saw, the one with the highest attribution (W,) first."""
    seen = np.flatnonzero(words.seen)
    return seen[np.argsort(-attribution[seen], kind="stable")]


def random_orders(words: Words) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.permutation(np.flatnonzero(words.seen)) for _ in range(RANDOM_ORDERS)]


def curves(
    model: nn.Module, row: EncodedRow, words: Words, orders: Sequence[np.ndarray], mask_id: int, kind: str
) -> Curves:
    """Means over these orders of words, (POINTS, outputs) each. Answers are probabilities of the labels or classes, or
    score / 5.
    """
    seen = np.flatnonzero(words.seen)
    hidden = [first for order in orders for first in prefixes(order)]
    hidden += [np.setdiff1d(seen, first) for order in orders for first in prefixes(order)]
    rows = [masked(row, np.isin(words.of_piece, some), mask_id) for some in hidden]
    found = answers(model, rows, mask_id, kind).reshape(2, len(orders), POINTS, -1).mean(axis=1)
    return Curves(*found)


@torch.inference_mode()
def answers(model: nn.Module, rows: Sequence[EncodedRow], pad_id: int, kind: str) -> np.ndarray:
    """(rows, outputs) answers on rows of one length."""
    size = max(1, micro_batch_tokens() // len(rows[0].ids))
    logits = [model(**pad_rows(rows[i : i + size], pad_id)).logits for i in range(0, len(rows), size)]
    values = require_finite(torch.cat(logits).float().cpu())
    if kind == "classification":
        values = values.softmax(-1)
    elif kind != "sts":
        values = values.sigmoid()
    return values.double().numpy()


def with_random_weights(model: nn.Module, seed: int) -> nn.Module:
    """A model of the same shape, every weight drawn anew."""
    torch.manual_seed(seed)
    if isinstance(model, MeanPooled):
        drawn = MeanPooled(type(model.encoder)(model.encoder.config), model.head.out_features)
    else:
        drawn = type(model)(model.config)
    return drawn.to(model.device).eval()


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    """Spearman correlation of the sizes of two attributions of the same words; none where it does not exist."""
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < 3 or len(np.unique(np.abs(one[both]))) < 2 or len(np.unique(np.abs(other[both]))) < 2:
        return None
    return float(stats.spearmanr(np.abs(one[both]), np.abs(other[both])).statistic)
