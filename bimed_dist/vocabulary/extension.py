"""A foundation's tokenizer with more pieces: old pieces keep their ids, new ones follow behind the last."""

import json
from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer, models

from bimed_dist.errors import ConfigError

_KEPT_SETTINGS = (
    *("model_max_length", "model_input_names", "clean_up_tokenization_spaces"),
    *("do_lower_case", "strip_accents", "tokenize_chinese_chars"),
)
_ROLES = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")


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
