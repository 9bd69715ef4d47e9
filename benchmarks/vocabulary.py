"""Training a vocabulary: time, peak memory and coverage of held-out text, against `tokenizers.WordPieceTrainer`.

Both sides read the same corpus file, normalise and split words in the same way, and train the same number of tokens.
They alternate, each run in its own process. `--copies` repeats the training text, which shows how time and memory grow
with the size of a corpus.

    python benchmarks/vocabulary.py --corpus work/open_data/corpus/bilingual --size 16000
"""

import hashlib
import statistics
import tempfile
from pathlib import Path
from typing import Any

import click
from _measuring import Run, corpus_of, name_of, record, run_in_process
from tokenizers import Tokenizer, models, trainers
from tokenizers.pre_tokenizers import BertPreTokenizer

from bimed_dist.processes import available_cores
from bimed_dist.vocabulary.fertility import count_texts, fertility
from bimed_dist.vocabulary.tokenizer import build_tokenizer, text_normalizer
from bimed_dist.vocabulary.tokens import PREFIX, SPECIAL_TOKENS
from bimed_dist.vocabulary.training import train_vocabulary
from bimed_dist.vocabulary.words import count_words, sentences
from bimed_dist.workspace import HELD_OUT, TRAIN

MIN_FREQUENCY = 2


def with_bimed_dist(corpus: Path, size: int) -> tuple[str, ...]:
    words = count_words(corpus, text_normalizer(False), BertPreTokenizer(), processes=available_cores())
    return train_vocabulary(words, size, MIN_FREQUENCY).tokens


def with_word_piece_trainer(corpus: Path, size: int) -> tuple[str, ...]:
    tokenizer = Tokenizer(models.WordPiece(unk_token=SPECIAL_TOKENS[1]))
    tokenizer.normalizer = text_normalizer(False)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=MIN_FREQUENCY,
        special_tokens=list(SPECIAL_TOKENS),
        continuing_subword_prefix=PREFIX,
        show_progress=False,
    )
    tokenizer.train_from_iterator((text for _, _, text in sentences(corpus)), trainer)
    vocabulary = tokenizer.get_vocab()
    return tuple(sorted(vocabulary, key=vocabulary.__getitem__))


SIDES = {"bimed_dist": with_bimed_dist, "WordPieceTrainer": with_word_piece_trainer}


def summary(runs: list[Run], megabytes: float) -> dict[str, Any]:
    seconds = statistics.median(run.seconds for run in runs)
    digests = {hashlib.sha256("\n".join(run.result).encode()).hexdigest() for run in runs}
    return {
        "seconds": round(seconds, 2),
        "megabytes_per_second": round(megabytes / seconds, 2),
        "peak_memory_mb": round(statistics.median(run.memory_mb for run in runs)),
        "pieces": len(runs[0].result),
        "different_vocabularies": len(digests),
    }


def coverage(tokens: dict[str, tuple[str, ...]], held_out: Path) -> dict[str, Any]:
    """Return how each side's last vocabulary tokenizes held-out text."""
    tokenizers = {side: build_tokenizer(vocabulary, False) for side, vocabulary in tokens.items()}
    measured = fertility(tokenizers, count_texts(sentences(held_out)), {}, [])["tokenizers"]
    kept = ("tokens_per_word", "whole_share", "unknown_share", "bytes_per_token")
    return {
        side: {
            language: {key: fit[key] for key in kept}
            for language, fit in {"all": measures["all"], **measures["by_language"]}.items()
        }
        for side, measures in measured.items()
    }


@click.command(help=__doc__)
@click.option(
    "--corpus", type=click.Path(path_type=Path, exists=True), help="Folder of a built corpus. [synthetic text]"
)
@click.option("--size", default=8000, show_default=True)
@click.option("--copies", default=1, show_default=True)
@click.option("--repeats", default=5, show_default=True)
def main(corpus: Path | None, size: int, copies: int, repeats: int) -> None:
    with tempfile.TemporaryDirectory() as work:
        folder = corpus_of(corpus, Path(work))
        text = Path(work) / "train.jsonl"
        with text.open("wb") as file:
            for _ in range(copies):
                file.write((folder / TRAIN).read_bytes())
        megabytes = sum(len(sentence.encode()) for _, _, sentence in sentences(text)) / 1e6
        runs: dict[str, list[Run]] = {side: [] for side in SIDES}
        for _ in range(repeats):
            for side, side_runs in runs.items():
                side_runs.append(run_in_process(SIDES[side], text, size))
        name = name_of(folder)
        covered = coverage({side: side_runs[-1].result for side, side_runs in runs.items()}, folder / HELD_OUT)
    ratios = [a.seconds / b.seconds for a, b in zip(runs["WordPieceTrainer"], runs["bimed_dist"], strict=True)]
    setting = {
        "corpus": name,
        "megabytes": round(megabytes, 2),
        "size": size,
        "copies": copies,
        "repeats": repeats,
    }
    record(
        "vocabulary",
        {
            "setting": setting,
            "results": {side: summary(side_runs, megabytes) for side, side_runs in runs.items()},
            "times_as_fast": round(statistics.median(ratios), 2),
            "ratios": [round(ratio, 2) for ratio in ratios],
            "held_out": covered,
        },
    )


if __name__ == "__main__":
    main()
