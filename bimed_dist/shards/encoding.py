"""Sentences to token ids with a Hugging Face tokenizer, and what later stages need to know of it."""

import shutil
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from bimed_dist.errors import ConfigError
from bimed_dist.shards.reading import TokenTable
from bimed_dist.shards.writing import token_dtype
from bimed_dist.tokenizer import load_tokenizer

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "special_tokens_map.json",
    "added_tokens.json",
)


class Encoder:
    """A fast tokenizer that turns sentences into ids and nothing else: no special tokens, truncation or padding."""

    def __init__(self, location: str) -> None:
        """DataError where no fast tokenizer loads, ConfigError where it lacks a special token that BERT needs."""
        self._location = location
        self._tokenizer = load_tokenizer(location)
        self.table = token_table(self._tokenizer, location)
        self.dtype = token_dtype(self.table.vocabulary_size)

    def save(self, folder: Path) -> None:
        """The tokenizer's files as they are, or as `save_pretrained` writes them where they come from the hub."""
        if not Path(self._location).is_dir():
            self._tokenizer.save_pretrained(folder)
            return
        folder.mkdir()
        for name in _TOKENIZER_FILES:
            if (Path(self._location) / name).is_file():
                shutil.copyfile(Path(self._location) / name, folder / name)

    def encode(self, sentences: Sequence[str]) -> tuple[NDArray[np.unsignedinteger], NDArray[np.int32]]:
        """(all tokens one after another, tokens of each sentence); a sentence may have none."""
        backend = self._tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        # "[MASK]" in a text is text.
        backend.encode_special_tokens = True
        ids = [encoding.ids for encoding in backend.encode_batch_fast(list(sentences), add_special_tokens=False)]
        lengths = np.fromiter(map(len, ids), dtype=np.int32, count=len(ids))
        return np.fromiter(chain.from_iterable(ids), dtype=self.dtype, count=int(lengths.sum())), lengths


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
