"""One entry of the grid: a model on a task, its trials, and the keys and files of their records.

Files of `trials/TASK/MODEL/` (with folds: `trials/TASK/FOLD/MODEL/`):

* `lr=..,epochs=..,seed=...json`: development scores of one candidate with one seed,
* `choice.json`: the candidate with the best development scores, which opens the test splits,
* `test,seed=...json`: scores and predictions of the chosen candidate on the test and external splits,
* `seed=...json`: scores of a zero-shot task, for which nothing is trained or chosen.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from bimed_dist.errors import DataError, one_line
from bimed_dist.evaluation.grid import records
from bimed_dist.evaluation.grid.records import Status, TrialRecord
from bimed_dist.evaluation.metrics.definitions import SPECIFICITIES
from bimed_dist.evaluation.metrics.scores import scores
from bimed_dist.evaluation.models import finetuning
from bimed_dist.evaluation.models import loading as models
from bimed_dist.evaluation.models.encoding import Encoded, encode, tokenizer_key
from bimed_dist.evaluation.preparation.prepared import PreparedTask, task_grid, task_seeds
from bimed_dist.evaluation.task import Example
from bimed_dist.hugging_face import for_split_words, load_config, load_tokenizer
from bimed_dist.recipe.evaluation import EvaluationSettings
from bimed_dist.references import Located
from bimed_dist.workspace import CHOICE, TRIAL_WEIGHTS, TRIALS

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelFolder:
    """A model to evaluate, without its weights, or the reason why it can't be evaluated."""

    located: Located
    tokenizer: PreTrainedTokenizerBase | None = None
    config: Any = None
    parameters: int | None = None
    error: str | None = None


def load_model_folder(located: Located) -> ModelFolder:
    """Load tokenizer and configuration; a folder that can't be used is logged and returned with its error."""
    try:
        tokenizer = load_tokenizer(located.location)
        config = load_config(located.location)
        models.check_vocabulary(located.location, config, tokenizer)
        models.drop_unknown_segments(config, tokenizer)
        return ModelFolder(located, tokenizer, config, models.parameter_count(config))
    except DataError as error:
        logger.warning("not evaluated: %s", error)
        return ModelFolder(located, error=one_line(error))


@dataclass(frozen=True)
class Candidate:
    learning_rate: float
    epochs: int


@dataclass(frozen=True)
class Trial:
    """The unit of work of one worker, with one record on disk."""

    candidate: Candidate | None
    """None for a zero-shot score."""
    seed: int
    test: bool = False
    """The chosen candidate on the test splits; False: a candidate on the development split."""


@dataclass(frozen=True)
class ModelOnTask:
    """A model on a task (or on one fold of it), with everything that decides its scores."""

    prepared: PreparedTask
    label: str
    location: str
    model_digest: str
    tokenizer: PreTrainedTokenizerBase
    max_tokens: int
    """Tokens per row, special tokens included."""
    candidates: tuple[Candidate, ...]
    """Empty for zero-shot tasks."""
    seeds: tuple[int, ...]
    batch_size: int
    folder: Path
    """trials/TASK/MODEL."""
    weights: Path
    """Folder of weights of candidates that may still be chosen."""
    parameters: int
    """Encoder parameters; the cost estimate of a trial."""
    encoded: dict[tuple[str, str], Encoded]
    """Rows of this task by (tokenizer, split), shared by the models of the task."""

    @property
    def is_screening(self) -> bool:
        return self.prepared.task.kind == "classification" and len(self.prepared.labels) == 2

    @property
    def title(self) -> str:
        """Task, fold and model, for messages."""
        return ", ".join(filter(None, (self.prepared.name, self.prepared.fold, self.label)))

    # ------------------------------------------------------------------------------------------------------------ keys

    def key(self, **more: Any) -> dict[str, Any]:
        """Return everything that decides a score.

        Device, precision and tokens per pass are included, so that no grid mixes them: bf16 has three digits, and sums
        in another order train to other weights. Versions of libraries, the GPU model and the number of threads are not,
        although the last digits may depend on them: they are in the record, and an update discards no trial.
        """
        key = {
            "task": self.prepared.name,
            "kind": self.prepared.task.kind,
            "unit": self.prepared.task.unit,
            "model": self.label,
            "model_digest": self.model_digest,
            "data_digest": self.prepared.digest,
            "max_tokens": self.max_tokens,
            "arithmetic": finetuning.arithmetic(),
        }
        if self.candidates:
            key |= {"batch_size": self.batch_size, "protocol": finetuning.PROTOCOL}
        if self.is_screening:
            key["screening"] = list(SPECIFICITIES)
        return key | self.prepared.variant() | more

    def trial_key(self, trial: Trial) -> dict[str, Any]:
        if trial.candidate is None:
            return self.key(seed=trial.seed)
        rate, epochs = trial.candidate.learning_rate, trial.candidate.epochs
        if trial.test:
            return {**self.choice_key(), "chosen": [rate, epochs], "seed": trial.seed}
        return self.key(learning_rate=rate, epochs=epochs, seed=trial.seed)

    def choice_key(self) -> dict[str, Any]:
        grid = [[candidate.learning_rate, candidate.epochs] for candidate in self.candidates]
        return self.key(grid=grid, seeds=list(self.seeds))

    # ---------------------------------------------------------------------------------------------- trials and records

    def first_trials(self) -> list[Trial]:
        """Return the trials that need no choice: the grid on the development split, or the zero-shot scores."""
        return [Trial(candidate, seed) for candidate in self.candidates or (None,) for seed in self.seeds]

    def test_trials(self, chosen: Candidate) -> list[Trial]:
        return [Trial(chosen, seed, test=True) for seed in self.seeds]

    def record_path(self, trial: Trial) -> Path:
        name = f"seed={trial.seed}"
        if trial.test:
            name = f"test,{name}"
        elif trial.candidate is not None:
            name = records.development_name(trial.candidate.learning_rate, trial.candidate.epochs, trial.seed)
        return self.folder / f"{name}.json"

    def read_record(self, trial: Trial) -> TrialRecord | None:
        """Return the finished record of the trial, None if there is none for exactly this key."""
        return records.read_record(self.record_path(trial), self.trial_key(trial))

    def write_record(self, trial: Trial, status: Status, **values: Any) -> TrialRecord:
        return records.write_record(self.record_path(trial), self.trial_key(trial), status, **values)

    def weights_path(self, trial: Trial) -> Path:
        """Return the weights file of a development trial, from which the test trial takes them."""
        return records.weights_path(self.weights, self.trial_key(Trial(trial.candidate, trial.seed)))

    # ------------------------------------------------------------------------------------------------------------ rows

    def open_test_splits(self) -> dict[str, tuple[Example, ...]]:
        """Return the test and external splits. Raises ConfigError before the choice is written."""
        return self.prepared.sealed.open(self.folder / CHOICE, self.choice_key())

    def read_choice(self) -> Candidate:
        """Return the candidate in `choice.json`. Raises ConfigError if there is no choice for this grid."""
        self.open_test_splits()
        chosen = json.loads((self.folder / CHOICE).read_text(encoding="utf-8"))["chosen"]
        return Candidate(chosen["learning_rate"], chosen["epochs"])

    def rows(self, split: str) -> Encoded:
        """Return the rows of a split, tokenized once for all models with the same tokenizer.

        Raises ConfigError for a test split before the choice is written.
        """
        parts = {"train": self.prepared.train, "dev": self.prepared.dev}
        if split not in parts:
            parts = self.open_test_splits()
        key = tokenizer_key(self.tokenizer, self.max_tokens), split
        if key not in self.encoded:
            self.encoded[key] = self.encode(parts[split])
        return self.encoded[key]

    def encode(self, examples: tuple[Example, ...]) -> Encoded:
        """Tokenize examples. Raises DataError, which quotes no text, if the tokenizer fails."""
        task, labels, long_texts = self.prepared.task, self.prepared.labels, self.prepared.settings.long_texts
        try:
            return encode(self.tokenizer, task.kind, task.unit, labels, examples, self.max_tokens, long_texts)
        except (TypeError, ValueError, LookupError) as error:
            # Its message may quote the text.
            raise DataError(f"{len(examples)} rows can't be encoded ({type(error).__name__})") from error

    def scores(self, gold: list[np.ndarray], predicted: list[np.ndarray]) -> dict[str, float]:
        return scores(self.prepared.task.kind, gold, predicted, self.prepared.labels)


def model_on_task(
    settings: EvaluationSettings,
    prepared: PreparedTask,
    label: str,
    model: ModelFolder,
    folder: Path,
    encoded: dict[tuple[str, str], Encoded],
) -> ModelOnTask:
    """Return the grid entry of a usable model and create its folder in `folder`, the stage folder.

    Entries of the same task share `encoded`.
    """
    tokenizer = model.tokenizer
    assert tokenizer is not None
    grid = task_grid(settings, prepared) or {"learning_rates": [], "epochs": []}
    entry = ModelOnTask(
        prepared=prepared,
        label=label,
        location=model.located.location,
        model_digest=model.located.digest,
        tokenizer=for_split_words(tokenizer) if prepared.task.kind in ("ner", "mlm") else tokenizer,
        max_tokens=models.token_limit(model.config, tokenizer, prepared.settings.max_length),
        candidates=tuple(Candidate(rate, epochs) for rate in grid["learning_rates"] for epochs in grid["epochs"]),
        seeds=task_seeds(settings, prepared),
        batch_size=settings.batch_size,
        folder=folder / TRIALS / prepared.name / prepared.fold / label,
        weights=folder / TRIAL_WEIGHTS,
        parameters=model.parameters or 0,
        encoded=encoded,
    )
    entry.folder.mkdir(parents=True, exist_ok=True)
    return entry
