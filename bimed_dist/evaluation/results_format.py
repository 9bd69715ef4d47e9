"""The format of results.json, which the evaluation writes and the report reads. No torch, no numpy."""

from typing import Literal, TypedDict

from bimed_dist.evaluation.task import Kind
from bimed_dist.recipe.evaluation import LabelsBy

SCHEMA = 2
"""Raised when a field is added, removed or changes its meaning; other schemas are refused."""


class ModelEntry(TypedDict):
    folder: str
    """As in the recipe: `pretraining/NAME`, a folder or a hub name."""
    adapted_from: str | None
    """Label of the foundation."""
    digest: str
    parameters: int | None
    """Parameters of the encoder; null if the model could not be loaded."""
    vocabulary: int | None
    """Tokens of the vocabulary; null if the model could not be loaded."""


class TaskGrid(TypedDict):
    """The candidates that were tried for a fine-tuned task."""

    learning_rates: list[float]
    epochs: list[int]


class ProbabilityCounts(TypedDict):
    """Sentence pairs in equal bins of the predicted probability of IsNext."""

    next: list[int]
    random: list[int]


class TaskEntry(TypedDict):
    task: str
    """Name of the task definition, such as `korsts`."""
    kind: Kind
    title: str
    language: str
    metric: str
    """The main metric."""
    citation: str
    licence: str
    labels_from: str
    """Origin of the labels, for people."""
    labels_by: LabelsBy
    unit: Literal["word", "character"]
    digest: str
    """Digest of the rows that were used."""
    rows: dict[str, int]
    """Rows used, by split."""
    read: dict[str, int]
    """Rows read, by split."""
    dropped: dict[str, int]
    """Rows dropped as `duplicates` or `leaked`."""
    kept_of: dict[str, int]
    """Rows that were left after dropping, before limiting, by split."""
    grid: TaskGrid | None
    """Null for tasks that are not fine-tuned."""
    folds: int | None
    variant: dict[str, str]
    """Settings outside the grid that decide scores, if they differ from their defaults."""
    slices: dict[str, Literal["language", "source"]]
    """Splits that are one language or one source of the test split."""
    split_languages: dict[str, str]
    """Language of each split whose language differs from the task's."""
    not_applicable: dict[str, str]
    """Model -> why the task can't be run on it, such as a missing head."""
    next_probabilities: dict[str, ProbabilityCounts] | None
    """NSP: counts by model; null for other tasks."""
    notes: list[str]
    """What a reader must know of the rows and models, for people."""


class Chosen(TypedDict):
    """The candidate that was chosen on the development split."""

    learning_rate: float
    epochs: int


class ScoreRow(TypedDict):
    """One metric of one model, or of a baseline, on one split."""

    task: str
    model: str
    split: str
    metric: str
    main: bool
    values: list[float]
    """One value per seed or repetition."""
    mean: float
    sd: float | None
    """Sample standard deviation of the values; null for a single value."""
    n: int
    """Scored items."""
    interval: list[float] | None
    """Lower and upper end, from resampled items; null if undefined."""
    chosen: Chosen | None
    """Null if nothing was fine-tuned or folds chose different candidates."""


class WilliamsTest(TypedDict):
    t: float
    df: int
    p: float


class ComparisonRow(TypedDict):
    """An adapted model against its foundation in the main metric of one split."""

    task: str
    split: str
    metric: str
    model: str
    foundation: str
    difference: float
    """Adapted minus foundation."""
    interval: list[float] | None
    p: float | None
    """Two-sided, uncorrected; null if undefined."""
    units: int
    """Resampled units: rows, documents or patients."""
    p_holm: float | None
    """Corrected over all comparisons of the adapted model."""
    williams: WilliamsTest | None
    effect_sizes: dict[str, float]
    """`hedges_g`, `cohens_q` and `cohens_h`, those that are defined."""


class Failure(TypedDict):
    task: str
    model: str
    trial: str
    """File name of the trial without its suffix, `test` for the test rows, or `all`."""
    error: str
    split: str | None
    """The only split that failed; null if the whole trial failed."""


class GridEntry(TypedDict):
    learning_rates: list[float]
    epochs: list[int]
    seeds: list[int]
    batch_size: int


class StatisticsEntry(TypedDict):
    resamples: int
    ranked_resamples: int
    """Resamples of metrics that depend on the order of items."""
    confidence: float


class Results(TypedDict):
    """results.json."""

    schema: int
    models: dict[str, ModelEntry]
    tasks: dict[str, TaskEntry]
    grid: GridEntry
    statistics: StatisticsEntry
    scores: list[ScoreRow]
    baselines: list[ScoreRow]
    """Scores of the keyword rules."""
    comparisons: list[ComparisonRow]
    failures: list[Failure]
