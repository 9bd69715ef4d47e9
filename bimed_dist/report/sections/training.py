"""Training curves: losses and accuracies of every pre-training run on held-out text."""

from collections.abc import Mapping, Sequence
from typing import Any

from bimed_dist.manifest import Manifest
from bimed_dist.report.figures import CURVES, curve_names, curve_panels, series_style
from bimed_dist.report.page import Section
from bimed_dist.report.tables import Table, count_cell, decimal_cell, make_table, text_cell
from bimed_dist.report.text import plural

_EXPLANATION = (
    "MLM: predicting masked tokens. NSP: predicting if a sentence follows another. SOP: predicting the order of two "
    "sentences. Thick lines: held-out text. Thin lines: training loss. MLM loss and MLM accuracy are per token and "
    "cannot be compared between runs with different vocabularies. Bits per character can, between runs with the same "
    "held-out text."
)


def training_section(curves: Mapping[str, Sequence[Mapping[str, Any]]], runs: Mapping[str, Manifest]) -> Section:
    return Section(
        title="Training curves",
        anchor="training",
        paragraphs=(_EXPLANATION,),
        facts=tuple((name, trained_on(manifest)) for name, manifest in runs.items()),
        figures=tuple(curve_panels(curves)),
        legend=tuple((name, *series_style(i)) for i, name in enumerate(curves)),
        tables=(training_table(curves),),
    )


def trained_on(manifest: Manifest) -> str:
    """Return the training that was done, which may be less than was planned.

    Such as `2,000 steps (1,800, then 200 with longer rows), 120,800 rows, 1.5 epochs, engine ddp, 2 processes`.
    """
    counts = manifest.counts
    steps = [f"{phase['steps']:,}" for phase in counts.get("phases", ())]
    by_phase = f" ({', then '.join(steps)} with longer rows)" if len(steps) > 1 else ""
    parts = [f"{counts['steps']:,} steps{by_phase}"]
    parts += [f"{counts['rows']:,} rows"] if "rows" in counts else []
    parts += [f"{counts['epochs']:g} epochs"] if "epochs" in counts else []
    parts += [f"engine {counts['engine']}"] if "engine" in counts else []
    parts += [plural(counts["processes"], "process")] if "processes" in counts else []
    return ", ".join(parts)


def training_table(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    """First and last validation of every run."""
    keys = curve_names(curves)
    rows = []
    for name, lines in curves.items():
        validations = [line for line in lines if line["kind"] == "validation"]
        for line in (validations[0], validations[-1])[: len(validations)] if validations else ():
            rows.append((text_cell(name), count_cell(line["step"]), *(decimal_cell(line.get(key)) for key in keys)))
    columns = ("Run", "Step", *(CURVES[key] for key in keys))
    return make_table("training", "Held-out text before and after pre-training", columns, rows, grouped=1)
