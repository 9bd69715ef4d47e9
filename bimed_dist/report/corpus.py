"""The tables about corpora: what is in them, how mixed their languages are, and what was done to the text."""

from collections.abc import Iterator, Mapping
from typing import Any

from bimed_dist.manifest import Manifest
from bimed_dist.report.cells import Cell, Table, count, language_name, make_table, metric_name, nothing, share, text

_DONE = {
    "cleaned": "cleaning, documents changed",
    "rejected": "quality, documents dropped",
    "identities": "privacy, matches found",
    "overlaps": "evaluation tasks, rows found in documents",
    "encodings": "encodings, files",
}
"""Groups of counts of the corpus stage, by name of what was done."""


def corpus_tables(corpora: Mapping[str, Manifest]) -> tuple[Table, ...]:
    mixing = [mixing_table(corpora, measure) for measure in ("minority_share", "switches_per_100_words")]
    return tuple(table for table in (size_table(corpora), done_table(corpora), *mixing) if table.rows)


def _parts(counts: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from ((f"source {source}", part) for source, part in counts["by_source"].items())
    yield from ((f"language {language_name(code)}", part) for code, part in counts["by_language"].items())
    yield "all", counts


def size_table(corpora: Mapping[str, Manifest]) -> Table:
    rows = []
    for name, manifest in corpora.items():
        for label, part in _parts(manifest.counts):
            numbers = (count(part.get(key)) for key in ("documents", "sentences", "characters"))
            switches = part.get("switches_per_100_words")
            mixing = nothing() if switches is None else Cell(f"{switches:.1f}", switches, "number")
            rows.append((text(name), text(label), *numbers, share(part.get("minority_share"), 1), mixing))
    columns = ("Corpus", "Part", "Documents", "Sentences", "Characters", "Rarer script", "Switches per 100 words")
    return make_table(
        "corpus", "Text by source and by language, held-out documents included", columns, rows, grouped=True
    )


def done_table(corpora: Mapping[str, Manifest]) -> Table:
    """What every rule found; rules that found nothing are not listed."""
    rows = [
        (text(name), text(label), text(rule), count(times))
        for name, manifest in corpora.items()
        for group, label in _DONE.items()
        for rule, times in manifest.counts.get(group, {}).items()
        if times
    ]
    columns = ("Corpus", "Step", "Rule or kind", "Number")
    return make_table("corpus-done", "What was done to the text", columns, rows, grouped=True)


def mixing_table(corpora: Mapping[str, Manifest], measure: str) -> Table:
    """How many documents and sentences of each part are in each bin of a measure of code-mixing."""
    bins: tuple[str, ...] = ()
    rows = []
    for name, manifest in corpora.items():
        for label, part in _parts(manifest.counts):
            for what, numbers in part.get("code_mixing", {}).get(measure, {}).items():
                bins, total = tuple(numbers), sum(numbers.values())
                cells = (Cell(f"{n:,}", n, "number", detail=f"{n / total:.1%}" if n else "") for n in numbers.values())
                rows.append((text(name), text(label), text(what), *cells))
    title = {"minority_share": "share of the rarer script"}.get(measure, metric_name(measure))
    caption = f"Code-mixing: documents and sentences by {title[:1].lower()}{title[1:]}"
    return make_table(f"corpus-{measure}", caption, ("Corpus", "Part", "Of", *bins), rows, grouped=True)
