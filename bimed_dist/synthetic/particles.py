"""Korean particles that agree with the final sound of a word: Hangul, English, abbreviations, numbers and units.

Phrases contain both forms after the word: `resolve("nodule[이/가] 보임")` gives `nodule이 보임`, and
`resolve("GGO[이/가] 보임")` gives `GGO가 보임`. The first form follows a final consonant, the second a vowel; for
`[으로/로]` a final ㄹ counts as a vowel.
"""

import re

_CHOICE = re.compile(r"(\S+?)\[([가-힣]+)/([가-힣]+)\]")
_BRACKETED = re.compile(r"\s*\([^()]*\)$")
_HANGUL_FIRST, _HANGUL_LAST, _FINALS = 0xAC00, 0xD7A3, 28

_VOWEL, _RIEUL, _OTHER = "", "ㄹ", "x"
"""Classes of the final sound: a vowel, ㄹ, another consonant."""

_DIGITS = {"0": _OTHER, "1": _RIEUL, "3": _OTHER, "6": _OTHER, "7": _RIEUL, "8": _RIEUL}
_LETTERS = {"l": _RIEUL, "m": _OTHER, "n": _OTHER, "r": _RIEUL}
_UNITS = {"mg": _OTHER, "g": _OTHER, "kg": _OTHER, "mcg": _OTHER, "mm": _VOWEL, "cm": _VOWEL, "ml": _VOWEL, "%": _VOWEL}
_EXCEPTIONS = {"limb": _OTHER, "type": _OTHER, "note": _VOWEL, "scan": _OTHER, "abscess": _VOWEL, "lab": _OTHER}
_ENDINGS = (
    # Longest first: the first ending that fits decides.
    (r"(le|l)", _RIEUL),
    (r"(ng|n|ne|m|me)", _OTHER),
    (r"(ck|ic|[aeiouy]p|[aiou]t)", _OTHER),
)


def ending(word: str) -> str:
    """Return the class of the final sound of the last word: "" for a vowel, "ㄹ", or "x" for another consonant."""
    bare = _BRACKETED.sub("", word) or word
    bare = bare.rstrip(" .,:;)]}'\"")
    if not bare:
        return _VOWEL
    last = bare[-1]
    if _HANGUL_FIRST <= ord(last) <= _HANGUL_LAST:
        final = (ord(last) - _HANGUL_FIRST) % _FINALS
        return {0: _VOWEL, 8: _RIEUL}.get(final, _OTHER)
    if last.isdigit():
        return _DIGITS.get(last, _VOWEL)
    return _english_ending(re.split(r"[\s\-/()\[\]]", bare)[-1])


def _english_ending(word: str) -> str:
    lower = word.lower()
    if lower.lstrip("0123456789.x") in _UNITS:
        return _UNITS[lower.lstrip("0123456789.x")]
    if lower in _EXCEPTIONS:
        return _EXCEPTIONS[lower]
    if len(word) == 1 or not word[1:].islower():
        return _LETTERS.get(lower[-1], _VOWEL)
    for pattern, kind in _ENDINGS:
        if re.search(pattern + "$", lower):
            return kind
    return _VOWEL


def choose(word: str, after_consonant: str, after_vowel: str) -> str:
    kind = ending(word)
    if kind == _VOWEL or (kind == _RIEUL and after_consonant.startswith("으")):
        return after_vowel
    return after_consonant


def resolve(text: str) -> str:
    """Replace every choice such as `[이/가]` by the form that fits the word before it."""
    start = 0
    while (match := _CHOICE.search(text, start)) is not None:
        before = text[: match.end(1)]
        form = choose(before.rsplit("\n", 1)[-1], match.group(2), match.group(3))
        text = before + form + text[match.end() :]
        start = match.end(1)
    return text
