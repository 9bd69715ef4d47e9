"""The BERT tokenizer around a vocabulary: what it does to text before pieces are looked up, and its files.

Text is composed (NFC) first, so that composed and decomposed Hangul give the same pieces; no accent is stripped, no
Hanja is split off. Words are cut at blanks and punctuation.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from bimed_dist.vocabulary.pieces import LONGEST_WORD, PREFIX, SPECIAL_TOKENS

MODEL_MAX_LENGTH = 512
_PAD, _UNK, _CLS, _SEP, _MASK = SPECIAL_TOKENS


def text_normalizer(lowercase: bool) -> normalizers.Normalizer:
    bert = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=lowercase
    )
    return normalizers.Sequence([normalizers.NFC(), bert])


def build_tokenizer(pieces: Sequence[str], lowercase: bool) -> Tokenizer:
    """`pieces` in the order of their ids, special tokens first."""
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = Tokenizer(
        models.WordPiece(
            vocabulary, unk_token=_UNK, max_input_chars_per_word=LONGEST_WORD, continuing_subword_prefix=PREFIX
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
    """tokenizer_config.json of a vocabulary that was trained here."""
    return {
        # BertTokenizer would build its own normaliser without NFC; this class takes tokenizer.json as it is.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": MODEL_MAX_LENGTH,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        "do_lower_case": lowercase,
        "strip_accents": False,
        "tokenize_chinese_chars": False,
        "pad_token": _PAD,
        "unk_token": _UNK,
        "cls_token": _CLS,
        "sep_token": _SEP,
        "mask_token": _MASK,
    }


def save_tokenizer(tokenizer: Tokenizer, folder: Path, config: Mapping[str, Any]) -> None:
    """Write tokenizer.json, tokenizer_config.json and vocab.txt as `AutoTokenizer` reads them."""
    tokenizer.save(str(folder / "tokenizer.json"))
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    lines = "".join(f"{piece}\n" for piece, _ in pieces)
    (folder / "vocab.txt").write_text(lines, encoding="utf-8", newline="\n")
    text = json.dumps(config, ensure_ascii=False, indent=1) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8", newline="\n")
