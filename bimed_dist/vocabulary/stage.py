"""The vocabulary stage: words of train.jsonl -> WordPiece vocabulary -> tokenizer files and composition.json.

Held-out documents are only measured, never learned from.
"""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bimed_dist import manifest
from bimed_dist.config import Recipe, VocabularySettings
from bimed_dist.corpus.splits import HELD_OUT, TRAIN
from bimed_dist.vocabulary.composition import as_table, composition, measure_fit
from bimed_dist.vocabulary.tokenizer import build_tokenizer, count_words, save_tokenizer
from bimed_dist.vocabulary.training import train_vocabulary

logger = logging.getLogger(__name__)

COMPOSITION = "composition.json"


def run(recipe: Recipe, name: str, work: Path) -> manifest.Outcome:
    """Build `work/vocabulary/NAME`. Raises DataError where the corpus is unfinished or its alphabet above the size."""
    settings = recipe.vocabulary[name]
    corpus = work / "corpus" / settings.corpus
    return manifest.build(
        work / "vocabulary" / name,
        stage="vocabulary",
        settings={"seed": recipe.seed, **settings.model_dump(mode="json")},
        inputs={f"corpus/{settings.corpus}": manifest.verified(corpus).digest},
        make=lambda folder: _make(folder, settings, corpus),
    )


def _make(folder: Path, settings: VocabularySettings, corpus: Path) -> dict[str, Any]:
    texts = (text for _, text in sentences(corpus / TRAIN))
    progress = tqdm(texts, desc="words", unit=" sentences", disable=None)
    word_counts = count_words(progress, settings.lowercase)
    vocabulary = train_vocabulary(word_counts, settings.size, settings.min_frequency)
    if len(vocabulary.pieces) < settings.size:
        logger.warning(
            "the corpus gives %d pieces, %d were wanted: no further pair occurs %d times",
            len(vocabulary.pieces),
            settings.size,
            settings.min_frequency,
        )
    tokenizer = build_tokenizer(vocabulary.pieces, settings.lowercase)
    save_tokenizer(tokenizer, folder, settings.lowercase)
    table = composition(vocabulary.pieces)
    fits = {language: fit.summary() for language, fit in measure_fit(tokenizer, sentences(corpus / HELD_OUT)).items()}
    manifest.write_json(folder / COMPOSITION, {**table, "held_out": fits})
    logger.info("%s", as_table(table["rows"], table["size"]))
    return {
        "pieces": len(vocabulary.pieces),
        "requested": settings.size,
        "alphabet": vocabulary.alphabet,
        "words": sum(word_counts.values()),
        "distinct_words": len(word_counts),
        "by_script": {row["item"]: row["pieces"] for row in table["rows"]},
        "held_out": fits,
    }


def sentences(path: Path) -> Iterator[tuple[str, str]]:
    """(language, sentence) of a corpus file."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            for texts, languages in zip(record["paragraphs"], record["languages"], strict=True):
                yield from zip(languages, texts, strict=True)
