"""Which rows belong to which split: hash splits, leaks and duplicates, row limits. Content decides, not position.

Rules, the same for every task:
1. A row whose text equals that of an earlier row of its split is dropped (`duplicates`), in test too: a repeated row is
   not a second observation, and the bootstrap assumes independent rows. If the labels differ (`contradictory`), those
   of the first row are kept.
2. A row whose text is also in a more protected split is dropped (`leaked`). Test is the most protected, then external,
   dev, train, so that test keeps every distinct published row.

Texts are compared after NFC normalization and folding of white space; the order of a sentence pair does not count. A
sentence that two different pairs share is no leak.
"""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bimed_dist.evaluation.task import SIMILARITY_KINDS, Example, Kind

PROTECTION = ("test", "external", "dev", "train")
"""Most protected first."""


def content_key(kind: Kind, example: Example) -> str:
    """Return the SHA-256 of a row's texts; labels are not included."""
    texts = [" ".join(unicodedata.normalize("NFC", text).split()) for text in example.texts]
    if kind in SIMILARITY_KINDS:
        texts.sort()
    return hashlib.sha256("\x1f".join(texts).encode()).hexdigest()


def hash_split(
    kind: Kind, examples: Sequence[Example], shares: Mapping[str, float], rest: str
) -> dict[str, tuple[Example, ...]]:
    """Assign rows to splits by the hash of their document or patient, or of their texts if they have none.

    Equal rows get the same split, and adding rows moves no other row.
    """
    splits: dict[str, list[Example]] = {name: [] for name in (*shares, rest)}
    for example in examples:
        if example.document:
            digest = hashlib.sha256(f"group {example.document}".encode()).hexdigest()
        else:
            digest = content_key(kind, example)
        splits[_split_at(int(digest[:12], 16) / 16**12, shares, rest)].append(example)
    return {name: tuple(rows) for name, rows in splits.items()}


def _split_at(position: float, shares: Mapping[str, float], rest: str) -> str:
    """Return the split whose share of [0, 1) holds the position."""
    end = 0.0
    for name, share in shares.items():
        end += share
        if position < end:
            return name
    return rest


@dataclass(frozen=True)
class Cleaned:
    splits: dict[str, tuple[Example, ...]]
    duplicates: int
    leaked: int
    contradictory: int
    """Duplicates with another label, class, score or tags than the row that is kept."""


def drop_leaks(kind: Kind, splits: Mapping[str, Sequence[Example]]) -> Cleaned:
    """Drop duplicates within splits, then rows that a more protected split holds."""
    kept: dict[str, tuple[Example, ...]] = {}
    protected: set[str] = set()
    duplicates = leaked = contradictory = 0
    for name in sorted(splits, key=PROTECTION.index):
        distinct: dict[str, Example] = {}
        for example in splits[name]:
            first = distinct.setdefault(content_key(kind, example), example)
            contradictory += example.target != first.target
        duplicates += len(splits[name]) - len(distinct)
        kept[name] = tuple(example for key, example in distinct.items() if key not in protected)
        leaked += len(distinct) - len(kept[name])
        protected |= distinct.keys()
    return Cleaned({name: kept[name] for name in splits}, duplicates, leaked, contradictory)


def limit_rows(kind: Kind, examples: Sequence[Example], max_rows: int | None) -> tuple[Example, ...]:
    """Return the first `max_rows` by hash, in their original order."""
    if max_rows is None or max_rows >= len(examples):
        return tuple(examples)
    # A salt, because the splits of hash_split are ranges of the plain hash.
    keys = [hashlib.sha256(f"limit {content_key(kind, e)}".encode()).digest() for e in examples]
    chosen = set(sorted(range(len(examples)), key=keys.__getitem__)[:max_rows])
    return tuple(example for i, example in enumerate(examples) if i in chosen)
