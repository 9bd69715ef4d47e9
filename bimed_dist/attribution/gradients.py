"""Attribution of one output of a fine-tuned model to the tokens of a row, by captum, over the token embeddings.

Gradient x input (Shrikumar et al. 2016) is the first-order change from zero embeddings. Integrated gradients
(Sundararajan et al. 2017) integrate from the row with all words masked and special tokens kept; up to the convergence
delta, they add up to the difference between the outputs on both rows.
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
"""Points of the integral, captum's default; a large convergence delta shows that they are too few."""


@dataclass(frozen=True)
class TokenAttribution:
    scores: dict[str, np.ndarray]
    """Method -> (T,)."""
    change: float
    """Output on the row minus output on the masked row."""
    convergence_delta: float
    """Sum of the integrated gradients minus `change`."""


def masked_row(row: EncodedRow, hidden: np.ndarray, mask_id: int) -> EncodedRow:
    """Return the row with the tokens in `hidden` (T,) bool masked."""
    return EncodedRow(np.where(hidden, mask_id, row.ids), row.segment_ids, row.target)


def attribute_tokens(
    model: nn.Module, row: EncodedRow, in_words: np.ndarray, mask_id: int, output: int
) -> TokenAttribution:
    """Attribute the logit of `output`; `in_words` (T,) bool marks the tokens that belong to words.

    Raises DataError for a model that does not accept embeddings as input.
    """
    embed = model.get_input_embeddings()
    inputs = pad_rows([row], mask_id)
    names = [name for name in inputs if name != "input_ids"]
    other_inputs = tuple(inputs[name] for name in names)

    def logit(embedded: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        return model(inputs_embeds=embedded, **dict(zip(names, rest, strict=True))).logits[:, output]

    with torch.no_grad():
        embedded = embed(inputs["input_ids"])
        baseline = embed(pad_rows([masked_row(row, in_words, mask_id)], mask_id)["input_ids"])
        try:
            change = float(logit(embedded, *other_inputs)) - float(logit(baseline, *other_inputs))
        except TypeError as error:
            raise DataError("the model does not accept embeddings as input, which attribution needs") from error
    embedded = embedded.detach().requires_grad_()
    gradient = InputXGradient(logit).attribute(embedded, additional_forward_args=other_inputs)
    integrated = IntegratedGradients(logit).attribute(
        embedded,
        baselines=baseline,
        additional_forward_args=other_inputs,
        n_steps=STEPS,
        internal_batch_size=max(1, micro_batch_tokens() // len(row.ids)),
    )
    scores = {
        "integrated_gradients": integrated.sum(-1)[0].detach().double().cpu().numpy(),
        "gradient_x_input": gradient.sum(-1)[0].detach().double().cpu().numpy(),
    }
    return TokenAttribution(scores, change, float(scores["integrated_gradients"].sum()) - change)
