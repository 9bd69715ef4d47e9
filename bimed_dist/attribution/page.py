"""A self-contained HTML page of heatmaps. Every text is escaped; nothing is loaded from elsewhere."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bimed_dist import templates
from bimed_dist.attribution.explanation import LABELS_SHOWN, Explanation
from bimed_dist.attribution.faithfulness import POINTS, RANDOM
from bimed_dist.attribution.summary_format import METHODS, ModelSummary
from bimed_dist.evaluation.preparation.prepared import PreparedTask
from bimed_dist.evaluation.task import Example
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.recipe.report import AttributionSettings

LANGUAGE_NAMES = {"ko": "Korean", "en": "Latin script", "mixed": "mixed words", "other": "numbers and signs"}


def html(
    recipe: Recipe,
    settings: AttributionSettings,
    prepared: PreparedTask,
    examples: Sequence[Example],
    explanations: Sequence[Explanation],
    summary: Mapping[str, ModelSummary],
    changed_models: Sequence[str],
) -> str:
    """Return the page; `changed_models` no longer give the answers that the evaluation scored."""
    page = templates.environment("bimed_dist.attribution").get_template("page.html.j2")
    return page.render(
        title=f"Attribution: {prepared.task.title}",
        subtitle=f"Recipe {recipe.name}, task {settings.task}, {len(examples)} test rows{_truncation(prepared)}",
        rows=[_row(prepared, i, row, [e for e in explanations if e.row == i]) for i, row in enumerate(examples)],
        summary=summary,
        changed_models=changed_models,
        foundations={label: model.adapted_from for label, model in recipe.evaluation.models.items()},
        methods=METHODS,
        languages=LANGUAGE_NAMES,
        labels_shown=LABELS_SHOWN if prepared.task.kind == "multilabel" else None,
        curves={model: _curves(explanations, model) for model in summary},
    )


def _truncation(prepared: PreparedTask) -> str:
    return "" if prepared.settings.long_texts == "truncate" else ", only the beginning of long texts"


def _row(prepared: PreparedTask, number: int, example: Example, explanations: Sequence[Explanation]) -> dict[str, Any]:
    answers = []
    for output in dict.fromkeys(e.output for e in explanations):
        models = [_heatmap(e) for e in explanations if e.output == output]
        if prepared.task.kind == "sts":
            answers.append({"name": "Similarity, 0 to 5", "gold": f"{example.target:.1f}", "models": models})
        else:
            label = prepared.labels[output]
            has = example.target == label if prepared.task.kind == "classification" else example.target[output]
            answers.append({"name": label, "gold": "yes" if has else "no", "models": models})
    return {"title": f"Row {number + 1}", "id": example.id, "answers": answers}


def _heatmap(explanation: Explanation) -> dict[str, Any]:
    texts = {method: _shaded(explanation, scores) for method, scores in explanation.scores.items()}
    predicted = f"{explanation.predicted:.2f}"
    if explanation.threshold is not None:
        predicted += f", threshold {explanation.threshold:.2f}"
    return {"model": explanation.model, "predicted": predicted, "texts": texts}


def _shaded(explanation: Explanation, scores: np.ndarray) -> list[list[dict[str, Any]]]:
    """Return the words of each text with sign and strength, in percent of the strongest word of the row."""
    strongest = float(np.nanmax(np.abs(scores), initial=0.0)) or 1.0
    values = iter(scores)
    texts = []
    for words in explanation.words.texts:
        shaded = []
        for word in words:
            value = float(next(values))
            kind = "unseen" if np.isnan(value) else "for" if value > 0 else "against"
            strength = 0 if np.isnan(value) else round(100 * abs(value) / strongest)
            shaded.append({"word": word, "kind": kind, "strength": strength, "value": f"{value:+.3f}"})
        texts.append(shaded)
    return texts


def _curves(explanations: Sequence[Explanation], model: str) -> dict[str, str]:
    """Return a model's mean curves by integrated gradients as points of SVG polylines, x and y from 0 to 100."""
    lines = {}
    for prefix, order in (("", "integrated_gradients"), ("random_", RANDOM)):
        for name in ("deletion", "insertion"):
            curves = [getattr(e.curves[order], name) for e in explanations if e.model == model]
            mean = np.clip(np.mean(curves, axis=0), 0, 1)
            points = (f"{100 * i / (POINTS - 1):.0f},{100 - 100 * y:.1f}" for i, y in enumerate(mean))
            lines[prefix + name] = " ".join(points)
    return lines
