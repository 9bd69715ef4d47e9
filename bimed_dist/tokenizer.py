"""Loading a tokenizer from a Hugging Face folder or hub name; whatever a broken one raises becomes a DataError."""

from typing import TYPE_CHECKING

import transformers

from bimed_dist.errors import DataError
from bimed_dist.quiet import quietly

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def load_tokenizer(location: str) -> "PreTrainedTokenizerBase":
    """A fast tokenizer with pieces and a padding token."""
    try:
        with quietly():
            # An attribute: `from transformers import AutoTokenizer` would load torch as soon as this file is read.
            tokenizer = transformers.AutoTokenizer.from_pretrained(location)
    # from_pretrained has no family of errors of its own, and tokenizers raises Exception itself for a damaged file.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0][:300]
        raise DataError(f"{location}: the tokenizer can't be loaded ({type(error).__name__}: {reason})") from error
    if not tokenizer.is_fast:
        raise DataError(f"{location}: the tokenizer is not a fast one; convert it to tokenizer.json")
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):
        # AutoTokenizer makes an empty tokenizer of a folder that has none.
        raise DataError(
            f"{location}: there is no tokenizer in the folder (no piece but special ones); put its files there"
        )
    if tokenizer.pad_token_id is None:
        raise DataError(f"{location}: the tokenizer has no padding token")
    return tokenizer
