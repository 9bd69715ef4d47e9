"""Reading a foundation model, whole or without heads, from a Hugging Face folder or hub name."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from transformers import AutoConfig, BertConfig, BertForPreTraining, PreTrainedTokenizerBase

from bimed_dist.errors import ConfigError
from bimed_dist.hugging_face import load_tokenizer, quietly
from bimed_dist.recipe.model import Architecture

Model = TypeVar("Model", bound=torch.nn.Module)
_log = logging.getLogger(__name__)
_HEADS = {"mlm_head": "cls.predictions.transform", "nsp_head": "cls.seq_relationship", "pooler": "bert.pooler"}


@dataclass(frozen=True)
class Foundation:
    model: BertForPreTraining
    tokenizer: PreTrainedTokenizerBase
    new_heads: tuple[str, ...]
    """Heads that the checkpoint lacks and that start from random weights: mlm_head, nsp_head, pooler."""


def load_foundation(location: str, seed: int) -> Foundation:
    """The BERT in `location` as BertForPreTraining in float32; missing heads are drawn from `seed`.

    Raises ConfigError where it can't be loaded, is not a BERT, or lacks more than heads.
    """
    try:
        config = AutoConfig.from_pretrained(location)
        if config.model_type != "bert":
            raise ConfigError(f"{location} holds a {config.model_type} model; foundations are BERT models")
        torch.manual_seed(seed)
        with quietly():
            model, info = BertForPreTraining.from_pretrained(location, dtype=torch.float32, output_loading_info=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"no model can be loaded from {location}: {_first_line(error)}") from None
    tokenizer = load_tokenizer(location)
    missing = set(info["missing_keys"]) - {"cls.predictions.bias", "cls.predictions.decoder.bias"}
    missing -= {"cls.predictions.decoder.weight"}  # tied to the word embeddings
    new_heads = tuple(name for name, prefix in _HEADS.items() if any(key.startswith(prefix) for key in missing))
    other = sorted(key for key in missing if not key.startswith(tuple(_HEADS.values())))
    if other:
        raise ConfigError(
            f"{location} lacks {len(other)} weights that are no head, {other[0]} first; use a whole checkpoint"
        )
    if len(tokenizer) > model.config.vocab_size:
        raise ConfigError(
            f"{location}: the tokenizer has {len(tokenizer)} pieces, the model {model.config.vocab_size} rows; "
            "they do not belong together"
        )
    for head in new_heads:
        _log.info("%s has no %s; it starts from random weights", location, head)
    return Foundation(model, tokenizer, new_heads)


def load_prepared(folder: Path) -> BertForPreTraining:
    """The model in a folder of the model stage, whole, in float32."""
    with quietly():
        return in_own_memory(BertForPreTraining.from_pretrained(folder, dtype=torch.float32))


def in_own_memory(model: Model) -> Model:
    """The model with weights where torch allocates them, at multiples of 64 bytes, and not where a file was mapped.

    MKL's last bits follow the alignment of what it multiplies, so the same run would end with other weights where the
    file, or the heap around it, is laid out in another way.
    """
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    return model


def new_model(architecture: Architecture, tokenizer: PreTrainedTokenizerBase, seed: int) -> BertForPreTraining:
    """A BERT with random weights drawn from `seed`."""
    torch.manual_seed(seed)
    return BertForPreTraining(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=architecture.width,
            num_hidden_layers=architecture.layers,
            num_attention_heads=architecture.heads,
            intermediate_size=architecture.feed_forward,
            max_position_embeddings=architecture.positions,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
