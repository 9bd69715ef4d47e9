"""What pieces are: special tokens, unused slots, first and continuing pieces, and the language that each belongs to."""

from bimed_dist.language import count_letters

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PREFIX = "##"
"""Marks a piece that continues a word."""
LONGEST_WORD = 100
"""Characters; WordPiece encodes longer words as [UNK], so nothing is learned from them."""
ITEMS = (
    "Korean subwords",
    "English subwords",
    "Korean-English subwords",
    "other scripts",
    "digits",
    "symbols",
    "special tokens",
)
_QUOTA_OF = {"Korean subwords": "ko", "English subwords": "en"}


def unused_slots(number: int) -> list[str]:
    """`[unused0]`, `[unused1]`, ...: rows that a later user of the model can give a meaning."""
    return [f"[unused{i}]" for i in range(number)]


def item_of(piece: str) -> str:
    """Row of the composition table that a piece belongs to. English means Latin letters, as in the corpus.

    Unused slots are special tokens.
    """
    if piece in SPECIAL_TOKENS or (piece.startswith("[unused") and piece.endswith("]")):
        return "special tokens"
    text = piece.removeprefix(PREFIX) or piece
    letters = count_letters(text)
    if letters.other:
        return "other scripts"
    if letters.hangul and letters.latin:
        return "Korean-English subwords"
    if letters.hangul or letters.latin:
        return "Korean subwords" if letters.hangul else "English subwords"
    return "digits" if any(character.isnumeric() for character in text) else "symbols"


def quota_of(piece: str) -> str:
    """`ko`, `en` or `other`: the language quota that a piece is taken from."""
    return _QUOTA_OF.get(item_of(piece), "other")
