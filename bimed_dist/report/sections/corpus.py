"""Corpus: its size, its mix of languages, and the changes that were made to the text."""

from collections.abc import Iterator, Mapping
from typing import Any

from bimed_dist.manifest import Manifest
from bimed_dist.report.page import Section
from bimed_dist.report.tables import Cell, Table, count_cell, empty_cell, make_table, share_cell, text_cell
from bimed_dist.report.text import language_name, percent

_DROPPED = {
    "duplicates_dropped": "duplicates",
    "near_duplicates_dropped": "near-duplicates",
    "contaminated_dropped": "with rows of evaluation tasks",
    "rejected_dropped": "of poor quality",
    "empty_dropped": "empty",
}
"""Counts of documents that the corpus stage left out."""
_CHANGES = {
    "cleaned": "cleaning: documents changed",
    "rejected": "quality: documents dropped",
    "identities": "privacy: matches",
    "overlaps": "evaluation tasks: rows found in documents",
    "encodings": "encodings: files",
}
"""Groups of counts of the corpus stage."""
_MIXING = {
    "minority_share": "share of the less frequent script",
    "switches_per_100_words": "script switches per 100 words",
}


def corpus_section(corpora: Mapping[str, Manifest]) -> Section:
    tables = (size_table(corpora), changes_table(corpora), *(mixing_table(corpora, measure) for measure in _MIXING))
    return Section(
        title="Corpus",
        anchor="corpus",
        facts=tuple((f"corpus/{name}", _documents(manifest.counts)) for name, manifest in corpora.items()),
        tables=tuple(table for table in tables if table.rows),
    )


def _documents(counts: Mapping[str, Any]) -> str:
    """Return such as `222 documents (3,018 sentences) held out; dropped documents: 41 duplicates; ...`."""
    held_out = f"{counts['held_out_documents']:,} documents ({counts['held_out_sentences']:,} sentences) held out"
    dropped = [f"{counts[key]:,} {title}" for key, title in _DROPPED.items() if counts.get(key)]
    facts = [held_out, f"dropped documents: {', '.join(dropped) or 'none'}"]
    if counts["nfc_changed"]:
        facts.append(f"{counts['nfc_changed']:,} documents changed by Unicode normalization (NFC)")
    return "; ".join(facts)


def _parts(counts: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from ((f"source {source}", part) for source, part in counts["by_source"].items())
    yield from ((f"language {language_name(code)}", part) for code, part in counts["by_language"].items())
    yield "all", counts


def size_table(corpora: Mapping[str, Manifest]) -> Table:
    rows = []
    for name, manifest in corpora.items():
        for label, part in _parts(manifest.counts):
            numbers = (count_cell(part.get(key)) for key in ("documents", "sentences", "characters"))
            switches = part.get("switches_per_100_words")
            mixing = empty_cell() if switches is None else Cell(f"{switches:.1f}", switches, "number")
            rows.append(
                (text_cell(name), text_cell(label), *numbers, share_cell(part.get("minority_share"), 1), mixing)
            )
    columns = (
        *("Corpus", "Part", "Documents", "Sentences", "Characters"),
        *("Less frequent script", "Script switches per 100 words"),
    )
    caption = "Text by source and by language, including held-out documents"
    return make_table("corpus", caption, columns, rows, grouped=1)


def changes_table(corpora: Mapping[str, Manifest]) -> Table:
    """Counts of every rule; rules that matched nothing are not listed."""
    rows = [
        (text_cell(name), text_cell(title), text_cell(rule), count_cell(matches))
        for name, manifest in corpora.items()
        for group, title in _CHANGES.items()
        for rule, matches in manifest.counts.get(group, {}).items()
        if matches
    ]
    columns = ("Corpus", "Step", "Rule or kind", "Count")
    return make_table("corpus-changes", "Changes to the text and matches of the rules", columns, rows, grouped=2)


def mixing_table(corpora: Mapping[str, Manifest], measure: str) -> Table:
    """Documents and sentences of each part in each bin of a measure of code-mixing."""
    bins: tuple[str, ...] = ()
    rows = []
    for name, manifest in corpora.items():
        for label, part in _parts(manifest.counts):
            for unit, numbers in part.get("code_mixing", {}).get(measure, {}).items():
                bins, total = tuple(numbers), sum(numbers.values())
                cells = (Cell(f"{n:,}", n, "number", detail=percent(n / total) if n else "") for n in numbers.values())
                rows.append((text_cell(name), text_cell(label), text_cell(unit), *cells))
    caption = f"Code-mixing: documents and sentences by {_MIXING[measure]}"
    return make_table(f"corpus-{measure}", caption, ("Corpus", "Part", "Unit", *bins), rows, grouped=2)
