"""Faithfulness of attributions: deletion and insertion curves, and a comparison with random weights.

Deletion (Petsiuk et al. 2018) masks words from the highest attribution on; the answer should fall early, so a small
area under the curve is good. Insertion starts with all words masked and shows them in the same order; a large area is
good. Both are compared with words in random order. A method whose attributions stay alike when all weights are redrawn
shows the text and not the model (Adebayo et al. 2018).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from torch import nn

from bimed_dist.attribution.gradients import masked_row
from bimed_dist.attribution.words import Words
from bimed_dist.evaluation.models.encoding import EncodedRow
from bimed_dist.evaluation.models.finetuning import micro_batch_tokens, pad_rows, require_finite
from bimed_dist.evaluation.models.loading import MeanPooled

POINTS = 11
"""Points of a curve: 0 %, 10 %, ..., 100 % of the words."""
RANDOM_ORDERS = 10
RANDOM = "random"
"""Key of the mean curves over random orders, next to those of the methods."""


class Curves(NamedTuple):
    deletion: np.ndarray
    """(POINTS,) or (POINTS, outputs): answers with the first words masked."""
    insertion: np.ndarray
    """The same with only the first words shown."""

    def of(self, output: int) -> "Curves":
        return Curves(self.deletion[:, output], self.insertion[:, output])


def area(curve: np.ndarray) -> float:
    """Return the area under a curve whose points are evenly spaced from 0 to 1."""
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))


def prefixes(order: np.ndarray) -> list[np.ndarray]:
    """Return the first 0 %, 10 %, ..., 100 % of an order of words."""
    return [order[: round(len(order) * point / (POINTS - 1))] for point in range(POINTS)]


def descending_order(scores: np.ndarray, words: Words) -> np.ndarray:
    """Return the words that the model saw, from the highest score (W,) to the lowest."""
    seen = np.flatnonzero(words.seen)
    return seen[np.argsort(-scores[seen], kind="stable")]


def random_orders(words: Words) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.permutation(np.flatnonzero(words.seen)) for _ in range(RANDOM_ORDERS)]


def mean_curves(
    model: nn.Module, row: EncodedRow, words: Words, orders: Sequence[np.ndarray], mask_id: int, kind: str
) -> Curves:
    """Return means over orders of words, (POINTS, outputs) each, of what `answers` returns."""
    seen = np.flatnonzero(words.seen)
    hidden_words = [first for order in orders for first in prefixes(order)]
    hidden_words += [np.setdiff1d(seen, first) for order in orders for first in prefixes(order)]
    rows = [masked_row(row, np.isin(words.of_token, hidden), mask_id) for hidden in hidden_words]
    return Curves(*answers(model, rows, mask_id, kind).reshape(2, len(orders), POINTS, -1).mean(axis=1))


@torch.inference_mode()
def answers(model: nn.Module, rows: Sequence[EncodedRow], pad_id: int, kind: str) -> np.ndarray:
    """Return (rows, outputs) probabilities of labels or classes, or score / 5; all rows have the same length."""
    size = max(1, micro_batch_tokens() // len(rows[0].ids))
    logits = [model(**pad_rows(rows[i : i + size], pad_id)).logits for i in range(0, len(rows), size)]
    values = require_finite(torch.cat(logits).float().cpu())
    if kind == "classification":
        values = values.softmax(-1)
    elif kind != "sts":
        values = values.sigmoid()
    return values.double().numpy()


def with_random_weights(model: nn.Module, seed: int) -> nn.Module:
    """Return a model of the same shape with all weights redrawn."""
    torch.manual_seed(seed)
    if isinstance(model, MeanPooled):
        redrawn = MeanPooled(type(model.encoder)(model.encoder.config), model.head.out_features)
    else:
        redrawn = type(model)(model.config)
    return redrawn.to(model.device).eval()


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return the Spearman correlation of the absolute scores of two attributions (W,); None if it is undefined."""
    both = np.isfinite(first) & np.isfinite(second)
    first, second = np.abs(first[both]), np.abs(second[both])
    if both.sum() < 3 or len(np.unique(first)) < 2 or len(np.unique(second)) < 2:
        return None
    return float(stats.spearmanr(first, second).statistic)
