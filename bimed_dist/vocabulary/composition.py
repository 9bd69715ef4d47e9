"""What a vocabulary is made of, by script."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from bimed_dist.vocabulary.pieces import ITEMS, item_of


def composition(pieces: Sequence[str]) -> dict[str, Any]:
    """{"size", "rows": [{"item", "pieces", "share"}, ...]}; every piece is in one row."""
    counts = Counter(map(item_of, pieces))
    rows = [{"item": item, "pieces": counts[item], "share": round(counts[item] / len(pieces), 4)} for item in ITEMS]
    return {"size": len(pieces), "rows": rows}


def as_table(rows: Sequence[dict[str, Any]], size: int) -> str:
    """Aligned text, like the table that bi-Medical-BERT published."""
    lines = [f"{'Vocabulary size':<26}{size:>8,}"]
    lines += [f"{row['item']:<26}{row['pieces']:>8,}{row['share']:>10.2%}" for row in rows]
    return "\n".join(lines)
