"""A foundation's tokenizer with more pieces: old pieces keep their ids, new ones follow behind the last."""

import json
from collections.abc import Sequence
from typing import Any

import transformers
from tokenizers import Tokenizer, models

from bimed_dist.errors import ConfigError

_KEPT_SETTINGS = (
    *("model_max_length", "model_input_names", "clean_up_tokenization_spaces"),
    *("do_lower_case", "strip_accents", "tokenize_chinese_chars"),
)
_ROLES = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")


def load_tokenizer(location: str, place: str) -> Any:
    """The fast Hugging Face tokenizer of a folder or hub name. ConfigError, naming `place`, where there is none."""
    try:
        # An attribute, since `from transformers import AutoTokenizer` would load torch as soon as this file is read.
        tokenizer = transformers.AutoTokenizer.from_pretrained(location)
    # tokenizers raises Exception itself for a damaged tokenizer.json, and from_pretrained much else.
    except Exception as error:
        raise ConfigError(f"{place}: no tokenizer can be loaded from {location} ({error})") from None
    if not tokenizer.is_fast:
        raise ConfigError(f"{place}: {location} has no tokenizer.json; save it with a fast tokenizer first")
    return tokenizer


def require_wordpiece(tokenizer: Tokenizer, place: str) -> None:
    if not isinstance(tokenizer.model, models.WordPiece) or tokenizer.pre_tokenizer is None:
        raise ConfigError(f"{place}: its tokenizer is not WordPiece over words; extend the vocabulary of a BERT")


def extended(base: Tokenizer, new: Sequence[str]) -> Tokenizer:
    """`base` with the new pieces, everything else as it was."""
    description = json.loads(base.to_str())
    vocabulary = description["model"]["vocab"]
    first = max(base.get_vocab().values()) + 1
    vocabulary.update({piece: first + i for i, piece in enumerate(new)})
    return Tokenizer.from_str(json.dumps(description, ensure_ascii=False))


def config_of_extended(base: Any) -> dict[str, Any]:
    """tokenizer_config.json of an extended tokenizer: what the base's says of text, roles and length.

    `base` is the Hugging Face tokenizer. The class takes tokenizer.json as it is; BertTokenizer would rebuild it.
    """
    kept = {key: base.init_kwargs[key] for key in _KEPT_SETTINGS if key in base.init_kwargs}
    roles = {role: str(token) for role in _ROLES if (token := getattr(base, role)) is not None}
    return {"tokenizer_class": "PreTrainedTokenizerFast", **kept, **roles}
