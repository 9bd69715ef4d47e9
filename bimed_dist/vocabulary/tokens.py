"""Tokens of a WordPiece vocabulary: the special ones, the script of each, and the composition table."""

from collections import Counter
from collections.abc import Sequence

from bimed_dist.language import count_letters
from bimed_dist.vocabulary.report_format import Composition, ScriptRow

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PREFIX = "##"
"""Marks a token that continues a word."""
MAX_WORD_LENGTH = 100
"""Characters; WordPiece encodes longer words as [UNK], so nothing is learned from them."""
SCRIPTS = (
    "Korean subwords",
    "English subwords",
    "Korean-English subwords",
    "other scripts",
    "digits",
    "symbols",
    "special tokens",
)
"""Rows of the composition table (Jo et al. 2025). English means Latin letters."""
_QUOTAS = {"Korean subwords": "ko", "English subwords": "en"}


def unused_tokens(number: int) -> list[str]:
    """Return `[unused0]`, `[unused1]`, ...: embedding rows that users of the model can give a meaning."""
    return [f"[unused{i}]" for i in range(number)]


def script_of(token: str) -> str:
    """Return the row of the composition table that a token belongs to; `[unusedN]` are special tokens."""
    if token in SPECIAL_TOKENS or (token.startswith("[unused") and token.endswith("]")):
        return "special tokens"
    text = token.removeprefix(PREFIX) or token
    letters = count_letters(text)
    if letters.other:
        return "other scripts"
    if letters.hangul and letters.latin:
        return "Korean-English subwords"
    if letters.hangul or letters.latin:
        return "Korean subwords" if letters.hangul else "English subwords"
    return "digits" if any(character.isnumeric() for character in text) else "symbols"


def quota_of(token: str) -> str:
    """Return the quota that a token counts towards: `ko`, `en` or `other`."""
    return _QUOTAS.get(script_of(token), "other")


def composition(tokens: Sequence[str]) -> Composition:
    """Return the content of composition.json: the size, and a row per script; every token is in one row."""
    counts = Counter(map(script_of, tokens))
    rows: list[ScriptRow] = [
        {"script": script, "tokens": counts[script], "share": round(counts[script] / len(tokens), 4)}
        for script in SCRIPTS
    ]
    return {"size": len(tokens), "rows": rows}


def format_composition(table: Composition) -> str:
    """Return the composition as aligned text for the log."""
    lines = [f"{'Vocabulary size':<26}{table['size']:>8,}"]
    lines += [f"{row['script']:<26}{row['tokens']:>8,}{row['share']:>10.2%}" for row in table["rows"]]
    return "\n".join(lines)
