"""A trained model as a plain Hugging Face folder: safetensors, tokenizer, model card."""

from pathlib import Path

import torch
from transformers import BertForPreTraining, PreTrainedTokenizerBase

from bimed_dist.model.transplant import rows, set_rows
from bimed_dist.quiet import quietly

_KERNEL_MULTIPLE = 64
_NEVER = -10_000.0
"""Logit of a padding row: its probability, and so its gradient, is exactly zero in float32 and bfloat16."""


def pad_vocabulary(model: BertForPreTraining) -> None:
    """Pad the vocabulary to a multiple of 64 for fast matrix kernels; `trim_vocabulary` undoes it."""
    matrix = rows(model)
    padding = -len(matrix) % _KERNEL_MULTIPLE
    if padding:
        extra = matrix.new_zeros(padding, matrix.shape[1])
        extra[:, -1] = _NEVER
        set_rows(model, torch.cat([matrix, extra]))


def trim_vocabulary(model: BertForPreTraining, size: int) -> None:
    matrix = rows(model)
    if len(matrix) > size:
        set_rows(model, matrix[:size].clone())


def export(folder: Path, model: BertForPreTraining, tokenizer: PreTrainedTokenizerBase, card: str) -> None:
    """Write what `AutoTokenizer` and `AutoModel.from_pretrained` load."""
    trim_vocabulary(model, len(tokenizer))
    save(folder, model, tokenizer)
    (folder / "README.md").write_text(card, encoding="utf-8")


def save(folder: Path, model: BertForPreTraining, tokenizer: PreTrainedTokenizerBase) -> None:
    with quietly():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
