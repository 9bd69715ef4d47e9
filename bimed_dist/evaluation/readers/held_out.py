"""Examples of the tasks on held-out text, from the held-out documents of a corpus folder."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace

from bimed_dist.evaluation.task import Example, TaskData, TaskInputs
from bimed_dist.files.documents import read_documents
from bimed_dist.workspace import HELD_OUT

_PARTICLE = re.compile("[가-힣]{1,2}$")
"""What may follow a term in its eojeol: as many syllables as most Korean particles have."""


def _held_out_documents(inputs: TaskInputs) -> Iterator[tuple[str, str, str, list[str]]]:
    """Yield (place, language, source, sentences) of each held-out document."""
    for number, document in enumerate(read_documents(inputs.folder / HELD_OUT), start=1):
        sentences = [sentence for paragraph in document["paragraphs"] for sentence in paragraph]
        yield f"{HELD_OUT} line {number}", document["language"], document["source"], sentences


def read_windows(inputs: TaskInputs) -> TaskData:
    """Words of consecutive sentences, at most `max_length` - 2 characters per window.

    A WordPiece token has at least one character, so such a window fits into `max_length` tokens of any vocabulary
    (except one that decomposes Hangul), and every model sees the same text. A longer sentence is cut between words,
    and a longer word is left out.
    """
    limit = inputs.max_length - 2
    examples = []
    for place, language, source, sentences in _held_out_documents(inputs):
        for count, words in enumerate(_fill_windows(sentences, limit), start=1):
            examples.append(Example(f"{place} window {count}", tuple(words), None, language, place, source))
    return TaskData(
        {"test": tuple(examples)}, notes=(f"windows of at most {limit} characters, the same for every model",)
    )


def _fill_windows(sentences: Sequence[str], limit: int) -> Iterator[list[str]]:
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


def read_term_windows(inputs: TaskInputs) -> TaskData:
    """The windows that hold a term of the list, with 1 for every word of a term and 0 for the others.

    Case and surrounding punctuation are ignored. The last word of a term may carry a Korean particle, whatever the
    term's script: `폐렴이`, `CT에서`, `chest CT상`. A particle is taken to be one or two syllables, so a compound with
    such a short second part (`폐렴균`) counts too, and a longer one (`폐렴구균백신`) does not.
    """
    terms = {
        tuple(words) for term in inputs.terms if (words := [_normalized(word) for word in term.split()]) and all(words)
    }
    initials = {words[0][:1] for words in terms}
    longest = max(map(len, terms), default=0)
    examples = []
    for example in read_windows(inputs).splits["test"]:
        words = [_normalized(word) for word in example.texts]
        marks = [0] * len(words)
        for i in (i for i, word in enumerate(words) if word[:1] in initials):
            for length in range(min(longest, len(words) - i), 0, -1):
                if _is_term(tuple(words[i : i + length]), terms):
                    marks[i : i + length] = [1] * length
                    break
        if any(marks):
            examples.append(replace(example, target=tuple(marks)))
    count = sum(sum(example.target) for example in examples)
    note = f"{count:,} words of {len(terms):,} terms, the same for every model"
    return TaskData({"test": tuple(examples)}, notes=(note,))


def _normalized(word: str) -> str:
    return unicodedata.normalize("NFC", word).strip(".,;:!?()[]{}\"'").lower()


def _is_term(words: tuple[str, ...], terms: set[tuple[str, ...]]) -> bool:
    if words in terms:
        return True
    *first, last = words
    particle = _PARTICLE.search(last)
    syllables = 0 if particle is None else len(particle[0])
    return any((*first, last[:-cut]) in terms for cut in range(1, syllables + 1) if cut < len(last))


def read_successors(inputs: TaskInputs) -> TaskData:
    """Every sentence with its successor in the document; each sentence is used once."""
    examples = []
    for place, language, source, sentences in _held_out_documents(inputs):
        texts = [sentence for sentence in sentences if sentence.strip()]
        for i in range(0, len(texts) - 1, 2):
            pair = (texts[i], texts[i + 1])
            examples.append(Example(f"{place} sentence {i + 1}", pair, None, language, place, source))
    return TaskData({"test": tuple(examples)})


def drop_unpaired(examples: Sequence[Example]) -> tuple[tuple[Example, ...], tuple[str, ...]]:
    """Return (pairs whose language has another document to take a random sentence from, a note on dropped pairs)."""
    documents: dict[str, set[str]] = {}
    for example in examples:
        documents.setdefault(example.language, set()).add(example.document)
    single = sorted(language for language, places in documents.items() if len(places) < 2)
    kept = tuple(example for example in examples if example.language not in single)
    if not single:
        return kept, ()
    note = f"{len(examples) - len(kept)} pairs left out: a single held-out document in {', '.join(single)}"
    return kept, (note,)
