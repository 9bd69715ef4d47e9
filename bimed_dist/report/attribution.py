"""What explanations of models add up to: numbers of the attribution stage, never its heatmaps, which show text."""

from collections.abc import Iterator, Mapping
from typing import Any

from bimed_dist.report.cells import Cell, Table, language_name, make_table, measure, share, text

METHODS = {"integrated_gradients": "integrated gradients", "gradient_x_input": "gradient × input"}
_LANGUAGES = ("ko", "en", "mixed", "other")


def attribution_table(found: Mapping[str, Mapping[str, Any]]) -> Table:
    """found: summary.json of each attribution."""
    columns = (
        *("Texts of", "Model", "Method", "Answers", "Deletion", "Random deletion", "Insertion", "Random insertion"),
        *("Like random weights", *(f"{language_name(code)} words".capitalize() for code in _LANGUAGES)),
    )
    rows = [row for summary in found.values() for row in _rows(summary)]
    caption = "Faithfulness of explanations, and the share of the weight by language of the word"
    return make_table("attribution", caption, columns, rows, grouped=True)


def _rows(summary: Mapping[str, Any]) -> Iterator[tuple[Cell, ...]]:
    for model, numbers in summary["models"].items():
        for method, name in METHODS.items():
            of_method = numbers[method]
            areas = ("deletion", "random_deletion", "insertion", "random_insertion", "random_weights")
            weights = of_method["weight_by_language"]
            yield (
                text(summary["task"]),
                text(model),
                text(name),
                Cell(str(numbers["explanations"]), numbers["explanations"], "number"),
                *(measure(of_method[area]) for area in areas),
                *(share(weights[code], 1) for code in _LANGUAGES),
            )
