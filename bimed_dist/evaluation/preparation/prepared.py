"""What the grid gets of a task: rows to train and choose on, and test splits, sealed until a choice is written."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bimed_dist.errors import ConfigError
from bimed_dist.evaluation.preparation.splitting import content_key
from bimed_dist.evaluation.preparation.validation import split_problems
from bimed_dist.evaluation.task import FINE_TUNED_KINDS, Example, Kind, Task
from bimed_dist.recipe.evaluation import EvaluationSettings, TaskSettings

VARIANTS = ("threshold", "long_texts", "pooling")
"""Settings outside the grid that decide scores."""


@dataclass(frozen=True)
class RuleResult:
    """Predictions of the keyword rules. They learn nothing, so they may see test rows before anything is chosen."""

    gold: list[np.ndarray]
    predicted: list[np.ndarray]
    examples: tuple[Example, ...]


class SealedSplits:
    """Test examples, which are returned only if learning rate and epochs have been chosen and written."""

    def __init__(self, splits: Mapping[str, tuple[Example, ...]]) -> None:
        self._splits = dict(splits)

    def open(self, choice: Path, key: Mapping[str, Any]) -> dict[str, tuple[Example, ...]]:
        """Return the splits by name if the file `choice` holds a choice for `key` (task, model, digests, grid).

        Raises ConfigError if nothing was chosen, or for another key.
        """
        if not choice.is_file():
            raise ConfigError(f"test splits are closed: {choice} is not written; choose on the development split first")
        record = json.loads(choice.read_text(encoding="utf-8"))
        if record.get("key") != dict(key) or not record.get("chosen"):
            raise ConfigError(f"test splits are closed: {choice} is a choice for another model, data or grid")
        return dict(self._splits)

    def test_keys(self, kind: Kind) -> set[str]:
        """Return the content keys of the test rows, to find leaks."""
        return {content_key(kind, example) for example in self._splits["test"]}

    def problems(self, task: Task, unsealed: Mapping[str, Sequence[Example]], labels: Sequence[str]) -> list[str]:
        """Check these splits together with the unsealed ones."""
        return split_problems(task, {**unsealed, **self._splits}, labels)

    def with_tests_of(self, tasks: "Mapping[str, SealedSplits]") -> "SealedSplits":
        """Add the test splits of other tasks under these names; the result is sealed too."""
        return SealedSplits({**self._splits, **{name: other._splits["test"] for name, other in tasks.items()}})


@dataclass(frozen=True)
class PreparedTask:
    name: str
    """Name in the recipe; `settings.task` is the task's name."""
    task: Task
    settings: TaskSettings
    labels: tuple[str, ...]
    notes: tuple[str, ...]
    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    sealed: SealedSplits
    """Test and external splits of fine-tuned tasks."""
    zero_shot_rows: tuple[Example, ...]
    """Rows of tasks that train nothing, which need no choice."""
    rows: dict[str, int]
    """Rows used, by split."""
    read: dict[str, int]
    """Rows read, by split."""
    dropped: dict[str, int]
    """Rows dropped as `duplicates` or `leaked`."""
    kept_of: dict[str, int]
    """Rows left after dropping, before limiting, by split."""
    digest: str
    """Digest of labels and rows."""
    rules: dict[str, RuleResult]
    """Keyword rules on test and external splits; empty if the task has no keywords."""
    split_languages: dict[str, str] = field(default_factory=dict)
    """Language of the test splits of other tasks that these models are tested on too."""
    fold: str = ""
    """Name of the fold, if this is one fold of a cross-validation."""
    folds: tuple["PreparedTask", ...] = ()
    """The folds of a cross-validation; this task itself has no rows to train on then."""

    @property
    def trained_tasks(self) -> tuple["PreparedTask", ...]:
        """The folds, or the task itself if it has none."""
        return self.folds or (self,)

    def variant(self) -> dict[str, str]:
        """Return the settings of VARIANTS that differ from their defaults."""
        defaults = {name: TaskSettings.model_fields[name].default for name in VARIANTS}
        values = {name: getattr(self.settings, name) for name in VARIANTS}
        return {name: value for name, value in values.items() if value != defaults[name]}


def task_grid(settings: EvaluationSettings, prepared: PreparedTask) -> dict[str, list[float] | list[int]] | None:
    """Return the learning rates and epochs to try, the task's before the evaluation's; None if nothing is trained."""
    if prepared.task.kind not in FINE_TUNED_KINDS:
        return None
    return {
        "learning_rates": list(prepared.settings.learning_rates or settings.learning_rates),
        "epochs": list(prepared.settings.epochs or settings.epochs),
    }


def task_seeds(settings: EvaluationSettings, prepared: PreparedTask) -> tuple[int, ...]:
    """Return the seeds of a task: 1 to `repetitions` if that is set, (0,) for tasks without randomness."""
    if prepared.task.kind == "retrieval" or prepared.task.needs == "terms":
        return (0,)
    if prepared.settings.repetitions is not None:
        return tuple(range(1, prepared.settings.repetitions + 1))
    return settings.seeds
