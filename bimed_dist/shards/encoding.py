"""Sentences to token ids with a Hugging Face tokenizer.

nanotoken encodes WordPiece many times as fast as tokenizers, with the same ids. It is young, so a sample of every batch
is encoded by both and compared. If it can't read a tokenizer, or an id differs, tokenizers encodes everything.
"""

import json
import logging
import shutil
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from nanotoken import UnsupportedTokenizerError, WordPieceTokenizer
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from bimed_dist.errors import ConfigError
from bimed_dist.hugging_face import load_tokenizer
from bimed_dist.shards.reading import TokenTable
from bimed_dist.shards.writing import token_dtype
from bimed_dist.vocabulary.tokens import PREFIX

logger = logging.getLogger(__name__)

Encoded = tuple[NDArray[np.unsignedinteger], NDArray[np.int32]]
"""The tokens of all sentences, concatenated, and the number of tokens of each sentence."""

_COMPARED_EVERY = 64
"""One in so many sentences is encoded by both libraries."""
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "special_tokens_map.json",
    "added_tokens.json",
)


class EncodersDifferError(Exception):
    """nanotoken and tokenizers differ in the ids of a sentence: encode everything again after `use_tokenizers`."""


class Encoder:
    """Encodes sentences without special tokens, truncation and padding."""

    def __init__(self, location: str) -> None:
        """Raises DataError if no fast tokenizer loads, ConfigError if it lacks a special token that BERT needs."""
        self._location = location
        self._tokenizer = load_tokenizer(location)
        self.table = token_table(self._tokenizer, location)
        self.dtype = token_dtype(self.table.vocabulary_size)
        self._fast = nanotoken_encoder(self._tokenizer.backend_tokenizer)

    @property
    def library(self) -> str:
        return "tokenizers" if self._fast is None else "nanotoken"

    def use_tokenizers(self) -> None:
        self._fast = None

    def save(self, folder: Path) -> None:
        """Copy the tokenizer's files; a tokenizer of the hub is saved by `save_pretrained`."""
        if not Path(self._location).is_dir():
            self._tokenizer.save_pretrained(folder)
            return
        folder.mkdir()
        for name in _TOKENIZER_FILES:
            if (Path(self._location) / name).is_file():
                shutil.copyfile(Path(self._location) / name, folder / name)

    def encode(self, sentences: Sequence[str]) -> Encoded:
        """Encode sentences, which may have no token. Raises EncodersDifferError if the libraries differ in a sample."""
        if self._fast is None:
            return self._encode_with_tokenizers(sentences)
        flat, starts = self._fast.encode_batch(sentences, add_special_tokens=False)
        tokens, lengths = flat.astype(self.dtype), np.diff(starts).astype(np.int32)
        compared = sentences[::_COMPARED_EVERY]
        expected, expected_lengths = self._encode_with_tokenizers(compared)
        sample = [tokens[starts[i] : starts[i + 1]] for i in range(0, len(sentences), _COMPARED_EVERY)]
        same = np.array_equal(lengths[::_COMPARED_EVERY], expected_lengths)
        if not same or not np.array_equal(np.concatenate([tokens[:0], *sample]), expected):
            raise EncodersDifferError(f"nanotoken and tokenizers differ among {len(compared)} sentences")
        return tokens, lengths

    def _encode_with_tokenizers(self, sentences: Sequence[str]) -> Encoded:
        backend = self._tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        # "[MASK]" in a corpus is ordinary text.
        backend.encode_special_tokens = True
        ids = [encoding.ids for encoding in backend.encode_batch_fast(list(sentences), add_special_tokens=False)]
        lengths = np.fromiter(map(len, ids), dtype=np.int32, count=len(ids))
        return np.fromiter(chain.from_iterable(ids), dtype=self.dtype, count=int(lengths.sum())), lengths


def nanotoken_encoder(tokenizer: Tokenizer) -> WordPieceTokenizer | None:
    """Return the tokenizer in nanotoken, which treats special tokens in a text as text; None if it can't be read."""
    description = json.loads(tokenizer.to_str())
    description["added_tokens"] = [token for token in description["added_tokens"] if not token["special"]]
    try:
        return WordPieceTokenizer.from_json(json.dumps(description))
    except UnsupportedTokenizerError as error:
        logger.warning("nanotoken can't read this tokenizer (%s); encoding with tokenizers, which is slower", error)
        return None


def token_table(tokenizer: PreTrainedTokenizerBase, location: str) -> TokenTable:
    special = {
        "[PAD]": tokenizer.pad_token_id,
        "[UNK]": tokenizer.unk_token_id,
        "[CLS]": tokenizer.cls_token_id,
        "[SEP]": tokenizer.sep_token_id,
        "[MASK]": tokenizer.mask_token_id,
    }
    missing = [name for name, number in special.items() if number is None]
    if missing:
        raise ConfigError(
            f"the tokenizer of {location} has no {', '.join(missing)}; MLM and NSP need {', '.join(special)}: use a "
            "BERT tokenizer"
        )
    vocabulary = tokenizer.get_vocab()
    return TokenTable(
        vocabulary_size=max(vocabulary.values()) + 1,
        pad=special["[PAD]"],
        unknown=special["[UNK]"],
        cls=special["[CLS]"],
        sep=special["[SEP]"],
        mask=special["[MASK]"],
        special_ids=tuple(sorted(set(tokenizer.all_special_ids))),
        continuing_ids=tuple(sorted(number for token, number in vocabulary.items() if token.startswith(PREFIX))),
    )
