"""Attribution: how faithful the explanations are. Its heatmaps show text, so that only numbers are in the report."""

from collections.abc import Iterator, Mapping

from bimed_dist.attribution.summary_format import LANGUAGES, METHODS, Summary
from bimed_dist.report.page import Section
from bimed_dist.report.tables import Cell, Table, decimal_cell, make_table, share_cell, text_cell
from bimed_dist.report.text import capitalized, language_name

_AREAS = ("deletion", "random_deletion", "insertion", "random_insertion", "random_weights")
_EXPLANATION = (
    "Deletion: mean model output while words are masked, the most important first; lower than in random order is "
    "better. Insertion: mean model output while the words are put back; higher than in random order is better. "
    "Similarity to random weights: rank correlation with the attributions of the same model with random weights; near "
    "0 is better. The heatmaps show text and stay in the work folder (attribution/NAME/index.html)."
)


def attribution_section(summaries: Mapping[str, Summary]) -> Section:
    """summaries: summary.json of each attribution."""
    return Section(
        title="Attribution",
        anchor="attribution",
        paragraphs=(_EXPLANATION,),
        tables=(attribution_table(summaries),),
    )


def attribution_table(summaries: Mapping[str, Summary]) -> Table:
    columns = (
        *("Task", "Model", "Method", "Explanations", "Deletion", "Random deletion", "Insertion", "Random insertion"),
        *("Similarity to random weights", *(f"{capitalized(language_name(code))} words" for code in LANGUAGES)),
    )
    rows = [row for summary in summaries.values() for row in _rows(summary)]
    caption = "Faithfulness of the attributions, and the share of attribution on words of each language"
    return make_table("attribution", caption, columns, rows, grouped=2)


def _rows(summary: Summary) -> Iterator[tuple[Cell, ...]]:
    for model, numbers in summary["models"].items():
        for method, title in METHODS.items():
            shares = numbers[method]["weight_by_language"]
            yield (
                text_cell(summary["task"]),
                text_cell(model),
                text_cell(title),
                Cell(str(numbers["explanations"]), numbers["explanations"], "number"),
                *(decimal_cell(numbers[method][area]) for area in _AREAS),
                *(share_cell(shares[code], 1) for code in LANGUAGES),
            )
