"""The corpus stage: sources -> parts -> documents and indexes -> no duplicates -> train.jsonl and held_out.jsonl.

1. `planning`: every file is surveyed (encoding, where it may be cut) and dealt into parts.
2. `extraction`: every part becomes documents and an index, by itself, on any process or machine (`engines`).
3. `decisions`: over the indexes alone, in the order of the corpus: what repeats what, which side each document is on.
4. `splits`: the documents are copied to their side.

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
from bimed_dist.corpus.engines import IF_KILLED, processes, work_on
from bimed_dist.corpus.extraction import DOCUMENTS, HEADERS, LEAKS, PARTS, TASKS
from bimed_dist.corpus.planning import FilePlan, Part, files_of, parts, survey
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
"""Bytes of the files that one process is given to look through."""


def run(recipe: Recipe, name: str, work: Path, tasks: TaskTexts = NO_TASKS) -> manifest.Outcome:
    """Build `work/corpus/NAME`, without the texts of evaluation `tasks` (from `evaluation.corpus_texts`).

    Raises DataError where a source is missing or damaged, all of it is empty, or it holds too many identities.
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
        settings={"seed": recipe.seed, **settings.what_is_computed()},
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
    refused = refusal(_group(extracted, "identities."), extracted["characters"], settings.privacy)
    if refused is not None:
        shutil.rmtree(folder / PARTS)  # They hold the text with its identities.
        raise DataError(f"corpus {folder.name.removesuffix('.partial')}: {refused}")
    folders = [folder / PARTS / f"{part.number:06d}" for part in plan]
    sources = [part.source for part in plan]
    decisions = decide(folders, settings)
    with Progress("writing", sum((part / DOCUMENTS).stat().st_size for part in folders), "B") as progress:
        write_splits(folder, folders, DOCUMENTS, decisions, progress)
    write_duplicates(folder, folders, sources, decisions)
    join_tables(folder, folders, HEADERS)
    latin = {source.name: source.latin_language for source in settings.sources}
    counts = {**count(folders, sources, latin, decisions), **_dropped(decisions, extracted), **rows, "encodings": files}
    _check(counts, extracted)
    for scratch in (PARTS, TASKS, LEAKS, "logs"):
        shutil.rmtree(folder / scratch, ignore_errors=True)
    return counts


def _index_tasks(folder: Path, settings: CorpusSettings, tasks: TaskTexts) -> dict[str, int]:
    """Put the texts to look for where every process finds them; how many rows and texts there are."""
    if not tasks.inputs:
        return {}
    index = build_index(tasks.texts, settings.contamination.splits)
    (folder / LEAKS).mkdir(exist_ok=True)
    index.save(folder / LEAKS)
    rows = {(task, split, row) for task, split, row, _ in index.labels}
    return {"task_rows": len(rows), "task_texts": len(index.labels), "task_texts_too_short": index.too_short}


def _plan(folder: Path, settings: CorpusSettings, paths: Mapping[str, Path]) -> tuple[list[Part], dict[str, int]]:
    """The parts of all sources, each with its task on disk, and how many files there are of each encoding."""
    (folder / TASKS).mkdir(exist_ok=True)
    plan: list[Part] = []
    encodings: Counter[str] = Counter()
    with (folder / SOURCE_FILES).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["source", "file", "bytes", "encoding", "encoding_from"])
        for source in settings.sources:
            found: list[FilePlan] = []
            if not isinstance(source, SyntheticSource):
                found = _surveyed(source, files_of(source, paths[source.name]), settings.execution)
            for surveyed in found:
                how = "file format" if not surveyed.encoding else "recipe" if surveyed.declared else "content"
                table.writerow([source.name, surveyed.name, surveyed.size, surveyed.encoding, how])
                encodings[surveyed.encoding or "columns"] += 1
            plan += parts(source, found, first_number=len(plan))
    for part in plan:
        manifest.write_json(folder / TASKS / f"{part.number:06d}.json", part.task())
    return plan, dict(encodings)


def _surveyed(source: FileSource, files: Sequence[SourceFile], execution: Execution) -> list[FilePlan]:
    chunks = list(_chunks(files))
    count = min(processes(execution, sum(file.path.stat().st_size for file in files)), len(chunks))
    found = in_processes(functools.partial(_survey_all, source), chunks, count, IF_KILLED)
    by_name = {file.name: file for _, chunk in found for file in chunk}
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


def _survey_all(source: FileSource, files: Sequence[SourceFile]) -> list[FilePlan]:
    return [survey(source, file) for file in files]


def _extract(folder: Path, plan: Sequence[Part], settings: CorpusSettings) -> Counter[str]:
    """Have every part extracted, and add up what was done in them."""
    (folder / PARTS).mkdir(exist_ok=True)
    logger.info("corpus %s: %d part(s)", folder.name.removesuffix(PARTIAL), len(plan))
    with Progress("corpus", sum(part.bytes for part in plan), "B") as progress:
        work_on(folder, plan, settings.execution, done=lambda part: progress.advance(part.bytes))
    total: Counter[str] = Counter()
    for part in plan:
        counts = manifest.read_manifest(folder / PARTS / f"{part.number:06d}").counts
        for key, value in counts.items():
            total.update({f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value})
    return total


def _group(counts: Counter[str], prefix: str) -> dict[str, int]:
    return {key.removeprefix(prefix): value for key, value in sorted(counts.items()) if key.startswith(prefix)}


def _dropped(decisions: Decisions, extracted: Counter[str]) -> dict[str, Any]:
    repeats = decisions.repeats != KEPT
    return {
        "duplicates_dropped": int((repeats & ~decisions.near).sum()),
        "near_duplicates_dropped": int((repeats & decisions.near).sum()),
        "contaminated_dropped": extracted["contaminated_dropped"],
        "rejected_dropped": sum(_group(extracted, "rejected.").values()),
        "empty_dropped": extracted["empty"],
        "rows_skipped": extracted["rows_skipped"],
        "nfc_changed": extracted["cleaned.nfc"],
        "sentences_cut": extracted["sentences_cut"],
        "contaminated_documents": extracted["contaminated"],
        "contaminated_sentences": extracted["contaminated_sentences"],
        "identities_found": sum(_group(extracted, "identities.").values()),
        "scattered_documents": decisions.scattered,
        **{what: _group(extracted, f"{what}.") for what in ("cleaned", "rejected", "identities", "overlaps")},
    }


def _check(counts: Mapping[str, Any], extracted: Counter[str]) -> None:
    if counts["documents"] == 0:
        raise DataError(
            f"the corpus has no sentences: {extracted['empty']} document(s) without text and "
            f"{counts['rejected_dropped']} that a rule of quality dropped in the sources {list(counts['by_source'])}; "
            "check their paths and which fields hold the text"
        )
    empty = [name for name, of_source in counts["by_source"].items() if of_source["documents"] == 0]
    if empty:
        logger.warning("no document was kept from %s: empty, or all duplicates", ", ".join(empty))
    if counts["rows_skipped"]:
        logger.warning("%d row(s) that can't be read were skipped; %s names them", counts["rows_skipped"], LEFT_OUT)
    if counts["scattered_documents"]:
        logger.warning(
            "%d document(s) have the id of an earlier one that is not next to them; they stay apart, on the same side "
            "of the held-out split. Sort the file by its id to make them one",
            counts["scattered_documents"],
        )
    if counts["held_out_documents"] == 0:
        logger.warning("nothing is held out: validation and intrinsic tasks will have no text")
