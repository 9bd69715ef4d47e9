"""Words to lists and sentences to paragraphs."""

import random
from collections.abc import Callable, Mapping, Sequence

from bimed_dist.synthetic.imaging import capital
from bimed_dist.synthetic.particles import resolve


def listed_en(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def listed_ko(words: Sequence[str], rng: random.Random) -> str:
    """`가, 나, 다` or `가, 나 및 다`."""
    if len(words) == 1:
        return words[0]
    last = rng.choice((f" 및 {words[-1]}", f", {words[-1]}", f"[과/와] {words[-1]}"))
    return ", ".join(words[:-1]) + last


class Slots(dict[str, str]):
    """Words for the slots of templates, each made when first asked for and the same from then on."""

    def __init__(self, makers: Mapping[str, Callable[[], str]]) -> None:
        super().__init__()
        self._makers = makers

    def __missing__(self, name: str) -> str:
        self[name] = made = self._makers[name]()
        return made


def filled(rng: random.Random, templates: Sequence[str], slots: Mapping[str, str]) -> str:
    """One of the templates with its slots filled and its particles chosen."""
    # An abbreviation such as `op.` may end the sentence.
    return capital(resolve(rng.choice(templates).format_map(slots))).replace("..", ".")
