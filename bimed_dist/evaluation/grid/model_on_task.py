"""One model on one task as cells: every candidate and seed scored on the development split, the choice, then the test
splits; or one intrinsic score per seed.

Files of `cells/TASK/MODEL/`: `lr=..,epochs=..,seed=...json` (development scores of a cell), `choice.json` (written
when all cells are done; it keeps the choices that were made among other candidates or seeds), `test,seed=...json`
(test and external scores and predictions of the chosen cells), `seed=...json` (intrinsic tasks). The weights of cells
that can still be chosen wait in `weights.partial/`; a cell whose weights were lost is trained again, to the same
weights. Nothing here depends on the order in which cells are computed, nor on the process that computes them.
"""

import functools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from bimed_dist import ranks
from bimed_dist.errors import BimedError, DataError, Stopped, one_line
from bimed_dist.evaluation.grid import records
from bimed_dist.evaluation.metrics import thresholds
from bimed_dist.evaluation.metrics.definitions import SPECIFICITIES
from bimed_dist.evaluation.metrics.scores import scores
from bimed_dist.evaluation.models import finetuning, intrinsic, retrieval
from bimed_dist.evaluation.models.encoding import Encoded, encode, merge_windows, tokenizer_key
from bimed_dist.evaluation.models.loading import load_classifier, load_head_model
from bimed_dist.evaluation.preparation.prepared import PreparedTask
from bimed_dist.evaluation.task import Example, Kind
from bimed_dist.workspace import CHOICE

# What training or scoring a cell may raise. Torch's out-of-memory is a RuntimeError; the second line is what the code
# of anybody's model raises where a configuration does not suit it.
CELL_ERRORS = (
    *(BimedError, OSError, ValueError, RuntimeError, MemoryError),
    *(TypeError, AttributeError, LookupError),
)


@dataclass(frozen=True)
class Candidate:
    learning_rate: float
    epochs: int


@dataclass(frozen=True)
class Trial:
    """What a worker does at a time; one record on disk."""

    candidate: Candidate | None
    """None for an intrinsic score."""
    seed: int
    test: bool = False
    """Whether it is the chosen candidate on the test splits, not a candidate on the development split."""


@dataclass(frozen=True)
class ModelOnTask:
    """A task and a model, with all that decides their scores."""

    prepared: PreparedTask
    label: str
    location: str
    model_digest: str
    tokenizer: PreTrainedTokenizerBase
    limit: int
    """Pieces per row."""
    candidates: tuple[Candidate, ...]
    seeds: tuple[int, ...]
    batch: int
    folder: Path
    """cells/TASK/MODEL."""
    weights: Path
    parameters: int
    """Of the encoder: how dear a cell is."""
    encoded: dict[tuple[str, str], Encoded]
    """Rows of this task by (tokenizer, split), shared by the models of the task."""

    @property
    def is_screening(self) -> bool:
        return self.prepared.task.kind == "classification" and len(self.prepared.labels) == 2

    @property
    def title(self) -> str:
        """For messages."""
        return ", ".join(filter(None, (self.prepared.name, self.prepared.fold, self.label)))

    def key(self, **more: Any) -> dict[str, Any]:
        """All that decides a score.

        Device, precision and pass size are part of it, so that no grid mixes them: bf16 has three digits, and sums in
        another order train to other weights. Versions of libraries, the make of the GPU and the number of threads are
        not, although last digits may differ by them: they stand in the record, and an update throws no cell away.
        """
        base = {
            "task": self.prepared.name,
            "model": self.label,
            "model_digest": self.model_digest,
            "data_digest": self.prepared.digest,
            "pieces": self.limit,
            "arithmetic": finetuning.arithmetic(),
        }
        # The rows may be the same while the task was changed to learn them otherwise. The usual ones are left out, as
        # before they were part of the key.
        task = self.prepared.task
        if task.kind == "sts_classes":
            base["kind"] = task.kind
        if task.unit == "character":
            base["unit"] = task.unit
        if self.candidates:
            base |= {"batch": self.batch, "protocol": finetuning.PROTOCOL}
        if self.prepared.settings.long_texts == "windows":
            base["windows"] = "trained together"
        if self.is_screening:
            base["screening"] = list(SPECIFICITIES)
        return base | self.prepared.variant() | more

    def cell_key(self, cell: Trial) -> dict[str, Any]:
        if cell.candidate is None:
            return self.key(seed=cell.seed)
        rate, epochs = cell.candidate.learning_rate, cell.candidate.epochs
        if cell.test:
            return {**self.choice_key(), "chosen": [rate, epochs], "seed": cell.seed}
        return self.key(learning_rate=rate, epochs=epochs, seed=cell.seed)

    def choice_key(self) -> dict[str, Any]:
        grid = [[candidate.learning_rate, candidate.epochs] for candidate in self.candidates]
        return self.key(grid=grid, seeds=list(self.seeds))

    def first_cells(self) -> list[Trial]:
        """Cells that nothing has to be chosen for: the grid on the development split, or the intrinsic scores."""
        return [Trial(candidate, seed) for candidate in self.candidates or (None,) for seed in self.seeds]

    def test_cells(self, chosen: Candidate) -> list[Trial]:
        return [Trial(chosen, seed, test=True) for seed in self.seeds]

    def path(self, cell: Trial) -> Path:
        name = f"seed={cell.seed}"
        if cell.test:
            name = f"test,{name}"
        elif cell.candidate is not None:
            name = records.cell_name(cell.candidate.learning_rate, cell.candidate.epochs, cell.seed)
        return self.folder / f"{name}.json"

    def record(self, cell: Trial) -> dict[str, Any] | None:
        """The finished record of a cell, if there is one for exactly this key."""
        return records.read_record(self.path(cell), self.cell_key(cell))

    def write(self, cell: Trial, status: str, **values: Any) -> dict[str, Any]:
        return records.write_record(self.path(cell), self.cell_key(cell), status, **values)

    def rows(self, split: str) -> Encoded:
        """Rows of a split, tokenised once for all models with the same tokenizer.

        Raises ConfigError for a test split before the choice is written.
        """
        parts = {"train": self.prepared.train, "dev": self.prepared.dev}
        if split not in parts:
            parts = self.opened()
        at = (tokenizer_key(self.tokenizer, self.limit), split)
        if at not in self.encoded:
            self.encoded[at] = self.encode(parts[split])
        return self.encoded[at]

    def opened(self) -> dict[str, tuple[Example, ...]]:
        """The test splits. Raises ConfigError before the choice is written."""
        return self.prepared.sealed.open(self.folder / CHOICE, self.choice_key())

    def chosen(self) -> Candidate:
        """The candidate in `choice.json`. Raises ConfigError where nothing was chosen, or for something else."""
        self.opened()
        found = json.loads((self.folder / CHOICE).read_text(encoding="utf-8"))["chosen"]
        return Candidate(found["learning_rate"], found["epochs"])

    def encode(self, examples: tuple[Example, ...]) -> Encoded:
        task = self.prepared.task
        try:
            long_texts = self.prepared.settings.long_texts
            return encode(self.tokenizer, task.kind, task.unit, self.prepared.labels, examples, self.limit, long_texts)
        except (TypeError, ValueError, LookupError) as error:
            # Its message may quote the text.
            raise DataError(f"{len(examples)} rows can't be encoded ({type(error).__name__})") from error

    def scores(self, gold: list[np.ndarray], predicted: list[np.ndarray]) -> dict[str, float]:
        return scores(self.prepared.task.kind, gold, predicted, self.prepared.labels)


def computed(pairs: Sequence[ModelOnTask], at: int, cell: Trial) -> dict[str, Any]:
    """The record of a cell of pair number `at`; only the rows of its task are kept."""
    for pair in pairs:
        if pair.prepared.name != pairs[at].prepared.name:
            pair.encoded.clear()
    return compute(pairs[at], cell)


def compute(pair: ModelOnTask, cell: Trial) -> dict[str, Any]:
    """Compute a cell and write its record, `failed` where the model's code or its scores do not allow it.

    Where several processes do this together, none has a result before all have one.
    """
    start = time.monotonic()
    rule = _intrinsic_values if cell.candidate is None else _test_values if cell.test else _dev_values
    try:
        values = rule(pair, cell)
        ranks.gather(None)
    except Stopped:
        raise
    except CELL_ERRORS as error:
        ranks.report_failure(error)
        return pair.write(cell, "failed", error=one_line(error))
    seconds = round(time.monotonic() - start, 2)
    return pair.write(cell, records.NOT_APPLICABLE if values is None else "done", **(values or {}), seconds=seconds)


def _dev_values(pair: ModelOnTask, cell: Trial) -> dict[str, Any]:
    model = _trained(pair, cell)
    dev = pair.rows("dev")
    predicted = _predicted(pair, model, dev)
    tuned: dict[str, Any] = {}
    if pair.prepared.settings.threshold == "dev":
        tuned["thresholds"] = thresholds.best_thresholds(np.stack(dev.gold), np.stack(predicted))
        predicted = _decided(predicted, tuned)
    if pair.is_screening:
        tuned["screening"] = thresholds.screening_thresholds(np.concatenate(dev.gold) == 1, np.stack(predicted)[:, 1])
    scores = pair.scores(dev.gold, predicted)
    records.save_weights(model, weights_path(pair, cell))
    return {"dev": scores, **tuned}


def _decided(predicted: list[np.ndarray], tuned: Mapping[str, Any]) -> list[np.ndarray]:
    """The same predictions on a scale where 0.5 decides; of screening, with what is found at each threshold."""
    if "thresholds" in tuned:
        predicted = [thresholds.rescale_to_half(item, tuned["thresholds"]).astype(np.float32) for item in predicted]
    if "screening" in tuned:
        predicted = [thresholds.with_screening(item, tuned["screening"]).astype(np.float32) for item in predicted]
    return predicted


def _tuned_before(pair: ModelOnTask, cell: Trial) -> dict[str, Any]:
    """What the development split gave this cell beside its scores; nothing for tasks that tune nothing."""
    if pair.prepared.settings.threshold == "fixed" and not pair.is_screening:
        return {}
    record = pair.record(Trial(cell.candidate, cell.seed))
    if record is None:
        raise DataError("the development record with the thresholds is gone; run the evaluation again")
    return {name: record[name] for name in ("thresholds", "screening") if name in record}


def weights_path(pair: ModelOnTask, cell: Trial) -> Path:
    """Of a cell of the grid; its test cell takes them from there."""
    return records.weights_path(pair.weights, pair.cell_key(Trial(cell.candidate, cell.seed)))


def _trained(pair: ModelOnTask, cell: Trial) -> nn.Module:
    assert cell.candidate is not None
    return finetuning.fine_tune(
        pair.location,
        pair.prepared.task.kind,
        pair.prepared.labels,
        pair.rows("train").rows_by_item(),
        pad_id=pair.tokenizer.pad_token_id,
        learning_rate=cell.candidate.learning_rate,
        epochs=cell.candidate.epochs,
        seed=cell.seed,
        batch_size=pair.batch,
        pooling=pair.prepared.settings.pooling,
    )


def trained_model(pair: ModelOnTask, cell: Trial) -> nn.Module:
    """The model of a cell, from its weights where they are still there."""
    prepared = pair.prepared
    model = load_classifier(pair.location, prepared.task.kind, prepared.labels, prepared.settings.pooling)
    model = model.to(finetuning.device()).eval()
    found = ranks.gather(records.load_weights(model, weights_path(pair, cell)))
    return model if all(found) else _trained(pair, cell)


def _predicted(pair: ModelOnTask, model: nn.Module, encoded: Encoded) -> list[np.ndarray]:
    kind = pair.prepared.task.kind
    units = [len(encoded.gold[i]) for i in encoded.item_of_row]
    of_rows = finetuning.predict(model, kind, encoded.rows, units, pair.tokenizer.pad_token_id)
    return merge_windows(kind, of_rows, encoded.item_of_row)


def cell_predictions(pair: ModelOnTask, cell: Trial, model: nn.Module, rows: Encoded) -> list[np.ndarray]:
    """What the model of a cell says of test rows, as its record holds it."""
    return _decided(_predicted(pair, model, rows), _tuned_before(pair, cell))


def _test_values(pair: ModelOnTask, cell: Trial) -> dict[str, Any]:
    """Scores and predictions by split; of a split whose score does not exist the error in the score's place.

    Raises DataError where no split has a score.
    """
    encoded = {split: pair.rows(split) for split in pair.opened()}
    _tuned_before(pair, cell)  # Before anything is trained: it may be gone.
    model = trained_model(pair, cell)
    scored = {}
    for split, rows in encoded.items():
        predicted = cell_predictions(pair, cell, model, rows)
        scored[split] = {**_scores_or_error(pair, rows, predicted), "predictions": records.packed(predicted)}
    if all("error" in of_split for of_split in scored.values()):
        raise DataError("; ".join(dict.fromkeys(of_split["error"] for of_split in scored.values())))
    return {"splits": scored}


def _scores_or_error(pair: ModelOnTask, rows: Encoded, predicted: list[np.ndarray]) -> dict[str, Any]:
    try:
        return {"scores": pair.scores(rows.gold, predicted)}
    except DataError as error:
        return {"error": str(error)}


def _intrinsic_values(pair: ModelOnTask, cell: Trial) -> dict[str, Any] | None:
    """None where the checkpoint has no head for the task."""
    gold, _ = intrinsic_gold(pair, cell.seed)
    model = _head_model(pair.location, pair.prepared.task.kind)
    if model is None:
        return None
    predicted = _intrinsic_prediction(pair, model, cell.seed)
    return {"scores": pair.scores(gold, predicted), "predictions": records.packed(predicted)}


@functools.lru_cache(maxsize=1)
def _head_model(location: str, kind: Kind) -> PreTrainedModel | None:
    """Kept from one seed to the next."""
    model = load_head_model(location, kind)
    return None if model is None else model.to(finetuning.device())


def intrinsic_gold(pair: ModelOnTask, seed: int) -> tuple[list[np.ndarray], tuple[Example, ...]]:
    """(gold, example) of every item; masked words and translations have no gold but the text."""
    examples = pair.prepared.intrinsic
    if pair.prepared.task.kind in ("mlm", "retrieval"):
        return [np.empty(0)] * len(examples), examples
    _, is_next = intrinsic.sentence_pairs(examples, seed)
    return list(is_next[:, None]), tuple(example for example in examples for _ in range(2))


def _intrinsic_prediction(pair: ModelOnTask, model: PreTrainedModel, seed: int) -> list[np.ndarray]:
    examples = pair.prepared.intrinsic
    if pair.prepared.task.kind == "mlm":
        return intrinsic.masked_lm_sums(model, pair.tokenizer, examples, seed, pair.limit)
    if pair.prepared.task.kind == "retrieval":
        return retrieval.translation_ranks(model, pair.tokenizer, examples, pair.limit)
    pairs, _ = intrinsic.sentence_pairs(examples, seed)
    return list(intrinsic.next_probabilities(model, pair.tokenizer, pairs, pair.limit)[:, None])
