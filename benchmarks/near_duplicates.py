"""Recall and precision of near-duplicate detection for several windows of text.

Documents are copied with known changes, and each copy is compared with its original. Texts that should be kept are
documents with half of their sentences from another one, and each document's nearest other document. Similarity is exact
(sets of windows), so that the windows are compared and not the signatures; the last row is the module with its
signatures and index.

    python benchmarks/near_duplicates.py --data /path/to/open_data
"""

import gzip
import json
import random
import re
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any

import click
from _measuring import record

from bimed_dist.corpus.near_duplicates import SHINGLE, NearDuplicates, signature
from bimed_dist.corpus.windows import units, window_hashes
from bimed_dist.synthetic.documents import generate_documents

SENTENCE = re.compile(r"(?<=[.다])\s+")
PARTICLES = {"은": "는", "는": "은", "을": "를", "를": "을", "이": "가", "가": "이", "에": "에서", "의": "에"}
THRESHOLDS = (0.7, 0.8, 0.9)


def spacing(text: str, rng: random.Random) -> str:
    """Remove a tenth of the spaces and insert about as many."""
    letters = [c for c in text if c != " " or rng.random() > 0.1]
    return "".join(c + " " if c.isalpha() and rng.random() < 0.02 else c for c in letters)


def particles(text: str, rng: random.Random) -> str:
    """Change the particle of one in twenty words; English words get an s."""
    words = text.split(" ")
    for i, word in enumerate(words):
        if word and rng.random() < 0.05:
            words[i] = word[:-1] + PARTICLES.get(word[-1], word[-1] + ("s" if word.isascii() else ""))
    return " ".join(words)


def typing(text: str, rng: random.Random) -> str:
    """Replace one in a hundred letters."""
    return "".join(rng.choice(text) if c.isalnum() and rng.random() < 0.01 else c for c in text)


def sentence_lost(text: str, rng: random.Random) -> str:
    """Remove one sentence in ten, at least one."""
    sentences = SENTENCE.split(text)
    lost = set(rng.sample(range(len(sentences)), max(1, len(sentences) // 10))) if len(sentences) > 4 else set()
    return " ".join(s for i, s in enumerate(sentences) if i not in lost)


def shuffled(text: str, rng: random.Random) -> str:
    """Shuffle the sentences."""
    sentences = SENTENCE.split(text)
    rng.shuffle(sentences)
    return " ".join(sentences)


def framed(text: str, rng: random.Random) -> str:
    """Add a line of a form before and after the text."""
    return f"출력일시 2020-01-0{rng.randint(1, 9)} 출력자 담당부서\n{text}\n- {rng.randint(1, 9)} / 9 페이지 -"


COPIES: dict[str, Callable[[str, random.Random], str]] = {
    "spacing": spacing,
    "particles": particles,
    "typing": typing,
    "a tenth lost": sentence_lost,
    "order of sentences": shuffled,
    "form around it": framed,
    "spacing and typing": lambda text, rng: spacing(typing(text, rng), rng),
}

WINDOWS: dict[str, Callable[[str], set[Hashable]]] = {
    **{
        f"{width} units": lambda text, width=width: set(window_hashes(units(text), width).tolist())
        for width in (6, 8, 12, 16, 24)
    },
    **{
        f"{count} words": lambda text, count=count: set(zip(*(text.split()[i:] for i in range(count)), strict=False))
        for count in (1, 2, 3)
    },
}


def documents(data: Path | None, most: int) -> dict[str, list[str]]:
    """Return texts of 400 to 4,000 characters by language."""
    found = {
        f"synthetic {language}": [" ".join(d.paragraphs) for d in generate_documents(3, 6 * most, (language,), "s")]
        for language in ("ko", "mixed")
    }
    if data is not None:
        found["ko"] = [*_json_texts(data / "corpus/general_help/help_ko.jsonl.gz", "text")]
        found["ko"] += _sections(sorted((data / "corpus/ohdsi_book_ko").glob("*.txt")))
        found["en"] = [*_json_texts(data / "corpus/medquad_en/medquad_answered.jsonl.gz", "answer")]
    rng = random.Random(1)
    fitting = {name: [text for text in texts if 400 <= len(text) <= 4000] for name, texts in found.items()}
    return {name: rng.sample(texts, min(most, len(texts))) for name, texts in fitting.items()}


def _json_texts(path: Path, field: str) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)[field] or ""


def _sections(paths: list[Path]) -> list[str]:
    texts = [path.read_text(encoding="utf-8") for path in paths]
    return [text[start : start + 1500] for text in texts for start in range(0, len(text), 1500)]


def jaccard(first: set[Hashable], second: set[Hashable]) -> float:
    return len(first & second) / len(first | second) if first or second else 0.0


def half_exchanged(text: str, other: str) -> str:
    """Replace every second sentence by the other document's."""
    pairs = zip(SENTENCE.split(text), SENTENCE.split(other), strict=False)
    return " ".join(a if i % 2 else b for i, (a, b) in enumerate(pairs))


def copied(texts: list[str], name: str) -> Iterator[str]:
    """Yield each text after the change of that name, the same in every run."""
    return (COPIES[name](text, random.Random(f"{name} {i}")) for i, text in enumerate(texts))


def share_above(values: list[float], threshold: float) -> float:
    return round(sum(value >= threshold for value in values) / len(values), 3)


def similarities(texts: list[str], windows: Callable[[str], set[Hashable]]) -> dict[str, list[float]]:
    """Return the similarity of each copy with its original, and of each text that should be kept."""
    sets = [windows(text) for text in texts]
    others = {name: copied(texts, name) for name in COPIES}
    others["half exchanged"] = (half_exchanged(text, texts[i - 1]) for i, text in enumerate(texts))
    found = {
        name: [jaccard(of, windows(other)) for of, other in zip(sets, changed, strict=True)]
        for name, changed in others.items()
    }
    found["nearest other"] = [
        max(jaccard(of, other) for j, other in enumerate(sets) if i != j) for i, of in enumerate(sets)
    ]
    return found


def as_shipped(texts: list[str], threshold: float) -> dict[str, float]:
    """Return the share of copies that the index drops as duplicates of their original."""
    index = NearDuplicates(threshold)
    kept = [i for i, text in enumerate(texts) if index.find_or_add(signature([text]), i) is None]
    shares = {}
    for name in COPIES:
        found = [index.find_or_add(signature([copy]), -1) for copy in copied([texts[i] for i in kept], name)]
        shares[name] = sum(earlier == i for earlier, i in zip(found, kept, strict=True)) / len(kept)
    return {**shares, "originals dropped": 1 - len(kept) / len(texts)}


@click.command(help=__doc__)
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder of open data; without it only synthetic text is used."
)
@click.option("--documents", "most", default=150, show_default=True, help="Documents per language.")
def main(data, most):
    texts_by_language = documents(data, most)
    shares: dict[str, dict[str, Any]] = {}
    for language, texts in texts_by_language.items():
        for name, windows in WINDOWS.items():
            values = similarities(texts, windows)
            shares.setdefault(language, {})[name] = {
                str(threshold): {kind: share_above(found, threshold) for kind, found in values.items()}
                for threshold in THRESHOLDS
            }
    shipped = {
        language: {str(threshold): as_shipped(texts, threshold) for threshold in THRESHOLDS}
        for language, texts in texts_by_language.items()
    }
    record(
        "near_duplicates",
        {
            "documents": {language: len(texts) for language, texts in texts_by_language.items()},
            "shipped_window": SHINGLE,
            "share_called_repeats": shares,
            "share_dropped_as_shipped": shipped,
        },
    )


if __name__ == "__main__":
    main()
