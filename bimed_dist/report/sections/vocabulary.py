"""Vocabulary: its composition, and how it and other tokenizers split held-out text."""

from collections.abc import Mapping
from itertools import zip_longest

from bimed_dist.manifest import Manifest
from bimed_dist.report.page import Section
from bimed_dist.report.records import Records
from bimed_dist.report.tables import (
    Cell,
    Table,
    count_cell,
    decimal_cell,
    empty_cell,
    make_table,
    share_cell,
    text_cell,
)
from bimed_dist.report.text import capitalized, language_name, percent
from bimed_dist.vocabulary.report_format import Composition, Fertility, Fit, SplitWord

_SPLIT_WORDS = 10
_EXPLANATION = (
    "Number of tokens by script, and how tokenizers split text into tokens: the fewer tokens per word, the better the "
    "vocabulary fits. A word is text between spaces without punctuation at its ends; in Korean that is an eojeol. "
    "[UNK] replaces a word that the vocabulary cannot represent."
)


def vocabulary_section(records: Records) -> Section:
    shards = records.of_stage("shards")
    return Section(
        title="Vocabulary",
        anchor="vocabulary",
        paragraphs=(_EXPLANATION,),
        tables=(
            *(composition_table(name, composition) for name, composition in records.compositions.items()),
            fit_table(records.fertilities),
            *((tokens_table(shards),) if shards else ()),
        ),
        parts=tuple(_words_section(name, fertility) for name, fertility in records.fertilities.items()),
    )


def _words_section(name: str, fertility: Fertility) -> Section:
    tables = (examples_table(name, fertility), split_table(name, fertility), sources_table(name, fertility))
    return Section(title=f"Words in vocabulary/{name}", tables=tables)


def composition_table(name: str, composition: Composition) -> Table:
    """Item | Value, as in the README of the published models."""
    size = composition["size"]
    rows = [(text_cell("Vocabulary size"), Cell(f"{size:,} tokens", size, "number"))]
    for row in composition["rows"]:
        value = f"{row['tokens']:,} ({percent(row['share'], 2)})"
        rows.append((text_cell(capitalized(row["script"])), Cell(value, row["tokens"], "number")))
    return make_table(f"vocabulary-{name}", f"vocabulary/{name}", ("Item", "Value"), rows)


def fit_table(fertilities: Mapping[str, Fertility]) -> Table:
    """Every vocabulary, and the tokenizers it is compared with, on the held-out text of its corpus."""
    rows = [
        (
            text_cell(name),
            text_cell(label),
            text_cell(language_name(language)),
            count_cell(fit["words"]),
            decimal_cell(fit["tokens_per_word"]),
            share_cell(fit["whole_share"]),
            share_cell(fit["unknown_share"], 3),
            decimal_cell(fit["bytes_per_token"]),
        )
        for name, fertility in fertilities.items()
        for label, measures in fertility["tokenizers"].items()
        for language, fit in [*measures["by_language"].items(), ("all", measures["all"])]
    ]
    columns = (
        *("Vocabulary", "Tokenizer", "Language", "Words", "Tokens per word"),
        *("Words kept whole", "[UNK] share", "Bytes per token"),
    )
    return make_table("fit", "Held-out text in tokens", columns, rows, grouped=2)


def tokens_table(shards: Mapping[str, Manifest]) -> Table:
    rows = []
    for name, manifest in shards.items():
        counts = manifest.counts
        for language, part in [*counts["by_language"].items(), ("all", counts)]:
            mean = part["tokens"] / part["sentences"] if part["sentences"] else None
            rows.append(
                (
                    text_cell(name),
                    text_cell(language_name(language)),
                    count_cell(part["sentences"]),
                    count_cell(part["tokens"]),
                    empty_cell() if mean is None else Cell(f"{mean:.1f}", mean, "number"),
                    share_cell(part.get("unknown_share"), 3),
                )
            )
    columns = ("Shards", "Language", "Sentences", "Tokens", "Tokens per sentence", "[UNK] share")
    return make_table("tokens", "Training text in tokens", columns, rows, grouped=1)


def sources_table(name: str, fertility: Fertility) -> Table:
    """Tokens per word by source, a column per tokenizer."""
    labels = list(fertility["tokenizers"])
    by_tokenizer = [fertility["tokenizers"][label]["by_source"] for label in labels]
    rows = [
        (text_cell(source), count_cell(fit["words"]), *(_fit_cell(by_source[source]) for by_source in by_tokenizer))
        for source, fit in by_tokenizer[0].items()
    ]
    caption = f"vocabulary/{name}: tokens per word by source, and the share of [UNK] if there is any"
    return make_table(f"sources-{name}", caption, ("Source", "Words", *labels), rows)


def _fit_cell(fit: Fit) -> Cell:
    unknown = fit["unknown_share"]
    value = fit["tokens_per_word"]
    cell = decimal_cell(value)
    return Cell(cell.text, cell.value, cell.kind, detail=f"[UNK] {percent(unknown, 3)}" if unknown else "")


def split_table(name: str, fertility: Fertility) -> Table:
    """The most frequent words of the training text that are split into several tokens, Korean and English."""
    sides = [fertility["still_split"][language][:_SPLIT_WORDS] for language in ("ko", "en")]
    rows = [tuple(cell for word in words for cell in _split_cells(word)) for words in zip_longest(*sides)]
    columns = [f"{language} {column}" for language in ("Korean", "English") for column in ("word", "count", "tokens")]
    caption = f"vocabulary/{name}: the most frequent words that are split into several tokens"
    return make_table(f"split-{name}", caption, columns, rows)


def _split_cells(word: SplitWord | None) -> tuple[Cell, Cell, Cell]:
    if word is None:
        return empty_cell(), empty_cell(), empty_cell()
    return text_cell(word["word"]), count_cell(word["count"]), text_cell(" ".join(word["tokens"]))


def examples_table(name: str, fertility: Fertility) -> Table:
    """Terms and their tokens, a column per tokenizer."""
    labels = list(fertility["tokenizers"])
    rows = [
        (text_cell(example["text"]), *(text_cell(" ".join(example["tokens"][label])) for label in labels))
        for example in fertility["examples"]
    ]
    return make_table(f"examples-{name}", f"vocabulary/{name}: terms in tokens", ("Term", *labels), rows)
