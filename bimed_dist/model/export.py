"""A trained model as a plain Hugging Face folder: safetensors, tokenizer, model card."""

from pathlib import Path

import torch
from transformers import BertForPreTraining, PreTrainedTokenizerBase

from bimed_dist.hugging_face import quietly
from bimed_dist.model.embedding_initialization import embedding_rows, set_embedding_rows

_KERNEL_MULTIPLE = 64
_PADDING_LOGIT = -10_000.0
"""The probability of a padding row, and with it its gradient, is exactly zero in float32 and bfloat16."""


def pad_vocabulary(model: BertForPreTraining) -> None:
    """Pad the vocabulary to a multiple of 64 for fast matrix kernels; `trim_vocabulary` undoes it."""
    matrix = embedding_rows(model)
    padding = -len(matrix) % _KERNEL_MULTIPLE
    if padding:
        extra = matrix.new_zeros(padding, matrix.shape[1])
        extra[:, -1] = _PADDING_LOGIT
        set_embedding_rows(model, torch.cat([matrix, extra]))


def trim_vocabulary(model: BertForPreTraining, size: int) -> None:
    matrix = embedding_rows(model)
    if len(matrix) > size:
        set_embedding_rows(model, matrix[:size].clone())


def export(
    folder: Path, model: BertForPreTraining, tokenizer: PreTrainedTokenizerBase, card: str, *, nsp_head: bool = True
) -> None:
    """Write a folder that `AutoTokenizer` and `AutoModel.from_pretrained` load.

    Without `nsp_head`, the sentence head is left out: it was not trained for next-sentence prediction, but would be
    loaded and evaluated as an NSP head.
    """
    trim_vocabulary(model, len(tokenizer))
    save(folder, model, tokenizer, without="" if nsp_head else "cls.seq_relationship.")
    (folder / "README.md").write_text(card, encoding="utf-8")


def save(folder: Path, model: BertForPreTraining, tokenizer: PreTrainedTokenizerBase, *, without: str = "") -> None:
    """Write model and tokenizer; `without` is the prefix of weights to leave out."""
    weights = None
    if without:
        weights = {name: weight for name, weight in model.state_dict().items() if not name.startswith(without)}
    with quietly():
        model.save_pretrained(folder, state_dict=weights)
        tokenizer.save_pretrained(folder)
