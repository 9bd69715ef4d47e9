"""Attribution of one output of a fine-tuned model to the pieces of a row, by captum, over the embeddings of the pieces.

Gradient x input (Shrikumar et al. 2016) is the first-order change from zero embeddings. Integrated gradients
(Sundararajan et al. 2017) integrate from a row whose words are all masked, special pieces kept; their sum is what the
words change in the output, up to `gap`.
"""

from dataclasses import dataclass

import numpy as np
import torch
from captum.attr import InputXGradient, IntegratedGradients
from torch import nn

from bimed_dist.errors import DataError
from bimed_dist.evaluation.models.encoding import EncodedRow
from bimed_dist.evaluation.models.finetuning import micro_batch_tokens, pad_rows

STEPS = 50
"""Of the integral, captum's own default; `gap` shows where they are too few."""
METHODS = ("integrated_gradients", "gradient_x_input")


@dataclass(frozen=True)
class Attributed:
    pieces: dict[str, np.ndarray]
    """(T,) by method."""
    gap: float
    """Difference between the sum of the integrated gradients and what they should add up to."""
    change: float
    """Output on the row minus output on the masked row."""


def masked(row: EncodedRow, hidden: np.ndarray, mask_id: int) -> EncodedRow:
    """The row with the pieces in `hidden` (T, bool) masked."""
    return EncodedRow(np.where(hidden, mask_id, row.ids), row.segment_ids, row.target)


def attributed(model: nn.Module, row: EncodedRow, of_word: np.ndarray, mask_id: int, output: int) -> Attributed:
    """Attribution of logit `output`. of_word: (T,) bool, pieces that belong to words.

    Raises DataError for a model that takes no embeddings in place of pieces.
    """
    embed = model.get_input_embeddings()
    inputs = pad_rows([row], mask_id)
    others = tuple(inputs[name] for name in inputs if name != "input_ids")
    names = [name for name in inputs if name != "input_ids"]

    def logit(embedded: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        return model(inputs_embeds=embedded, **dict(zip(names, rest, strict=True))).logits[:, output]

    with torch.no_grad():
        embedded = embed(inputs["input_ids"])
        baseline = embed(pad_rows([masked(row, of_word, mask_id)], mask_id)["input_ids"])
        try:
            ends = [float(logit(end, *others)) for end in (embedded, baseline)]
        except TypeError as error:
            raise DataError("the model takes no embeddings in place of pieces, which attribution needs") from error
    embedded = embedded.detach().requires_grad_()
    gradient = InputXGradient(logit).attribute(embedded, additional_forward_args=others)
    integrated = IntegratedGradients(logit).attribute(
        embedded,
        baselines=baseline,
        additional_forward_args=others,
        n_steps=STEPS,
        internal_batch_size=max(1, micro_batch_tokens() // len(row.ids)),
    )
    pieces = {
        "integrated_gradients": integrated.sum(-1)[0].detach().double().cpu().numpy(),
        "gradient_x_input": gradient.sum(-1)[0].detach().double().cpu().numpy(),
    }
    change = ends[0] - ends[1]
    return Attributed(pieces, float(pieces["integrated_gradients"].sum()) - change, change)
