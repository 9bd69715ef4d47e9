"""Embedding initialization: where the embedding of each token of a model's vocabulary comes from."""

from collections.abc import Mapping

from bimed_dist.manifest import Manifest
from bimed_dist.recipe.model import EMBEDDING_ORIGINS
from bimed_dist.report.page import Section, ShareBar
from bimed_dist.report.tables import Cell, Table, count_cell, make_table, text_cell
from bimed_dist.report.text import percent


def embeddings_section(models: Mapping[str, Manifest]) -> Section:
    bars = []
    for name, manifest in models.items():
        counts = manifest.counts
        shares = ((origin, counts.get(origin, 0) / counts["rows"]) for origin in EMBEDDING_ORIGINS if counts["rows"])
        bars.append(ShareBar(name, tuple((origin, share) for origin, share in shares if share > 0)))
    return Section(
        title="Embedding initialization",
        anchor="embeddings",
        paragraphs=(
            "How the embedding (input vector) of each token of the model's vocabulary was set before pre-training.",
        ),
        bars=tuple(bars),
        tables=(embeddings_table(models),),
    )


def embeddings_table(models: Mapping[str, Manifest]) -> Table:
    rows = []
    for name, manifest in models.items():
        counts = manifest.counts
        total = counts["rows"]
        cells = [
            Cell(f"{n:,}", n, "number", detail=percent(n / total) if n else "")
            for n in (counts.get(origin, 0) for origin in EMBEDDING_ORIGINS)
        ]
        foundation = manifest.settings.get("foundation") or "none (random weights)"
        rows.append(
            (text_cell(name), text_cell(foundation), *cells, count_cell(total), count_cell(counts.get("parameters")))
        )
    columns = ("Model", "Foundation", *(origin.capitalize() for origin in EMBEDDING_ORIGINS), "Tokens", "Parameters")
    return make_table("embeddings", "Tokens by origin of their embedding", columns, rows)
