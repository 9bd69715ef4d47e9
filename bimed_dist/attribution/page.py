"""One self-contained HTML page of heatmaps. Every text is escaped; nothing is loaded from elsewhere."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bimed_dist import templates
from bimed_dist.attribution.faithfulness import POINTS, RANDOM
from bimed_dist.evaluation.preparation.prepared import PreparedTask
from bimed_dist.evaluation.task import Example
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.recipe.report import AttributionSettings

if TYPE_CHECKING:
    from bimed_dist.attribution.stage import Explanation

METHOD_NAMES = {"integrated_gradients": "Integrated gradients", "gradient_x_input": "Gradient × input"}
LANGUAGE_NAMES = {"ko": "Korean", "en": "Latin script", "mixed": "mixed words", "other": "numbers and signs"}


def html(
    recipe: Recipe,
    settings: AttributionSettings,
    prepared: PreparedTask,
    examples: Sequence[Example],
    found: Sequence["Explanation"],
    summary: Mapping[str, Any],
    others: Sequence[str],
    most_labels: int,
) -> str:
    """others: models that are not the ones which the evaluation scored. most_labels: of a row, right and wrong ones."""
    page = templates.environment("bimed_dist.attribution").get_template("page.html.j2")
    return page.render(
        title=f"What the models looked at: {prepared.task.title}",
        subtitle=f"Recipe {recipe.name}, task {settings.task}, {len(examples)} test rows{_which_part(prepared)}",
        rows=[_row(prepared, i, example, [e for e in found if e.row == i]) for i, example in enumerate(examples)],
        summary=summary,
        others=others,
        foundations={label: model.adapted_from for label, model in recipe.evaluation.models.items()},
        methods=METHOD_NAMES,
        languages=LANGUAGE_NAMES,
        most_labels=most_labels if prepared.task.kind == "multilabel" else None,
        curves={model: _curves(found, model) for model in summary},
    )


def _which_part(prepared: PreparedTask) -> str:
    return "" if prepared.settings.long_texts == "truncate" else ", of long texts the head only"


def _row(prepared: PreparedTask, number: int, example: Example, found: Sequence["Explanation"]) -> dict[str, Any]:
    answers = []
    for output in dict.fromkeys(e.output for e in found):
        models = [_heatmap(e) for e in found if e.output == output]
        if prepared.task.kind == "sts":
            answers.append({"name": "Similarity, 0 to 5", "gold": f"{example.target:.1f}", "models": models})
        else:
            label = prepared.labels[output]
            has = example.target == label if prepared.task.kind == "classification" else example.target[output]
            gold = "yes" if has else "no"
            answers.append({"name": label, "gold": gold, "models": models})
    return {"title": f"Row {number + 1}", "id": example.id, "answers": answers}


def _heatmap(explanation: "Explanation") -> dict[str, Any]:
    texts = {method: _shaded(explanation, scores) for method, scores in explanation.scores.items()}
    told = f"{explanation.predicted:.2f}"
    if explanation.threshold is not None:
        told += f", found from {explanation.threshold:.2f} on"
    return {"model": explanation.model, "predicted": told, "texts": texts}


def _shaded(explanation: "Explanation", scores: np.ndarray) -> list[list[dict[str, Any]]]:
    """Words of each text with the sign and the strength, 0 to 100 of the row's strongest, that they are shown with."""
    strongest = float(np.nanmax(np.abs(scores), initial=0.0)) or 1.0
    values = iter(scores)
    texts = []
    for words in explanation.words.texts:
        shown = []
        for word in words:
            value = float(next(values))
            kind = "unseen" if np.isnan(value) else "for" if value > 0 else "against"
            strength = 0 if np.isnan(value) else round(100 * abs(value) / strongest)
            shown.append({"word": word, "kind": kind, "strength": strength, "value": f"{value:+.3f}"})
        texts.append(shown)
    return texts


def _curves(found: Sequence["Explanation"], model: str) -> dict[str, str]:
    """Mean curves of a model's integrated gradients as points of an SVG polyline, x and y from 0 to 100."""
    lines = {}
    for prefix, order in (("", "integrated_gradients"), ("random_", RANDOM)):
        for name in ("deletion", "insertion"):
            drawn = [getattr(e.curves[order], name) for e in found if e.model == model]
            mean = np.clip(np.mean(drawn, axis=0), 0, 1)
            points = (f"{100 * i / (POINTS - 1):.0f},{100 - 100 * y:.1f}" for i, y in enumerate(mean))
            lines[prefix + name] = " ".join(points)
    return lines
