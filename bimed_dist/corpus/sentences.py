"""Paragraphs to sentences, by punctuation first and by Korean grammar if punctuation is missing.

sentencex (Wikimedia, MIT) finds the marked ends; rules here join what it splits at clinical abbreviations, dates and
list marks. Korean notes often end a sentence with only a verb form (`특이 호소 없음 식사 잘함`): sentences with such a
form before their end, a few in a hundred, are analysed by kiwipiepy (Apache-2.0 since 0.24), which is much slower.
Nothing but whitespace is lost.
"""

import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import sentencex
from kiwipiepy import Kiwi

from bimed_dist.language import has_hangul

LONGEST_SENTENCE = 2_000
"""Characters; longer ones (tables, lists without full stops) are cut at a space."""

# Abbreviations of clinical notes that sentencex does not know. They may end a sentence, so the next word decides.
# fmt: off
_MEDICAL = frozenset((
    "adenoca.", "approx.", "bx.", "chemo.", "cx.", "diff.", "dx.", "esp.", "fx.", "hx.", "incl.", "max.", "meta.",
    "mets.", "min.", "neg.", "pmh.", "pmhx.", "pos.", "poss.", "prob.", "pt.", "pts.", "rx.", "susp.", "sx.", "temp.",
    "tx.", "wt.", "b.i.d.", "i.m.", "i.v.", "p.o.", "p.r.n.", "q.d.", "q.h.s.", "q.i.d.", "s.c.", "t.i.d.",
    "aprox.", "ej.", "etc.", "bijv.", "ca.", "evt.", "o.a.", "resp.",
))
_TITLES = frozenset(("dhr.", "dr.", "dra.", "drs.", "mevr.", "mr.", "mrs.", "ms.", "prof.", "sr.", "sra."))
"""Abbreviations that never end a sentence."""
# Ends of words that look like verbs and rarely are; analysing each of them would take most of the time.
_NOT_VERBS = (
    "개요", "걸음", "그림", "네임", "다음", "도움", "레임", "마다", "마음", "맞춤", "명함", "모음", "모임", "믿음",
    "바다", "바움", "발음", "보다", "상임", "선임", "어다", "얼음", "에다", "올림", "웃음", "주요", "중요", "죽음",
    "채움", "책임", "처음", "타임", "포함", "필요", "화요",
)
# fmt: on
_LIST_MARK = re.compile(r"[(#]?(?:\d{1,2}|[A-Za-z]|[ivx]{1,4})[.)]|#\d{1,2}|[-*•·▪○●■▶※]")
_WORD = re.compile(r"[^\W_]")
_LATIN_WORD = re.compile("[A-Za-z]{2,}")
_WHOLE_WORD = re.compile(r"[a-z]{4,}[.!?]|(?:[cm]m|[km]g|[dm]L|mmHg)\.")
_SHORT_WORD = re.compile(r"[A-Z][a-z]{1,4}\.")
_DATE = re.compile(r"(?:^|.*\D)(?:19|20)\d\d\.(?: ?\d{1,2}\.){0,2}")
_FORGOTTEN_SPACE = re.compile(r"(?:.*[\s(])?[a-z]+[.!?]\n[A-Z][a-z]*\s.*|.*[가-힣][.!?]\(?\n.*")
"""End of a sentence, a line break, start of the next: `of the lung.The rest` but not `FORECAST.ETS` or `svc.Get()`."""

_MISSED_END = re.compile(
    r"(?<=[가-힣][다요까죠음함됨임][.!?])(?=[가-힣(A-Z])"  # a forgotten space
    r"|(?<=[0-9][.,][0-9]\.)(?= [A-Z][a-z]+ )|(?<=[.,][0-9]{2}\.)(?= [A-Z][a-z]+ )|(?<=[.,][0-9]{3}\.)(?= [A-Z][a-z]+ )"
    r"|(?<=[0-9] [cm]m\.)(?= [A-Z][a-z]+ )|(?<=[0-9] [km]g\.)(?= [A-Z][a-z]+ )|(?<=/[dlL]\.)(?= [A-Z])"  # units
    r"|(?<=/[dm][lL]\.)(?= [A-Z])"
)
_LIST_NUMBER = re.compile(r"(?:^|(?<= ))(\d{1,2})[.)] (?=[^\d\s])")
_BRACKETED = re.compile(r"^\([^()]*[.!?]\)(?= \S)")

_OPEN_END = re.compile(
    r"(?:^|(?<=[\s\"'(]))([가-힣A-Za-z0-9/+-]*(?:[음함됨임짐옴킴움봄남줌냄춤림]|[가-힣][다요까죠]))[)\"'”’]*(?= [^\s])"
)
"""A word before a space that may be a verb at the end of a sentence."""


class Segment(NamedTuple):
    """A sentence by sentencex."""

    text: str
    apart: bool
    """Whether whitespace precedes it."""


def split_paragraphs(paragraphs: Sequence[str], latin_language: str = "en") -> list[list[str]]:
    """Return the sentences of each cleaned paragraph; a line break ends a sentence."""
    split = [
        [text for line in paragraph.split("\n") if line for text in split_by_marks(line, latin_language)]
        for paragraph in paragraphs
    ]
    unsure = {text: ends for texts in split for text in texts if (ends := open_ends(text))}
    if not unsure:
        return split
    cuts = {text: unsure[text] & ends for text, ends in zip(unsure, _kiwi_ends(list(unsure)), strict=True)}
    return [[sentence for text in texts for sentence in _cut(text, cuts.get(text, ()))] for texts in split]


# ---------------------------------------------------------------------------------------------------------- punctuation


def split_by_marks(line: str, latin_language: str) -> list[str]:
    """Split a line at full stops, question marks, list numbers and similar marks."""
    return [
        sentence
        for item in _list_items(line)
        for joined in join_broken(_segments(item, latin_language))
        for sentence in _split_further(joined)
    ]


def _list_items(line: str) -> list[str]:
    """Split a numbered list in one line into its items: `1. HTN 2. DM`."""
    if line[0] != "1":
        return [line]
    cuts = []
    for number in _LIST_NUMBER.finditer(line):
        if int(number[1]) == len(cuts) + 1:
            cuts.append(number.start())
    return _cut(line, cuts) if len(cuts) > 1 else [line]


def _segments(line: str, latin_language: str) -> Iterator[Segment]:
    previous = " "
    for text in sentencex.segment(latin_language, line):
        yield Segment(text.strip(), previous.isspace() or text[0].isspace())
        previous = text[-1]


def join_broken(segments: Iterable[Segment]) -> list[str]:
    """Join segments that were split after list marks, abbreviations, quotes and dotted names."""
    sentences: list[str] = []
    for segment in segments:
        if sentences and _continues(sentences[-1], segment):
            sentences[-1] += f" {segment.text}" if segment.apart else segment.text
        elif sentences and not segment.apart and sentences[-1].endswith("("):
            sentences[-1] = sentences[-1][:-1]
            sentences.append(f"({segment.text}")
        elif segment.text:
            sentences.append(segment.text)
    return sentences


def _continues(sentence: str, following: Segment) -> bool:
    if not (_WORD.search(sentence) and _WORD.search(following.text)):
        return True
    if not following.apart:
        return _FORGOTTEN_SPACE.fullmatch(f"{sentence[-50:]}\n{following.text[:50]}") is None
    last_word = sentence.rpartition(" ")[2].lstrip("(")
    first = following.text[0]
    if "가" <= first <= "힣":
        # Latin letters before a full stop and Korean: an abbreviation, or the last word of an English sentence?
        if last_word[-2:-1].isascii() and last_word[-2:-1].isalpha():
            return not _ends_in_english(sentence)
        return (
            _LIST_MARK.fullmatch(sentence) is not None
            or _DATE.fullmatch(sentence[-20:]) is not None
            or last_word == "예."
        )
    lowered = last_word.lower()
    return (
        _LIST_MARK.fullmatch(sentence) is not None
        or lowered in _TITLES
        or (lowered in _MEDICAL and (first.islower() or first.isdigit()))
        or (first.islower() and _SHORT_WORD.fullmatch(last_word) is not None)
        or (first.isdigit() and _DATE.fullmatch(sentence[-20:]) is not None)
        or lowered == "예."
    )


def _ends_in_english(text: str) -> bool:
    last_word = text.rpartition(" ")[2]
    if last_word.lower() in _MEDICAL:
        return False
    if not has_hangul(text):
        return len(_LATIN_WORD.findall(text)) >= 2
    return _WHOLE_WORD.fullmatch(last_word) is not None


def _split_further(sentence: str) -> list[str]:
    """Split at ends that sentencex misses: after decimals and units, without a space, after brackets."""
    cuts = {match.end() for match in _MISSED_END.finditer(sentence)}
    if sentence[0] == "(" and (bracketed := _BRACKETED.match(sentence)):
        cuts.add(bracketed.end())
    return _cut(sentence, cuts) if cuts else [sentence]


# -------------------------------------------------------------------------------------------------------------- grammar


def open_ends(text: str) -> set[int]:
    """Return the offsets at which a sentence may end without a mark."""
    if text.isascii():
        return set()
    return {match.end() for match in _OPEN_END.finditer(text) if not match[1].endswith(_NOT_VERBS)}


def _kiwi_ends(texts: list[str]) -> Iterator[set[int]]:
    """Yield the offsets at which Kiwi ends a sentence, for each text."""
    for sentences in _kiwi().split_into_sents(texts, return_sub_sents=False):
        yield {sentence.end for sentence in sentences}


def _cut(text: str, ends: Iterable[int]) -> list[str]:
    offsets = [0, *sorted(ends), len(text)]
    sentences = (text[start:end].strip() for start, end in itertools.pairwise(offsets))
    return [sentence for sentence in sentences if sentence]


@functools.cache
def _kiwi() -> Kiwi:
    # The dictionaries of proper nouns triple the loading time and change no sentence end. One thread, because all cores
    # process parts of the corpus.
    return Kiwi(num_workers=1, load_default_dict=False, load_typo_dict=False, load_multi_dict=False)


def cut_long(sentence: str, longest: int = LONGEST_SENTENCE) -> list[str]:
    """Cut a sentence into at most `longest` characters, at spaces or inside a word that is longer itself."""
    cut = []
    while len(sentence) > longest:
        space = sentence.rfind(" ", 1, longest + 1)
        end = space if space > 0 else longest
        cut.append(sentence[:end])
        sentence = sentence[end:].lstrip()
    return [*cut, sentence] if sentence else cut
