"""Examples to padded-later rows of piece ids, with targets; done once per (task, tokenizer).

U units of an item (words or characters), T pieces of a row.
"""

import itertools
import json
from collections.abc import Sequence
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
"""Target of pieces that carry no tag, as torch's cross entropy has it."""


@dataclass(frozen=True)
class Row:
    ids: np.ndarray
    """(T,) int64."""
    types: np.ndarray | None
    """(T,) segment of each piece, where the model knows segments."""
    target: np.ndarray
    """sts: (1,) score / 5; sts_classes and classification: (1,) class number; multilabel: (L,) 0.0 or 1.0; ner: (T,)
    tag number or IGNORED.
    """
    covers: np.ndarray | None = None
    """ner: (T, 2) units [start, end) that the piece speaks for; empty where it speaks for none."""


@dataclass(frozen=True)
class Encoded:
    rows: list[Row]
    gold: list[np.ndarray]
    """One array of numbers per item, as `metrics` takes it."""
    item: np.ndarray
    """(rows,) number of the item that each row is of: long texts may have several rows."""
    cut: int
    """Items that were longer than the model's or the task's limit."""
    unknown: float
    """Share of pieces that are [UNK]."""

    def texts(self) -> list[list[Row]]:
        """The rows of each item."""
        found: list[list[Row]] = [[] for _ in self.gold]
        for row, item in zip(self.rows, self.item, strict=True):
            found[item].append(row)
        return found


def tokenizer_key(tokenizer: PreTrainedTokenizerBase, limit: int) -> str:
    """Equal keys mean equal encodings, whatever was encoded before."""
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
    """Rows of a fine-tuned kind, `limit` pieces at most; long_texts: see `TaskSettings`."""
    if kind == "ner":
        return _encode_words(tokenizer, unit, labels, examples, limit)
    texts = [example.texts if len(example.texts) == 2 else example.texts[0] for example in examples]
    pieces, item, cut = _LONG_TEXTS[long_texts](tokenizer, texts, limit)
    targets = [labels.index(e.target) if kind == "classification" else e.target for e in examples]
    gold = [np.atleast_1d(np.asarray(target, dtype=np.float64)) for target in targets]
    rows = [Row(*of_row, trained_target(kind, gold[i])) for of_row, i in zip(pieces, item, strict=True)]
    return _encoded(tokenizer, rows, gold, cut, item)


def trained_target(kind: Kind, gold: np.ndarray) -> np.ndarray:
    """What the loss compares outputs with."""
    if kind == "sts":
        return (gold / 5).astype(np.float32)
    if kind == "sts_classes":
        # KM-BERT's rule, by which half a point is the higher class.
        return np.rint(gold + 0.001).astype(np.int64)
    return gold.astype(np.int64 if kind == "classification" else np.float32)


Pieces = list[tuple[np.ndarray, np.ndarray | None]]


def _head(tokenizer: PreTrainedTokenizerBase, texts: list[Any], limit: int) -> tuple[Pieces, np.ndarray, int]:
    found = tokenizer(texts, truncation=True, max_length=limit, padding=False)
    return _pieces(found), np.arange(len(texts)), sum(bool(e.overflowing) for e in found.encodings)


def _head_and_tail(tokenizer: PreTrainedTokenizerBase, texts: list[Any], limit: int) -> tuple[Pieces, np.ndarray, int]:
    """The first quarter and the last three (Sun et al. 2019: 128 and 382 of 510 pieces), special pieces included."""
    with quietly():
        found = _pieces(tokenizer(texts, truncation=False, padding=False))
    head = limit // 4
    kept: Pieces = []
    for ids, types in found:
        at = np.arange(len(ids)) if len(ids) <= limit else np.r_[:head, len(ids) - limit + head : len(ids)]
        kept.append((ids[at], None if types is None else types[at]))
    return kept, np.arange(len(texts)), sum(len(ids) > limit for ids, _ in found)


def _windows(tokenizer: PreTrainedTokenizerBase, texts: list[Any], limit: int) -> tuple[Pieces, np.ndarray, int]:
    """Windows that overlap by a quarter; nothing is cut off."""
    found = tokenizer(
        texts, truncation=True, max_length=limit, padding=False, return_overflowing_tokens=True, stride=limit // 4
    )
    return _pieces(found), np.asarray(found["overflow_to_sample_mapping"]), 0


_LONG_TEXTS = {"truncate": _head, "head_tail": _head_and_tail, "windows": _windows}


def rows_to_read(tokenizer: PreTrainedTokenizerBase, texts: list[Any], limit: int) -> list[Row]:
    """Rows without targets of texts or pairs of texts, their heads where they are longer than `limit` pieces."""
    pieces, _, _ = _head(tokenizer, texts, limit)
    return [Row(*of_row, np.empty(0)) for of_row in pieces]


def _pieces(found: Any) -> Pieces:
    ids = [np.asarray(row, dtype=np.int64) for row in found["input_ids"]]
    if "token_type_ids" not in found:
        return [(row, None) for row in ids]
    return list(zip(ids, (np.asarray(row, dtype=np.int64) for row in found["token_type_ids"]), strict=True))


def _encoded(
    tokenizer: PreTrainedTokenizerBase, rows: list[Row], gold: list[np.ndarray], cut: int, item: np.ndarray
) -> Encoded:
    pieces = sum(len(row.ids) for row in rows)
    unknown = sum(int((row.ids == tokenizer.unk_token_id).sum()) for row in rows)
    return Encoded(rows, gold, item, cut, unknown / max(pieces, 1))


def _encode_words(
    tokenizer: PreTrainedTokenizerBase, unit: str, labels: Sequence[str], examples: Sequence[Example], limit: int
) -> Encoded:
    number = {name: i for i, name in enumerate(tag_names(labels))}
    found = tokenizer(
        [list(example.texts) for example in examples],
        is_split_into_words=True,
        truncation=True,
        max_length=limit,
        padding=False,
    )
    rows, gold = [], []
    for example, encoding, (ids, types) in zip(examples, found.encodings, _pieces(found), strict=True):
        tags = np.array([number[tag] for tag in example.target], dtype=np.int64)
        covers = covered_units(unit, example.texts, encoding.word_ids, encoding.offsets)
        if covers.max(initial=0) > len(tags):
            raise DataError(f"{example.id}: the tokenizer names characters that the words do not have")
        first = covers[:, 0]
        speaks = covers[:, 1] > first
        target = np.where(speaks, tags[np.where(speaks, first, 0)], IGNORED)
        rows.append(Row(ids, types, target, covers))
        gold.append(tags)
    return _encoded(tokenizer, rows, gold, sum(bool(e.overflowing) for e in found.encodings), np.arange(len(rows)))


def of_items(kind: Kind, predicted: Sequence[np.ndarray], item: np.ndarray) -> list[np.ndarray]:
    """One prediction per item from those of its rows: a label holds where any window says so, a class by their mean."""
    if len(item) == len(np.unique(item)):
        return list(predicted)
    join = np.max if kind == "multilabel" else np.mean
    ends = [*np.flatnonzero(np.diff(item)) + 1, len(item)]
    starts = [0, *ends[:-1]]
    return [join(np.stack(predicted[start:end]), axis=0) for start, end in zip(starts, ends, strict=True)]


def covered_units(
    unit: str, words: Sequence[str], word_of_piece: Sequence[int | None], offsets: Sequence[tuple[int, int]]
) -> np.ndarray:
    """(T, 2) units that each piece speaks for.

    word: the first piece of a word speaks for the word. character: a piece speaks for the characters it covers that no
    earlier piece covered (pieces of a Hangul syllable taken apart into jamo all cover the same character).
    """
    start_of_word = [0, *itertools.accumulate(map(len, words))]
    covers = np.zeros((len(word_of_piece), 2), dtype=np.int64)
    reached = 0
    for piece, (word, (begin, end)) in enumerate(zip(word_of_piece, offsets, strict=True)):
        if word is None:
            continue
        if unit == "word":
            start, stop = max(word, reached), word + 1
        else:
            start, stop = max(start_of_word[word] + begin, reached), start_of_word[word] + end
        if stop > start:
            covers[piece] = start, stop
            reached = stop
    return covers


def tags_of_units(piece_tags: np.ndarray, covers: np.ndarray, units: int) -> np.ndarray:
    """(U,) tag numbers from (T,) tag numbers of pieces: inside one piece B- goes on as I-; units of no piece are O."""
    tags = np.zeros(units, dtype=np.int64)
    for (start, stop), tag in zip(covers, piece_tags, strict=True):
        if stop > start:
            tags[start:stop] = tag + (tag % 2)
            tags[start] = tag
    return tags
