"""One part of the input to finished documents and an index of them: a pure function of the part and the settings.

read -> paragraphs -> clean -> quality -> sentences -> languages. Nothing here knows of other parts, so parts can be
worked on in any order, by any number of processes, on any machine that sees the folder. What must be decided over all
documents (duplicates, splits) needs the index alone, see `decisions`.
"""

import csv
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bimed_dist import manifest
from bimed_dist.corpus.cleaning import clean
from bimed_dist.corpus.decisions import held_out_position, text_digest
from bimed_dist.corpus.documents import RawDocument
from bimed_dist.corpus.files import stamp
from bimed_dist.corpus.index import IndexWriter
from bimed_dist.corpus.language import add_letters, count_letters, language_of
from bimed_dist.corpus.layout import paragraphs_of
from bimed_dist.corpus.near_duplicates import signature
from bimed_dist.corpus.planning import Part
from bimed_dist.corpus.problems import Problems
from bimed_dist.corpus.quality import rejection
from bimed_dist.corpus.readers import read
from bimed_dist.corpus.sentences import cut_long, split_paragraphs
from bimed_dist.corpus.settings import CorpusSettings, MimicSource, Source, SyntheticSource
from bimed_dist.errors import DataError

DOCUMENTS = "documents.jsonl"
NOTES = "notes.csv"
"""What was left out and why: kind (skipped, rejected), source, place, reason."""
PARTS = "parts"
TASKS = "tasks"
_BATCH_CHARACTERS = 1_000_000
"""Text that is split into sentences at once."""


@dataclass
class Tally:
    """What happened to the documents of one part."""

    read: int = 0
    empty: int = 0
    sentences_cut: int = 0
    cleaned: Counter[str] = field(default_factory=Counter)
    """Documents that each rule of cleaning has changed."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Documents that each rule of quality has dropped."""

    def counts(self) -> dict[str, Any]:
        return {**vars(self), "cleaned": dict(self.cleaned), "rejected": dict(self.rejected)}


class CleanDocument(NamedTuple):
    raw: RawDocument
    paragraphs: tuple[str, ...]


def extract(folder: Path, number: int) -> manifest.Outcome:
    """Work on part `number` of the build in `folder`, unless that was done before.

    Raises DataError where a file can't be read, has changed since the plan was made, or holds rows that are refused.
    """
    task = json.loads((folder / TASKS / f"{number:06d}.json").read_text(encoding="utf-8"))
    part = Part.from_task(task)
    settings, seed = _parsed((folder / manifest.SETTINGS_NAME).read_text(encoding="utf-8"))
    return manifest.build(
        folder / PARTS / f"{number:06d}",
        stage="corpus part",
        settings=_lasting(task),
        inputs={},
        make=lambda to: _make(to, part, settings, seed),
    )


def _lasting(task: dict[str, Any]) -> dict[str, Any]:
    """A task without the times of its files, which change when they are copied; their content is the build's input."""
    files = [{key: value for key, value in file.items() if key not in ("path", "changed")} for file in task["files"]]
    return {**task, "files": files}


@functools.lru_cache(maxsize=1)
def _parsed(begun: str) -> tuple[CorpusSettings, int]:
    """Settings and seed of a build, from the text of its settings.json."""
    settings = json.loads(begun)["settings"]
    seed = settings.pop("seed")
    return CorpusSettings.model_validate_json(json.dumps(settings)), seed


def _make(to: Path, part: Part, settings: CorpusSettings, seed: int) -> dict[str, Any]:
    source = next(source for source in settings.sources if source.name == part.source)
    problems = Problems(source.name, skip=not isinstance(source, SyntheticSource) and source.bad_rows == "skip")
    tally = Tally()
    with (
        (to / DOCUMENTS).open("wb") as file,
        (to / NOTES).open("w", encoding="utf-8", newline="") as notes_file,
    ):
        notes = csv.writer(notes_file, lineterminator="\n")
        index = IndexWriter()
        _check_unchanged(part)
        raw = read(source, part, seed, problems)
        for batch in _batches(_good(_cleaned(raw, source, settings, tally), settings, tally, notes)):
            for document, sentences in zip(batch, _sentences(batch, source.latin_language, tally), strict=True):
                if not any(sentences):
                    tally.empty += 1
                    continue
                record = make_record(document.raw, sentences)
                line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
                file.write(line)
                index.add(**_index_row(document, record, settings, seed), bytes=len(line))
        _check_unchanged(part)
        notes.writerows(("skipped", source.name, place, reason) for place, reason in problems.notes)
    index.write(to)
    return {**tally.counts(), "documents": len(index), "rows_skipped": len(problems.notes)}


def _check_unchanged(part: Part) -> None:
    for file in part.files:
        if stamp(file.source_file.path) != (file.size, file.changed):
            raise DataError(f"{file.path} was changed while the corpus was built; run again when it is complete")


def _cleaned(
    documents: Iterable[RawDocument], source: Source, settings: CorpusSettings, tally: Tally
) -> Iterator[CleanDocument]:
    rules = settings.cleaning
    for raw in documents:
        changed: Counter[str] = Counter()
        laid_out: Iterable[str] = raw.paragraphs
        if not isinstance(source, SyntheticSource):
            sections = isinstance(source, MimicSource)
            laid_out = (
                paragraph
                for text in raw.paragraphs
                for paragraph in paragraphs_of(text, source.line_break, rules, changed, sections)
            )
        paragraphs = tuple(filter(None, (clean(paragraph, rules, changed) for paragraph in laid_out)))
        tally.read += 1
        tally.cleaned.update(rule for rule, times in changed.items() if times)
        if paragraphs:
            yield CleanDocument(raw, paragraphs)
        else:
            tally.empty += 1


def _good(
    documents: Iterable[CleanDocument], settings: CorpusSettings, tally: Tally, notes: Any
) -> Iterator[CleanDocument]:
    for document in documents:
        rule = rejection(document.paragraphs, settings.quality)
        if rule is None:
            yield document
        else:
            tally.rejected[rule] += 1
            notes.writerow(("rejected", document.raw.source, clean(document.raw.id), rule))


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


def _sentences(batch: list[CleanDocument], latin_language: str, tally: Tally) -> Iterator[list[list[str]]]:
    """Sentences of each paragraph of each document; all paragraphs of the batch are split at once."""
    texts = [paragraph for document in batch for paragraph in document.paragraphs]
    split = iter(split_paragraphs(texts, latin_language))
    for document in batch:
        paragraphs = []
        for _ in document.paragraphs:
            pieces = [cut_long(sentence) for sentence in next(split)]
            tally.sentences_cut += sum(len(piece) > 1 for piece in pieces)
            paragraphs.append([sentence for piece in pieces for sentence in piece])
        yield [paragraph for paragraph in paragraphs if paragraph]


def make_record(raw: RawDocument, paragraphs: list[list[str]]) -> dict[str, Any]:
    """One line of the corpus."""
    letters = [[count_letters(sentence) for sentence in sentences] for sentences in paragraphs]
    return {
        "id": clean(raw.id),
        "source": raw.source,
        "language": language_of(add_letters(counts for sentences in letters for counts in sentences)),
        "paragraphs": paragraphs,
        "languages": [[language_of(counts) for counts in sentences] for sentences in letters],
    }


def _index_row(document: CleanDocument, record: dict[str, Any], settings: CorpusSettings, seed: int) -> dict[str, Any]:
    raw = document.raw
    digest = text_digest(document.paragraphs)
    deciding = digest if raw.group is None else hashlib.sha256(b"group:" + raw.group.encode()).digest()
    sizes: Counter[str] = Counter()
    for sentences, languages in zip(record["paragraphs"], record["languages"], strict=True):
        for sentence, language in zip(sentences, languages, strict=True):
            sizes[f"sentences_{language}"] += 1
            sizes[f"characters_{language}"] += len(sentence)
    return {
        "id": record["id"],
        "digest": digest[:16],
        "name": hashlib.sha256(f"{raw.source}\n{raw.id}".encode()).digest()[:16] if raw.named else None,
        "grouped": raw.group is not None,
        "position": held_out_position(seed, deciding),
        "signature": None if settings.near_duplicates is None else signature(document.paragraphs),
        "sizes": sizes,
    }
