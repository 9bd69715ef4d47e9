"""How finely tokenizers cut text that the vocabulary was not trained on, side by side.

A word is a text between blanks without the punctuation at its ends: in Korean an eojeol. Each is encoded by itself.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from bimed_dist.vocabulary.pieces import quota_of

LANGUAGES = ("ko", "en")
_PUNCTUATION_AT_ENDS = re.compile(r"^\W+|\W+$")
_SPLIT_WORDS_SHOWN = 20
_BATCH = 4096

TextCounts = Mapping[tuple[str, str], Mapping[str, int]]
"""(source, language) -> occurrences of each text between blanks."""
Encode = Callable[[Sequence[str]], list[list[str]]]
"""Texts to their pieces."""


class Fit(NamedTuple):
    """How some text was cut into pieces."""

    words: int
    word_pieces: int
    """Pieces of the words alone; `pieces` has those of punctuation and symbols too."""
    whole: int
    """Words that are one known piece."""
    pieces: int
    unknown: int
    bytes: int
    """UTF-8, without blanks."""


def summary(total: NDArray[np.int64]) -> dict[str, Any]:
    """`total` holds the fields of a Fit."""
    fit = Fit(*total.tolist())
    return {
        **fit._asdict(),
        "pieces_per_word": _ratio(fit.word_pieces, fit.words),
        "whole_share": _ratio(fit.whole, fit.words),
        "unknown_share": _ratio(fit.unknown, fit.pieces),
        "bytes_per_piece": _ratio(fit.bytes, fit.pieces),
    }


def count_texts(sentences: Iterable[tuple[str, str, str]]) -> dict[tuple[str, str], Counter[str]]:
    """Texts between blanks of (source, language, sentence) triples."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for source, language, sentence in sentences:
        counts.setdefault((source, language), Counter()).update(sentence.split())
    return counts


def fertility(
    tokenizers: Mapping[str, Tokenizer],
    held_out: TextCounts,
    trained: Mapping[str, int],
    examples: Sequence[str],
) -> dict[str, Any]:
    """fertility.json: measures of every tokenizer, and where the first of them still splits words.

    `held_out` is what the measures are taken on, `trained` the words of the training text and their counts.
    """
    encoders = {label: _encoder(tokenizer) for label, tokenizer in tokenizers.items()}
    first = next(iter(encoders.values()))
    return {
        "tokenizers": {
            label: {"size": tokenizers[label].get_vocab_size(), **_measures(tokenizers[label], encode, held_out)}
            for label, encode in encoders.items()
        },
        "still_split": {language: _still_split(first, trained, language) for language in LANGUAGES},
        "examples": [
            {"text": text, "pieces": {label: encode([text])[0] for label, encode in encoders.items()}}
            for text in examples
        ],
    }


def _encoder(tokenizer: Tokenizer) -> Encode:
    """A copy of the tokenizer, to which special tokens in a text are text."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    copy.encode_special_tokens = True
    pieces = {i: piece for piece, i in copy.get_vocab().items()}

    def encode(texts: Sequence[str]) -> list[list[str]]:
        # The fast way leaves `tokens` empty.
        encodings = copy.encode_batch_fast(list(texts), add_special_tokens=False)
        return [[pieces[i] for i in encoding.ids] for encoding in encodings]

    return encode


def _measures(tokenizer: Tokenizer, encode: Encode, held_out: TextCounts) -> dict[str, Any]:
    texts = sorted({text for counts in held_out.values() for text in counts})
    position = {text: i for i, text in enumerate(texts)}
    fits = _fits_of_texts(texts, encode, getattr(tokenizer.model, "unk_token", None))
    whole, by_language, by_source = _nothing(), defaultdict(_nothing), defaultdict(_nothing)
    for (source, language), counts in held_out.items():
        places = [position[text] for text in counts]
        total = np.fromiter(counts.values(), np.int64, len(counts)) @ fits[places]
        whole += total
        by_language[language] += total
        by_source[source] += total
    return {
        "all": summary(whole),
        "by_language": {key: summary(by_language[key]) for key in sorted(by_language)},
        "by_source": {key: summary(by_source[key]) for key in sorted(by_source)},
    }


def _nothing() -> NDArray[np.int64]:
    return np.zeros(len(Fit._fields), np.int64)


def _fits_of_texts(texts: Sequence[str], encode: Encode, unknown: str | None) -> NDArray[np.int64]:
    """One row per text: the fields of its Fit."""
    fits = np.zeros((len(texts), len(Fit._fields)), np.int64)
    for start in range(0, len(texts), _BATCH):
        batch = texts[start : start + _BATCH]
        words = [_PUNCTUATION_AT_ENDS.sub("", text) for text in batch]
        encoded = zip(batch, words, encode(batch), encode(words), strict=True)
        for i, (text, word, pieces, word_pieces) in enumerate(encoded, start):
            fits[i] = Fit(
                words=bool(word),
                word_pieces=len(word_pieces),
                whole=len(word_pieces) == 1 and word_pieces[0] != unknown,
                pieces=len(pieces),
                unknown=pieces.count(unknown),
                bytes=len(text.encode()),
            )
    return fits


def _still_split(encode: Encode, trained: Mapping[str, int], language: str) -> list[dict[str, Any]]:
    """The most frequent words of a language that are more than one piece."""
    found: list[dict[str, Any]] = []
    ordered = sorted(trained, key=lambda word: (-trained[word], word))
    for start in range(0, len(ordered), _BATCH):
        words = [word for word in ordered[start : start + _BATCH] if quota_of(word) == language]
        for word, pieces in zip(words, encode(words), strict=True):
            if len(pieces) > 1:
                found.append({"word": word, "count": trained[word], "pieces": pieces})
                if len(found) == _SPLIT_WORDS_SHOWN:
                    return found
    return found


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None
