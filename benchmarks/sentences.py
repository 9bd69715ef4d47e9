"""Recall and precision of sentence splitting, and its speed, against the two libraries as they are.

On the hand-checked sentences of tests/corpus/data, and with `--data` on text of other people: lines that end in a mark,
five put together (some hold more than one sentence, so no splitter reaches 1). A sentence counts where both its ends
are right. The baseline gives every text with Hangul to kiwipiepy and all else to sentencex for English.

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
TOGETHER = 5
SPEED_LINES = 2000
LATIN = ("nl", "ro", "es")

KIWI = Kiwi(num_workers=1)

Split = Callable[[Sequence[str], str], list[list[str]]]
"""Texts and the language of their Latin script to the sentences of each."""


def with_sentencex(texts: Sequence[str], language: str) -> list[list[str]]:
    return [[s.strip() for s in sentencex.segment("en", text) if s.strip()] for text in texts]


def with_kiwi(texts: Sequence[str], language: str) -> list[list[str]]:
    return [[sentence.text for sentence in found] for found in KIWI.split_into_sents(texts, return_sub_sents=False)]


def baseline(texts: Sequence[str], language: str) -> list[list[str]]:
    return [(with_kiwi if has_hangul(text) else with_sentencex)([text], language)[0] for text in texts]


SIDES: dict[str, Split] = {"bimed_dist": split_paragraphs, "baseline": baseline}


def hand_checked() -> dict[str, list[list[str]]]:
    """Paragraphs as lists of their sentences, by language."""
    found: dict[str, list[list[str]]] = {}
    for line in HAND_CHECKED.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found.setdefault(row["language"], []).append(row["sentences"])
    return found


def marked_lines(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip().endswith((".", "?", "!")):
            yield " ".join(line.split())


def put_together(lines: list[str]) -> list[list[str]]:
    return [lines[start : start + TOGETHER] for start in range(0, len(lines), TOGETHER)]


def counted(split: Split, paragraphs: list[list[str]], language: str) -> Counter[str]:
    """Sentences that there are, that were found, and that are right."""
    found = split([" ".join(sentences) for sentences in paragraphs], language if language in LATIN else "en")
    right = sum((Counter(got) & Counter(wanted)).total() for got, wanted in zip(found, paragraphs, strict=True))
    return Counter(there=sum(map(len, paragraphs)), found=sum(map(len, found)), right=right)


def shares(counts: Counter[str]) -> dict[str, Any]:
    right = counts["right"]
    return {
        "sentences": counts["there"],
        "recall": round(right / counts["there"], 3),
        "precision": round(right / counts["found"], 3),
    }


def table(texts: dict[str, list[list[str]]]) -> dict[str, dict[str, Any]]:
    counts = {
        name: {side: counted(split, paragraphs, name) for side, split in SIDES.items()}
        for name, paragraphs in texts.items()
    }
    counts["all"] = {side: sum((of[side] for of in counts.values()), Counter()) for side in SIDES}
    return {name: {side: shares(count) for side, count in of.items()} for name, of in counts.items()}


def speeds(texts: list[str]) -> dict[str, float]:
    """MB/s of one core; each splitter has seen some text before, so that loading is not counted."""
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
        result["open_text"] = table({name: put_together(found[:LINES]) for name, found in lines.items()})
        texts = list(marked_lines(data / OPEN_TEXT["general_koen (eval), Korean"]))[:SPEED_LINES]
    result["korean_megabytes_per_second_and_core"] = speeds(texts)
    record("sentences", result)


if __name__ == "__main__":
    main()
