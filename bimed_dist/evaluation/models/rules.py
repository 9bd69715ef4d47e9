"""The keyword baseline: a label is positive if one of its keywords occurs outside of a negation, in Korean or English.

The labels of report data sets often come from such rules, and then a rule scores high; a model is worth what it adds.
Nothing is learned. A keyword in Latin script matches whole words, also with a plural ending or a Korean particle; a
Korean keyword matches anywhere in an eojeol. In English the negation usually precedes the keyword ("no evidence of
pneumonia"), sometimes it follows ("pneumonia is not seen"); in Korean it follows ("폐렴 소견 없음"). A negation covers
an enumeration and ends with the sentence or at a word that starts a new clause (similar to NegEx, Chapman et al. 2001).
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np

MAX_DISTANCE = 8
"""Largest number of words between a keyword and its negation."""
_SENTENCE_END = re.compile(r"(?<!\d)[.!?;](?=\s|$|[가-힣])|\n+")
_NEGATION_BEFORE = re.compile(
    r"(no|not|without|none|never|negative|denies|denied|absent|absence|free|cannot|neither|nor)[,:]?"
)
_NEGATION_AFTER = re.compile(
    r"(not|absent|negative|unlikely|excluded)(?![a-z0-9_]).*|\(-\)|(없|아니|아님|않|음성|배제|부정).*"
    r"|.*[가-힣](없음|없이|아님|않음)\b.*"
)
_NEW_CLAUSE = re.compile(
    r"(but|however|although|though|while|whereas|except)[,:]?|.*[가-힣](고|며|나|지만|는데|으로)[,:]?|그러나|하지만"
)


def apply_keyword_rules(
    texts: Sequence[str], keywords: Mapping[str, Sequence[str]], labels: Sequence[str]
) -> np.ndarray:
    """Return (texts, labels): 1.0 for a label that the rules find, else 0.0; always 0.0 for labels without keywords."""
    patterns = {label: _pattern(words) for label, words in keywords.items()}
    positive = np.zeros((len(texts), len(labels)))
    for i, text in enumerate(texts):
        sentences = _SENTENCE_END.split(unicodedata.normalize("NFC", text).lower())
        for j, label in enumerate(labels):
            if label in patterns:
                positive[i, j] = any(_is_affirmed(patterns[label], sentence) for sentence in sentences)
    return positive


def _pattern(keywords: Sequence[str]) -> re.Pattern[str]:
    alternatives = []
    for keyword in sorted({unicodedata.normalize("NFC", k).lower() for k in keywords}, key=lambda k: (-len(k), k)):
        phrase = r"[\s-]+".join(map(re.escape, keyword.split()))
        latin = keyword[:1].isascii()
        alternatives.append(rf"(?<![a-z0-9]){phrase}(?:e?s)?(?![a-z0-9])" if latin else phrase)
    return re.compile("|".join(alternatives))


def _is_affirmed(pattern: re.Pattern[str], sentence: str) -> bool:
    return any(
        not _is_negated(sentence[: match.start()].split(), sentence[match.end() :])
        for match in pattern.finditer(sentence)
    )


def _is_negated(before: Sequence[str], rest: str) -> bool:
    for word in reversed(before[-MAX_DISTANCE:]):
        if _NEGATION_BEFORE.fullmatch(word):
            return True
        if _NEW_CLAUSE.fullmatch(word):
            break
    # The first element is attached to the keyword: a particle, "(-)" or the verb itself.
    for word in re.sub(r"\(\s*-\s*\)", " (-) ", rest).split()[: MAX_DISTANCE + 1]:
        if _NEGATION_AFTER.fullmatch(word):
            return True
        if _NEW_CLAUSE.fullmatch(word):
            break
    return False
