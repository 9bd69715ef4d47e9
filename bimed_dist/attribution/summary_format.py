"""The format of summary.json, which attribution writes and the report reads. No torch, no numpy."""

from typing import TypedDict

METHODS = {"integrated_gradients": "Integrated gradients", "gradient_x_input": "Gradient × input"}
"""Methods of attribution and their titles; keys of a ModelSummary."""
LANGUAGES = ("ko", "en", "mixed", "other")
"""Languages of a word."""


class MethodSummary(TypedDict):
    """Means over the explanations of one model; see `faithfulness`."""

    deletion: float
    """Area under the deletion curve."""
    insertion: float
    random_deletion: float
    """Area with words in random order."""
    random_insertion: float
    random_weights: float | None
    """Rank correlation with the attributions of the model with random weights; null if undefined."""
    weight_by_language: dict[str, float]
    """Share of the absolute attribution on words of each of LANGUAGES."""


class ModelSummary(TypedDict):
    explanations: int
    convergence_delta: float
    """Median."""
    integrated_gradients: MethodSummary
    gradient_x_input: MethodSummary


class Summary(TypedDict):
    """summary.json."""

    schema: int
    task: str
    models: dict[str, ModelSummary]
    difference_from_evaluation: dict[str, float | None]
    """Largest difference between a model's answers and those that the evaluation stored; null if it stored none."""
