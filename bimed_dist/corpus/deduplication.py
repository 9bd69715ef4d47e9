"""Exact duplicates over all sources, and the side of the held-out split: both from the digest of a document's text."""

import hashlib
from collections.abc import Iterable
from typing import NamedTuple


class Origin(NamedTuple):
    id: str
    source: str


def text_digest(paragraphs: Iterable[str]) -> bytes:
    """SHA-256 of the text without differences in case, blanks and paragraph breaks."""
    return hashlib.sha256(" ".join(" ".join(paragraphs).casefold().split()).encode()).digest()


class FirstSeen:
    """Remembers where each text was seen first."""

    def __init__(self) -> None:
        self._origins: dict[bytes, Origin] = {}

    def kept(self, digest: bytes, origin: Origin) -> Origin | None:
        """The earlier document with this text; None for the first one, which is remembered."""
        earlier = self._origins.setdefault(digest, origin)
        return None if earlier is origin else earlier


def held_out_position(seed: int, digest: bytes) -> float:
    """Place of a text in [0, 1): below the share, it is held out. Other texts, files and their order play no part."""
    return (int.from_bytes(hashlib.sha256(b"%d:" % seed + digest).digest()[:8], "big") >> 11) / 2**53
