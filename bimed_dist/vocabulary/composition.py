"""What a vocabulary is made of, by script, and how well it fits text that it was not trained on."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from tokenizers import Tokenizer

from bimed_dist.corpus.language import count_letters
from bimed_dist.vocabulary.training import PREFIX, SPECIAL_TOKENS

ITEMS = (
    "Korean subwords",
    "English subwords",
    "Korean-English subwords",
    "other scripts",
    "digits",
    "symbols",
    "special tokens",
)
_BATCH = 4096


@dataclass
class Fit:
    """How text of one language was cut into pieces."""

    words: int = 0
    """Chunks between blanks: eojeol in Korean."""
    pieces: int = 0
    unknown: int = 0

    def summary(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "pieces_per_word": round(self.pieces / self.words, 4) if self.words else None,
            "unknown_share": round(self.unknown / self.pieces, 6) if self.pieces else None,
        }


def item_of(piece: str) -> str:
    """Row of the composition table that a piece belongs to. English means Latin letters, as in the corpus."""
    if piece in SPECIAL_TOKENS:
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


def composition(pieces: Sequence[str]) -> dict[str, Any]:
    """{"size", "rows": [{"item", "pieces", "share"}, ...]}; every piece is in one row."""
    counts = Counter(map(item_of, pieces))
    rows = [{"item": item, "pieces": counts[item], "share": round(counts[item] / len(pieces), 4)} for item in ITEMS]
    return {"size": len(pieces), "rows": rows}


def measure_fit(tokenizer: Tokenizer, sentences: Iterable[tuple[str, str]]) -> dict[str, Fit]:
    """Words, pieces and unknown pieces per language of (language, sentence) pairs."""
    unknown = tokenizer.token_to_id("[UNK]")
    fits: dict[str, Fit] = {}
    for batch in _batches(sentences):
        encodings = tokenizer.encode_batch_fast([text for _, text in batch], add_special_tokens=False)
        for (language, text), encoding in zip(batch, encodings, strict=True):
            fit = fits.setdefault(language, Fit())
            fit.words += len(text.split())
            fit.pieces += len(encoding.ids)
            fit.unknown += encoding.ids.count(unknown)
    return dict(sorted(fits.items()))


def as_table(rows: Sequence[dict[str, Any]], size: int) -> str:
    """Aligned text, like the table that bi-Medical-BERT published."""
    lines = [f"{'Vocabulary size':<26}{size:>8,}"]
    lines += [f"{row['item']:<26}{row['pieces']:>8,}{row['share']:>10.2%}" for row in rows]
    return "\n".join(lines)


def _batches(sentences: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    iterator = iter(sentences)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
