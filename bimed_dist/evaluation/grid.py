"""One model on one task: every cell of the grid on the development split, the choice, then the test splits.

Files of `cells/TASK/MODEL/`: `lr=..,epochs=..,seed=...json` (development scores of a cell), `choice.json` (written
when all cells are done), `test,seed=...json` (test and external scores and predictions of the chosen cells),
`seed=...json` (intrinsic tasks). The weights of cells that can still be chosen wait in `weights.partial/`; a cell
whose weights were lost is trained again, to the same weights.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import nn
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from bimed_dist.errors import BimedError, DataError
from bimed_dist.evaluation import cells, finetuning, intrinsic, metrics, retrieval
from bimed_dist.evaluation.encoding import Encoded, encode, of_items, tokenizer_key
from bimed_dist.evaluation.models import load_classifier, load_head_model, one_line
from bimed_dist.evaluation.preparation import Prepared
from bimed_dist.evaluation.task import SOURCE, Example
from bimed_dist.manifest import write_json

logger = logging.getLogger(__name__)
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
class Pair:
    """A task and a model, with all that decides their scores."""

    prepared: Prepared
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
    encoded: dict[tuple[str, str], Encoded]
    """Train and dev rows of this task by (tokenizer, split), shared by the models of the task."""

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
        if self.candidates:
            base |= {"batch": self.batch, "protocol": finetuning.PROTOCOL}
        return base | self.prepared.variant() | more

    def cell_key(self, candidate: Candidate, seed: int) -> dict[str, Any]:
        return self.key(learning_rate=candidate.learning_rate, epochs=candidate.epochs, seed=seed)

    def choice_key(self) -> dict[str, Any]:
        grid = [[candidate.learning_rate, candidate.epochs] for candidate in self.candidates]
        return self.key(grid=grid, seeds=list(self.seeds))

    def rows(self, split: Literal["train", "dev"]) -> Encoded:
        """Train or dev rows, tokenised once for all models with the same tokenizer."""
        at = (tokenizer_key(self.tokenizer, self.limit), split)
        if at not in self.encoded:
            self.encoded[at] = self.encode(self.prepared.train if split == "train" else self.prepared.dev)
        return self.encoded[at]

    def encode(self, examples: tuple[Example, ...]) -> Encoded:
        task = self.prepared.task
        try:
            long_texts = self.prepared.settings.long_texts
            return encode(self.tokenizer, task.kind, task.unit, self.prepared.labels, examples, self.limit, long_texts)
        except (TypeError, ValueError, LookupError) as error:
            # Its message may quote the text.
            raise DataError(f"{len(examples)} rows can't be encoded ({type(error).__name__})") from error


@dataclass
class SplitResult:
    gold: dict[int, list[np.ndarray]] = field(default_factory=dict)
    predicted: dict[int, list[np.ndarray]] = field(default_factory=dict)
    scores: dict[int, dict[str, float]] = field(default_factory=dict)
    """All three by seed."""
    examples: tuple[Example, ...] = ()
    """What each item was made of, where some items are dependent."""


@dataclass
class Measured:
    """What one model did on one task."""

    chosen: Candidate | None = None
    splits: dict[str, SplitResult] = field(default_factory=dict)
    failures: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    best_dev: float | None = None
    """Mean over seeds of the chosen candidate."""
    done: int = 0
    """Cells with scores, those of earlier runs too."""
    made: int = 0
    """Cells that this run computed, failed ones too."""

    def fail(self, pair: Pair, cell: str, error: str) -> None:
        logger.warning("%s, %s, %s failed: %s", pair.prepared.name, pair.label, cell, error)
        self.failures.append({"task": pair.prepared.name, "model": pair.label, "cell": cell, "error": error})


def fine_tuned(pair: Pair, progress: tqdm) -> Measured:
    """Grid on dev, choice, test."""
    measured = Measured()
    means: dict[Candidate, list[float]] = {}
    for candidate in pair.candidates:
        records = [_dev_cell(pair, candidate, seed, measured, progress) for seed in pair.seeds]
        for seed, record in zip(pair.seeds, records, strict=True):
            if record["status"] == "failed":
                name = cells.cell_name(candidate.learning_rate, candidate.epochs, seed)
                measured.fail(pair, name, record["error"])
        if all(record["status"] == "done" for record in records):
            means[candidate] = [record["dev"][pair.prepared.task.metric] for record in records]
        _drop_weights(pair, keep=best(means))
    chosen = best(means)
    if chosen is None:
        progress.update(len(pair.seeds))
        return measured
    write_choice(pair, means, chosen)
    measured.chosen, measured.best_dev = chosen, float(np.mean(means[chosen]))
    opened = pair.prepared.sealed.open(pair.folder / "choice.json", pair.choice_key())
    try:
        encoded = {split: pair.encode(examples) for split, examples in opened.items()}
    except CELL_ERRORS as error:
        measured.fail(pair, "test", one_line(error))
        progress.update(len(pair.seeds))
        return measured
    for split, rows in encoded.items():
        grouped = any(example.document for example in opened[split])
        measured.splits[split] = SplitResult(examples=opened[split] if grouped else ())
        measured.notes += _row_notes(pair, split, rows)
    for seed in pair.seeds:
        _test_cell(pair, chosen, seed, encoded, measured)
        progress.update()
    _drop_weights(pair, keep=None)
    return measured


def best(dev_scores: Mapping[Candidate, list[float]]) -> Candidate | None:
    """Highest mean over seeds; the first of the grid where two are equal."""
    return max(dev_scores, key=lambda candidate: float(np.mean(dev_scores[candidate])), default=None)


def write_choice(pair: Pair, dev_scores: Mapping[Candidate, list[float]], chosen: Candidate) -> None:
    """`choice.json`, which opens the test splits."""
    tried = [
        {"learning_rate": c.learning_rate, "epochs": c.epochs, "dev": values, "mean": float(np.mean(values))}
        for c, values in dev_scores.items()
    ]
    write_json(
        pair.folder / "choice.json",
        {
            "schema": cells.SCHEMA,
            "key": pair.choice_key(),
            "metric": pair.prepared.task.metric,
            "candidates": tried,
            "chosen": {"learning_rate": chosen.learning_rate, "epochs": chosen.epochs},
        },
    )


def _dev_cell(pair: Pair, candidate: Candidate, seed: int, measured: Measured, progress: tqdm) -> dict[str, Any]:
    """The record of a cell, which is trained unless it was before."""
    key = pair.cell_key(candidate, seed)
    path = pair.folder / f"{cells.cell_name(candidate.learning_rate, candidate.epochs, seed)}.json"
    record = cells.read_record(path, key)
    if record is None:
        measured.made += 1
        start = time.monotonic()
        try:
            model = _trained(pair, candidate, seed)
            dev = pair.rows("dev")
            predicted = _predicted(pair, model, dev)
            tuned = _tuned(pair, dev, predicted)
            scores = _scores(pair, dev.gold, _decided(predicted, tuned.get("thresholds")))
            cells.save_weights(model, cells.weights_path(pair.weights, key))
        except CELL_ERRORS as error:
            record = cells.write_record(path, key, "failed", error=one_line(error))
        else:
            seconds = round(time.monotonic() - start, 2)
            record = cells.write_record(path, key, "done", dev=scores, seconds=seconds, **tuned)
    measured.done += record["status"] == "done"
    progress.update()
    return record


def _trained(pair: Pair, candidate: Candidate, seed: int) -> nn.Module:
    return finetuning.fine_tune(
        pair.location,
        pair.prepared.task.kind,
        pair.prepared.labels,
        pair.rows("train").rows,
        pad_id=pair.tokenizer.pad_token_id,
        peak=candidate.learning_rate,
        epochs=candidate.epochs,
        seed=seed,
        batch=pair.batch,
        pooling=pair.prepared.settings.pooling,
    )


def _predicted(pair: Pair, model: nn.Module, encoded: Encoded) -> list[np.ndarray]:
    units = [len(encoded.gold[i]) for i in encoded.item]
    kind = pair.prepared.task.kind
    return of_items(
        kind, finetuning.predict(model, kind, encoded.rows, units, pair.tokenizer.pad_token_id), encoded.item
    )


def _tuned(pair: Pair, dev: Encoded, predicted: list[np.ndarray]) -> dict[str, list[float]]:
    """`thresholds` by label where the task tunes them; otherwise nothing."""
    if pair.prepared.settings.threshold == "fixed":
        return {}
    return {"thresholds": metrics.best_thresholds(np.stack(dev.gold), np.stack(predicted))}


def _decided(predicted: list[np.ndarray], thresholds: list[float] | None) -> list[np.ndarray]:
    """The same predictions, on a scale where 0.5 decides."""
    if thresholds is None:
        return predicted
    return [metrics.moved_to_half(item, thresholds).astype(np.float32) for item in predicted]


def _scores(pair: Pair, gold: list[np.ndarray], predicted: list[np.ndarray]) -> dict[str, float]:
    return metrics.scores(pair.prepared.task.kind, gold, predicted, pair.prepared.labels)


def _test_cell(pair: Pair, chosen: Candidate, seed: int, encoded: Mapping[str, Encoded], measured: Measured) -> None:
    """Scores of the chosen cell on every test split, into `measured`."""
    key = {**pair.choice_key(), "chosen": [chosen.learning_rate, chosen.epochs], "seed": seed}
    path = pair.folder / f"test,seed={seed}.json"
    record = cells.read_record(path, key)
    if record is None:
        measured.made += 1
        try:
            splits = _scored_splits(pair, chosen, seed, encoded)
        except CELL_ERRORS as error:
            record = cells.write_record(path, key, "failed", error=one_line(error))
        else:
            record = cells.write_record(path, key, "done", splits=splits)
    if record["status"] == "failed":
        return measured.fail(pair, path.stem, record["error"])
    measured.done += 1
    dtype = np.int64 if pair.prepared.task.kind == "ner" else np.float32
    for split, result in measured.splits.items():
        result.gold[seed] = encoded[split].gold
        result.predicted[seed] = cells.unpacked(record["splits"][split]["predictions"], dtype)
        result.scores[seed] = record["splits"][split]["scores"]


def _scored_splits(pair: Pair, chosen: Candidate, seed: int, encoded: Mapping[str, Encoded]) -> dict[str, Any]:
    prepared = pair.prepared
    model = load_classifier(pair.location, prepared.task.kind, prepared.labels, prepared.settings.pooling)
    model = model.to(finetuning.device()).eval()
    cell = pair.cell_key(chosen, seed)
    name = cells.cell_name(chosen.learning_rate, chosen.epochs, seed)
    thresholds = (cells.read_record(pair.folder / f"{name}.json", cell) or {}).get("thresholds")
    if not cells.load_weights(model, cells.weights_path(pair.weights, cell)):
        model = _trained(pair, chosen, seed)
    scored = {}
    for split, rows in encoded.items():
        predicted = _decided(_predicted(pair, model, rows), thresholds)
        scored[split] = {"scores": _scores(pair, rows.gold, predicted), "predictions": cells.packed(predicted)}
    return scored


def _drop_weights(pair: Pair, keep: Candidate | None) -> None:
    """Remove the weights of cells that can't be chosen any more."""
    for candidate in pair.candidates:
        if candidate != keep:
            for seed in pair.seeds:
                cells.weights_path(pair.weights, pair.cell_key(candidate, seed)).unlink(missing_ok=True)


def _row_notes(pair: Pair, split: str, encoded: Encoded) -> list[str]:
    notes = []
    of_rows = f"{len(encoded.gold)} {split} rows"
    if encoded.cut:
        kept = "to head and tail " if pair.prepared.settings.long_texts == "head_tail" else ""
        notes.append(f"{pair.label}: {encoded.cut} of {of_rows} cut {kept}at {pair.limit} pieces")
    windowed = int((np.bincount(encoded.item) > 1).sum())
    if windowed:
        notes.append(f"{pair.label}: {windowed} of {of_rows} read in windows of {pair.limit} pieces")
    if encoded.unknown >= 0.001:
        notes.append(f"{pair.label}: {encoded.unknown:.1%} of the pieces of {split} are [UNK]")
    return notes


def untrained(pair: Pair, progress: tqdm) -> Measured:
    """Masked words or next sentences with the checkpoint's own head, once per seed."""
    measured = Measured()
    result = SplitResult()
    model: PreTrainedModel | None = None
    for seed in pair.seeds:
        path, key = pair.folder / f"seed={seed}.json", pair.key(seed=seed)
        record = cells.read_record(path, key)
        try:
            gold, result.examples = _intrinsic_gold(pair, seed)
            if record is None:
                model = model or load_head_model(pair.location, pair.prepared.task.kind)
                if model is None:
                    head = pair.prepared.task.kind.upper()
                    measured.notes.append(f"{pair.label}: not applicable, the checkpoint has no {head} head")
                    progress.update(len(pair.seeds))
                    return measured
                measured.made += 1
                predicted = _intrinsic_prediction(pair, model.to(finetuning.device()), seed)
                scores = _scores(pair, gold, predicted)
                packed = cells.packed(predicted)
                record = cells.write_record(path, key, "done", scores=scores, predictions=packed)
        except CELL_ERRORS as error:
            cells.write_record(path, key, "failed", error=one_line(error))
            measured.fail(pair, path.stem, one_line(error))
        else:
            measured.done += 1
            result.gold[seed] = gold
            result.predicted[seed] = cells.unpacked(record["predictions"], np.float64)
            result.scores[seed] = record["scores"]
        progress.update()
    if result.scores:
        measured.splits = {"test": result, **slices(pair, result)}
        measured.notes += _lost_word_notes(pair, result)
    return measured


def _intrinsic_gold(pair: Pair, seed: int) -> tuple[list[np.ndarray], tuple[Example, ...]]:
    """(gold, example) of every item; masked words have no gold but the text."""
    examples = pair.prepared.intrinsic
    if pair.prepared.task.kind == "mlm":
        return [np.empty(0)] * len(examples), examples
    if pair.prepared.task.kind == "retrieval":
        return [np.empty(0)] * len(examples), examples
    _, is_next = intrinsic.sentence_pairs(examples, seed)
    return list(is_next[:, None]), tuple(example for example in examples for _ in range(2))


def _intrinsic_prediction(pair: Pair, model: PreTrainedModel, seed: int) -> list[np.ndarray]:
    examples = pair.prepared.intrinsic
    if pair.prepared.task.kind == "mlm":
        return intrinsic.masked_word_sums(model, pair.tokenizer, examples, seed, pair.limit)
    if pair.prepared.task.kind == "retrieval":
        return retrieval.partner_ranks(model, pair.tokenizer, examples, pair.limit)
    pairs, _ = intrinsic.sentence_pairs(examples, seed)
    return list(intrinsic.next_probabilities(model, pair.tokenizer, pairs, pair.limit)[:, None])


def slices(pair: Pair, whole: SplitResult) -> dict[str, SplitResult]:
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
                part.scores[seed] = _scores(pair, part.gold[seed], part.predicted[seed])
        except DataError:
            continue
        found[name] = part
    return found


def _lost_word_notes(pair: Pair, result: SplitResult) -> list[str]:
    if pair.prepared.task.kind != "mlm":
        return []
    at = metrics.MLM_SUMS.index("words")
    seed, sums = next(iter(result.predicted.items()))
    answered = int(sum(item[at] for item in sums))
    asked = sum(int(intrinsic.chosen_words(example, seed).sum()) for example in pair.prepared.intrinsic)
    if answered == asked:
        return []
    return [f"{pair.label}: {asked - answered} of {asked} masked words could not be asked (beyond {pair.limit} pieces)"]
