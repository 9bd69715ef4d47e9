"""The training forward pass: packed rows, MLM logits at masked positions only, NSP from each row's first token.

Shapes: T tokens in a micro-batch, B rows, M masked positions, D hidden size, V vocabulary size.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import BertForPreTraining

from bimed_dist.model import attention, dropout


@dataclass(frozen=True)
class MicroBatch:
    """B packed rows as tensors on one device."""

    input_ids: Tensor
    token_type_ids: Tensor
    position_ids: Tensor
    """(1, T) int64 each."""
    packing: attention.Packing
    row_starts: Tensor
    """(B,) int64: position of each row's [CLS]."""
    masked_positions: Tensor
    mlm_labels: Tensor
    """(M,) int64 each."""
    nsp_labels: Tensor
    """(B,) int64: 0 = B follows A, 1 = it does not."""


class PackedPretraining(nn.Module):
    """Run Hugging Face's BertForPreTraining, which owns all weights, on packed micro-batches.

    Sets the model's attention to `packed` and its dropout to ours. Without `sentence_objective`, pooler and sentence
    head are neither computed nor trained.
    """

    def __init__(self, model: BertForPreTraining, *, sentence_objective: bool = True) -> None:
        super().__init__()
        self._sentence_objective = sentence_objective
        if not sentence_objective:
            model.bert.pooler.requires_grad_(False)
            model.cls.seq_relationship.requires_grad_(False)
        model.set_attn_implementation(attention.NAME)
        dropout.replace_dropout(model)
        self.model = model

    def forward(self, batch: MicroBatch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return MLM losses (M,), NSP losses (B,), correct MLM (M,) and correct NSP predictions (B,); at least float32.

        Values are per masked token and per row, not means: only the caller knows their number in the global batch.
        Without a sentence objective, the values of rows are 0.
        """
        hidden = self.encode(batch)[0]  # (T, D)
        heads, bert = self.model.cls, self.model.bert
        mlm_logits = heads.predictions(hidden.index_select(0, batch.masked_positions))  # (M, V)
        mlm, mlm_correct = _losses(mlm_logits, batch.mlm_labels)
        if not self._sentence_objective:
            zeros = mlm.new_zeros(len(batch.nsp_labels))
            return mlm, zeros, mlm_correct, zeros
        first = hidden.index_select(0, batch.row_starts)  # (B, D)
        # BertPooler reads [:, 0] of a (B, L, D) batch: each row's first token is passed as a sequence of length one.
        nsp, nsp_correct = _losses(heads.seq_relationship(bert.pooler(first[:, None, :])), batch.nsp_labels)
        return mlm, nsp, mlm_correct, nsp_correct

    def encode(self, batch: MicroBatch) -> Tensor:
        """Return the hidden states of the last layer, (1, T, D)."""
        bert = self.model.bert
        # BertModel.forward would build a mask for one row of T tokens, so embeddings and encoder are called directly.
        embedded = bert.embeddings(
            input_ids=batch.input_ids, token_type_ids=batch.token_type_ids, position_ids=batch.position_ids
        )
        return bert.encoder(embedded, attention_mask=None, packing=batch.packing).last_hidden_state

    def recompute_activations(self) -> None:
        """Store only each layer's input for the backward pass and recompute the rest: less memory, a third slower.

        Dropout is drawn from the same generator state, so gradients do not change.
        """
        # transformers 5.23 deprecates this name, but older versions that setup.cfg allows may not have the new one.
        self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})

    def compile_layers(self) -> None:
        """Compile each encoder layer for any number of tokens; attention kernels are not compiled."""
        for layer in self.model.bert.encoder.layer:
            layer.compile(dynamic=True)


def _losses(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss of each row of logits and whether its largest logit is the label; at least float32."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return cross_entropy(logits, labels, reduction="none"), (logits.detach().argmax(-1) == labels).float()
