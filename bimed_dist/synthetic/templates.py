"""Phrases with slots to text: filling, lists of words, capitals."""

import random
from collections.abc import Callable, Mapping, Sequence

from bimed_dist.synthetic.particles import resolve


def capitalize(text: str) -> str:
    """Return the text with a capital first letter and all others as they are."""
    return text[:1].upper() + text[1:]


def list_english(words: Sequence[str]) -> str:
    """Return `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def list_korean(words: Sequence[str], rng: random.Random) -> str:
    """Return `가, 나, 다` or `가, 나 및 다`."""
    if len(words) == 1:
        return words[0]
    last = rng.choice((f" 및 {words[-1]}", f", {words[-1]}", f"[과/와] {words[-1]}"))
    return ", ".join(words[:-1]) + last


def list_words(words: Sequence[str], language: str, rng: random.Random) -> str:
    return list_english(words) if language == "en" else list_korean(words, rng)


class Slots(dict[str, str]):
    """Words for the slots of phrases; each is drawn at its first use and then stays the same."""

    def __init__(self, draws: Mapping[str, Callable[[], str]]) -> None:
        super().__init__()
        self._draws = draws

    def __missing__(self, name: str) -> str:
        self[name] = word = self._draws[name]()
        return word


def choose(rng: random.Random, phrases: Sequence[str], **slots: str) -> str:
    """Return one of the phrases with its slots filled."""
    return rng.choice(phrases).format_map(slots)


def sentence_from(rng: random.Random, phrases: Sequence[str], slots: Mapping[str, str]) -> str:
    """Return one of the phrases as a sentence: slots filled, particles resolved, first letter capital."""
    # An abbreviation such as `op.` may end the sentence.
    return capitalize(resolve(rng.choice(phrases).format_map(slots))).replace("..", ".")
