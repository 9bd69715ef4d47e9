"""Word counts of a corpus, computed on all cores; the result does not depend on their number.

Files are read in blocks and only counts are kept, so memory grows with the number of distinct words and processes, not
with the corpus. Counts are Python integers and can't overflow.
"""

import functools
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from tokenizers import normalizers, pre_tokenizers

from bimed_dist.files.documents import parse_document, read_documents
from bimed_dist.processes import in_processes
from bimed_dist.progress import Progress

BLOCK_BYTES = 32 * 2**20
_CHUNKS_AT_ONCE = 250_000
_IF_KILLED = "run again with more memory, or on fewer cores (`taskset --cpu-list 0-3 ...`)"


def sentences(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (source, language, sentence) of a corpus file."""
    for document in read_documents(path):
        for texts, languages in zip(document["paragraphs"], document["languages"], strict=True):
            for text, language in zip(texts, languages, strict=True):
                yield document["source"], language, text


def count_words(
    path: Path,
    normalizer: normalizers.Normalizer | None,
    pre_tokenizer: pre_tokenizers.PreTokenizer,
    *,
    processes: int,
    block_bytes: int = BLOCK_BYTES,
) -> Counter[str]:
    """Count each word of a corpus file, split as by a tokenizer with this normalizer and pre-tokenizer."""
    blocks = list(block_borders(path, block_bytes))
    processes = min(processes, len(blocks))
    chunks: Counter[str] = Counter()
    with Progress("words", len(blocks), "blocks") as progress:
        for _, counted in in_processes(functools.partial(_count_chunks, path), blocks, processes, _IF_KILLED):
            chunks.update(counted)
            progress.advance()
    # Both steps treat each text between whitespace separately, so every distinct one is split only once.
    split = functools.partial(split_chunks, normalizer=normalizer, pre_tokenizer=pre_tokenizer)
    words: Counter[str] = Counter()
    for _, counted in in_processes(split, _in_groups(chunks, _CHUNKS_AT_ONCE), processes, _IF_KILLED):
        words.update(counted)
    return words


def block_borders(path: Path, block_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield (first byte, end) of runs of whole lines, each of `block_bytes` or slightly more."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = 0
        while start < size:
            file.seek(start + block_bytes - 1)
            file.readline()
            yield start, min(file.tell(), size)
            start = file.tell()


def _count_chunks(path: Path, block: tuple[int, int]) -> Counter[str]:
    """Count each text between whitespace in a block."""
    start, end = block
    chunks: Counter[str] = Counter()
    with path.open("rb") as file:
        file.seek(start)
        while (position := file.tell()) < end:
            document = parse_document(file.readline(), f"{path}, line at byte {position}")
            for paragraph in document["paragraphs"]:
                for sentence in paragraph:
                    chunks.update(sentence.split())
    return chunks


def split_chunks(
    chunks: Mapping[str, int],
    normalizer: normalizers.Normalizer | None,
    pre_tokenizer: pre_tokenizers.PreTokenizer,
) -> Counter[str]:
    """Return word counts, given the counts of the texts between whitespace."""
    words: Counter[str] = Counter()
    for chunk, count in chunks.items():
        text = normalizer.normalize_str(chunk) if normalizer else chunk
        for word, _ in pre_tokenizer.pre_tokenize_str(text):
            words[word] += count
    return words


def _in_groups(counts: Mapping[str, int], size: int) -> Iterator[dict[str, int]]:
    items = iter(counts.items())
    while group := dict(islice(items, size)):
        yield group
