"""Rows of the intrinsic tasks from `held_out.jsonl` of a corpus folder."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from bimed_dist.errors import DataError
from bimed_dist.evaluation.readers.rows import text_lines
from bimed_dist.evaluation.task import Example, TaskData, TaskInputs
from bimed_dist.workspace import HELD_OUT

PARTICLE = 2
"""Syllables of a particle at most."""


def documents(inputs: TaskInputs) -> Iterator[tuple[str, str, str, list[str]]]:
    """(place, language, source, sentences) of each held-out document."""
    path = inputs.folder / HELD_OUT
    for number, line in enumerate(text_lines(path), start=1):
        try:
            document = json.loads(line)
            sentences = [sentence for paragraph in document["paragraphs"] for sentence in paragraph]
            yield f"{path.name} line {number}", document["language"], document.get("source", ""), sentences
        except (ValueError, KeyError, TypeError):
            raise DataError(
                f"{path} line {number}: not a document of the corpus stage; build the corpus again"
            ) from None


def windows(inputs: TaskInputs) -> TaskData:
    """Words of consecutive sentences, at most `max_length` - 2 characters a window.

    A WordPiece has at least one character, so that a window of so many characters fits into `max_length` pieces of any
    vocabulary (but one that takes Hangul apart), and every model sees the same text. A longer sentence is cut at
    words, and a longer word is left out.
    """
    limit = inputs.max_length - 2
    examples = []
    for place, language, source, sentences in documents(inputs):
        for count, words in enumerate(_filled(sentences, limit), start=1):
            examples.append(Example(f"{place} window {count}", tuple(words), None, language, place, source))
    return TaskData(
        {"test": tuple(examples)}, notes=(f"windows of at most {limit} characters, the same for every model",)
    )


def term_windows(inputs: TaskInputs) -> TaskData:
    """The windows that hold a term, with 1 for every word of one; a Korean term may have a particle behind it."""
    terms = {tuple(words) for term in inputs.terms if (words := [_bare(word) for word in term.split()]) and all(words)}
    first = {words[0][:1] for words in terms}
    longest = max(map(len, terms), default=0)
    found = []
    for example in windows(inputs).splits["test"]:
        bare = [_bare(word) for word in example.texts]
        marked = [0] * len(bare)
        for i in (i for i, word in enumerate(bare) if word[:1] in first):
            for length in range(min(longest, len(bare) - i), 0, -1):
                if _is_term(tuple(bare[i : i + length]), terms):
                    marked[i : i + length] = [1] * length
                    break
        if any(marked):
            found.append(replace(example, target=tuple(marked)))
    words = sum(sum(example.target) for example in found)
    return TaskData(
        {"test": tuple(found)}, notes=(f"{words:,} words of {len(terms):,} terms, the same for every model",)
    )


def _bare(word: str) -> str:
    return word.strip(".,;:!?()[]{}\"'").lower()


def _is_term(words: tuple[str, ...], terms: set[tuple[str, ...]]) -> bool:
    if words in terms:
        return True
    last = words[-1]
    return any(
        (*words[:-1], last[:-cut]) in terms
        for cut in range(1, min(PARTICLE, len(last) - 1) + 1)
        if "가" <= last[-cut] <= "힣" and "가" <= last[-cut - 1] <= "힣"
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


def successors(inputs: TaskInputs) -> TaskData:
    """Every sentence with the one that follows it in its document; each sentence is used once."""
    examples = []
    for place, language, source, sentences in documents(inputs):
        texts = [sentence for sentence in sentences if sentence.strip()]
        for i in range(0, len(texts) - 1, 2):
            pair = (texts[i], texts[i + 1])
            examples.append(Example(f"{place} sentence {i + 1}", pair, None, language, place, source))
    return TaskData({"test": tuple(examples)})


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
