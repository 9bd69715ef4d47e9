"""The training forward pass: packed rows, MLM logits at masked positions only, NSP from each pair's first token.

Legend: T tokens of a micro-batch, B pairs, M masked positions, D width, V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import BertForPreTraining

from bimed_dist.model import attention, dropout


@dataclass(frozen=True)
class MicroBatch:
    """B packed rows as tensors on one device: the input of the model."""

    input_ids: Tensor
    token_type_ids: Tensor
    position_ids: Tensor
    """(1, T) int64 each."""
    packing: attention.Packing
    pair_starts: Tensor
    """(B,) int64: position of each pair's [CLS]."""
    masked_positions: Tensor
    mlm_labels: Tensor
    """(M,) int64 each."""
    nsp_labels: Tensor
    """(B,) int64: 0 = B follows A, 1 = it does not."""


class PackedPretraining(nn.Module):
    """Runs Hugging Face's BertForPreTraining on packed micro-batches; owns no weights of its own.

    The model's attention implementation becomes `packed` and its dropout ours. Without a sentence objective (`pairs`)
    nothing is asked of pooler and NSP head, and they are not trained.
    """

    def __init__(self, model: BertForPreTraining, *, pairs: bool = True) -> None:
        super().__init__()
        self._pairs = pairs
        if not pairs:
            model.bert.pooler.requires_grad_(False)
            model.cls.seq_relationship.requires_grad_(False)
        model.set_attn_implementation(attention.NAME)
        dropout.use_in(model)
        self.model = model

    def forward(self, batch: MicroBatch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(MLM losses (M,), NSP losses (B,), right MLM guesses (M,), right NSP guesses (B,)), float32 or finer.

        One value per masked token and per pair, not means: only the caller knows how many the global batch has. Values
        of pairs are 0 where there is no sentence objective.
        """
        hidden = self.encode(batch)[0]  # (T, D)
        heads, bert = self.model.cls, self.model.bert
        mlm_logits = heads.predictions(hidden.index_select(0, batch.masked_positions))  # (M, V)
        mlm, mlm_right = _losses(mlm_logits, batch.mlm_labels)
        if not self._pairs:
            none = mlm.new_zeros(len(batch.nsp_labels))
            return mlm, none, mlm_right, none
        first = hidden.index_select(0, batch.pair_starts)  # (B, D)
        # BertPooler reads [:, 0] of a (B, L, D) batch, so each pair's first token is given as a row of length one.
        nsp, nsp_right = _losses(heads.seq_relationship(bert.pooler(first[:, None, :])), batch.nsp_labels)
        return mlm, nsp, mlm_right, nsp_right

    def encode(self, batch: MicroBatch) -> Tensor:
        """Hidden states of the last layer, (1, T, D)."""
        bert = self.model.bert
        # BertModel.forward would build an attention mask for one row of T tokens, so its two parts are called directly.
        embedded = bert.embeddings(
            input_ids=batch.input_ids, token_type_ids=batch.token_type_ids, position_ids=batch.position_ids
        )
        return bert.encoder(embedded, attention_mask=None, packing=batch.packing).last_hidden_state

    def recompute_activations(self) -> None:
        """Keep only each layer's input for the backward pass and compute the rest again: less memory, a third slower.

        Dropout is drawn again from the same generator state, so gradients do not change.
        """
        # transformers 5.23 warns that it has a new name, which older ones that setup.cfg allows need not know.
        self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})

    def compile_layers(self) -> None:
        """Let torch compile each encoder layer, for any number of tokens; attention's kernels stay what they are."""
        for layer in self.model.bert.encoder.layer:
            layer.compile(dynamic=True)


def _losses(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """(losses, right guesses) of each row of logits, float32 or finer."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return cross_entropy(logits, labels, reduction="none"), (logits.detach().argmax(-1) == labels).float()
