"""The result of one model on one task, collected from the records of its trials."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Literal

import numpy as np

from bimed_dist.errors import DataError, one_line
from bimed_dist.evaluation.grid.choice import was_chosen_after_a_test
from bimed_dist.evaluation.grid.model_on_task import Candidate, ModelOnTask, Trial
from bimed_dist.evaluation.grid.records import TrialRecord, unpack
from bimed_dist.evaluation.grid.running import TRIAL_ERRORS, zero_shot_gold
from bimed_dist.evaluation.metrics.definitions import MLM_SUMS
from bimed_dist.evaluation.models import zero_shot
from bimed_dist.evaluation.models.encoding import Encoded
from bimed_dist.evaluation.results_format import Failure
from bimed_dist.evaluation.task import Example

Records = Mapping[Trial, TrialRecord]
Slice = Literal["language", "source"]


@dataclass(frozen=True)
class Coverage:
    """How much of the texts of a split a model could read."""

    items: int = 0
    cut: int = 0
    windowed: int = 0
    """Items that were split into several rows."""
    tokens: int = 0
    unknown: float = 0.0
    """Tokens that are [UNK]."""

    def __add__(self, other: "Coverage") -> "Coverage":
        return Coverage(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass
class SplitResult:
    gold: dict[int, list[np.ndarray]] = field(default_factory=dict)
    """Seed -> one array per item; so are predictions."""
    predicted: dict[int, list[np.ndarray]] = field(default_factory=dict)
    scores: dict[int, dict[str, float]] = field(default_factory=dict)
    """Seed -> metric -> score."""
    examples: tuple[Example, ...] = ()
    """The example of each item."""
    coverage: Coverage = field(default_factory=Coverage)
    """Fine-tuned tasks only."""
    slice_by: Slice | None = None
    """Set if the split is one language or one source of the test split."""


@dataclass
class TaskResult:
    """The scores, failures and notes of one model on one task."""

    chosen: Candidate | None = None
    splits: dict[str, SplitResult] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    not_applicable: str | None = None
    """Why the model can't have a score."""
    notes: list[str] = field(default_factory=list)

    def add_failure(self, entry: ModelOnTask, trial: str, error: str, split: str | None = None) -> None:
        """Add a failed trial, or the only split on which it failed."""
        trial = f"{entry.prepared.fold}/{trial}" if entry.prepared.fold else trial
        self.failures.append(
            {"task": entry.prepared.name, "model": entry.label, "trial": trial, "error": error, "split": split}
        )


def collect_result(entry: ModelOnTask, records: Records, chosen: Candidate | None) -> TaskResult:
    """Return scores, predictions and failures of an entry whose trials have all been run."""
    result = TaskResult(chosen=chosen)
    for trial in entry.first_trials():
        if records[trial]["status"] == "failed":
            result.add_failure(entry, entry.record_path(trial).stem, records[trial]["error"])
    if not entry.candidates:
        _collect_zero_shot(entry, records, result)
    elif chosen is not None:
        result.notes += _choice_notes(entry)
        _collect_test(entry, records, chosen, result)
    return result


# ----------------------------------------------------------------------------------------------------- fine-tuned tasks


def _choice_notes(entry: ModelOnTask) -> list[str]:
    if not was_chosen_after_a_test(entry):
        return []
    return [f"{entry.label}: chosen again, among other candidates or seeds, after a test score had been computed"]


def _collect_test(entry: ModelOnTask, records: Records, chosen: Candidate, result: TaskResult) -> None:
    examples = entry.open_test_splits()
    try:
        encoded = {split: entry.rows(split) for split in examples}
    except TRIAL_ERRORS as error:
        return result.add_failure(entry, "test", one_line(error))
    for split, rows in encoded.items():
        result.splits[split] = SplitResult(examples=examples[split], coverage=_coverage(rows))
        result.notes += _coverage_notes(entry, split, result.splits[split].coverage)
    dtype = np.int64 if entry.prepared.task.kind == "ner" else np.float32
    for trial in entry.test_trials(chosen):
        record, name = records[trial], entry.record_path(trial).stem
        if record["status"] == "failed":
            result.add_failure(entry, name, record["error"])
            continue
        for split, split_result in result.splits.items():
            split_record = record["splits"][split]
            if "error" in split_record:
                result.add_failure(entry, f"{name}, {split}", split_record["error"], split)
                continue
            split_result.gold[trial.seed] = encoded[split].gold
            split_result.predicted[trial.seed] = unpack(split_record["predictions"], dtype)
            split_result.scores[trial.seed] = split_record["scores"]


def _coverage(encoded: Encoded) -> Coverage:
    tokens = sum(len(row.ids) for row in encoded.rows)
    windowed = int((np.bincount(encoded.item_of_row) > 1).sum())
    return Coverage(len(encoded.gold), encoded.truncated, windowed, tokens, encoded.unknown_share * tokens)


def _coverage_notes(entry: ModelOnTask, split: str, coverage: Coverage) -> list[str]:
    notes = []
    rows = f"{coverage.items} {split} rows"
    if coverage.cut:
        how = "to head and tail, " if entry.prepared.settings.long_texts == "head_tail" else ""
        notes.append(f"{entry.label}: {coverage.cut} of {rows} cut to {how}{entry.max_tokens} tokens")
    if coverage.windowed:
        notes.append(f"{entry.label}: {coverage.windowed} of {rows} read in windows of {entry.max_tokens} tokens")
    if coverage.unknown >= 0.001 * coverage.tokens > 0:
        notes.append(f"{entry.label}: {coverage.unknown / coverage.tokens:.1%} of the {split} tokens are [UNK]")
    return notes


def pool_folds(folds: Sequence[tuple[ModelOnTask, TaskResult]]) -> TaskResult:
    """Return the folds of a cross-validation as one test split: each row is predicted by the model that did not see it.

    A seed that failed in any fold has no score.
    """
    first, label = folds[0][0], folds[0][0].label
    pooled = TaskResult(failures=[failure for _, result in folds for failure in result.failures])
    chosen = [result.chosen for _, result in folds]
    if len(set(chosen)) == 1:
        pooled.chosen = chosen[0]
    else:
        by_fold = (f"{c.learning_rate:g} x {c.epochs}" if c else "none" for c in chosen)
        pooled.notes.append(f"{label}: learning rate x epochs chosen per fold: {', '.join(by_fold)}")
    pooled.notes += dict.fromkeys(note for entry, result in folds if result.chosen for note in _choice_notes(entry))
    parts = [result.splits.get("test", SplitResult()) for _, result in folds]
    pooled.notes += _coverage_notes(first, "test", sum((part.coverage for part in parts), Coverage()))
    test = SplitResult()
    for seed in (seed for seed in first.seeds if all(seed in part.scores for part in parts)):
        test.gold[seed] = [item for part in parts for item in part.gold[seed]]
        test.predicted[seed] = [item for part in parts for item in part.predicted[seed]]
        test.scores[seed] = first.scores(test.gold[seed], test.predicted[seed])
    if test.scores:
        test.examples = tuple(example for part in parts for example in part.examples)
        pooled.splits = {"test": test}
    return pooled


# ------------------------------------------------------------------------------------------------------ zero-shot tasks


def _collect_zero_shot(entry: ModelOnTask, records: Records, result: TaskResult) -> None:
    reasons = [record["not_applicable"] for record in records.values() if record["status"] == "not_applicable"]
    if reasons:
        result.not_applicable = reasons[0]
        return
    test = SplitResult()
    for trial in entry.first_trials():
        record = records[trial]
        if record["status"] == "done":
            test.gold[trial.seed], test.examples = zero_shot_gold(entry, trial.seed)
            test.predicted[trial.seed] = unpack(record["predictions"], np.float64)
            test.scores[trial.seed] = record["scores"]
    if test.scores:
        result.splits = {"test": test, **_slices(entry, test)}
        result.notes += _lost_word_notes(entry, test)


def _slices(entry: ModelOnTask, test: SplitResult) -> dict[str, SplitResult]:
    """Return the test split by language (`ko`) and by source (`source NAME`), if there are several.

    Forgetting shows in the foundation's language. A slice without a defined score is left out.
    """
    languages = sorted({example.language for example in test.examples})
    sources = sorted({example.source for example in test.examples})
    slices: dict[str, tuple[Slice, list[bool]]] = {}
    if len(languages) > 1:
        slices |= {name: ("language", [e.language == name for e in test.examples]) for name in languages}
    if len(sources) > 1:
        slices |= {f"source {name}": ("source", [e.source == name for e in test.examples]) for name in sources}
    results = {}
    for name, (slice_by, is_member) in slices.items():
        members = np.flatnonzero(is_member)
        part = SplitResult(examples=tuple(test.examples[i] for i in members), slice_by=slice_by)
        try:
            for seed in test.scores:
                part.gold[seed] = [test.gold[seed][i] for i in members]
                part.predicted[seed] = [test.predicted[seed][i] for i in members]
                part.scores[seed] = entry.scores(part.gold[seed], part.predicted[seed])
        except DataError:
            continue
        results[name] = part
    return results


def _lost_word_notes(entry: ModelOnTask, test: SplitResult) -> list[str]:
    if entry.prepared.task.kind != "mlm":
        return []
    words = MLM_SUMS.index("words")
    seed, sums = next(iter(test.predicted.items()))
    scored = int(sum(item[words] for item in sums))
    masked = sum(int(zero_shot.words_to_mask(example, seed).sum()) for example in entry.prepared.zero_shot_rows)
    if scored == masked:
        return []
    lost = f"{masked - scored} of {masked} masked words were not scored"
    return [f"{entry.label}: {lost}, because they lie beyond {entry.max_tokens} tokens"]
