"""Which rows belong to which split: hash splits, leaks and duplicates, row limits. All by content, none by position.

Rules, the same for every task:
1. A row whose input text equals that of an earlier row of its split is dropped (`duplicates`), in test too: a row that
   counts twice is not two observations, and the bootstrap takes rows as independent. Where their labels contradict each
   other (`contradictory`), the first one's stay.
2. A row whose input text is also in a more protected split is dropped (`leaked`); test is the most protected, then
external, dev, train. So test keeps every distinct published row. Text is compared after NFC and folding of white
space; a pair equals its reverse. Single sentences that two pairs share do not count.
"""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bimed_dist.evaluation.task import SIMILARITY_KINDS, Example, Kind

PROTECTION = ("test", "external", "dev", "train")
"""Most protected first."""


def content_key(kind: Kind, example: Example) -> str:
    """SHA-256 of a row's input text, labels not included."""
    texts = [" ".join(unicodedata.normalize("NFC", text).split()) for text in example.texts]
    if kind in SIMILARITY_KINDS:
        texts.sort()
    return hashlib.sha256("\x1f".join(texts).encode()).hexdigest()


def hash_split(
    kind: Kind, examples: Sequence[Example], shares: Mapping[str, float], rest: str
) -> dict[str, tuple[Example, ...]]:
    """Deal rows by content, or by their group: what is equal always falls into the same split, and adding rows moves no
    other row.
    """
    parts: dict[str, list[Example]] = {name: [] for name in (*shares, rest)}
    for example in examples:
        of_group = hashlib.sha256(f"group {example.document}".encode()).hexdigest() if example.document else None
        at = int((of_group or content_key(kind, example))[:12], 16) / 16**12
        parts[_where(at, shares, rest)].append(example)
    return {name: tuple(part) for name, part in parts.items()}


def _where(at: float, shares: Mapping[str, float], rest: str) -> str:
    reached = 0.0
    for name, share in shares.items():
        reached += share
        if at < reached:
            return name
    return rest


@dataclass(frozen=True)
class Cleaned:
    parts: dict[str, tuple[Example, ...]]
    duplicates: int
    leaked: int
    contradictory: int
    """Duplicates whose label, class, score or tags are others than those of the row that is kept."""


def without_leaks(kind: Kind, parts: Mapping[str, Sequence[Example]]) -> Cleaned:
    """Drop duplicates inside splits, then rows that a more protected split holds."""
    kept: dict[str, tuple[Example, ...]] = {}
    protected: set[str] = set()
    duplicates = leaked = contradictory = 0
    for name in sorted(parts, key=PROTECTION.index):
        distinct: dict[str, Example] = {}
        for example in parts[name]:
            kept_before = distinct.setdefault(content_key(kind, example), example)
            contradictory += example.target != kept_before.target
        duplicates += len(parts[name]) - len(distinct)
        kept[name] = tuple(example for key, example in distinct.items() if key not in protected)
        leaked += len(distinct) - len(kept[name])
        protected |= distinct.keys()
    return Cleaned({name: kept[name] for name in parts}, duplicates, leaked, contradictory)


def limited(kind: Kind, examples: Sequence[Example], rows: int | None) -> tuple[Example, ...]:
    """The first `rows` by hash, in their order of before."""
    if rows is None or rows >= len(examples):
        return tuple(examples)
    # Another salt than hash_split, whose splits are ranges of the plain hash.
    keys = [hashlib.sha256(f"limit {content_key(kind, e)}".encode()).digest() for e in examples]
    chosen = set(sorted(range(len(examples)), key=keys.__getitem__)[:rows])
    return tuple(example for i, example in enumerate(examples) if i in chosen)
