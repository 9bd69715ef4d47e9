"""The rule baseline: a label holds where one of its keywords stands outside of a negation, in Korean or English.

What a model is worth shows beside it: labels of reports often come from such rules, and then a rule scores high.
Nothing is learned. A keyword in Latin script is a whole word, also with a Korean particle behind it or a plural ending;
a Korean keyword is found inside an eojeol. English negates in front of the keyword ("no evidence of pneumonia"), seldom
behind it ("pneumonia is not seen"), Korean behind it ("폐렴 소견 없음"). Both reach over an enumeration and stop at the
end of the sentence and at a word that begins another statement.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np

REACH = 8
"""Words between a keyword and its negation at most."""
_SENTENCE_END = re.compile(r"(?<!\d)[.!?;](?=\s|$|[가-힣])|\n+")
_BEFORE = re.compile(r"(no|not|without|none|never|negative|denies|denied|absent|absence|free|cannot|neither|nor)[,:]?")
_AFTER = re.compile(
    r"(not|absent|negative|unlikely|excluded)\b.*|\(-\)|(없|아니|아님|않|음성|배제|부정).*"
    r"|.*[가-힣](없음|없이|아님|않음)\b.*"
)
_TURN = re.compile(
    r"(but|however|although|though|while|whereas|except)[,:]?|.*[가-힣](고|며|나|지만|는데|으로)[,:]?|그러나|하지만"
)


def rule_answers(texts: Sequence[str], keywords: Mapping[str, Sequence[str]], labels: Sequence[str]) -> np.ndarray:
    """(N, L) 1.0 where the rules find a label, 0.0 elsewhere, also for labels without keywords."""
    patterns = {label: _pattern(words) for label, words in keywords.items()}
    found = np.zeros((len(texts), len(labels)))
    for i, text in enumerate(texts):
        sentences = _SENTENCE_END.split(unicodedata.normalize("NFC", text).lower())
        for j, label in enumerate(labels):
            if label in patterns:
                found[i, j] = any(_affirmed(patterns[label], sentence) for sentence in sentences)
    return found


def _pattern(keywords: Sequence[str]) -> re.Pattern[str]:
    alternatives = []
    for keyword in sorted({unicodedata.normalize("NFC", k).lower() for k in keywords}, key=lambda k: (-len(k), k)):
        written = r"[\s-]+".join(map(re.escape, keyword.split()))
        latin = keyword[:1].isascii()
        alternatives.append(rf"(?<![a-z0-9]){written}(?:e?s)?(?![a-z0-9])" if latin else written)
    return re.compile("|".join(alternatives))


def _affirmed(pattern: re.Pattern[str], sentence: str) -> bool:
    return any(
        not _negated(sentence[: match.start()].split(), sentence[match.end() :]) for match in pattern.finditer(sentence)
    )


def _negated(before: Sequence[str], rest: str) -> bool:
    for word in reversed(before[-REACH:]):
        if _BEFORE.fullmatch(word):
            return True
        if _TURN.fullmatch(word):
            break
    # What is glued to the keyword comes first: a particle, "(-)" or the verb itself.
    for word in re.sub(r"\(\s*-\s*\)", " (-) ", rest).split()[: REACH + 1]:
        if _AFTER.fullmatch(word):
            return True
        if _TURN.fullmatch(word):
            break
    return False
