"""Run one trial: fine-tune and score on the development split, score on the test splits, or score without training.

A trial's result depends neither on the order of trials nor on the process that runs it. Weights of a development trial
that were lost are trained again, to the same weights.
"""

import functools
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn
from transformers import PreTrainedModel

from bimed_dist import ranks
from bimed_dist.errors import BimedError, DataError, Stopped, one_line
from bimed_dist.evaluation.grid.model_on_task import ModelOnTask, Trial
from bimed_dist.evaluation.grid.records import SplitRecord, TrialRecord, load_weights, pack, save_weights
from bimed_dist.evaluation.metrics import thresholds
from bimed_dist.evaluation.models import finetuning, zero_shot
from bimed_dist.evaluation.models.encoding import Encoded, merge_windows
from bimed_dist.evaluation.models.loading import load_classifier, load_head_model
from bimed_dist.evaluation.task import Example, Kind

# Torch's out-of-memory error is a RuntimeError; model code whose configuration does not suit the task raises the errors
# of the second line.
TRIAL_ERRORS = (
    *(BimedError, OSError, ValueError, RuntimeError, MemoryError),
    *(TypeError, AttributeError, LookupError),
)


def run_trial_of(grid: Sequence[ModelOnTask], index: int, trial: Trial) -> TrialRecord:
    """Run a trial of entry `index` and return its record; encoded rows of other tasks are released."""
    for entry in grid:
        if entry.prepared.name != grid[index].prepared.name:
            entry.encoded.clear()
    return run_trial(grid[index], trial)


def run_trial(entry: ModelOnTask, trial: Trial) -> TrialRecord:
    """Run a trial and write its record; a failure of the model's code or of its scores is recorded as `failed`.

    If several processes run it together, no record is written before all have finished.
    """
    start = time.monotonic()
    run = _run_zero_shot if trial.candidate is None else _run_test if trial.test else _run_development
    try:
        values = run(entry, trial)
        ranks.gather(None)
    except Stopped:
        raise
    except TRIAL_ERRORS as error:
        ranks.report_failure(error)
        return entry.write_record(trial, "failed", error=one_line(error))
    seconds = round(time.monotonic() - start, 2)
    status = "not_applicable" if "not_applicable" in values else "done"
    return entry.write_record(trial, status, **values, seconds=seconds)


# --------------------------------------------------------------------------------------------------------- development


def _run_development(entry: ModelOnTask, trial: Trial) -> dict[str, Any]:
    model = _fine_tune(entry, trial)
    dev = entry.rows("dev")
    predicted = _predict(entry, model, dev)
    tuned: dict[str, Any] = {}
    if entry.prepared.settings.threshold == "dev":
        tuned["thresholds"] = thresholds.best_thresholds(np.stack(dev.gold), np.stack(predicted))
        predicted = _apply_thresholds(predicted, tuned)
    if entry.is_screening:
        is_positive = np.concatenate(dev.gold) == 1
        tuned["screening"] = thresholds.screening_thresholds(is_positive, np.stack(predicted)[:, 1])
    scores = entry.scores(dev.gold, predicted)
    save_weights(model, entry.weights_path(trial))
    return {"dev": scores, **tuned}


def _fine_tune(entry: ModelOnTask, trial: Trial) -> nn.Module:
    assert trial.candidate is not None
    return finetuning.fine_tune(
        entry.location,
        entry.prepared.task.kind,
        entry.prepared.labels,
        entry.rows("train").rows_by_item(),
        pad_id=entry.tokenizer.pad_token_id,
        learning_rate=trial.candidate.learning_rate,
        epochs=trial.candidate.epochs,
        seed=trial.seed,
        batch_size=entry.batch_size,
        pooling=entry.prepared.settings.pooling,
    )


def _predict(entry: ModelOnTask, model: nn.Module, encoded: Encoded) -> list[np.ndarray]:
    kind = entry.prepared.task.kind
    units = [len(encoded.gold[i]) for i in encoded.item_of_row]
    by_row = finetuning.predict(model, kind, encoded.rows, units, entry.tokenizer.pad_token_id)
    return merge_windows(kind, by_row, encoded.item_of_row)


def _apply_thresholds(predicted: list[np.ndarray], tuned: Mapping[str, Any]) -> list[np.ndarray]:
    """Rescale probabilities so that 0.5 is the tuned threshold, and append the screening decisions."""
    if "thresholds" in tuned:
        predicted = [thresholds.rescale_to_half(item, tuned["thresholds"]).astype(np.float32) for item in predicted]
    if "screening" in tuned:
        predicted = [thresholds.with_screening(item, tuned["screening"]).astype(np.float32) for item in predicted]
    return predicted


# ---------------------------------------------------------------------------------------------------------------- test


def _run_test(entry: ModelOnTask, trial: Trial) -> dict[str, Any]:
    """Score every test split; a split whose score does not exist has an error in place of scores.

    Raises DataError if no split has scores.
    """
    encoded = {split: entry.rows(split) for split in entry.open_test_splits()}
    _tuned_thresholds(entry, trial)  # They may be lost, which must be noticed before training.
    model = trained_model(entry, trial)
    splits: dict[str, SplitRecord] = {}
    for split, rows in encoded.items():
        predicted = predict_with_thresholds(entry, trial, model, rows)
        splits[split] = {**_scores_or_error(entry, rows, predicted), "predictions": pack(predicted)}
    errors = [record["error"] for record in splits.values() if "error" in record]
    if len(errors) == len(splits):
        raise DataError("; ".join(dict.fromkeys(errors)))
    return {"splits": splits}


def _scores_or_error(entry: ModelOnTask, rows: Encoded, predicted: list[np.ndarray]) -> SplitRecord:
    try:
        return {"scores": entry.scores(rows.gold, predicted)}
    except DataError as error:
        return {"error": str(error)}


def trained_model(entry: ModelOnTask, trial: Trial) -> nn.Module:
    """Return the fine-tuned model of a trial, from its saved weights or trained again if any process lacks them."""
    prepared = entry.prepared
    model = load_classifier(entry.location, prepared.task.kind, prepared.labels, prepared.settings.pooling)
    model = model.to(finetuning.device()).eval()
    loaded = ranks.gather(load_weights(model, entry.weights_path(trial)))
    return model if all(loaded) else _fine_tune(entry, trial)


def predict_with_thresholds(entry: ModelOnTask, trial: Trial, model: nn.Module, rows: Encoded) -> list[np.ndarray]:
    """Return the predictions of a trial's model on test rows, as its record stores them."""
    return _apply_thresholds(_predict(entry, model, rows), _tuned_thresholds(entry, trial))


def _tuned_thresholds(entry: ModelOnTask, trial: Trial) -> dict[str, Any]:
    """Return the thresholds in the development record; empty for tasks that tune none."""
    if entry.prepared.settings.threshold == "fixed" and not entry.is_screening:
        return {}
    record = entry.read_record(Trial(trial.candidate, trial.seed))
    if record is None:
        raise DataError("the development record with the thresholds is missing; run the evaluation again")
    return {name: record[name] for name in ("thresholds", "screening") if name in record}


# ----------------------------------------------------------------------------------------------------------- zero-shot


def _run_zero_shot(entry: ModelOnTask, trial: Trial) -> dict[str, Any]:
    gold, _ = zero_shot_gold(entry, trial.seed)
    kind = entry.prepared.task.kind
    model = _load_head_model(entry.location, kind)
    if model is None:
        return {"not_applicable": f"the checkpoint has no {kind.upper()} head"}
    predicted = _predict_zero_shot(entry, model, trial.seed)
    return {"scores": entry.scores(gold, predicted), "predictions": pack(predicted)}


@functools.lru_cache(maxsize=1)
def _load_head_model(location: str, kind: Kind) -> PreTrainedModel | None:
    """Load a model once for all seeds."""
    model = load_head_model(location, kind)
    return None if model is None else model.to(finetuning.device())


def zero_shot_gold(entry: ModelOnTask, seed: int) -> tuple[list[np.ndarray], tuple[Example, ...]]:
    """Return (gold, example) of every item; masked words and translations have no gold but the text."""
    examples = entry.prepared.zero_shot_rows
    if entry.prepared.task.kind in ("mlm", "retrieval"):
        return [np.empty(0)] * len(examples), examples
    _, is_next = zero_shot.sentence_pairs(examples, seed)
    return list(is_next[:, None]), tuple(example for example in examples for _ in range(2))


def _predict_zero_shot(entry: ModelOnTask, model: PreTrainedModel, seed: int) -> list[np.ndarray]:
    examples = entry.prepared.zero_shot_rows
    if entry.prepared.task.kind == "mlm":
        return zero_shot.masked_lm_sums(model, entry.tokenizer, examples, seed, entry.max_tokens)
    if entry.prepared.task.kind == "retrieval":
        return zero_shot.translation_ranks(model, entry.tokenizer, examples, entry.max_tokens)
    sentence_pairs, _ = zero_shot.sentence_pairs(examples, seed)
    return list(zero_shot.next_probabilities(model, entry.tokenizer, sentence_pairs, entry.max_tokens)[:, None])
