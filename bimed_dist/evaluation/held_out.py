"""Rows of the intrinsic tasks from `held_out.jsonl` of a corpus folder."""

import json
from collections.abc import Iterator, Sequence

from bimed_dist.errors import DataError
from bimed_dist.evaluation.reading import text_lines
from bimed_dist.evaluation.task import Example, Origin, Splits

FILE_NAME = "held_out.jsonl"


def documents(origin: Origin) -> Iterator[tuple[str, str, list[str]]]:
    """(place, language, sentences) of each held-out document."""
    path = origin.folder / FILE_NAME
    for number, line in enumerate(text_lines(path), start=1):
        try:
            document = json.loads(line)
            sentences = [sentence for paragraph in document["paragraphs"] for sentence in paragraph]
            yield f"{path.name} line {number}", document["language"], sentences
        except (ValueError, KeyError, TypeError):
            raise DataError(
                f"{path} line {number}: not a document of the corpus stage; build the corpus again"
            ) from None


def windows(origin: Origin) -> Splits:
    """Words of consecutive sentences, at most `max_length` - 2 characters a window.

    A WordPiece has at least one character, so that a window of so many characters fits into `max_length` pieces of any
    vocabulary (but one that takes Hangul apart), and every model sees the same text. A longer sentence is cut at
    words, and a longer word is left out.
    """
    limit = origin.max_length - 2
    examples = []
    for place, language, sentences in documents(origin):
        for count, words in enumerate(_filled(sentences, limit), start=1):
            examples.append(Example(f"{place} window {count}", tuple(words), None, language, place))
    return Splits(
        {"test": tuple(examples)}, notes=(f"windows of at most {limit} characters, the same for every model",)
    )


def _filled(sentences: list[str], limit: int) -> Iterator[list[str]]:
    window: list[str] = []
    size = 0
    for sentence in sentences:
        words = [word for word in sentence.split() if len(word) <= limit]
        length = sum(map(len, words))
        if window and size + length > limit:
            yield window
            window, size = [], 0
        for word in words:
            if size + len(word) > limit:
                yield window
                window, size = [], 0
            window.append(word)
            size += len(word)
    if window:
        yield window


def successors(origin: Origin) -> Splits:
    """Every sentence with the one that follows it in its document; each sentence is used once."""
    examples = []
    for place, language, sentences in documents(origin):
        texts = [sentence for sentence in sentences if sentence.strip()]
        for i in range(0, len(texts) - 1, 2):
            pair = (texts[i], texts[i + 1])
            examples.append(Example(f"{place} sentence {i + 1}", pair, None, language, place))
    return Splits({"test": tuple(examples)})


def with_partners(examples: Sequence[Example]) -> tuple[tuple[Example, ...], tuple[str, ...]]:
    """(pairs of sentences whose language has another document to take a random sentence from, a note for the rest)."""
    found: dict[str, set[str]] = {}
    for example in examples:
        found.setdefault(example.language, set()).add(example.document)
    alone = sorted(language for language, of_language in found.items() if len(of_language) < 2)
    kept = tuple(example for example in examples if example.language not in alone)
    if not alone:
        return kept, ()
    left_out = f"{len(examples) - len(kept)} pairs left out: a single held-out document in {', '.join(alone)}"
    return kept, (left_out,)
