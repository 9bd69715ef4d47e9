"""The BERT tokenizer around a vocabulary: a new one, or a foundation's with more tokens; and its files.

A new tokenizer composes text (NFC) first, so that composed and decomposed Hangul give the same tokens; no accent is
stripped, no Hanja is split off. Words are split at whitespace and punctuation.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from bimed_dist.errors import ConfigError
from bimed_dist.vocabulary.tokens import MAX_WORD_LENGTH, PREFIX, SPECIAL_TOKENS

MODEL_MAX_LENGTH = 512
_PAD, _UNK, _CLS, _SEP, _MASK = SPECIAL_TOKENS
_ROLES = {"pad_token": _PAD, "unk_token": _UNK, "cls_token": _CLS, "sep_token": _SEP, "mask_token": _MASK}
_KEPT_SETTINGS = (
    *("model_max_length", "model_input_names", "clean_up_tokenization_spaces"),
    *("do_lower_case", "strip_accents", "tokenize_chinese_chars"),
)
# BertTokenizer would rebuild its own normalizer and pre-tokenizer; this class takes tokenizer.json as it is.
_TOKENIZER_CLASS = "PreTrainedTokenizerFast"


def text_normalizer(lowercase: bool) -> normalizers.Normalizer:
    bert = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=lowercase
    )
    return normalizers.Sequence([normalizers.NFC(), bert])


def build_tokenizer(tokens: Sequence[str], lowercase: bool) -> Tokenizer:
    """Return a tokenizer of `tokens` in the order of their ids, special tokens first."""
    vocabulary = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(
        models.WordPiece(
            vocabulary, unk_token=_UNK, max_input_chars_per_word=MAX_WORD_LENGTH, continuing_subword_prefix=PREFIX
        )
    )
    tokenizer.normalizer = text_normalizer(lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{_CLS}:0 $A:0 {_SEP}:0",
        pair=f"{_CLS}:0 $A:0 {_SEP}:0 $B:1 {_SEP}:1",
        special_tokens=[(token, vocabulary[token]) for token in (_CLS, _SEP)],
    )
    tokenizer.decoder = decoders.WordPiece(prefix=PREFIX, cleanup=False)
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer


def config_of_new(lowercase: bool) -> dict[str, Any]:
    """Return the tokenizer_config.json of a tokenizer made by `build_tokenizer`."""
    return {
        "tokenizer_class": _TOKENIZER_CLASS,
        "model_max_length": MODEL_MAX_LENGTH,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        "do_lower_case": lowercase,
        "strip_accents": False,
        "tokenize_chinese_chars": False,
        **_ROLES,
    }


def extend_tokenizer(base: Tokenizer, new: Sequence[str]) -> Tokenizer:
    """Return `base` with the new tokens behind its last id; everything else is unchanged."""
    description = json.loads(base.to_str())
    vocabulary = description["model"]["vocab"]
    first = max(base.get_vocab().values()) + 1
    vocabulary.update({token: first + i for i, token in enumerate(new)})
    return Tokenizer.from_str(json.dumps(description, ensure_ascii=False))


def require_wordpiece(tokenizer: Tokenizer) -> None:
    """Raise ConfigError if the tokenizer to extend is not WordPiece over words."""
    if not isinstance(tokenizer.model, models.WordPiece) or tokenizer.pre_tokenizer is None:
        raise ConfigError("base: its tokenizer is not WordPiece over words; extend the vocabulary of a BERT")


def config_of_extended(base: Any) -> dict[str, Any]:
    """Return tokenizer_config.json of an extended tokenizer: text settings, length and special tokens of `base`.

    `base` is the Hugging Face tokenizer.
    """
    kept = {key: base.init_kwargs[key] for key in _KEPT_SETTINGS if key in base.init_kwargs}
    roles = {role: str(token) for role in _ROLES if (token := getattr(base, role)) is not None}
    return {"tokenizer_class": _TOKENIZER_CLASS, **kept, **roles}


def save_tokenizer(tokenizer: Tokenizer, folder: Path, config: Mapping[str, Any]) -> None:
    """Write tokenizer.json, tokenizer_config.json and vocab.txt, from which `AutoTokenizer` loads."""
    tokenizer.save(str(folder / "tokenizer.json"))
    tokens = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    lines = "".join(f"{token}\n" for token, _ in tokens)
    (folder / "vocab.txt").write_text(lines, encoding="utf-8", newline="\n")
    text = json.dumps(config, ensure_ascii=False, indent=1) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8", newline="\n")
