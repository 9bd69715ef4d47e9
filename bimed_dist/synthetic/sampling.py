"""Seeded sampling without state, and the assignment of every text to the corpus or to one task split.

Each item has a random stream of its own. `owner_of` is a function of the text alone, so the corpus and the splits of a
task can't share a text, whatever the seeds and the number of items. An item is drawn again until its text belongs to
the part that it is drawn for.
"""

import hashlib
import random
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from bimed_dist.errors import ConfigError, DataError

T = TypeVar("T")

CORPUS = "corpus"
SPLITS = ("train", "dev", "test", "external")
_OWNERS = (CORPUS, CORPUS, CORPUS, CORPUS, *SPLITS)
_MAX_DRAWS = 5000


def stream(*place: object) -> random.Random:
    """Return a generator seeded by the text form of `place`."""
    digest = hashlib.sha256("\x1f".join(map(str, place)).encode()).digest()
    return random.Random(int.from_bytes(digest[:16], "big"))


def fingerprint(text: str) -> bytes:
    """Return a digest that ignores Unicode composition and white space."""
    return hashlib.sha256(" ".join(unicodedata.normalize("NFC", text).split()).encode()).digest()


def owner_of(text: str) -> str:
    """Return the part that may use `text`: `corpus` (half of all texts) or a task split (an eighth each)."""
    return _OWNERS[fingerprint(text)[0] % len(_OWNERS)]


def require_split(split: str) -> None:
    if split not in SPLITS:
        raise ConfigError(f"synthetic tasks have no split {split!r}; use one of {', '.join(SPLITS)}")


def draw_owned(rng: random.Random, owner: str, draw: Callable[[random.Random], str], tries: int = 60) -> str | None:
    """Draw until a text belongs to `owner`; return None if none of `tries` draws does."""
    for _ in range(tries):
        text = draw(rng)
        if owner_of(text) == owner:
            return text
    return None


def draw_distinct(
    place: Sequence[object], count: int, draw: Callable[[random.Random], tuple[str, T] | None]
) -> Iterator[T]:
    """Yield `count` items with different texts; item i does not depend on `count`.

    `draw` returns (text, item), or None to reject the draw. Raises DataError if no new text is found.
    """
    seen: set[bytes] = set()
    for index in range(count):
        for attempt in range(_MAX_DRAWS):
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


def weighted_choice(rng: random.Random, weights: Mapping[T, float]) -> T:
    return rng.choices(list(weights), weights=list(weights.values()))[0]


def sample_between(rng: random.Random, items: Sequence[T], least: int, most: int) -> list[T]:
    """Draw between `least` and `most` different items in random order (all, if there are fewer)."""
    return rng.sample(list(items), min(rng.randint(least, most), len(items)))
