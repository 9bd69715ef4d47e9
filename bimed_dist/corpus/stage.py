"""The corpus stage: sources -> parts -> documents and indexes -> train.jsonl and held_out.jsonl.

1. `planning`: survey every file (encoding, where it may be cut) and divide the sources into parts.
2. `extraction`: turn every part into documents and an index, in any process and on any machine (`engines`).
3. `deduplication`: over the indexes alone, find duplicates and choose the held-out documents.
4. `writing`: copy the documents into the two files.

Finished parts of an interrupted build are kept in `NAME.partial`. Each line of both files is one document: id, source,
language, paragraphs (lists of sentences) and, in the same shape, the languages of the sentences.
"""

import csv
import functools
import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bimed_dist import manifest
from bimed_dist.corpus.contamination import TaskTexts, build_index
from bimed_dist.corpus.deduplication import KEPT, Decisions, decide
from bimed_dist.corpus.engines import IF_KILLED, extract_parts, processes
from bimed_dist.corpus.extraction import DOCUMENTS, HEADERS, LEAKS, LOGS, PARTS, TASKS, part_folder, task_file
from bimed_dist.corpus.planning import FilePlan, Part, list_files, make_parts, survey
from bimed_dist.corpus.privacy import refusal
from bimed_dist.corpus.writing import count, join_tables, write_duplicates, write_splits
from bimed_dist.errors import DataError
from bimed_dist.files.lines import SourceFile
from bimed_dist.processes import in_processes
from bimed_dist.progress import Progress
from bimed_dist.recipe.corpus import CorpusSettings, Execution, FileSource, SyntheticSource
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.references import data_path
from bimed_dist.workspace import LEFT_OUT, PARTIAL, SOURCE_FILES, stage_folder

logger = logging.getLogger(__name__)

NO_TASKS = TaskTexts({}, ())
_SURVEYED_AT_ONCE = 1 << 26
"""Bytes of the files that a process surveys in one call."""


def run(recipe: Recipe, name: str, work: Path, tasks: TaskTexts = NO_TASKS) -> manifest.Outcome:
    """Build `work/corpus/NAME`, without the texts of evaluation `tasks`.

    Raises DataError if a source is missing or damaged, nothing is left of the text, or it has too many identities.
    """
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
        stage_folder(work, "corpus", name),
        stage="corpus",
        settings={"seed": recipe.seed, **settings.identity()},
        inputs={
            **{f"source/{source}": manifest.input_digest(path) for source, path in paths.items()},
            **tasks.inputs,
        },
        make=lambda folder: _make(folder, settings, paths, tasks),
        continues=True,
    )


def _make(folder: Path, settings: CorpusSettings, paths: Mapping[str, Path], tasks: TaskTexts) -> dict[str, Any]:
    rows = _index_tasks(folder, settings, tasks)
    plan, files = _plan(folder, settings, paths)
    extracted = _extract(folder, plan, settings)
    refused = refusal(_with_prefix(extracted, "identities."), extracted["characters"], settings.privacy)
    if refused is not None:
        shutil.rmtree(folder / PARTS)  # They hold the text with its identities.
        raise DataError(f"corpus {folder.name.removesuffix(PARTIAL)}: {refused}")
    folders = [part_folder(folder, part.number) for part in plan]
    sources = [part.source for part in plan]
    decisions = decide(folders, settings)
    with Progress("writing", sum((part / DOCUMENTS).stat().st_size for part in folders), "B") as progress:
        write_splits(folder, folders, DOCUMENTS, decisions, progress)
    write_duplicates(folder, folders, sources, decisions)
    join_tables(folder, folders, HEADERS)
    latin = {source.name: source.latin_language for source in settings.sources}
    counts = {
        **count(folders, sources, latin, decisions),
        **_extraction_counts(decisions, extracted),
        **rows,
        "encodings": files,
    }
    _check(counts, extracted)
    for scratch in (PARTS, TASKS, LEAKS, LOGS):
        shutil.rmtree(folder / scratch, ignore_errors=True)
    return counts


def _index_tasks(folder: Path, settings: CorpusSettings, tasks: TaskTexts) -> dict[str, int]:
    """Save an index of the tasks' texts for all processes. Returns the numbers of rows and texts."""
    if not tasks.inputs:
        return {}
    index = build_index(tasks.texts, settings.contamination.splits)
    (folder / LEAKS).mkdir(exist_ok=True)
    index.save(folder / LEAKS)
    rows = {(task, split, row) for task, split, row, _ in index.labels}
    return {"task_rows": len(rows), "task_texts": len(index.labels), "task_texts_too_short": index.too_short}


def _plan(folder: Path, settings: CorpusSettings, paths: Mapping[str, Path]) -> tuple[list[Part], dict[str, int]]:
    """Return the parts of all sources, also written to disk, and the number of files by encoding."""
    (folder / TASKS).mkdir(exist_ok=True)
    plan: list[Part] = []
    encodings: Counter[str] = Counter()
    with (folder / SOURCE_FILES).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["source", "file", "bytes", "encoding", "encoding_from"])
        for source in settings.sources:
            files: list[FilePlan] = []
            if not isinstance(source, SyntheticSource):
                files = _survey_all(source, list_files(source, paths[source.name]), settings.execution)
            for surveyed in files:
                encoding_from = "file format" if not surveyed.encoding else "recipe" if surveyed.declared else "content"
                table.writerow([source.name, surveyed.name, surveyed.size, surveyed.encoding, encoding_from])
                encodings[surveyed.encoding or "columns"] += 1
            plan += make_parts(source, files, first_number=len(plan))
    for part in plan:
        manifest.write_json(task_file(folder, part.number), part.task())
    return plan, dict(encodings)


def _survey_all(source: FileSource, files: Sequence[SourceFile], execution: Execution) -> list[FilePlan]:
    chunks = list(_chunks(files))
    count = min(processes(execution, sum(file.path.stat().st_size for file in files)), len(chunks))
    surveyed = in_processes(functools.partial(_survey_chunk, source), chunks, count, IF_KILLED)
    by_name = {file.name: file for _, chunk in surveyed for file in chunk}
    return [by_name[file.name] for file in files]


def _chunks(files: Sequence[SourceFile]) -> Iterator[tuple[SourceFile, ...]]:
    chunk: list[SourceFile] = []
    size = 0
    for file in files:
        chunk.append(file)
        size += file.path.stat().st_size
        if size >= _SURVEYED_AT_ONCE:
            yield tuple(chunk)
            chunk, size = [], 0
    if chunk:
        yield tuple(chunk)


def _survey_chunk(source: FileSource, files: Sequence[SourceFile]) -> list[FilePlan]:
    return [survey(source, file) for file in files]


def _extract(folder: Path, plan: Sequence[Part], settings: CorpusSettings) -> Counter[str]:
    """Extract every part. Returns the sums of their counts."""
    (folder / PARTS).mkdir(exist_ok=True)
    logger.info("corpus %s: %d part(s)", folder.name.removesuffix(PARTIAL), len(plan))
    with Progress("corpus", sum(part.bytes for part in plan), "B") as progress:
        extract_parts(folder, plan, settings.execution, done=lambda part: progress.advance(part.bytes))
    total: Counter[str] = Counter()
    for part in plan:
        counts = manifest.read_manifest(part_folder(folder, part.number)).counts
        for key, value in counts.items():
            total.update({f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value})
    return total


def _with_prefix(counts: Counter[str], prefix: str) -> dict[str, int]:
    return {key.removeprefix(prefix): value for key, value in sorted(counts.items()) if key.startswith(prefix)}


def _extraction_counts(decisions: Decisions, extracted: Counter[str]) -> dict[str, Any]:
    repeats = decisions.repeats != KEPT
    return {
        "duplicates_dropped": int((repeats & ~decisions.near).sum()),
        "near_duplicates_dropped": int((repeats & decisions.near).sum()),
        "contaminated_dropped": extracted["contaminated_dropped"],
        "rejected_dropped": sum(_with_prefix(extracted, "rejected.").values()),
        "empty_dropped": extracted["empty"],
        "rows_skipped": extracted["rows_skipped"],
        "nfc_changed": extracted["cleaned.nfc"],
        "sentences_cut": extracted["sentences_cut"],
        "contaminated_documents": extracted["contaminated"],
        "contaminated_sentences": extracted["contaminated_sentences"],
        "identities_found": sum(_with_prefix(extracted, "identities.").values()),
        "scattered_documents": decisions.scattered,
        **{group: _with_prefix(extracted, f"{group}.") for group in ("cleaned", "rejected", "identities", "overlaps")},
    }


def _check(counts: Mapping[str, Any], extracted: Counter[str]) -> None:
    if counts["documents"] == 0:
        raise DataError(
            f"the corpus has no sentences: {extracted['empty']} document(s) without text and "
            f"{counts['rejected_dropped']} dropped by quality rules, in the sources {list(counts['by_source'])}; "
            "check their paths and the fields that hold the text"
        )
    empty = [name for name, source in counts["by_source"].items() if source["documents"] == 0]
    if empty:
        logger.warning("no document of %s was kept: all are empty, rejected or duplicates", ", ".join(empty))
    if counts["rows_skipped"]:
        logger.warning("%d row(s) that can't be read were skipped; %s lists them", counts["rows_skipped"], LEFT_OUT)
    if counts["scattered_documents"]:
        logger.warning(
            "%d document(s) share their id with an earlier one that is not adjacent; they stay separate documents, "
            "on the same side of the held-out split. Sort the file by id to merge them",
            counts["scattered_documents"],
        )
    if counts["held_out_documents"] == 0:
        logger.warning("no document is held out: validation and the tasks mlm, mlm_terms and nsp will have no text")
