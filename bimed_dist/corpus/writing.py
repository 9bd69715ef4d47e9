"""The files of a corpus, written from the documents of its parts, and the counts of what they hold."""

import csv
import functools
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bimed_dist.corpus import index
from bimed_dist.corpus.deduplication import KEPT, Decisions
from bimed_dist.language import BINS, MIXING_BINS, Mixing, add_mixing, bins_of
from bimed_dist.progress import Progress
from bimed_dist.workspace import DUPLICATES, HELD_OUT, TRAIN

_COPIED_AT_ONCE = 1 << 20


def write_splits(folder: Path, parts: Sequence[Path], documents: str, decisions: Decisions, progress: Progress) -> None:
    """Write the lines of the kept documents to train.jsonl and held_out.jsonl, in the order of the corpus."""
    with (folder / TRAIN).open("wb") as train, (folder / HELD_OUT).open("wb") as held_out:
        for part, rows in zip(parts, _rows(parts), strict=True):
            sizes = index.read_index(part, ["bytes"]).column(0).to_numpy()
            kept = decisions.repeats[rows] == KEPT
            with (part / documents).open("rb") as lines:
                for size, target in _runs(sizes, np.where(kept, 1 + decisions.held_out[rows], 0)):
                    if target == 0:
                        lines.seek(size, 1)
                    else:
                        _copy(lines, (train, held_out)[target - 1], size)
            progress.advance(int(sizes.sum()))


def _rows(parts: Sequence[Path]) -> Iterator[slice]:
    """Yield the documents of each part, as a slice of the documents of the corpus."""
    start = 0
    for part in parts:
        end = start + index.read_index(part, ["bytes"]).num_rows
        yield slice(start, end)
        start = end


def _runs(sizes: NDArray[np.int64], targets: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield (bytes, target) for runs of documents with the same target."""
    if len(sizes) == 0:
        return
    starts = np.flatnonzero(np.diff(targets, prepend=-1))
    yield from zip(np.add.reduceat(sizes, starts).tolist(), targets[starts].tolist(), strict=True)


def _copy(lines: BinaryIO, target: BinaryIO, size: int) -> None:
    while size:
        block = lines.read(min(size, _COPIED_AT_ONCE))
        assert block, "a part is shorter than the sizes in its index"
        target.write(block)
        size -= len(block)


def write_duplicates(folder: Path, parts: Sequence[Path], sources: Sequence[str], decisions: Decisions) -> None:
    """Write duplicates.csv: every dropped document, the kept one, and whether they are equal or near-duplicates."""
    starts = np.array([rows.start for rows in _rows(parts)])

    @functools.lru_cache(maxsize=256)
    def ids(part: int) -> pa.Array:
        return index.read_index(parts[part], ["id"]).column(0)

    def origin(document: int) -> tuple[str, str]:
        part = int(np.searchsorted(starts, document, side="right")) - 1
        return ids(part)[document - int(starts[part])].as_py(), sources[part]

    with (folder / DUPLICATES).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["dropped_id", "dropped_source", "kept_id", "kept_source", "kind"])
        for dropped in np.flatnonzero(decisions.repeats != KEPT).tolist():
            kind = "near" if decisions.near[dropped] else "equal"
            table.writerow([*origin(dropped), *origin(int(decisions.repeats[dropped])), kind])


def join_tables(folder: Path, parts: Sequence[Path], headers: Mapping[str, Sequence[str]]) -> None:
    """Concatenate the tables of the parts, each below its header."""
    for name, header in headers.items():
        with (folder / name).open("wb") as file:
            file.write(",".join(header).encode() + b"\n")
            for part in parts:
                with (part / name).open("rb") as lines:
                    shutil.copyfileobj(lines, file)


def count(
    parts: Sequence[Path], sources: Sequence[str], latin: Mapping[str, str], decisions: Decisions
) -> dict[str, Any]:
    """Count the kept text in total, by source and by language; `latin` is the `latin_language` of each source."""
    units = ("documents", "sentences", "characters")
    by_source: dict[str, dict[str, Any]] = {source: dict.fromkeys(units, 0) for source in sources}
    mixing = {source: MixingCounts() for source in sources}
    codes = ("ko", *latin.values(), "mixed", "other")
    by_language = {code: {"sentences": 0, "characters": 0} for code in codes}
    counts: Counter[str] = Counter(train_documents=0, held_out_documents=0, held_out_sentences=0)
    for part, source, rows in zip(parts, sources, _rows(parts), strict=True):
        kept = decisions.repeats[rows] == KEPT
        held_out = kept & decisions.held_out[rows]
        by_source[source]["documents"] += int(kept.sum())
        counts["held_out_documents"] += int(held_out.sum())
        counts["train_documents"] += int((kept & ~held_out).sum())
        mixing[source].add(part, kept)
        batch = index.read_index(part, index.SIZES)
        for kind in index.KINDS:
            language = latin[source] if kind == "latin" else kind
            for unit in ("sentences", "characters"):
                values = batch.column(f"{unit}_{kind}").to_numpy()
                by_source[source][unit] += int(values[kept].sum())
                by_language[language][unit] += int(values[kept].sum())
            counts["held_out_sentences"] += int(batch.column(f"sentences_{kind}").to_numpy()[held_out].sum())
    for source, source_mixing in mixing.items():
        by_source[source].update(source_mixing.counts())
    totals = {unit: sum(values[unit] for values in by_source.values()) for unit in units}
    total_mixing = MixingCounts.sum(mixing.values()).counts()
    return {**totals, **counts, **total_mixing, "by_source": by_source, "by_language": by_language}


@dataclass
class MixingCounts:
    """Code-mixing of kept documents: over all text, and as histograms over documents and sentences."""

    total: Mixing = field(default_factory=Mixing)
    bins: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """(measure, `documents` or `sentences`, number of the bin) -> count."""

    def add(self, part: Path, kept: NDArray[np.bool_]) -> None:
        batch = index.read_index(part, (*index.MIXING, *index.SENTENCES_BY_BIN))
        columns = {name: batch.column(name).to_numpy()[kept] for name in batch.schema.names}
        documents = [Mixing(*row) for row in zip(*(columns[name].tolist() for name in index.MIXING), strict=True)]
        self.total = add_mixing((self.total, *documents))
        for mixing in documents:
            self.bins.update((measure, "documents", n) for measure, n in zip(MIXING_BINS, bins_of(mixing), strict=True))
        for measure in MIXING_BINS:
            for number in range(BINS):
                self.bins[measure, "sentences", number] += int(columns[f"{measure}_{number}"].sum())

    @classmethod
    def sum(cls, counts: Iterable["MixingCounts"]) -> "MixingCounts":
        total = cls()
        for part in counts:
            total.total = add_mixing((total.total, part.total))
            total.bins.update(part.bins)
        return total

    def counts(self) -> dict[str, Any]:
        return {
            "minority_share": round(self.total.minority_share, 4),
            "switches_per_100_words": round(self.total.switches_per_100_words, 2),
            "code_mixing": {
                measure: {
                    unit: {name: self.bins[measure, unit, number] for number, name in enumerate(bins)}
                    for unit in ("documents", "sentences")
                }
                for measure, bins in MIXING_BINS.items()
            },
        }
