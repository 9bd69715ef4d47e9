"""The corpus stage: sources -> clean documents -> no duplicates -> sentences -> train.jsonl and held_out.jsonl.

Each line of both files is one document: id, source, language, paragraphs (lists of sentences) and, in the same shape,
the languages of the sentences. `duplicates.csv` lists what was dropped and in favour of what.
"""

import csv
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from bimed_dist import manifest
from bimed_dist.config import CorpusSettings, Recipe, SyntheticSource
from bimed_dist.corpus.cleaning import changes_under_nfc, clean
from bimed_dist.corpus.deduplication import FirstSeen, Origin, held_out_position, text_digest
from bimed_dist.corpus.language import add_letters, count_letters, language_of
from bimed_dist.corpus.readers import read
from bimed_dist.corpus.sentences import cut_long, split_paragraphs
from bimed_dist.corpus.splits import HELD_OUT, TRAIN, SplitWriter
from bimed_dist.errors import DataError
from bimed_dist.workspace import data_path

logger = logging.getLogger(__name__)

DUPLICATES = "duplicates.csv"
_BATCH_CHARACTERS = 1_000_000
"""Text that is split into sentences at once: enough to keep all cores busy, little enough for any memory."""


class CleanDocument(NamedTuple):
    origin: Origin
    paragraphs: tuple[str, ...]
    digest: bytes


@dataclass
class _Tally:
    """Counts of the manifest while the corpus is read."""

    duplicates_dropped: int = 0
    nfc_changed: int = 0
    empty_dropped: int = 0
    sentences_cut: int = 0
    by_source: dict[str, dict[str, int]] = field(default_factory=dict)
    by_language: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, record: Mapping[str, Any]) -> None:
        by_source = self.by_source[record["source"]]
        by_source["documents"] += 1
        for sentences, languages in zip(record["paragraphs"], record["languages"], strict=True):
            for sentence, language in zip(sentences, languages, strict=True):
                for counts in (by_source, self.by_language[language]):
                    counts["sentences"] += 1
                    counts["characters"] += len(sentence)


def run(recipe: Recipe, name: str, work: Path) -> manifest.Outcome:
    """Build `work/corpus/NAME`. Raises DataError where a source is missing or damaged, or all of it is empty."""
    settings = recipe.corpus[name]
    paths = {
        source.name: data_path(recipe, source.path)
        for source in settings.sources
        if not isinstance(source, SyntheticSource)
    }
    missing = [f"  {source}: {path}" for source, path in paths.items() if not path.exists()]
    if missing:
        raise DataError(
            f"corpus {name}: {len(missing)} source(s) do not exist; check the paths and the recipe's `data`\n"
            + "\n".join(missing)
        )
    return manifest.build(
        work / "corpus" / name,
        stage="corpus",
        settings={"seed": recipe.seed, **settings.model_dump(mode="json")},
        inputs={f"source/{source}": manifest.input_digest(path) for source, path in paths.items()},
        make=lambda folder: _make(folder, settings, recipe.seed, paths),
    )


def _make(folder: Path, settings: CorpusSettings, seed: int, paths: Mapping[str, Path]) -> dict[str, Any]:
    latin = {source.name: source.latin_language for source in settings.sources}
    tally = _Tally(
        by_source={source.name: {"documents": 0, "sentences": 0, "characters": 0} for source in settings.sources},
        by_language={code: {"sentences": 0, "characters": 0} for code in ("ko", *latin.values(), "mixed", "other")},
    )
    with (
        SplitWriter(folder, settings.held_out_share) as writer,
        (folder / DUPLICATES).open("w", encoding="utf-8", newline="") as duplicates,
        tqdm(desc="corpus", unit=" documents", disable=None) as progress,
    ):
        documents = _distinct(_cleaned(settings, seed, paths, tally), duplicates, tally)
        for batch in _batches(documents):
            for document, sentences in zip(batch, _sentences(batch, tally), strict=True):
                if any(sentences):
                    record = make_record(document.origin, sentences, latin[document.origin.source])
                    writer.write(record, held_out_position(seed, document.digest))
                    tally.add(record)
                else:
                    tally.empty_dropped += 1
            progress.update(len(batch))
    return _counts(writer, tally)


def _cleaned(settings: CorpusSettings, seed: int, paths: Mapping[str, Path], tally: _Tally) -> Iterator[CleanDocument]:
    for source in settings.sources:
        for raw in read(source, paths.get(source.name), seed):
            tally.nfc_changed += any(map(changes_under_nfc, raw.paragraphs))
            paragraphs = tuple(filter(None, map(clean, raw.paragraphs)))
            if paragraphs:
                yield CleanDocument(Origin(clean(raw.id), raw.source), paragraphs, text_digest(paragraphs))
            else:
                tally.empty_dropped += 1


def _distinct(documents: Iterable[CleanDocument], file: Any, tally: _Tally) -> Iterator[CleanDocument]:
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["dropped_id", "dropped_source", "kept_id", "kept_source"])
    first_seen = FirstSeen()
    for document in documents:
        kept = first_seen.kept(document.digest, document.origin)
        if kept is None:
            yield document
        else:
            tally.duplicates_dropped += 1
            table.writerow([*document.origin, *kept])


def _batches(documents: Iterable[CleanDocument]) -> Iterator[list[CleanDocument]]:
    batch: list[CleanDocument] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += sum(map(len, document.paragraphs))
        if characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _sentences(batch: list[CleanDocument], tally: _Tally) -> Iterator[list[list[str]]]:
    """Sentences of each paragraph of each document; all paragraphs of the batch are split at once."""
    split = iter(split_paragraphs([paragraph for document in batch for paragraph in document.paragraphs]))
    for document in batch:
        paragraphs = []
        for _ in document.paragraphs:
            pieces = [cut_long(sentence) for sentence in next(split)]
            tally.sentences_cut += sum(len(piece) > 1 for piece in pieces)
            paragraphs.append([sentence for piece in pieces for sentence in piece])
        yield [paragraph for paragraph in paragraphs if paragraph]


def make_record(origin: Origin, paragraphs: list[list[str]], latin_language: str) -> dict[str, Any]:
    """One line of the corpus."""
    letters = [[count_letters(sentence) for sentence in sentences] for sentences in paragraphs]
    return {
        "id": origin.id,
        "source": origin.source,
        "language": language_of(add_letters(counts for sentences in letters for counts in sentences), latin_language),
        "paragraphs": paragraphs,
        "languages": [[language_of(counts, latin_language) for counts in sentences] for sentences in letters],
    }


def _counts(writer: SplitWriter, tally: _Tally) -> dict[str, Any]:
    documents = sum(writer.records.values())
    if documents == 0:
        raise DataError(
            f"the corpus has no sentences: {tally.empty_dropped} document(s) without text in the sources "
            f"{list(tally.by_source)}; check their paths and which fields hold the text"
        )
    empty = [name for name, counts in tally.by_source.items() if counts["documents"] == 0]
    if empty:
        logger.warning("no document was kept from %s: empty, or all duplicates", ", ".join(empty))
    if writer.records[HELD_OUT] == 0:
        logger.warning("nothing is held out: validation and intrinsic tasks will have no text")
    return {
        "documents": documents,
        "sentences": sum(writer.sentences.values()),
        "characters": sum(counts["characters"] for counts in tally.by_source.values()),
        "train_documents": writer.records[TRAIN],
        "held_out_documents": writer.records[HELD_OUT],
        "held_out_sentences": writer.sentences[HELD_OUT],
        "duplicates_dropped": tally.duplicates_dropped,
        "nfc_changed": tally.nfc_changed,
        "empty_dropped": tally.empty_dropped,
        "sentences_cut": tally.sentences_cut,
        "by_source": tally.by_source,
        "by_language": tally.by_language,
    }
