"""Encoding a corpus: MB/s of the shards' encoder against batch encoding with `tokenizers`, with all ids compared.

Both sides encode the same sentences in the same batches, use all cores and alternate. Our encoder is timed as a whole,
including its comparison of a sample and its arrays, with empty caches as in a build; of `tokenizers` only the call of
`encode_batch_fast` is timed.

    python benchmarks/encoding.py --corpus work/demo/corpus/bilingual --tokenizer work/demo/vocabulary/bilingual
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from _measuring import corpus_of, name_of, record
from tokenizers.pre_tokenizers import BertPreTokenizer
from transformers import AutoTokenizer

from bimed_dist.processes import available_cores
from bimed_dist.shards.encoding import Encoder
from bimed_dist.vocabulary.tokenizer import build_tokenizer, config_of_new, save_tokenizer, text_normalizer
from bimed_dist.vocabulary.training import train_vocabulary
from bimed_dist.vocabulary.words import count_words, sentences
from bimed_dist.workspace import TRAIN

BATCH = 8192


def tokenizer_of(folder: Path | None, corpus: Path, work: Path) -> Path:
    """Return `folder`, or train a vocabulary of 8,000 tokens on the corpus."""
    if folder is not None:
        return folder
    words = count_words(corpus / TRAIN, text_normalizer(False), BertPreTokenizer(), processes=available_cores())
    tokenizer = build_tokenizer(train_vocabulary(words, 8000, 2).tokens, False)
    save_tokenizer(tokenizer, work, config_of_new(False))
    return work


def batches(texts: list[str]) -> Iterator[list[str]]:
    yield from (texts[start : start + BATCH] for start in range(0, len(texts), BATCH))


def with_tokenizers(tokenizer: Path, texts: list[str]) -> tuple[float, np.ndarray]:
    """Return seconds and all token ids."""
    backend = AutoTokenizer.from_pretrained(tokenizer).backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True
    seconds, ids = 0.0, []
    for batch in batches(texts):
        start = time.perf_counter()
        encodings = backend.encode_batch_fast(batch, add_special_tokens=False)
        seconds += time.perf_counter() - start
        ids += [i for encoding in encodings for i in encoding.ids]
    return seconds, np.array(ids)


def with_encoder(tokenizer: Path, texts: list[str]) -> tuple[float, np.ndarray]:
    encoder = Encoder(str(tokenizer))
    if encoder.library == "tokenizers":
        raise click.ClickException("the encoder fell back to tokenizers: nothing to compare")
    start = time.perf_counter()
    ids = [encoder.encode(batch)[0] for batch in batches(texts)]
    return time.perf_counter() - start, np.concatenate(ids)


def measure(tokenizer: Path, texts: list[str], repeats: int) -> dict[str, Any]:
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    sides = {"tokenizers": with_tokenizers, "bimed_dist": with_encoder}
    speeds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(repeats):
        found = {side: run(tokenizer, texts) for side, run in sides.items()}
        if not np.array_equal(*(ids for _, ids in found.values())):
            raise click.ClickException("the ids differ: no speed counts")
        for side, (seconds, _) in found.items():
            speeds[side].append(megabytes / seconds)
    ratios = [ours / theirs for ours, theirs in zip(speeds["bimed_dist"], speeds["tokenizers"], strict=True)]
    return {
        "sentences": len(texts),
        "megabytes": round(megabytes, 2),
        "megabytes_per_second": {side: round(statistics.median(values), 2) for side, values in speeds.items()},
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
        "ids": "identical",
    }


@click.command(help=__doc__)
@click.option(
    "--corpus", type=click.Path(path_type=Path, exists=True), help="Folder of a built corpus. [synthetic text]"
)
@click.option("--tokenizer", type=click.Path(path_type=Path, exists=True), help="[8,000 tokens trained on the corpus]")
@click.option("--repeats", default=5, show_default=True)
def main(corpus: Path | None, tokenizer: Path | None, repeats: int) -> None:
    with tempfile.TemporaryDirectory() as work:
        corpus_folder = corpus_of(corpus, Path(work))
        tokenizer_folder = tokenizer_of(tokenizer, corpus_folder, Path(work))
        found = list(sentences(corpus_folder / TRAIN))
        by_language = {"all": [text for _, _, text in found]}
        for wanted in ("ko", "en"):
            by_language[wanted] = [text for _, language, text in found if language == wanted]
        results = {key: measure(tokenizer_folder, texts, repeats) for key, texts in by_language.items() if texts}
        name = name_of(corpus_folder)
    setting = {"corpus": name, "repeats": repeats, "batch": BATCH}
    record("encoding", {"setting": setting, "results": results})


if __name__ == "__main__":
    main()
