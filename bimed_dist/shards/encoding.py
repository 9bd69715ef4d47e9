"""Sentences to token ids with a Hugging Face tokenizer, and what later stages need to know of it.

nanotoken encodes WordPiece many times as fast as tokenizers and with the same ids. It is young, so part of every batch
is encoded by both and compared, and where it can't read a tokenizer, or differs, tokenizers does all.
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

logger = logging.getLogger(__name__)

Encoded = tuple[NDArray[np.unsignedinteger], NDArray[np.int32]]
"""All tokens one after another, and the tokens of each sentence."""

_COMPARED_EVERY = 64
"""Of so many sentences one is encoded by both libraries."""
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "special_tokens_map.json",
    "added_tokens.json",
)


class EncodersDifferError(Exception):
    """nanotoken and tokenizers gave other ids for the same sentence: encode everything again, by `use_tokenizers`."""


class Encoder:
    """A fast tokenizer that turns sentences into ids and nothing else: no special tokens, truncation or padding."""

    def __init__(self, location: str) -> None:
        """DataError where no fast tokenizer loads, ConfigError where it lacks a special token that BERT needs."""
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
        """The tokenizer's files as they are, or as `save_pretrained` writes them where they come from the hub."""
        if not Path(self._location).is_dir():
            self._tokenizer.save_pretrained(folder)
            return
        folder.mkdir()
        for name in _TOKENIZER_FILES:
            if (Path(self._location) / name).is_file():
                shutil.copyfile(Path(self._location) / name, folder / name)

    def encode(self, sentences: Sequence[str]) -> Encoded:
        """(all tokens one after another, tokens of each sentence); a sentence may have none.

        Raises EncodersDifferError where the sentences that both libraries encode have other ids in nanotoken.
        """
        if self._fast is None:
            return self._encode_with_tokenizers(sentences)
        flat, starts = self._fast.encode_batch(sentences, add_special_tokens=False)
        tokens, lengths = flat.astype(self.dtype), np.diff(starts).astype(np.int32)
        compared = sentences[::_COMPARED_EVERY]
        expected, expected_lengths = self._encode_with_tokenizers(compared)
        found = [tokens[starts[i] : starts[i + 1]] for i in range(0, len(sentences), _COMPARED_EVERY)]
        same = np.array_equal(lengths[::_COMPARED_EVERY], expected_lengths)
        if not same or not np.array_equal(np.concatenate([tokens[:0], *found]), expected):
            raise EncodersDifferError(f"nanotoken and tokenizers differ among {len(compared)} sentences")
        return tokens, lengths

    def _encode_with_tokenizers(self, sentences: Sequence[str]) -> Encoded:
        backend = self._tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        # "[MASK]" in a text is text.
        backend.encode_special_tokens = True
        ids = [encoding.ids for encoding in backend.encode_batch_fast(list(sentences), add_special_tokens=False)]
        lengths = np.fromiter(map(len, ids), dtype=np.int32, count=len(ids))
        return np.fromiter(chain.from_iterable(ids), dtype=self.dtype, count=int(lengths.sum())), lengths


def nanotoken_encoder(tokenizer: Tokenizer) -> WordPieceTokenizer | None:
    """The same tokenizer in nanotoken, to which special tokens in a text are text; None where it can't be read."""
    description = json.loads(tokenizer.to_str())
    description["added_tokens"] = [token for token in description["added_tokens"] if not token["special"]]
    try:
        return WordPieceTokenizer.from_json(json.dumps(description))
    except UnsupportedTokenizerError as error:
        logger.warning("nanotoken can't read this tokenizer (%s); tokenizers encodes, more slowly", error)
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
            f"the tokenizer of {location} has no {', '.join(missing)}; masked-language and next-sentence rows need "
            f"{', '.join(special)}: use a BERT tokenizer"
        )
    pieces = tokenizer.get_vocab()
    return TokenTable(
        vocabulary_size=max(pieces.values()) + 1,
        pad=special["[PAD]"],
        unknown=special["[UNK]"],
        cls=special["[CLS]"],
        sep=special["[SEP]"],
        mask=special["[MASK]"],
        special_ids=tuple(sorted(set(tokenizer.all_special_ids))),
        continuing_ids=tuple(sorted(number for piece, number in pieces.items() if piece.startswith("##"))),
    )
