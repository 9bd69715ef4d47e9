"""Examples as rows of token ids with training targets; done once per task and tokenizer.

Shapes: T tokens of a row, L labels, U units of an item (words, or characters for character tasks).
"""

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from bimed_dist.errors import DataError
from bimed_dist.evaluation.metrics.definitions import tag_names
from bimed_dist.evaluation.task import Example, Kind
from bimed_dist.hugging_face import quietly
from bimed_dist.manifest import digest_of

IGNORED = -100
"""Target of tokens without a tag; torch's cross entropy ignores it."""


@dataclass(frozen=True)
class EncodedRow:
    ids: np.ndarray
    """(T,) int64."""
    segment_ids: np.ndarray | None
    """(T,) int64; None if the model has no segments."""
    target: np.ndarray
    """sts: (1,) score / 5; sts_classes and classification: (1,) class number; multilabel: (L,) 0.0 or 1.0; ner: (T,)
    tag number or IGNORED.
    """
    unit_spans: np.ndarray | None = None
    """ner: (T, 2) units [start, end) that are tagged by the token; empty spans for tokens that tag nothing."""


@dataclass(frozen=True)
class Encoded:
    """A split of a task as the model reads it. A long text may have several rows (windows)."""

    rows: list[EncodedRow]
    gold: list[np.ndarray]
    """One array per item, in the form that the metrics take."""
    item_of_row: np.ndarray
    """(rows,) item number of each row, ascending."""
    truncated: int
    """Items that were longer than the limit."""
    unknown_share: float
    """Share of tokens that are [UNK]."""

    def rows_by_item(self) -> list[list[EncodedRow]]:
        grouped: list[list[EncodedRow]] = [[] for _ in self.gold]
        for row, item in zip(self.rows, self.item_of_row, strict=True):
            grouped[item].append(row)
        return grouped


def tokenizer_key(tokenizer: PreTrainedTokenizerBase, limit: int) -> str:
    """Return a digest of everything that decides an encoding; independent of earlier calls."""
    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    # Every call leaves its own truncation and padding behind.
    rules = {name: rule for name, rule in rules.items() if name not in ("truncation", "padding")}
    return digest_of([rules, tokenizer.truncation_side, limit, sorted(tokenizer.model_input_names)])


def encode(
    tokenizer: PreTrainedTokenizerBase,
    kind: Kind,
    unit: str,
    labels: Sequence[str],
    examples: Sequence[Example],
    limit: int,
    long_texts: str = "truncate",
) -> Encoded:
    """Encode examples of a fine-tuned kind in rows of at most `limit` tokens; long_texts as in `TaskSettings`."""
    if kind == "ner":
        return _encode_tagged(tokenizer, unit, labels, examples, limit)
    texts = [example.texts if len(example.texts) == 2 else example.texts[0] for example in examples]
    tokens, item_of_row, truncated = _LONG_TEXTS[long_texts](tokenizer, texts, limit)
    targets = [labels.index(e.target) if kind == "classification" else e.target for e in examples]
    gold = [np.atleast_1d(np.asarray(target, dtype=np.float64)) for target in targets]
    rows = [EncodedRow(*pair, training_target(kind, gold[i])) for pair, i in zip(tokens, item_of_row, strict=True)]
    return Encoded(rows, gold, item_of_row, truncated, _unknown_share(tokenizer, rows))


def training_target(kind: Kind, gold: np.ndarray) -> np.ndarray:
    """Return the values that the loss compares the model's outputs with."""
    if kind == "sts":
        return (gold / 5).astype(np.float32)
    if kind == "sts_classes":
        # KM-BERT rounds half a point up.
        return np.rint(gold + 0.001).astype(np.int64)
    return gold.astype(np.int64 if kind == "classification" else np.float32)


def encode_texts(tokenizer: PreTrainedTokenizerBase, texts: list[Any], limit: int) -> list[EncodedRow]:
    """Encode texts, or pairs of texts, without targets; longer ones are truncated to `limit` tokens."""
    tokens, _, _ = _truncate(tokenizer, texts, limit)
    return [EncodedRow(*pair, np.empty(0)) for pair in tokens]


TokenRows = list[tuple[np.ndarray, np.ndarray | None]]
"""(ids, segment ids) of each row."""


def _truncate(tokenizer: PreTrainedTokenizerBase, texts: list[Any], limit: int) -> tuple[TokenRows, np.ndarray, int]:
    output = tokenizer(texts, truncation=True, max_length=limit, padding=False)
    return _token_rows(output), np.arange(len(texts)), sum(bool(e.overflowing) for e in output.encodings)


def _head_and_tail(
    tokenizer: PreTrainedTokenizerBase, texts: list[Any], limit: int
) -> tuple[TokenRows, np.ndarray, int]:
    """Keep the first quarter of `limit` and the last three quarters, special tokens included.

    Sun et al. 2019 keep 128 and 382 of 510 tokens.
    """
    with quietly():
        rows = _token_rows(tokenizer(texts, truncation=False, padding=False))
    head = limit // 4
    kept: TokenRows = []
    for ids, segment_ids in rows:
        positions = np.arange(len(ids)) if len(ids) <= limit else np.r_[:head, len(ids) - limit + head : len(ids)]
        kept.append((ids[positions], None if segment_ids is None else segment_ids[positions]))
    return kept, np.arange(len(texts)), sum(len(ids) > limit for ids, _ in rows)


def _windows(tokenizer: PreTrainedTokenizerBase, texts: list[Any], limit: int) -> tuple[TokenRows, np.ndarray, int]:
    """Split texts into windows that overlap by a quarter of `limit`; nothing is lost."""
    output = tokenizer(
        texts, truncation=True, max_length=limit, padding=False, return_overflowing_tokens=True, stride=limit // 4
    )
    return _token_rows(output), np.asarray(output["overflow_to_sample_mapping"]), 0


_LONG_TEXTS: dict[str, Callable[..., tuple[TokenRows, np.ndarray, int]]] = {
    "truncate": _truncate,
    "head_tail": _head_and_tail,
    "windows": _windows,
}


def _token_rows(output: Any) -> TokenRows:
    ids = [np.asarray(row, dtype=np.int64) for row in output["input_ids"]]
    if "token_type_ids" not in output:
        return [(row, None) for row in ids]
    return list(zip(ids, (np.asarray(row, dtype=np.int64) for row in output["token_type_ids"]), strict=True))


def _unknown_share(tokenizer: PreTrainedTokenizerBase, rows: list[EncodedRow]) -> float:
    unknown = sum(int((row.ids == tokenizer.unk_token_id).sum()) for row in rows)
    return unknown / max(sum(len(row.ids) for row in rows), 1)


def _encode_tagged(
    tokenizer: PreTrainedTokenizerBase, unit: str, labels: Sequence[str], examples: Sequence[Example], limit: int
) -> Encoded:
    number = {name: i for i, name in enumerate(tag_names(labels))}
    output = tokenizer(
        [list(example.texts) for example in examples],
        is_split_into_words=True,
        truncation=True,
        max_length=limit,
        padding=False,
    )
    rows, gold = [], []
    for example, encoding, (ids, segment_ids) in zip(examples, output.encodings, _token_rows(output), strict=True):
        tags = np.array([number[tag] for tag in example.target], dtype=np.int64)
        spans = unit_spans(unit, example.texts, encoding.word_ids, encoding.offsets)
        if spans.max(initial=0) > len(tags):
            raise DataError(f"{example.id}: the tokenizer reports characters that the words do not have")
        first = spans[:, 0]
        has_units = spans[:, 1] > first
        target = np.where(has_units, tags[np.where(has_units, first, 0)], IGNORED)
        rows.append(EncodedRow(ids, segment_ids, target, spans))
        gold.append(tags)
    truncated = sum(bool(e.overflowing) for e in output.encodings)
    return Encoded(rows, gold, np.arange(len(rows)), truncated, _unknown_share(tokenizer, rows))


def merge_windows(kind: Kind, predictions: Sequence[np.ndarray], item_of_row: np.ndarray) -> list[np.ndarray]:
    """Return one prediction per item: the largest of its windows for each label, their mean for classes."""
    if len(item_of_row) == len(np.unique(item_of_row)):
        return list(predictions)
    merge = np.max if kind == "multilabel" else np.mean
    ends = [*np.flatnonzero(np.diff(item_of_row)) + 1, len(item_of_row)]
    starts = [0, *ends[:-1]]
    return [merge(np.stack(predictions[start:end]), axis=0) for start, end in zip(starts, ends, strict=True)]


def unit_spans(
    unit: str, words: Sequence[str], word_of_token: Sequence[int | None], offsets: Sequence[tuple[int, int]]
) -> np.ndarray:
    """Return (T, 2): the units that each token tags.

    word: the first token of a word tags it. character: a token tags its characters, except those of earlier tokens (the
    tokens of a Hangul syllable that is split into jamo all have the offsets of that syllable).
    """
    start_of_word = [0, *itertools.accumulate(map(len, words))]
    spans = np.zeros((len(word_of_token), 2), dtype=np.int64)
    tagged_until = 0
    for token, (word, (begin, end)) in enumerate(zip(word_of_token, offsets, strict=True)):
        if word is None:
            continue
        if unit == "word":
            start, stop = max(word, tagged_until), word + 1
        else:
            start, stop = max(start_of_word[word] + begin, tagged_until), start_of_word[word] + end
        if stop > start:
            spans[token] = start, stop
            tagged_until = stop
    return spans


def tags_by_unit(token_tags: np.ndarray, spans: np.ndarray, units: int) -> np.ndarray:
    """Return (U,) tag numbers from (T,) tag numbers of tokens.

    If a token with a B- tag has several units, the first gets B- and the rest I-. Units without a token get O.
    """
    tags = np.zeros(units, dtype=np.int64)
    for (start, stop), tag in zip(spans, token_tags, strict=True):
        if stop > start:
            # Tag numbers: O is 0, B- odd, the I- of the same type the next even number.
            tags[start:stop] = tag + (tag % 2)
            tags[start] = tag
    return tags
