"""The tables about vocabularies: what they are made of, and how they and other tokenizers cut held-out text."""

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from bimed_dist.report.cells import (
    Cell,
    Table,
    capitalised,
    count,
    language_name,
    make_table,
    measure,
    nothing,
    share,
    text,
)

_SPLIT_WORDS = 10


def composition_table(name: str, composition: Mapping[str, Any]) -> Table:
    """Item | Value, as in the README of the published models."""
    rows = [(text("Vocabulary size"), Cell(f"{composition['size']:,} pieces", composition["size"], "number"))]
    for row in composition["rows"]:
        rows.append(
            (text(capitalised(row["item"])), Cell(f"{row['pieces']:,} ({row['share']:.2%})", row["pieces"], "number"))
        )
    return make_table(f"vocabulary-{name}", f"vocabulary/{name}", ("Item", "Value"), rows)


def fit_table(fertilities: Mapping[str, Mapping[str, Any]]) -> Table:
    """Every vocabulary, and what it is compared with, on the held-out text of its corpus."""
    rows = [
        (
            text(name),
            text(label),
            text(language_name(language)),
            count(fit["words"]),
            measure(fit["pieces_per_word"]),
            share(fit["whole_share"]),
            share(fit["unknown_share"], 3),
            measure(fit["bytes_per_piece"]),
        )
        for name, found in fertilities.items()
        for label, measures in found["tokenizers"].items()
        for language, fit in [*measures["by_language"].items(), ("all", measures["all"])]
    ]
    columns = (
        *("Vocabulary", "Tokenizer", "Language", "Words", "Pieces per word"),
        *("Whole words", "[UNK] share", "Bytes per piece"),
    )
    return make_table("fit", "Held-out text in pieces", columns, rows, grouped=True)


def sources_table(name: str, found: Mapping[str, Any]) -> Table:
    """Pieces per word by source, a column per tokenizer."""
    labels = list(found["tokenizers"])
    measured = [found["tokenizers"][label]["by_source"] for label in labels]
    rows = [
        (text(source), count(fit["words"]), *(_fit_cell(by_source[source]) for by_source in measured))
        for source, fit in measured[0].items()
    ]
    caption = f"vocabulary/{name}: pieces per word by source, with the share of [UNK] where there is any"
    return make_table(f"sources-{name}", caption, ("Source", "Words", *labels), rows)


def _fit_cell(fit: Mapping[str, Any]) -> Cell:
    cell = measure(fit["pieces_per_word"])
    unknown = fit["unknown_share"]
    return Cell(cell.text, cell.value, cell.kind, detail=f"[UNK] {unknown:.3%}" if unknown else "")


def split_table(name: str, found: Mapping[str, Any]) -> Table:
    """The most frequent words of the training text that are more than one piece, Korean beside English."""
    sides = [found["still_split"][language][:_SPLIT_WORDS] for language in ("ko", "en")]
    rows = [tuple(cell for word in pair for cell in _split_cells(word)) for pair in zip_longest(*sides)]
    columns = tuple(f"{language} {what}" for language in ("Korean", "English") for what in ("word", "count", "pieces"))
    return make_table(f"split-{name}", f"vocabulary/{name}: the most frequent words that are split", columns, rows)


def _split_cells(word: Mapping[str, Any] | None) -> tuple[Cell, Cell, Cell]:
    if word is None:
        return nothing(), nothing(), nothing()
    return text(word["word"]), count(word["count"]), text(" ".join(word["pieces"]))


def examples_table(name: str, found: Mapping[str, Any]) -> Table:
    """Terms in pieces, a column per tokenizer."""
    labels = list(found["tokenizers"])
    rows = [
        (text(example["text"]), *(text(" ".join(example["pieces"][label])) for label in labels))
        for example in found["examples"]
    ]
    return make_table(f"examples-{name}", f"vocabulary/{name}: terms in pieces", ("Term", *labels), rows)
