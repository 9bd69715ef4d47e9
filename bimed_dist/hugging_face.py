"""Loading a tokenizer from a Hugging Face folder or hub name; whatever a broken one raises becomes a DataError."""

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import transformers
from tokenizers import Tokenizer

from bimed_dist.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@contextmanager
def quietly() -> Iterator[None]:
    """No bars and no warnings of new heads, which we name ourselves, while a folder is loaded or written."""
    log, bars = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(log)
        if bars:
            transformers.logging.enable_progress_bar()


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


def for_split_words(tokenizer: "PreTrainedTokenizerBase") -> "PreTrainedTokenizerBase":
    """The tokenizer that cuts single words as it cuts them in running text, where a blank is before each of them.

    Byte-level tokenizers (RoBERTa, ModernBERT) and some of SentencePiece take the blank for a part of the word; given
    words one by one they would see the insides of words only, which their models were not trained on.
    """
    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    if not _prefix_blanks(rules["pre_tokenizer"]):
        return tokenizer
    changed = copy.deepcopy(tokenizer)
    changed.backend_tokenizer.pre_tokenizer = Tokenizer.from_str(json.dumps(rules)).pre_tokenizer
    return changed


def _prefix_blanks(rule: dict[str, Any] | None) -> bool:
    """Make a rule put a blank before every word; whether it did not."""
    if rule is None:
        return False
    if rule["type"] == "Sequence":
        parts = [_prefix_blanks(part) for part in rule["pretokenizers"]]  # every part, not up to the first
        return any(parts)
    name, value = {"ByteLevel": ("add_prefix_space", True), "Metaspace": ("prepend_scheme", "always")}.get(
        rule["type"], (None, None)
    )
    changed = name is not None and rule[name] != value
    if changed:
        rule[name] = value
    return changed
