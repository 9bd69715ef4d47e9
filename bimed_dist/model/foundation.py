"""Load the foundation, with or without its heads, or draw a new model."""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import BertConfig, BertForPreTraining, PreTrainedTokenizerBase

from bimed_dist.errors import ConfigError
from bimed_dist.hugging_face import load_config, load_model, load_tokenizer
from bimed_dist.recipe.model import Architecture

_log = logging.getLogger(__name__)
_HEADS = {"mlm_head": "cls.predictions.transform", "nsp_head": "cls.seq_relationship", "pooler": "bert.pooler"}
_NOT_MISSED = {"cls.predictions.bias", "cls.predictions.decoder.bias", "cls.predictions.decoder.weight"}
"""The decoder's weight is tied to the word embeddings; its bias starts from zeros."""


@dataclass(frozen=True)
class Foundation:
    model: BertForPreTraining
    tokenizer: PreTrainedTokenizerBase
    new_heads: tuple[str, ...]
    """Heads that the checkpoint lacks and that start from random weights: `mlm_head`, `nsp_head`, `pooler`."""


def load_foundation(location: str, seed: int) -> Foundation:
    """Return the BERT in `location` as BertForPreTraining in float32; missing heads are drawn from `seed`.

    Raises DataError if it can't be loaded; ConfigError if it is not a BERT, lacks weights other than heads, or has
    fewer rows than its tokenizer has tokens.
    """
    config = load_config(location)
    if config.model_type != "bert":
        raise ConfigError(f"{location} holds a {config.model_type} model; foundations are BERT models")
    torch.manual_seed(seed)
    model, info = load_model(location, BertForPreTraining)
    tokenizer = load_tokenizer(location)
    missing = {key for key in info["missing_keys"] if key not in _NOT_MISSED}
    new_heads = tuple(name for name, prefix in _HEADS.items() if any(key.startswith(prefix) for key in missing))
    lost = sorted(key for key in missing if not key.startswith(tuple(_HEADS.values())))
    if lost:
        raise ConfigError(
            f"{location} lacks {len(lost)} weights of the encoder, such as {lost[0]}; use a whole checkpoint"
        )
    if len(tokenizer) > model.config.vocab_size:
        raise ConfigError(
            f"{location}: the tokenizer has {len(tokenizer)} tokens, the model {model.config.vocab_size} rows; "
            "they do not belong together"
        )
    for head in new_heads:
        _log.info("%s has no %s; it starts from random weights", location, head)
    return Foundation(model, tokenizer, new_heads)


def load_bert(folder: Path) -> BertForPreTraining:
    """Return the model that the model stage wrote, in float32."""
    return load_model(str(folder), BertForPreTraining)[0]


def new_model(architecture: Architecture, tokenizer: PreTrainedTokenizerBase, seed: int) -> BertForPreTraining:
    """Return a BERT with random weights drawn from `seed`."""
    torch.manual_seed(seed)
    sizes = architecture.model_dump()
    return BertForPreTraining(BertConfig(vocab_size=len(tokenizer), **sizes, pad_token_id=tokenizer.pad_token_id))
