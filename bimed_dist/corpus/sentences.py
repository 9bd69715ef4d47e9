"""Paragraphs to sentences, by punctuation first and by grammar where punctuation leaves a question open.

sentencex (Wikimedia, MIT) finds the ends that are marked; corrections here join what it tears apart at
clinical abbreviations, dates and list marks. Korean notes often end a sentence with nothing but a verb form (`특이 호소
없음 식사 잘함`): pieces that hold such a form before their end, a few in a hundred, are given to kiwipiepy (Apache-2.0
as of 0.24), whose morphological analysis is much slower. Nothing but blanks is lost.
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
"""Characters; what is longer (tables, lists without full stops) is cut at a blank."""

# Abbreviations of clinical notes that sentencex does not know. They may end a sentence, so what follows decides.
# fmt: off
_MEDICAL = frozenset((
    "adenoca.", "approx.", "bx.", "chemo.", "cx.", "diff.", "dx.", "esp.", "fx.", "hx.", "incl.", "max.", "meta.",
    "mets.", "min.", "neg.", "pmh.", "pmhx.", "pos.", "poss.", "prob.", "pt.", "pts.", "rx.", "susp.", "sx.", "temp.",
    "tx.", "wt.", "b.i.d.", "i.m.", "i.v.", "p.o.", "p.r.n.", "q.d.", "q.h.s.", "q.i.d.", "s.c.", "t.i.d.",
    "aprox.", "ej.", "etc.", "bijv.", "ca.", "evt.", "o.a.", "resp.",
))
_TITLES = frozenset(("dhr.", "dr.", "dra.", "drs.", "mevr.", "mr.", "mrs.", "ms.", "prof.", "sr.", "sra."))
"""Abbreviations that never end a sentence."""
# Ends of words that look like verbs and hardly are; looking at each of them would cost more than all the rest.
_NO_VERBS = (
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
_MARKED_END = re.compile(r"[.!?…。]['\")\]”’]*\Z")
_FORGOTTEN_BLANK = re.compile(r"(?:.*[\s(])?[a-z]+[.!?]\n[A-Z][a-z]*\s.*|.*[가-힣][.!?]\(?\n.*")
"""End of a sentence, a line break, start of the next: `of the lung.The rest` but not `FORECAST.ETS` or `svc.Get()`."""

_MISSED_END = re.compile(
    r"(?<=[가-힣][다요까죠음함됨임][.!?])(?=[가-힣(A-Z])"  # a forgotten blank
    r"|(?<=[0-9][.,][0-9]\.)(?= [A-Z][a-z]+ )|(?<=[.,][0-9]{2}\.)(?= [A-Z][a-z]+ )|(?<=[.,][0-9]{3}\.)(?= [A-Z][a-z]+ )"
    r"|(?<=[0-9] [cm]m\.)(?= [A-Z][a-z]+ )|(?<=[0-9] [km]g\.)(?= [A-Z][a-z]+ )|(?<=/[dlL]\.)(?= [A-Z])"  # units
    r"|(?<=/[dm][lL]\.)(?= [A-Z])"
)
_LIST_NUMBER = re.compile(r"(?:^|(?<= ))(\d{1,2})[.)] (?=[^\d\s])")
_BRACKETED = re.compile(r"^\([^()]*[.!?]\)(?= \S)")

_OPEN_END = re.compile(
    r"(?:^|(?<=[\s\"'(]))([가-힣A-Za-z0-9/+-]*(?:[음함됨임짐옴킴움봄남줌냄춤림]|[가-힣][다요까죠]))[)\"'”’]*(?= [^\s])"
)
"""A word that may be a verb at the end of a sentence, before a blank."""


class Part(NamedTuple):
    """What a library takes for a sentence."""

    text: str
    apart: bool
    """Whether a blank stands before it."""


def split_paragraphs(paragraphs: Sequence[str], latin_language: str = "en") -> list[list[str]]:
    """Sentences of each paragraph (as `clean` leaves it: a line break ends a sentence)."""
    split = [
        [piece for line in paragraph.split("\n") if line for piece in split_by_marks(line, latin_language)]
        for paragraph in paragraphs
    ]
    unsure = {piece: ends for pieces in split for piece in pieces if (ends := open_ends(piece))}
    if not unsure:
        return split
    cuts = {piece: unsure[piece] & found for piece, found in zip(unsure, _cuts(list(unsure)), strict=True)}
    return [[sentence for piece in pieces for sentence in _cut(piece, cuts.get(piece, ()))] for pieces in split]


# ---------------------------------------------------------------------------------------------------------- punctuation


def split_by_marks(line: str, latin_language: str) -> list[str]:
    """Sentences of a line as far as full stops, question marks, numbers of lists and the like tell."""
    return [
        sentence
        for item in _list_items(line)
        for found in join_broken(_parts(item, latin_language))
        for sentence in _split_further(found)
    ]


def _list_items(line: str) -> list[str]:
    """The items of a numbered list in one line: `1. HTN 2. DM`."""
    if line[0] != "1":
        return [line]
    cuts = []
    for number in _LIST_NUMBER.finditer(line):
        if int(number[1]) == len(cuts) + 1:
            cuts.append(number.start())
    return _cut(line, cuts) if len(cuts) > 1 else [line]


def _parts(line: str, latin_language: str) -> Iterator[Part]:
    before = " "
    for text in sentencex.segment(latin_language, line):
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
    """Ends that sentencex does not see: after decimals and units, without a blank, after brackets."""
    cuts = {match.end() for match in _MISSED_END.finditer(sentence)}
    if sentence[0] == "(" and (bracketed := _BRACKETED.match(sentence)):
        cuts.add(bracketed.end())
    return _cut(sentence, cuts) if cuts else [sentence]


# -------------------------------------------------------------------------------------------------------------- grammar


def open_ends(piece: str) -> set[int]:
    """Where a piece may hold the end of a sentence that no mark shows."""
    if piece.isascii():
        return set()
    return {match.end() for match in _OPEN_END.finditer(piece) if not match[1].endswith(_NO_VERBS)}


def _cuts(pieces: list[str]) -> Iterator[set[int]]:
    """Where Kiwi ends a sentence."""
    for sentences in _kiwi().split_into_sents(pieces, return_sub_sents=False):
        yield {sentence.end for sentence in sentences}


def _cut(text: str, ends: Iterable[int]) -> list[str]:
    places = [0, *sorted(ends), len(text)]
    pieces = (text[start:end].strip() for start, end in itertools.pairwise(places))
    return [piece for piece in pieces if piece]


@functools.cache
def _kiwi() -> Kiwi:
    # The dictionaries of proper nouns triple the loading time and move no sentence end. One thread: all cores are busy
    # with parts of the corpus.
    return Kiwi(num_workers=1, load_default_dict=False, load_typo_dict=False, load_multi_dict=False)


def cut_long(sentence: str, longest: int = LONGEST_SENTENCE) -> list[str]:
    """Pieces of at most `longest` characters, cut at blanks, or inside a word that is longer itself."""
    pieces = []
    while len(sentence) > longest:
        blank = sentence.rfind(" ", 1, longest + 1)
        end = blank if blank > 0 else longest
        pieces.append(sentence[:end])
        sentence = sentence[end:].lstrip()
    return [*pieces, sentence] if sentence else pieces
