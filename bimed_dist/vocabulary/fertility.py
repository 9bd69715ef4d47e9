"""Fertility: into how many tokens tokenizers split held-out text, side by side.

A word is a text between whitespace without the punctuation at its ends: in Korean an eojeol. Words are encoded one by
one.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from bimed_dist.vocabulary.report_format import Fertility, Fit, SplitWord, TokenizerFit
from bimed_dist.vocabulary.tokens import quota_of

LANGUAGES = ("ko", "en")
_PUNCTUATION_AT_ENDS = re.compile(r"^\W+|\W+$")
_SPLIT_WORDS_SHOWN = 20
_BATCH = 4096

TextCounts = Mapping[tuple[str, str], Mapping[str, int]]
"""(source, language) -> occurrences of each text between whitespace."""
Encode = Callable[[Sequence[str]], list[list[str]]]
"""Texts to their tokens."""


class Counts(NamedTuple):
    """The counts of a `Fit`, from which its measures are computed."""

    words: int
    word_tokens: int
    whole: int
    tokens: int
    unknown: int
    bytes: int


def measures(totals: NDArray[np.int64]) -> Fit:
    """Return counts and measures; `totals` holds the fields of `Counts`."""
    counts = Counts(*totals.tolist())
    return {
        **counts._asdict(),
        "tokens_per_word": _ratio(counts.word_tokens, counts.words),
        "whole_share": _ratio(counts.whole, counts.words),
        "unknown_share": _ratio(counts.unknown, counts.tokens),
        "bytes_per_token": _ratio(counts.bytes, counts.tokens),
    }


def count_texts(sentences: Iterable[tuple[str, str, str]]) -> dict[tuple[str, str], Counter[str]]:
    """Count each text between whitespace in (source, language, sentence) triples."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for source, language, sentence in sentences:
        counts.setdefault((source, language), Counter()).update(sentence.split())
    return counts


def fertility(
    tokenizers: Mapping[str, Tokenizer],
    held_out: TextCounts,
    training_words: Mapping[str, int],
    example_terms: Sequence[str],
) -> Fertility:
    """Return the content of fertility.json: measures of all tokenizers on `held_out`, examples, and split words."""
    encoders = {label: _encoder(tokenizer) for label, tokenizer in tokenizers.items()}
    first = next(iter(encoders.values()))
    return {
        "tokenizers": {label: _measure(tokenizers[label], encode, held_out) for label, encode in encoders.items()},
        "still_split": {language: _split_words(first, training_words, language) for language in LANGUAGES},
        "examples": [
            {"text": text, "tokens": {label: encode([text])[0] for label, encode in encoders.items()}}
            for text in example_terms
        ],
    }


def _encoder(tokenizer: Tokenizer) -> Encode:
    """Return a copy of the tokenizer that treats special tokens in a text as text."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    copy.encode_special_tokens = True
    tokens = {i: token for token, i in copy.get_vocab().items()}

    def encode(texts: Sequence[str]) -> list[list[str]]:
        # encode_batch_fast leaves `tokens` empty.
        encodings = copy.encode_batch_fast(list(texts), add_special_tokens=False)
        return [[tokens[i] for i in encoding.ids] for encoding in encodings]

    return encode


def _measure(tokenizer: Tokenizer, encode: Encode, held_out: TextCounts) -> TokenizerFit:
    texts = sorted({text for counts in held_out.values() for text in counts})
    position = {text: i for i, text in enumerate(texts)}
    counts_of_texts = _count_tokens(texts, encode, getattr(tokenizer.model, "unk_token", None))
    whole, by_language, by_source = _zeros(), defaultdict(_zeros), defaultdict(_zeros)
    for (source, language), counts in held_out.items():
        positions = [position[text] for text in counts]
        totals = np.fromiter(counts.values(), np.int64, len(counts)) @ counts_of_texts[positions]
        whole += totals
        by_language[language] += totals
        by_source[source] += totals
    return {
        "size": tokenizer.get_vocab_size(),
        "all": measures(whole),
        "by_language": {key: measures(by_language[key]) for key in sorted(by_language)},
        "by_source": {key: measures(by_source[key]) for key in sorted(by_source)},
    }


def _zeros() -> NDArray[np.int64]:
    return np.zeros(len(Counts._fields), np.int64)


def _count_tokens(texts: Sequence[str], encode: Encode, unknown: str | None) -> NDArray[np.int64]:
    """Return the `Counts` of every text, (texts, 6)."""
    table = np.zeros((len(texts), len(Counts._fields)), np.int64)
    for start in range(0, len(texts), _BATCH):
        batch = texts[start : start + _BATCH]
        words = [_PUNCTUATION_AT_ENDS.sub("", text) for text in batch]
        encoded = zip(batch, words, encode(batch), encode(words), strict=True)
        for i, (text, word, tokens, word_tokens) in enumerate(encoded, start):
            table[i] = Counts(
                words=bool(word),
                word_tokens=len(word_tokens),
                whole=len(word_tokens) == 1 and word_tokens[0] != unknown,
                tokens=len(tokens),
                unknown=tokens.count(unknown),
                bytes=len(text.encode()),
            )
    return table


def _split_words(encode: Encode, training_words: Mapping[str, int], language: str) -> list[SplitWord]:
    """Return the most frequent words of a language that are more than one token."""
    split: list[SplitWord] = []
    ordered = sorted(training_words, key=lambda word: (-training_words[word], word))
    for start in range(0, len(ordered), _BATCH):
        words = [word for word in ordered[start : start + _BATCH] if quota_of(word) == language]
        for word, tokens in zip(words, encode(words), strict=True):
            if len(tokens) > 1:
                split.append({"word": word, "count": training_words[word], "tokens": tokens})
                if len(split) == _SPLIT_WORDS_SHOWN:
                    return split
    return split


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None
