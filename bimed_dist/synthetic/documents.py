"""Documents of the corpus: clinical notes, chest CT reports, articles and drug leaflets."""

import random
from collections.abc import Collection, Iterator, Mapping

from bimed_dist.errors import ConfigError
from bimed_dist.files.documents import RawDocument
from bimed_dist.synthetic.articles import article, leaflet
from bimed_dist.synthetic.notes import note
from bimed_dist.synthetic.reports import write_report
from bimed_dist.synthetic.sampling import CORPUS, draw_distinct, owner_of, weighted_choice

KINDS = {"note": 0.55, "article": 0.24, "report": 0.15, "leaflet": 0.06}
"""Weight of each kind."""


def generate_documents(
    seed: int, count: int, languages: tuple[str, ...], source: str, kinds: Collection[str] = tuple(KINDS)
) -> Iterator[RawDocument]:
    """Yield `count` different documents, alternating between `languages`; they share no text with the tasks.

    Document i does not depend on `count`. Raises ConfigError for a language other than ko, en and mixed.
    """
    unknown = [language for language in languages if language not in ("ko", "en", "mixed")]
    if unknown or not languages:
        raise ConfigError(
            f"synthetic documents have languages ko, en and mixed, found {list(languages)}; choose from the three"
        )
    weights = {kind: weight for kind, weight in KINDS.items() if kind in kinds}
    counts = [-(-(count - i) // len(languages)) for i in range(len(languages))]
    parts = [_in_language(seed, n, language, weights) for n, language in zip(counts, languages, strict=True)]
    for index in range(count):
        language = languages[index % len(languages)]
        yield RawDocument(f"{source}-{language}-{index:06d}", source, next(parts[index % len(languages)]))


def _in_language(seed: int, count: int, language: str, weights: Mapping[str, float]) -> Iterator[tuple[str, ...]]:
    def draw(rng: random.Random) -> tuple[str, tuple[str, ...]] | None:
        paragraphs = _write(rng, weighted_choice(rng, weights), language)
        text = "\n\n".join(paragraphs)
        return (text, paragraphs) if owner_of(text) == CORPUS else None

    return draw_distinct(("documents", seed, language), max(count, 0), draw)


def _write(rng: random.Random, kind: str, language: str) -> tuple[str, ...]:
    if kind == "report":
        hospital = "internal" if language == "mixed" else rng.choice(("internal", "external"))
        return (write_report(rng, hospital, language, for_corpus=True)[0],)
    return {"note": note, "article": article, "leaflet": leaflet}[kind](rng, language)
