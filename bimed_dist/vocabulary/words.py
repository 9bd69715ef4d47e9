"""Words of a corpus and how often each occurs: counted by all cores, the same whatever their number.

Memory follows the number of distinct words and of processes, not the size of the corpus: files are read in blocks, and
only counts are kept. Counts are Python integers, without a limit.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import nullcontext
from itertools import islice, repeat
from multiprocessing import get_context
from pathlib import Path

from tokenizers import normalizers, pre_tokenizers
from tqdm import tqdm

BLOCK_BYTES = 32 * 2**20
_CHUNKS_AT_ONCE = 250_000


def available_cores() -> int:
    return len(os.sched_getaffinity(0))


def sentences(path: Path) -> Iterator[tuple[str, str, str]]:
    """(source, language, sentence) of a corpus file."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            for texts, languages in zip(record["paragraphs"], record["languages"], strict=True):
                for text, language in zip(texts, languages, strict=True):
                    yield record["source"], language, text


def count_words(
    path: Path,
    normalizer: normalizers.Normalizer | None,
    pre_tokenizer: pre_tokenizers.PreTokenizer,
    *,
    processes: int,
    block_bytes: int = BLOCK_BYTES,
) -> Counter[str]:
    """Occurrences of each word of a corpus file, as a tokenizer with these two parts cuts it."""
    blocks = list(block_borders(path, block_bytes))
    processes = min(processes, len(blocks))
    # Not forked: the threads of tokenizers would not survive in the copies.
    pool = ProcessPoolExecutor(processes, get_context("spawn")) if processes > 1 else nullcontext()
    chunks: Counter[str] = Counter()
    with pool as executor, tqdm(total=len(blocks), desc="words", unit=" blocks", disable=None) as progress:
        # As many blocks at once as there are processes: more would wait in memory to be added up.
        for some in _in_groups(blocks, processes):
            for counted in _map(executor, _count_chunks, repeat(path), *zip(*some, strict=True)):
                chunks.update(counted)
                progress.update()
        return _cut(executor, chunks, normalizer, pre_tokenizer, processes)


def block_borders(path: Path, block_bytes: int) -> Iterator[tuple[int, int]]:
    """(first byte, byte after the last) of runs of whole lines, each of `block_bytes` or a little more."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = 0
        while start < size:
            file.seek(start + block_bytes - 1)
            file.readline()
            yield start, min(file.tell(), size)
            start = file.tell()


def _count_chunks(path: Path, start: int, end: int) -> Counter[str]:
    """Occurrences of each text between blanks in a block."""
    chunks: Counter[str] = Counter()
    with path.open("rb") as file:
        file.seek(start)
        while file.tell() < end:
            for paragraph in json.loads(file.readline())["paragraphs"]:
                for sentence in paragraph:
                    chunks.update(sentence.split())
    return chunks


def _cut(
    executor: Executor | None,
    chunks: Mapping[str, int],
    normalizer: normalizers.Normalizer | None,
    pre_tokenizer: pre_tokenizers.PreTokenizer,
    processes: int,
) -> Counter[str]:
    """Normalising and cutting work on each text between blanks by itself, so every distinct one is cut once."""
    words: Counter[str] = Counter()
    for some in _in_groups(_in_groups(chunks.items(), _CHUNKS_AT_ONCE), processes):
        for cut in _map(executor, cut_chunks, map(dict, some), repeat(normalizer), repeat(pre_tokenizer)):
            words.update(cut)
    return words


def cut_chunks(
    chunks: Mapping[str, int],
    normalizer: normalizers.Normalizer | None,
    pre_tokenizer: pre_tokenizers.PreTokenizer,
) -> Counter[str]:
    """Words of texts, each as often as the texts that it is in."""
    words: Counter[str] = Counter()
    for chunk, count in chunks.items():
        text = normalizer.normalize_str(chunk) if normalizer else chunk
        for word, _ in pre_tokenizer.pre_tokenize_str(text):
            words[word] += count
    return words


def _map(
    executor: Executor | None, function: Callable[..., Counter[str]], *arguments: Iterable
) -> Iterable[Counter[str]]:
    return executor.map(function, *arguments) if executor else map(function, *arguments)


def _in_groups(items: Iterable, size: int) -> Iterator[list]:
    iterator = iter(items)
    while group := list(islice(iterator, size)):
        yield group
