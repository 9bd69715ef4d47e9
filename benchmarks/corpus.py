"""The corpus stage on much text: MB/s per core of every step, and the whole stage with its peak memory.

Text of `--text` (a folder of .txt, .jsonl and .gz of them; the synthetic generator without it) is repeated and
perturbed, word by word and number by number, until there are `--megabytes` of it in JSON lines, so that it has the
words and signs of the original and few duplicates.

    python benchmarks/corpus.py --text /path/to/open_data/corpus --megabytes 1000
"""

import gzip
import json
import random
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import psutil
from _measuring import record

from bimed_dist.config import Recipe, parse_recipe
from bimed_dist.corpus import stage, synthetic
from bimed_dist.corpus.documents import RawDocument
from bimed_dist.corpus.engines import processes
from bimed_dist.corpus.extraction import Work, batches, index_row, make_record
from bimed_dist.corpus.near_duplicates import NearDuplicates
from bimed_dist.corpus.sentences import split_paragraphs

NUMBER = re.compile(r"\d+")
CHANGED_SHARE = 0.3
"""Share of the words that are put in another word's place."""


def texts(folder: Path | None) -> list[str]:
    if folder is None:
        return [
            "\n\n".join(document.paragraphs) for document in synthetic.documents(1, 3000, ("ko", "en", "mixed"), "s")
        ]
    found = []
    for path in sorted(folder.rglob("*")):
        opened = gzip.open if path.suffix == ".gz" else open
        if path.name.endswith(".txt"):
            found.append(path.read_text(encoding="utf-8"))
        elif path.name.endswith((".jsonl", ".jsonl.gz")):
            with opened(path, "rt", encoding="utf-8") as file:
                found += ["\n\n".join(v for v in json.loads(line).values() if isinstance(v, str)) for line in file]
    # A book chapter is many documents, as long as a note each.
    return [text[start : start + 3000] for text in found for start in range(0, len(text), 3000)]


def perturbed(text: str, words: list[str], rng: random.Random) -> str:
    pieces = re.split(r"(\s+)", NUMBER.sub(lambda found: str(rng.randrange(10 ** min(len(found[0]), 6))), text))
    for place in range(0, len(pieces), 2):
        if pieces[place].isalpha() and rng.random() < CHANGED_SHARE:
            pieces[place] = rng.choice(words)
    return "".join(pieces)


def write_corpus(path: Path, originals: list[str], size: int) -> None:
    rng = random.Random(1)
    words = sorted({word for text in originals for word in text.split() if word.isalpha()})
    written = 0
    with path.open("w", encoding="utf-8") as file:
        while written < size:
            text = perturbed(rng.choice(originals), words, rng)
            line = json.dumps({"text": text, "patient": rng.randrange(10**6)}, ensure_ascii=False) + "\n"
            written += len(line.encode())
            file.write(line)


class PeakMemory:
    """Largest memory of this process and its children together (sum of resident sets), polled."""

    def __enter__(self) -> "PeakMemory":
        self.bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _poll(self) -> None:
        own = psutil.Process()
        while not self._stop.wait(0.2):
            sizes = []
            for process in (own, *own.children(recursive=True)):
                try:
                    sizes.append(process.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue
            self.bytes = max(self.bytes, sum(sizes))


def recipe_for(path: Path, num_processes: int | None) -> Recipe:
    source = {"kind": "jsonl", "name": "much", "path": path.name, "text": ["text"], "group": "patient"}
    corpus = {
        "sources": [source],
        "privacy": {"action": "allow"},
        "execution": {"processes": num_processes},
    }
    return parse_recipe({"name": "b", "seed": 1, "data": str(path.parent), "corpus": {"c": corpus}}, where="benchmark")


def steps(recipe: Recipe, sample: list[str]) -> dict[str, float]:
    """MB/s of one core for each step of a part, one after the other on the same documents."""
    settings = recipe.corpus["c"]
    work = Work(settings.sources[0], settings, None)
    raw = [RawDocument(str(number), "much", (text,)) for number, text in enumerate(sample)]
    megabytes = sum(len(text.encode()) for text in sample) / 1e6
    rates = {}

    def timed(name: str, function: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = function()
        rates[name] = round(megabytes / (time.process_time() - start), 2)
        return result

    split_paragraphs(["특이 호소 없음 식사 잘함"])  # Kiwi is loaded once per process.
    cleaned = timed("clean", lambda: list(work.cleaned(raw)))
    good = timed("quality", lambda: list(work.good(cleaned)))
    masked = timed("privacy", lambda: list(work.without_identities(good)))
    split = timed("sentences", lambda: [s for batch in batches(masked) for s in work.sentences(batch)])
    pairs = list(zip(masked, split, strict=True))
    records = timed("languages", lambda: [make_record(document.raw, sentences) for document, sentences in pairs])
    timed("lines", lambda: [json.dumps(record, ensure_ascii=False).encode() for record in records])
    both = list(zip(masked, records, strict=True))
    rows = timed("index", lambda: [index_row(document, record, settings, 1) for document, record in both])
    near = NearDuplicates(0.8)
    timed("near_duplicates", lambda: [near.kept(row["signature"], number) for number, row in enumerate(rows)])
    return rates


def sampled(path: Path, size: int) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)["text"]
            size -= len(line.encode())
            if size <= 0:
                return


@click.command()
@click.option("--text", "folder", type=click.Path(path_type=Path, exists=True), help="Folder of real text.")
@click.option("--megabytes", default=20, show_default=True)
@click.option("--processes", "num_processes", type=int, help="Without it one per core.")
def main(folder, megabytes, num_processes):
    """Measure the corpus stage; the figures are written to benchmarks/results/corpus.json."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "much.jsonl"
        write_corpus(path, texts(folder), megabytes * 1_000_000)
        recipe = recipe_for(path, num_processes)
        rates = steps(recipe, list(sampled(path, 4_000_000)))
        size = path.stat().st_size / 1e6
        start = time.monotonic()
        with PeakMemory() as peak:
            outcome = stage.run(recipe, "c", Path(place) / "work")
        seconds = time.monotonic() - start
        cores = processes(recipe.corpus["c"].execution, path.stat().st_size)
        figures = {
            "text": "open data" if folder else "synthetic",
            "megabytes": round(size, 1),
            "documents": outcome.manifest.counts["documents"],
            "processes": cores,
            "seconds": round(seconds, 1),
            "mb_per_second_and_process": round(size / seconds / cores, 2),
            "peak_memory_mb": round(peak.bytes / 1e6),
            "step_mb_per_second_and_core": rates,
        }
    record("corpus", figures)


if __name__ == "__main__":
    main()
