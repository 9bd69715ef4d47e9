"""The corpus stage on a large text: MB/s per core of every step, and time and peak memory of the whole stage.

The text in `--text` (a folder of .txt, .jsonl and .jsonl.gz files; without it, the synthetic generator's) is repeated
in JSON lines until there are `--megabytes` of it. Words and numbers of each copy are replaced at random, so that the
text keeps the words and characters of the original and has few duplicates. Sentences of the original stand for the rows
of evaluation tasks.

    python benchmarks/corpus.py --text /path/to/open_data/corpus --megabytes 1000
"""

import gzip
import json
import random
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
from _measuring import record, run_in_process

from bimed_dist.corpus import planning, stage
from bimed_dist.corpus.contamination import TaskText, TaskTexts, build_index
from bimed_dist.corpus.deduplication import decide
from bimed_dist.corpus.engines import processes
from bimed_dist.corpus.extraction import DOCUMENTS, Extractor, batches, index_row, make_record
from bimed_dist.corpus.index import IndexWriter
from bimed_dist.corpus.readers import read
from bimed_dist.corpus.sentences import split_paragraphs
from bimed_dist.corpus.writing import write_splits
from bimed_dist.files.lines import Problems, SourceFile
from bimed_dist.progress import Progress
from bimed_dist.recipe.loading import parse_recipe
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.synthetic.documents import generate_documents

NUMBER = re.compile(r"\d+")
CHANGED_SHARE = 0.3
"""Share of the words that are replaced by others."""
ORIGINALS = 10_000
STEP_BYTES = 4_000_000
TASK_TEXTS = 20_000


def texts(folder: Path | None) -> list[str]:
    if folder is None:
        return [
            "\n\n".join(document.paragraphs) for document in generate_documents(1, 3000, ("ko", "en", "mixed"), "s")
        ]
    found = []
    for path in sorted(folder.rglob("*")):
        opened = gzip.open if path.suffix == ".gz" else open
        if path.name.endswith(".txt"):
            found.append(path.read_text(encoding="utf-8"))
        elif path.name.endswith((".jsonl", ".jsonl.gz")):
            with opened(path, "rt", encoding="utf-8") as file:
                found += ["\n\n".join(v for v in json.loads(line).values() if isinstance(v, str)) for line in file]
    # A book chapter becomes many documents of the length of a clinical note.
    return [text[start : start + 3000] for text in found for start in range(0, len(text), 3000)]


class Original(NamedTuple):
    parts: list[str]
    """Words and the whitespace between them."""
    words: list[int]
    """Indices of words of letters only."""
    numbers: list[int]
    """Indices of words with digits."""


def original(text: str) -> Original:
    parts = re.split(r"(\s+)", text)
    words = [i for i, part in enumerate(parts) if part.isalpha()]
    numbers = [i for i, part in enumerate(parts) if not part.isalpha() and NUMBER.search(part)]
    return Original(parts, words, numbers)


def perturbed(text: Original, words: list[str], rng: random.Random) -> str:
    parts = text.parts.copy()
    changed = rng.sample(text.words, round(CHANGED_SHARE * len(text.words)))
    for index, word in zip(changed, rng.choices(words, k=len(changed)), strict=True):
        parts[index] = word
    for index in text.numbers:
        parts[index] = NUMBER.sub(lambda number: str(rng.randrange(10 ** min(len(number[0]), 6))), parts[index])
    return "".join(parts)


def write_corpus(path: Path, originals: list[str], size: int) -> None:
    rng = random.Random(1)
    split = [original(text) for text in originals]
    words = sorted({text.parts[index] for text in split for index in text.words})
    written = 0
    with path.open("w", encoding="utf-8") as file:
        while written < size:
            text = perturbed(rng.choice(split), words, rng)
            line = json.dumps({"text": text, "patient": rng.randrange(10**6)}, ensure_ascii=False) + "\n"
            written += len(line.encode())
            file.write(line)


def task_texts(originals: list[str]) -> TaskTexts:
    sentences = [sentence for text in originals[::10] for sentence in text.split(". ")][:TASK_TEXTS]
    texts = [TaskText("sample", "test", str(i), sentence) for i, sentence in enumerate(sentences)]
    return TaskTexts({"task/sample": "sentences of the text itself"}, texts)


def recipe_for(path: Path, num_processes: int | None) -> Recipe:
    source = {"kind": "jsonl", "name": "much", "path": path.name, "text": ["text"], "group": "patient"}
    corpus = {
        "sources": [source],
        "privacy": {"action": "allow"},
        "execution": {"processes": num_processes},
    }
    return parse_recipe({"name": "b", "seed": 1, "data": str(path.parent), "corpus": {"c": corpus}}, where="benchmark")


def steps(recipe: Recipe, path: Path, tasks: TaskTexts) -> dict[str, float]:
    """Return MB/s per core of each step, one after another on the same documents."""
    settings = recipe.corpus["c"]
    source, contamination = settings.sources[0], settings.contamination
    work = Extractor(source, settings, build_index(tasks.texts, contamination.splits))
    megabytes = path.stat().st_size / 1e6
    rates = {}

    def timed(name: str, function: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = function()
        rates[name] = round(megabytes / (time.process_time() - start), 2)
        return result

    split_paragraphs(["특이 호소 없음 식사 잘함"])  # Kiwi is loaded once per process.
    plan = timed("survey", lambda: planning.survey(source, SourceFile(path, path.name)))
    [part] = planning.make_parts(source, [plan], 0)
    raw = timed("read", lambda: list(read(source, part, 1, Problems("the sample"))))
    cleaned = timed("clean", lambda: list(work.cleaned(raw)))
    good = timed("quality", lambda: list(work.good(cleaned)))
    masked = timed("privacy", lambda: list(work.without_identities(good)))
    split = timed("sentences", lambda: [s for batch in batches(masked) for s in work.sentences(batch)])
    pairs = list(zip(masked, split, strict=True))
    left = timed("contamination", lambda: [(document, work.without_leaks(document.raw, s)) for document, s in pairs])
    left = [(document, sentences) for document, sentences in left if sentences]
    records = timed("languages", lambda: [make_record(document.raw, s, "en") for document, s in left])
    both = [(document, record) for (document, _), record in zip(left, records, strict=True)]
    rows = timed("index", lambda: [index_row(document, record, settings, 1) for document, record in both])
    folder = path.with_suffix("")
    folder.mkdir()
    timed("write", lambda: write_part(folder, records, rows))
    decisions = timed("decisions", lambda: decide([folder], settings))
    with Progress("writing", 0, "B") as progress:
        timed("splits", lambda: write_splits(folder, [folder], DOCUMENTS, decisions, progress))
    return rates


def write_part(folder: Path, records: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    index = IndexWriter()
    with (folder / DOCUMENTS).open("wb") as file:
        for line, row in zip((json.dumps(r, ensure_ascii=False).encode() + b"\n" for r in records), rows, strict=True):
            file.write(line)
            index.add(**row, bytes=len(line))
    index.write(folder)


def write_sample(path: Path, whole: Path) -> None:
    """Write the first lines of a file."""
    with whole.open("rb") as file:
        path.write_bytes(b"".join(file.readlines(STEP_BYTES)))


@click.command(help=__doc__)
@click.option("--text", "folder", type=click.Path(path_type=Path, exists=True), help="Folder of text. [synthetic text]")
@click.option("--megabytes", default=20, show_default=True)
@click.option("--processes", "num_processes", type=int, help="[one per core]")
def main(folder: Path | None, megabytes: int, num_processes: int | None) -> None:
    with tempfile.TemporaryDirectory() as place:
        path, sample = Path(place) / "much.jsonl", Path(place) / "sample.jsonl"
        found = texts(folder)
        originals = random.Random(1).sample(found, min(len(found), ORIGINALS))
        write_corpus(path, originals, megabytes * 1_000_000)
        tasks = task_texts(originals)
        recipe = recipe_for(path, num_processes)
        write_sample(sample, path)
        rates = steps(recipe, sample, tasks)
        size = path.stat().st_size / 1e6
        run = run_in_process(stage.run, recipe, "c", Path(place) / "work", tasks)
        counts = run.result.manifest.counts
        cores = processes(recipe.corpus["c"].execution, path.stat().st_size)
        figures = {
            "text": "open data" if folder else "synthetic",
            "megabytes": round(size, 1),
            "documents": counts["documents"],
            "duplicates_dropped": counts["duplicates_dropped"] + counts["near_duplicates_dropped"],
            "processes": cores,
            "seconds": round(run.seconds, 1),
            "mb_per_second_and_process": round(size / run.seconds / cores, 2),
            "peak_memory_mb": round(run.memory_mb),
            "step_mb_per_second_and_core": rates,
        }
    record("corpus", figures)


if __name__ == "__main__":
    main()
