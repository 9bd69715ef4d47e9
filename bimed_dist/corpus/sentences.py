"""Paragraphs to sentences.

Lines with Hangul are split by kiwipiepy (Apache-2.0 as of 0.24; older releases were LGPL), whose morphological analysis
finds the sentence ends of clinical notes even where no full stop stands; other lines by sentencex (Wikimedia, MIT).
Nothing but blanks is lost.
"""

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import sentencex
from kiwipiepy import Kiwi

from bimed_dist.corpus.language import has_hangul

LONGEST_SENTENCE = 2_000
"""Characters; what is longer (tables, lists without full stops) is cut at a blank."""

# Abbreviations of clinical notes that sentencex does not know. They may end a sentence, so what follows decides.
# fmt: off
_MEDICAL = frozenset((
    "adenoca.", "approx.", "bx.", "chemo.", "cx.", "diff.", "dx.", "esp.", "fx.", "hx.", "incl.", "max.", "meta.",
    "mets.", "min.", "neg.", "pmh.", "pmhx.", "pos.", "poss.", "prob.", "pt.", "pts.", "rx.", "susp.", "sx.", "temp.",
    "tx.", "wt.", "b.i.d.", "p.o.", "p.r.n.", "q.d.", "q.h.s.", "q.i.d.", "t.i.d.",
))
# fmt: on
_LIST_MARK = re.compile(r"[(#]?(?:\d{1,2}|[A-Za-z]|[ivx]{1,4})[.)]|#\d{1,2}|[-*•·▪○●■▶※]")
_WORD = re.compile(r"[^\W_]")
_LATIN_WORD = re.compile("[A-Za-z]{2,}")
_WHOLE_WORD = re.compile(r"[a-z]{4,}[.!?]")
_FORGOTTEN_BLANK = re.compile(r"(?:.*[\s(])?[a-z]+[.!?]\n[A-Z][a-z]*\s.*|.*[가-힣][.!?]\(?\n.*")
"""End of a sentence, a line break, start of the next: `of the lung.The rest` but not `FORECAST.ETS` or `svc.Get()`."""


class Part(NamedTuple):
    """What a library takes for a sentence."""

    text: str
    apart: bool
    """Whether a blank stands before it."""


def split_paragraphs(paragraphs: Sequence[str], latin_language: str = "en") -> list[list[str]]:
    """Sentences of each paragraph (as `clean` leaves it: a line break ends a sentence)."""
    lines = [(number, line) for number, paragraph in enumerate(paragraphs) for line in paragraph.split("\n") if line]
    korean_parts = _korean_parts([line for _, line in lines if has_hangul(line)])
    sentences: list[list[str]] = [[] for _ in paragraphs]
    for number, line in lines:
        sentences[number] += join_broken(next(korean_parts) if has_hangul(line) else _english_parts(line))
    return sentences


def _korean_parts(lines: list[str]) -> Iterator[list[Part]]:
    if not lines:
        return
    for parts in _kiwi().split_into_sents(lines, return_sub_sents=False):
        ends = [0, *(part.end for part in parts)]
        yield [
            piece
            for part, end in zip(parts, ends, strict=False)
            for piece in _split_off_english(Part(part.text, part.start > end))
        ]


def _split_off_english(part: Part) -> Iterator[Part]:
    """Sentences that end in English words, which Kiwi takes for abbreviations: `Both lungs clear. 흉수 없음.`"""
    text, apart = "", part.apart
    for piece in _english_parts(part.text):
        if text and piece.apart and _ends_in_english(text):
            yield Part(text, apart)
            text, apart = piece.text, True
        else:
            text += f" {piece.text}" if piece.apart and text else piece.text
    yield Part(text, apart)


def _ends_in_english(text: str) -> bool:
    if not has_hangul(text):
        return len(_LATIN_WORD.findall(text)) >= 2
    last_word = text.rpartition(" ")[2]
    return _WHOLE_WORD.fullmatch(last_word) is not None and last_word not in _MEDICAL


def _english_parts(line: str) -> Iterator[Part]:
    before = " "
    for text in sentencex.segment("en", line):
        yield Part(text.strip(), before.isspace() or text[0].isspace())
        before = text[-1]


def join_broken(parts: Iterable[Part]) -> list[str]:
    """Sentences out of parts, where list marks, abbreviations, quotes and dotted names were torn from what follows."""
    sentences: list[str] = []
    for part in parts:
        if sentences and _goes_on(sentences[-1], part):
            sentences[-1] += f" {part.text}" if part.apart else part.text
        elif sentences and not part.apart and sentences[-1].endswith("("):
            sentences[-1] = sentences[-1][:-1]
            sentences.append(f"({part.text}")
        elif part.text:
            sentences.append(part.text)
    return sentences


def _goes_on(sentence: str, following: Part) -> bool:
    if not (_WORD.search(sentence) and _WORD.search(following.text)):
        return True
    if not following.apart:
        return _FORGOTTEN_BLANK.fullmatch(f"{sentence[-50:]}\n{following.text[:50]}") is None
    last_word = sentence.rpartition(" ")[2].lower()
    first = following.text[0]
    return (
        _LIST_MARK.fullmatch(sentence) is not None
        or (last_word.lstrip("(") in _MEDICAL and (first.islower() or first.isdigit()))
        or last_word == "(예."
    )


def cut_long(sentence: str, longest: int = LONGEST_SENTENCE) -> list[str]:
    """Pieces of at most `longest` characters, cut at blanks, or inside a word that is longer itself."""
    pieces = []
    while len(sentence) > longest:
        blank = sentence.rfind(" ", 1, longest + 1)
        end = blank if blank > 0 else longest
        pieces.append(sentence[:end])
        sentence = sentence[end:].lstrip()
    return [*pieces, sentence] if sentence else pieces


@functools.cache
def _kiwi() -> Kiwi:
    # The dictionaries of proper nouns triple the loading time and move no sentence end.
    return Kiwi(num_workers=-1, load_default_dict=False, load_typo_dict=False, load_multi_dict=False)
