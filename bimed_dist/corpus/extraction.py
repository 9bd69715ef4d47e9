"""Extraction of one part of the input: finished documents and an index of them.

read -> paragraphs -> clean -> quality -> privacy -> sentences -> contamination -> languages. This is a pure function of
the part and the settings, so parts can be processed in any order, by any number of processes, on any machine that sees
the folder. Decisions over all documents (duplicates, splits) need only the indexes, see `deduplication`.
"""

import csv
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bimed_dist import manifest
from bimed_dist.corpus import privacy
from bimed_dist.corpus.cleaning import clean
from bimed_dist.corpus.contamination import TaskIndex, screen
from bimed_dist.corpus.deduplication import held_out_position, text_digest
from bimed_dist.corpus.index import IndexWriter, kind_of
from bimed_dist.corpus.layout import paragraphs_of
from bimed_dist.corpus.near_duplicates import signature
from bimed_dist.corpus.planning import Part
from bimed_dist.corpus.quality import rejection
from bimed_dist.corpus.readers import read
from bimed_dist.corpus.sentences import cut_long, split_paragraphs
from bimed_dist.errors import DataError
from bimed_dist.files.documents import Document, RawDocument
from bimed_dist.files.lines import Problems, stamp
from bimed_dist.language import MIXING_BINS, add_letters, add_mixing, bins_of, code_mixing, count_letters, language_of
from bimed_dist.recipe.corpus import CorpusSettings, MimicSource, Source, SyntheticSource
from bimed_dist.workspace import CONTAMINATION, LEFT_OUT, SETTINGS

PARTS = "parts"
TASKS = "tasks"
LEAKS = "leaks"
LOGS = "logs"
"""Folders of an unfinished build: finished parts, descriptions of the parts, indexed texts of evaluation tasks, logs of
datatrove."""
DOCUMENTS = "documents.jsonl"
HEADERS = {
    LEFT_OUT: ("kind", "source", "place", "reason"),
    CONTAMINATION: ("id", "source", "task", "split", "row", "through", "share_of_row", "sentences_removed"),
}
"""Tables that every part writes without a header, and their headers."""
_BATCH_CHARACTERS = 1_000_000
"""Text that is split into sentences in one call."""


@dataclass
class Tally:
    """Counts of what was done to the documents of one part."""

    read: int = 0
    empty: int = 0
    characters: int = 0
    """Characters scanned for identities."""
    sentences_cut: int = 0
    contaminated: int = 0
    """Documents that hold rows of evaluation tasks."""
    contaminated_dropped: int = 0
    contaminated_sentences: int = 0
    """Removed sentences, including those of dropped documents."""
    cleaned: Counter[str] = field(default_factory=Counter)
    """Documents changed, by cleaning rule."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Documents dropped, by quality rule."""
    identities: Counter[str] = field(default_factory=Counter)
    """Matches of the privacy scan by type."""
    overlaps: Counter[str] = field(default_factory=Counter)
    """Leaked rows by evaluation task, once for each document that holds them."""

    def counts(self) -> dict[str, Any]:
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self).items()}


class CleanDocument(NamedTuple):
    raw: RawDocument
    paragraphs: tuple[str, ...]


class Extractor:
    """The steps from raw documents to sentences, with their counts and notes."""

    def __init__(self, source: Source, settings: CorpusSettings, leaks: TaskIndex | None) -> None:
        self.source = source
        self.settings = settings
        self.leaks = leaks
        self.tally = Tally()
        self.notes: dict[str, list[tuple[Any, ...]]] = {LEFT_OUT: [], CONTAMINATION: []}
        self._find = privacy.scanner(settings.privacy)

    def documents(self, raw: Iterable[RawDocument]) -> Iterator[tuple[CleanDocument, list[list[str]]]]:
        """Yield documents with their sentences by paragraph."""
        for batch in batches(self.without_identities(self.good(self.cleaned(raw)))):
            for document, sentences in zip(batch, self.sentences(batch), strict=True):
                remaining = self.without_leaks(document.raw, sentences)
                if remaining:
                    yield document, remaining

    def cleaned(self, documents: Iterable[RawDocument]) -> Iterator[CleanDocument]:
        """Yield the documents that are not empty, with cleaned paragraphs."""
        for raw in documents:
            changed: Counter[str] = Counter()
            laid_out = self._laid_out(raw, changed)
            paragraphs = tuple(filter(None, (clean(text, self.settings.cleaning, changed) for text in laid_out)))
            self.tally.read += 1
            self.tally.cleaned.update(rule for rule, times in changed.items() if times)
            if paragraphs:
                yield CleanDocument(raw, paragraphs)
            else:
                self.tally.empty += 1

    def _laid_out(self, raw: RawDocument, changed: Counter[str]) -> Sequence[str]:
        source, rules = self.source, self.settings.cleaning
        if isinstance(source, SyntheticSource):
            return raw.paragraphs
        sections = isinstance(source, MimicSource)
        return [
            paragraph
            for text in raw.paragraphs
            for paragraph in paragraphs_of(text, source.line_break, rules, changed, sections)
        ]

    def good(self, documents: Iterable[CleanDocument]) -> Iterator[CleanDocument]:
        """Yield the documents that pass the quality rules."""
        for document in documents:
            rule = rejection(document.paragraphs, self.settings.quality)
            if rule is None:
                yield document
            else:
                self.tally.rejected[rule] += 1
                self.notes[LEFT_OUT].append(("rejected", self.source.name, clean(document.raw.id), rule))

    def without_identities(self, documents: Iterable[CleanDocument]) -> Iterator[CleanDocument]:
        """Scan all documents; mask identities with `action: mask`."""
        masks = self.settings.privacy.action == "mask"
        for document in documents:
            paragraphs = []
            for text in document.paragraphs:
                matches = self._find(text)
                self.tally.characters += len(text)
                self.tally.identities.update(match.type for match in matches)
                paragraphs.append(privacy.mask(text, matches) if masks else text)
            yield document._replace(paragraphs=tuple(paragraphs))

    def sentences(self, batch: list[CleanDocument]) -> Iterator[list[list[str]]]:
        """Yield the sentences of each document by paragraph; the whole batch is split in one call."""
        texts = [paragraph for document in batch for paragraph in document.paragraphs]
        split = iter(split_paragraphs(texts, self.source.latin_language))
        for document in batch:
            paragraphs = []
            for _ in document.paragraphs:
                cut = [cut_long(sentence) for sentence in next(split)]
                self.tally.sentences_cut += sum(len(sentences) > 1 for sentences in cut)
                paragraphs.append([sentence for sentences in cut for sentence in sentences])
            yield [paragraph for paragraph in paragraphs if paragraph]

    def without_leaks(self, raw: RawDocument, sentences: list[list[str]]) -> list[list[str]]:
        """Remove the text of evaluation tasks from a document's sentences; empty if nothing remains."""
        if self.leaks is None:
            return sentences
        screened = screen(sentences, self.leaks, self.settings.contamination)
        if screened.overlaps:
            self.tally.contaminated += 1
            self.tally.contaminated_sentences += screened.removed
            self.tally.contaminated_dropped += not screened.remaining
            # A row can overlap more than once: by both texts of a pair, or by its translation.
            leaked_rows = {(overlap.task, overlap.split, overlap.row) for overlap in screened.overlaps}
            self.tally.overlaps.update(task for task, _, _ in leaked_rows)
            rows = ((clean(raw.id), raw.source, *overlap, screened.removed) for overlap in screened.overlaps)
            self.notes[CONTAMINATION].extend(rows)
        return screened.remaining


def part_folder(folder: Path, number: int) -> Path:
    """Return the folder of a finished part, or of one that is being extracted (with the suffix PARTIAL)."""
    return folder / PARTS / f"{number:06d}"


def task_file(folder: Path, number: int) -> Path:
    """Return the file with the description of a part."""
    return folder / TASKS / f"{number:06d}.json"


def extract(folder: Path, number: int) -> manifest.Outcome:
    """Extract part `number` of the build in `folder`, unless it is finished.

    Raises DataError if a file can't be read, has changed since it was surveyed, or holds bad rows that are not skipped.
    """
    task = json.loads(task_file(folder, number).read_text(encoding="utf-8"))
    part = Part.from_task(task)
    settings, seed = _parsed((folder / SETTINGS).read_text(encoding="utf-8"))
    source = next(source for source in settings.sources if source.name == part.source)
    leaks = TaskIndex.load(folder / LEAKS) if (folder / LEAKS).is_dir() else None
    return manifest.build(
        part_folder(folder, number),
        stage="corpus part",
        settings=_without_times(task),
        inputs={},
        make=lambda to: _make(to, part, seed, Extractor(source, settings, leaks)),
    )


def _without_times(task: dict[str, Any]) -> dict[str, Any]:
    """Return the task without paths and times of its files, which change when they are copied."""
    files = [{key: value for key, value in file.items() if key not in ("path", "changed")} for file in task["files"]]
    return {**task, "files": files}


@functools.lru_cache(maxsize=1)
def _parsed(begun: str) -> tuple[CorpusSettings, int]:
    """Return settings and seed of a build, from the text of its settings.json."""
    settings = json.loads(begun)["settings"]
    seed = settings.pop("seed")
    return CorpusSettings.model_validate_json(json.dumps(settings)), seed


def _make(to: Path, part: Part, seed: int, extractor: Extractor) -> dict[str, Any]:
    source = extractor.source
    skip_bad_rows = not isinstance(source, SyntheticSource) and source.bad_rows == "skip"
    problems = Problems(f"source {source.name}", collect_only=skip_bad_rows)
    index = IndexWriter()
    _check_unchanged(part)
    with (to / DOCUMENTS).open("wb") as file:
        for document, sentences in extractor.documents(read(source, part, seed, problems)):
            record = make_record(document.raw, sentences, source.latin_language)
            line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
            file.write(line)
            index.add(**index_row(document, record, extractor.settings, seed), bytes=len(line))
    _check_unchanged(part)
    extractor.notes[LEFT_OUT].extend(("skipped", source.name, place, reason) for place, reason in problems.notes)
    for name, rows in extractor.notes.items():
        with (to / name).open("w", encoding="utf-8", newline="") as table:
            csv.writer(table, lineterminator="\n").writerows(rows)
    index.write(to)
    return {**extractor.tally.counts(), "documents": len(index), "rows_skipped": len(problems.notes)}


def _check_unchanged(part: Part) -> None:
    for file in part.files:
        if stamp(file.source_file.path) != (file.size, file.changed):
            raise DataError(f"{file.path} was changed while the stage ran; run again when it is complete")


def batches(documents: Iterable[CleanDocument]) -> Iterator[list[CleanDocument]]:
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


def make_record(raw: RawDocument, paragraphs: list[list[str]], latin_language: str) -> Document:
    letters = [[count_letters(sentence) for sentence in sentences] for sentences in paragraphs]
    return {
        "id": clean(raw.id),
        "source": raw.source,
        "language": language_of(add_letters(counts for sentences in letters for counts in sentences), latin_language),
        "paragraphs": paragraphs,
        "languages": [[language_of(counts, latin_language) for counts in sentences] for sentences in letters],
    }


def index_row(document: CleanDocument, record: Document, settings: CorpusSettings, seed: int) -> dict[str, Any]:
    """Return the document's row in the index, without `bytes`."""
    raw = document.raw
    digest = text_digest(document.paragraphs)
    deciding = digest if raw.group is None else hashlib.sha256(b"group:" + raw.group.encode()).digest()
    sizes: Counter[str] = Counter()
    for sentences, languages in zip(record["paragraphs"], record["languages"], strict=True):
        for sentence, language in zip(sentences, languages, strict=True):
            kind = kind_of(language)
            sizes[f"sentences_{kind}"] += 1
            sizes[f"characters_{kind}"] += len(sentence)
    mixing = [code_mixing(sentence) for sentences in record["paragraphs"] for sentence in sentences]
    for sentence_mixing in mixing:
        bins = zip(MIXING_BINS, bins_of(sentence_mixing), strict=True)
        sizes.update(f"{measure}_{number}" for measure, number in bins)
    return {
        "id": record["id"],
        "digest": digest[:16],
        "name": hashlib.sha256(f"{raw.source}\n{raw.id}".encode()).digest()[:16] if raw.named else None,
        "grouped": raw.group is not None,
        "position": held_out_position(seed, deciding),
        "signature": None if settings.near_duplicates is None else signature(document.paragraphs),
        "numbers": {**sizes, **add_mixing(mixing)._asdict()},
    }
