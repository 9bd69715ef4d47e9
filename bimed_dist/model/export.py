"""A trained model as a plain Hugging Face folder: safetensors, tokenizer, model card."""

from pathlib import Path

import torch
from transformers import BertForPreTraining, PreTrainedTokenizerBase

from bimed_dist.hugging_face import quietly
from bimed_dist.model.transplant import rows, set_rows

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


def export(
    folder: Path, model: BertForPreTraining, tokenizer: PreTrainedTokenizerBase, card: str, *, nsp_head: bool = True
) -> None:
    """Write what `AutoTokenizer` and `AutoModel.from_pretrained` load.

    A head that was not trained to tell next sentences (`nsp_head`) stays behind: under the name of one it would be used
    and measured as one.
    """
    trim_vocabulary(model, len(tokenizer))
    save(folder, model, tokenizer, left_out="" if nsp_head else "cls.seq_relationship.")
    (folder / "README.md").write_text(card, encoding="utf-8")


def save(folder: Path, model: BertForPreTraining, tokenizer: PreTrainedTokenizerBase, *, left_out: str = "") -> None:
    """`left_out` is how the names of weights begin that are not saved."""
    kept = None
    if left_out:
        kept = {name: weight for name, weight in model.state_dict().items() if not name.startswith(left_out)}
    with quietly():
        model.save_pretrained(folder, state_dict=kept)
        tokenizer.save_pretrained(folder)
