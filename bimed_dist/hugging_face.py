"""Load tokenizers, configurations and models from Hugging Face folders or hub names.

Importing this module does not load torch: a corpus process or a report starts without it.
"""

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import transformers
from tokenizers import Tokenizer

from bimed_dist.errors import BimedError, DataError, one_line

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


@contextmanager
def quietly() -> Iterator[None]:
    """Silence transformers' progress bars and its warnings about new heads, which our log names itself."""
    verbosity, bars = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(verbosity)
        if bars:
            transformers.logging.enable_progress_bar()


@contextmanager
def loading(part: str, location: str) -> Iterator[None]:
    """Load quietly; any error of transformers becomes a DataError that names `part` ("model") and `location`."""
    try:
        with quietly():
            yield
    except BimedError:
        raise
    # from_pretrained documents no error classes, and tokenizers raises Exception itself for a damaged file.
    except Exception as error:
        raise DataError(f"{location}: the {part} can't be loaded ({one_line(error)})") from error


def load_config(location: str) -> "PreTrainedConfig":
    with loading("configuration", location):
        return transformers.AutoConfig.from_pretrained(location)


def load_model(location: str, model_class: Any) -> "tuple[PreTrainedModel, dict[str, Any]]":
    """Return the model in float32 and transformers' loading info (`missing_keys`, `mismatched_keys`, ...).

    `model_class` is a model class or an `AutoModelFor...` class. Weights are copied out of the mapped file to where
    torch allocates them, at multiples of 64 bytes: the last bits of MKL's sums depend on the alignment of its inputs,
    so the same run would end with other weights if the file were laid out in another way.
    """
    with loading("model", location):
        model, info = model_class.from_pretrained(location, dtype="float32", output_loading_info=True)
        for parameter in model.parameters():
            parameter.data = parameter.data.clone()
        return model, info


def load_tokenizer(location: str) -> "PreTrainedTokenizerBase":
    """Return the tokenizer.

    Raises DataError if it can't be loaded, is not a fast one, has only special tokens or has no padding token.
    """
    with loading("tokenizer", location):
        # An attribute: `from transformers import AutoTokenizer` would load torch as soon as this file is imported.
        tokenizer = transformers.AutoTokenizer.from_pretrained(location)
    if not tokenizer.is_fast:
        raise DataError(f"{location}: the tokenizer is not a fast one; convert it to tokenizer.json")
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):
        # AutoTokenizer returns an empty tokenizer for a folder that has none.
        raise DataError(f"{location}: there is no tokenizer in the folder (only special tokens); add its files")
    if tokenizer.pad_token_id is None:
        raise DataError(f"{location}: the tokenizer has no padding token")
    return tokenizer


def for_split_words(tokenizer: "PreTrainedTokenizerBase") -> "PreTrainedTokenizerBase":
    """Return a tokenizer that tokenizes single words as it does in running text, where a space precedes each of them.

    Byte-level tokenizers (RoBERTa, ModernBERT) and some SentencePiece ones treat the space as a part of the word. Given
    one word at a time, they would return tokens from the insides of words, which their models were not trained on.
    """
    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    if not _add_prefix_spaces(rules["pre_tokenizer"]):
        return tokenizer
    changed = copy.deepcopy(tokenizer)
    changed.backend_tokenizer.pre_tokenizer = Tokenizer.from_str(json.dumps(rules)).pre_tokenizer
    return changed


def _add_prefix_spaces(rule: dict[str, Any] | None) -> bool:
    """Make a pre-tokenizer put a space before every word; return False if it already did or has no such option."""
    if rule is None:
        return False
    if rule["type"] == "Sequence":
        changes = [_add_prefix_spaces(part) for part in rule["pretokenizers"]]  # change all: any() alone would stop
        return any(changes)
    name, value = {"ByteLevel": ("add_prefix_space", True), "Metaspace": ("prepend_scheme", "always")}.get(
        rule["type"], (None, None)
    )
    changed = name is not None and rule[name] != value
    if changed:
        rule[name] = value
    return changed
