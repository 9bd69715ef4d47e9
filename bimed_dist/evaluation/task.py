"""What a benchmark is: kind + data + splits + main metric + where it comes from.

A file of `tasks/` makes one `Task`. Its `load` only reads; dropping leaks, limiting rows and checking are done for
all tasks in one place (`preparation`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bimed_dist.files.lines import Problems
from bimed_dist.recipe.evaluation import EntitySettings, LabelsBy, TableSettings

Kind = Literal["sts", "sts_classes", "multilabel", "classification", "ner", "mlm", "nsp", "retrieval"]
FINE_TUNED_KINDS: tuple[Kind, ...] = ("sts", "sts_classes", "multilabel", "classification", "ner")
SIMILARITY_KINDS: tuple[Kind, ...] = ("sts", "sts_classes")
"""Two sentences and a score from 0 to 5: learned as a number, or as one of six classes (Kim et al. 2022, KM-BERT)."""
SOURCE = "source "
"""How the name of a split begins that is one source of a held-out corpus."""
MAIN_METRIC: dict[Kind, str] = {
    "sts": "pearson",
    "sts_classes": "pearson",
    "multilabel": "macro_f1",
    "classification": "macro_f1",
    "ner": "f1",
    "mlm": "bits_per_character",
    "nsp": "accuracy",
    "retrieval": "accuracy",
}


@dataclass(frozen=True)
class Example:
    id: str
    """File and line, for messages; never text."""
    texts: tuple[str, ...]
    """sts: two texts; multilabel and classification: one; ner: the words; mlm: the words of a window; nsp: a text and
    its successor.
    """
    target: float | tuple[int, ...] | tuple[str, ...] | str | None
    """sts: 0-5; multilabel: 0/1 per label; classification: the class; ner: BIO tag per unit; intrinsic kinds: none, but
    for masked terms 1 for each word to mask.
    """
    language: str = ""
    """Intrinsic kinds: language of the document, which the score is also given for."""
    document: str = ""
    """Place of the document, or patient: rows that share it are dependent. Empty: the row stands alone."""
    source: str = ""
    """Intrinsic kinds: source of the document in its corpus, which the score is also given for."""


@dataclass(frozen=True)
class TaskData:
    splits: Mapping[str, tuple[Example, ...]]
    """Fine-tuned kinds: train, dev, test and perhaps external; intrinsic kinds: test."""
    labels: tuple[str, ...] = ()
    """multilabel: label names; classification: classes, of two the one looked for last; ner: entity types."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaskInputs:
    """Where a task's rows come from."""

    folder: Path | None
    """The task's files, or the corpus folder; none for synthetic tasks."""
    seed: int
    rows: Mapping[str, int]
    """Rows asked for per split: how many a synthetic task makes."""
    max_length: int
    table: TableSettings | None = None
    """Files and columns, for tasks that leave them to the recipe."""
    entities: EntitySettings | None = None
    terms: tuple[str, ...] = ()
    """Terms whose words are masked."""
    problems: Problems = field(default_factory=lambda: Problems(collect_only=True))
    """Broken rows, so that those of all tasks are reported together."""


@dataclass(frozen=True, kw_only=True)
class Task:
    name: str
    """What a recipe calls the task."""
    kind: Kind
    title: str
    language: str
    """`ko`, `en`, `mixed` or `any`."""
    citation: str
    licence: str
    labels_from: str
    """Who or what made the labels, in words for the report."""
    labels_by: LabelsBy
    """The same for code: the report warns about labels that rules computed from the text."""
    source: Literal["path", "corpus", "synthetic"]
    load: Callable[[TaskInputs], TaskData]
    unit: Literal["word", "character"] = "word"
    """ner: what carries one tag. Entity spans are compared in these units."""
    keywords: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """multilabel: what the rule baseline looks for, by label."""
    needs: Literal["table", "entities", "terms"] | None = None
    """The setting in which the recipe must say which files, and which columns."""

    published: Mapping[str, str] = field(default_factory=dict)
    """File or folder below the task's path -> how the SHA-256 (`manifest.input_digest`) of the published one begins."""

    parallel: str | None = None
    """The task whose rows are these in another language, split by split and row by row. Text of one leaks both."""

    @property
    def metric(self) -> str:
        return MAIN_METRIC[self.kind]
