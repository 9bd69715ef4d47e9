"""Recall, precision and speed of sentence splitting, against kiwipiepy and sentencex without our corrections.

Measured on the hand-checked sentences of tests/corpus/data and, with `--data`, on open text: lines that end in a
punctuation mark, joined by fives (some lines hold several sentences, so no splitter reaches 1). A sentence is correct
if both its ends are. The baseline uses kiwipiepy for every text with Hangul and sentencex (English) for all others.

    python benchmarks/sentences.py --data /path/to/open_data
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import sentencex
from _measuring import ROOT, record
from kiwipiepy import Kiwi

from bimed_dist.corpus.sentences import split_paragraphs
from bimed_dist.language import has_hangul

HAND_CHECKED = ROOT / "tests" / "corpus" / "data" / "sentences.jsonl"
OPEN_TEXT = {
    "covid19_cdc, Korean": "corpus/covid19_cdc/covid19_cdc.ko.txt",
    "covid19_cdc, English": "corpus/covid19_cdc/covid19_cdc.en.txt",
    "general_koen (eval), Korean": "corpus/general_koen/jhe-koen-eval.ko.txt",
}
LINES = 250
JOINED_LINES = 5
SPEED_LINES = 2000
LATIN = ("nl", "ro", "es")

KIWI = Kiwi(num_workers=1)

Split = Callable[[Sequence[str], str], list[list[str]]]
"""(texts, language of their Latin script) -> the sentences of each text."""


def with_sentencex(texts: Sequence[str], language: str) -> list[list[str]]:
    return [[s.strip() for s in sentencex.segment("en", text) if s.strip()] for text in texts]


def with_kiwi(texts: Sequence[str], language: str) -> list[list[str]]:
    return [[sentence.text for sentence in found] for found in KIWI.split_into_sents(texts, return_sub_sents=False)]


def baseline(texts: Sequence[str], language: str) -> list[list[str]]:
    return [(with_kiwi if has_hangul(text) else with_sentencex)([text], language)[0] for text in texts]


SIDES: dict[str, Split] = {"bimed_dist": split_paragraphs, "baseline": baseline}


def hand_checked() -> dict[str, list[list[str]]]:
    """Return paragraphs as lists of their sentences, by language."""
    paragraphs: dict[str, list[list[str]]] = {}
    for line in HAND_CHECKED.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        paragraphs.setdefault(row["language"], []).append(row["sentences"])
    return paragraphs


def marked_lines(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip().endswith((".", "?", "!")):
            yield " ".join(line.split())


def join_lines(lines: list[str]) -> list[list[str]]:
    return [lines[start : start + JOINED_LINES] for start in range(0, len(lines), JOINED_LINES)]


def count_sentences(split: Split, paragraphs: list[list[str]], language: str) -> Counter[str]:
    """Count the expected, the found and the correct sentences."""
    found = split([" ".join(sentences) for sentences in paragraphs], language if language in LATIN else "en")
    correct = sum((Counter(a) & Counter(b)).total() for a, b in zip(found, paragraphs, strict=True))
    return Counter(expected=sum(map(len, paragraphs)), found=sum(map(len, found)), correct=correct)


def shares(counts: Counter[str]) -> dict[str, Any]:
    correct = counts["correct"]
    return {
        "sentences": counts["expected"],
        "recall": round(correct / counts["expected"], 3),
        "precision": round(correct / counts["found"], 3),
    }


def table(texts: dict[str, list[list[str]]]) -> dict[str, dict[str, Any]]:
    counts = {
        name: {side: count_sentences(split, paragraphs, name) for side, split in SIDES.items()}
        for name, paragraphs in texts.items()
    }
    counts["all"] = {side: sum((of[side] for of in counts.values()), Counter()) for side in SIDES}
    return {name: {side: shares(count) for side, count in of.items()} for name, of in counts.items()}


def speeds(texts: list[str]) -> dict[str, float]:
    """Return MB/s of one core; each splitter is loaded before."""
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    found = {}
    for name, split in {"bimed_dist": split_paragraphs, "sentencex": with_sentencex, "kiwipiepy": with_kiwi}.items():
        split(["특이 호소 없음 식사 잘함"], "en")
        start = time.process_time()
        split(texts, "en")
        found[name] = round(megabytes / (time.process_time() - start), 3)
    return found


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path, exists=True), help="Folder of open data.")
def main(data: Path | None) -> None:
    checked = hand_checked()
    result: dict[str, Any] = {"hand_checked": table(checked)}
    texts = [" ".join(sentences) for language in ("ko", "mixed") for sentences in checked[language]] * 20
    if data is not None:
        lines = {name: list(marked_lines(data / path)) for name, path in OPEN_TEXT.items()}
        result["open_text"] = table({name: join_lines(found[:LINES]) for name, found in lines.items()})
        texts = list(marked_lines(data / OPEN_TEXT["general_koen (eval), Korean"]))[:SPEED_LINES]
    result["korean_megabytes_per_second_and_core"] = speeds(texts)
    record("sentences", result)


if __name__ == "__main__":
    main()
