"""The formats of composition.json and fertility.json, which the vocabulary stage writes and the report reads."""

from typing import TypedDict


class ScriptRow(TypedDict):
    script: str
    """One of `tokens.SCRIPTS`."""
    tokens: int
    share: float


class Composition(TypedDict):
    """composition.json: every token of the vocabulary is in one row."""

    size: int
    rows: list[ScriptRow]


class Fit(TypedDict):
    """How a tokenizer splits some text: counts, and measures that are null if there is nothing to divide by."""

    words: int
    word_tokens: int
    """Tokens of the words alone; `tokens` includes those of punctuation and symbols."""
    whole: int
    """Words that are one known token."""
    tokens: int
    unknown: int
    """[UNK] tokens."""
    bytes: int
    """UTF-8, without whitespace."""
    tokens_per_word: float | None
    whole_share: float | None
    """Share of words that are one known token."""
    unknown_share: float | None
    """Share of tokens that are [UNK]."""
    bytes_per_token: float | None


class TokenizerFit(TypedDict):
    size: int
    """Tokens of the vocabulary."""
    all: Fit
    by_language: dict[str, Fit]
    by_source: dict[str, Fit]


class SplitWord(TypedDict):
    word: str
    count: int
    """Occurrences in the training text."""
    tokens: list[str]


class ExampleTerm(TypedDict):
    text: str
    tokens: dict[str, list[str]]
    """Tokenizer -> tokens of the term."""


class Fertility(TypedDict):
    """fertility.json."""

    tokenizers: dict[str, TokenizerFit]
    """This vocabulary first, then those of `compare_with`."""
    still_split: dict[str, list[SplitWord]]
    """Language -> the most frequent words that this vocabulary splits."""
    examples: list[ExampleTerm]
