"""What one model did on one task, from the records of its cells."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

import numpy as np

from bimed_dist.errors import DataError, one_line
from bimed_dist.evaluation.grid import records as storage
from bimed_dist.evaluation.grid.choice import was_chosen_after_a_test
from bimed_dist.evaluation.grid.model_on_task import CELL_ERRORS, Candidate, ModelOnTask, Trial, intrinsic_gold
from bimed_dist.evaluation.metrics.definitions import MLM_SUMS
from bimed_dist.evaluation.models import intrinsic
from bimed_dist.evaluation.models.encoding import Encoded
from bimed_dist.evaluation.task import SOURCE, Example

Records = Mapping[Trial, Mapping[str, Any]]


@dataclass(frozen=True)
class Fit:
    """How much of a split's texts a model could read."""

    items: int = 0
    cut: int = 0
    windowed: int = 0
    """Items read in more than one row."""
    pieces: int = 0
    unknown: float = 0.0
    """Pieces that are [UNK]."""

    def __add__(self, other: "Fit") -> "Fit":
        return Fit(*(one + more for one, more in zip(astuple(self), astuple(other), strict=True)))


@dataclass
class SplitResult:
    gold: dict[int, list[np.ndarray]] = field(default_factory=dict)
    predicted: dict[int, list[np.ndarray]] = field(default_factory=dict)
    scores: dict[int, dict[str, float]] = field(default_factory=dict)
    """All three by seed."""
    examples: tuple[Example, ...] = ()
    """What each item was made of."""
    fit: Fit = field(default_factory=Fit)
    """Of trained tasks."""


@dataclass
class TaskResult:
    """What one model did on one task."""

    chosen: Candidate | None = None
    splits: dict[str, SplitResult] = field(default_factory=dict)
    failures: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fail(self, pair: ModelOnTask, cell: str, error: str, **split: str) -> None:
        """With `split` where the cell failed on that one alone."""
        cell = f"{pair.prepared.fold}/{cell}" if pair.prepared.fold else cell
        self.failures.append({"task": pair.prepared.name, "model": pair.label, "cell": cell, "error": error, **split})


def collected(pair: ModelOnTask, records: Records, chosen: Candidate | None) -> TaskResult:
    """Scores, predictions and failures of a pair whose cells are all computed."""
    measured = TaskResult(chosen=chosen)
    for cell in pair.first_cells():
        if records[cell]["status"] == "failed":
            measured.fail(pair, pair.path(cell).stem, records[cell]["error"])
    if not pair.candidates:
        _collect_intrinsic(pair, records, measured)
    elif chosen is not None:
        measured.notes += _choice_notes(pair)
        _collect_test(pair, records, chosen, measured)
    return measured


def pooled(parts: Sequence[tuple[ModelOnTask, TaskResult]]) -> TaskResult:
    """The turns of a cross-validation as one: every row's prediction is that of the model which did not see it.

    A seed that failed in a fold has no score.
    """
    whole = TaskResult(failures=[f for _, one in parts for f in one.failures])
    chosen = [one.chosen for _, one in parts]
    first, label = parts[0][0], parts[0][0].label
    if len(set(chosen)) == 1:
        whole.chosen = chosen[0]
    else:
        told = (f"{c.learning_rate:g} x {c.epochs}" if c else "none" for c in chosen)
        whole.notes.append(f"{label}: learning rate x epochs chosen per fold: {', '.join(told)}")
    whole.notes += dict.fromkeys(note for pair, one in parts if one.chosen for note in _choice_notes(pair))
    results = [one.splits.get("test", SplitResult()) for _, one in parts]
    whole.notes += _row_notes(first, "test", sum((result.fit for result in results), Fit()))
    pool = SplitResult()
    for seed in (seed for seed in first.seeds if all(seed in result.scores for result in results)):
        pool.gold[seed] = [item for result in results for item in result.gold[seed]]
        pool.predicted[seed] = [item for result in results for item in result.predicted[seed]]
        pool.scores[seed] = first.scores(pool.gold[seed], pool.predicted[seed])
    if pool.scores:
        pool.examples = tuple(example for result in results for example in result.examples)
        whole.splits = {"test": pool}
    return whole


def _choice_notes(pair: ModelOnTask) -> list[str]:
    if not was_chosen_after_a_test(pair):
        return []
    return [f"{pair.label}: chosen anew, among other candidates or seeds, after a test score had been computed"]


def _collect_test(pair: ModelOnTask, records: Records, chosen: Candidate, measured: TaskResult) -> None:
    opened = pair.opened()
    try:
        encoded = {split: pair.rows(split) for split in opened}
    except CELL_ERRORS as error:
        return measured.fail(pair, "test", one_line(error))
    for split, rows in encoded.items():
        measured.splits[split] = SplitResult(examples=opened[split], fit=_fit(rows))
        measured.notes += _row_notes(pair, split, measured.splits[split].fit)
    dtype = np.int64 if pair.prepared.task.kind == "ner" else np.float32
    for cell in pair.test_cells(chosen):
        record = records[cell]
        if record["status"] == "failed":
            measured.fail(pair, pair.path(cell).stem, record["error"])
            continue
        for split, result in measured.splits.items():
            of_split = record["splits"][split]
            if "error" in of_split:
                measured.fail(pair, f"{pair.path(cell).stem}, {split}", of_split["error"], split=split)
                continue
            result.gold[cell.seed] = encoded[split].gold
            result.predicted[cell.seed] = storage.unpacked(of_split["predictions"], dtype)
            result.scores[cell.seed] = of_split["scores"]


def _fit(encoded: Encoded) -> Fit:
    pieces = sum(len(row.ids) for row in encoded.rows)
    windowed = int((np.bincount(encoded.item_of_row) > 1).sum())
    return Fit(len(encoded.gold), encoded.truncated, windowed, pieces, encoded.unknown_share * pieces)


def _row_notes(pair: ModelOnTask, split: str, fit: Fit) -> list[str]:
    notes = []
    of_rows = f"{fit.items} {split} rows"
    if fit.cut:
        kept = "to head and tail " if pair.prepared.settings.long_texts == "head_tail" else ""
        notes.append(f"{pair.label}: {fit.cut} of {of_rows} cut {kept}at {pair.limit} pieces")
    if fit.windowed:
        notes.append(f"{pair.label}: {fit.windowed} of {of_rows} read in windows of {pair.limit} pieces")
    if fit.unknown >= 0.001 * fit.pieces > 0:
        notes.append(f"{pair.label}: {fit.unknown / fit.pieces:.1%} of the pieces of {split} are [UNK]")
    return notes


def _collect_intrinsic(pair: ModelOnTask, records: Records, measured: TaskResult) -> None:
    if any(record["status"] == storage.NOT_APPLICABLE for record in records.values()):
        head = pair.prepared.task.kind.upper()
        measured.notes.append(f"{pair.label}: not applicable, the checkpoint has no {head} head")
        return
    result = SplitResult()
    for cell in pair.first_cells():
        record = records[cell]
        if record["status"] == "done":
            result.gold[cell.seed], result.examples = intrinsic_gold(pair, cell.seed)
            result.predicted[cell.seed] = storage.unpacked(record["predictions"], np.float64)
            result.scores[cell.seed] = record["scores"]
    if result.scores:
        measured.splits = {"test": result, **slices(pair, result)}
        measured.notes += _lost_word_notes(pair, result)


def slices(pair: ModelOnTask, whole: SplitResult) -> dict[str, SplitResult]:
    """The same items for each language and each source, where there is more than one.

    Forgetting shows in the foundation's language. A part in which nothing could be asked has no score.
    """
    found: dict[str, SplitResult] = {}
    languages = sorted({example.language for example in whole.examples})
    sources = sorted({example.source for example in whole.examples})
    members = {name: [e.language == name for e in whole.examples] for name in languages if len(languages) > 1}
    members |= {SOURCE + name: [e.source == name for e in whole.examples] for name in sources if len(sources) > 1}
    for name, inside in members.items():
        at = [i for i, is_member in enumerate(inside) if is_member]
        part = SplitResult(examples=tuple(whole.examples[i] for i in at))
        try:
            for seed in whole.scores:
                part.gold[seed] = [whole.gold[seed][i] for i in at]
                part.predicted[seed] = [whole.predicted[seed][i] for i in at]
                part.scores[seed] = pair.scores(part.gold[seed], part.predicted[seed])
        except DataError:
            continue
        found[name] = part
    return found


def _lost_word_notes(pair: ModelOnTask, result: SplitResult) -> list[str]:
    if pair.prepared.task.kind != "mlm":
        return []
    at = MLM_SUMS.index("words")
    seed, sums = next(iter(result.predicted.items()))
    answered = int(sum(item[at] for item in sums))
    asked = sum(int(intrinsic.words_to_mask(example, seed).sum()) for example in pair.prepared.intrinsic)
    if answered == asked:
        return []
    return [f"{pair.label}: {asked - answered} of {asked} masked words could not be asked (beyond {pair.limit} pieces)"]
