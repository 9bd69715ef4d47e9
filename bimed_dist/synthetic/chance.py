"""Chance without state: every item has its own random stream, every text has one owner.

`owner_of(text)` is a function of the text alone, so the corpus and the splits of a task can't share a text, whatever
the seeds and however many items are asked for. Items are drawn again until they belong to who asked.
"""

import hashlib
import random
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from bimed_dist.errors import ConfigError, DataError

T = TypeVar("T")

CORPUS = "corpus"
SPLITS = ("train", "dev", "test", "external")
_OWNERS = (CORPUS, CORPUS, CORPUS, CORPUS, *SPLITS)
_MOST_DRAWS = 5000


def stream(*place: object) -> random.Random:
    """A generator that depends on the written form of `place` only."""
    digest = hashlib.sha256("\x1f".join(map(str, place)).encode()).digest()
    return random.Random(int.from_bytes(digest[:16], "big"))


def fingerprint(text: str) -> bytes:
    """A digest that ignores Unicode composition and white space."""
    return hashlib.sha256(" ".join(unicodedata.normalize("NFC", text).split()).encode()).digest()


def owner_of(text: str) -> str:
    """Who may use `text`: `corpus` (half of all texts) or one of the task splits (an eighth each)."""
    return _OWNERS[fingerprint(text)[0] % len(_OWNERS)]


def checked_split(split: str) -> str:
    if split not in SPLITS:
        raise ConfigError(f"synthetic tasks have no split {split!r}; use one of {', '.join(SPLITS)}")
    return split


def owned(rng: random.Random, owner: str, word: Callable[[random.Random], str], tries: int = 60) -> str | None:
    """A wording that belongs to `owner`, or None where `tries` wordings did not."""
    for _ in range(tries):
        text = word(rng)
        if owner_of(text) == owner:
            return text
    return None


def distinct(place: Sequence[object], count: int, draw: Callable[[random.Random], tuple[str, T] | None]) -> Iterator[T]:
    """`count` items of different text; item i is the same for every `count` above i.

    `draw` returns (text, item), or None for a draw that may not be used. Raises DataError where no new text is found.
    """
    seen: set[bytes] = set()
    for index in range(count):
        for attempt in range(_MOST_DRAWS):
            drawn = draw(stream(*place, index, attempt))
            if drawn is None:
                continue
            key = fingerprint(drawn[0])[:12]
            if key not in seen:
                seen.add(key)
                yield drawn[1]
                break
        else:
            raise DataError(f"the synthetic lexicon gives no more than {index} different texts here; ask for fewer")


def pick(rng: random.Random, weighted: dict[T, float]) -> T:
    """A key, by its weight."""
    return rng.choices(list(weighted), weights=list(weighted.values()))[0]


def some(rng: random.Random, items: Sequence[T], least: int, most: int) -> list[T]:
    """Between `least` and `most` different items in random order (fewer where there are fewer)."""
    return rng.sample(list(items), min(rng.randint(least, most), len(items)))
