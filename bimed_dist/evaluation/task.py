"""What a benchmark is: kind, data, splits, main metric and origin.

The files of `tasks/` define `Task`s. Their `load` only reads; `preparation` drops leaks, limits and checks the rows of
all tasks.
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
"""Two sentences and a score from 0 to 5, learned as a number or as one of six classes (Kim et al. 2022, KM-BERT)."""
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
    the next one; retrieval: a sentence and its translation.
    """
    target: float | tuple[int, ...] | tuple[str, ...] | str | None
    """sts: 0-5; multilabel: 0/1 per label; classification: the class; ner: BIO tag per unit; mlm_terms: 1 for each word
    to mask; other tasks that train nothing: None.
    """
    language: str = ""
    """mlm and nsp: language of the document; scores are also computed per language."""
    document: str = ""
    """Document or patient: rows that share it are dependent. Empty if unknown."""
    source: str = ""
    """mlm and nsp: source of the document in its corpus; scores are also computed per source."""


@dataclass(frozen=True)
class TaskData:
    splits: Mapping[str, tuple[Example, ...]]
    """Fine-tuned kinds: train, dev, test and perhaps external; others: test."""
    labels: tuple[str, ...] = ()
    """multilabel: label names; classification: classes, of two the positive class last; ner: entity types;
    retrieval: the two languages.
    """
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaskInputs:
    """The argument of a task's `load`."""

    folder: Path | None
    """The task's files, or the corpus folder; None for synthetic tasks."""
    seed: int
    rows: Mapping[str, int]
    """`max_rows` by split: how many rows a synthetic task generates."""
    max_length: int
    table: TableSettings | None = None
    """Files and columns of tasks with `needs="table"`."""
    entities: EntitySettings | None = None
    terms: tuple[str, ...] = ()
    """Terms whose words are masked."""
    problems: Problems = field(default_factory=lambda: Problems(collect_only=True))
    """Broken rows; `preparation` reports those of all tasks together."""


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
    """ner: unit that has one tag; entity spans are compared in these units."""
    keywords: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """multilabel: label -> keywords of the rule baseline."""
    needs: Literal["table", "entities", "terms"] | None = None
    """The setting that names files and columns, if the recipe must give it."""

    published: Mapping[str, str] = field(default_factory=dict)
    """File or folder below the task's path -> first digits of the SHA-256 of the published one (`input_digest`)."""

    parallel: str | None = None
    """The task with the same rows in another language, in the same order. Text of one leaks both."""

    @property
    def metric(self) -> str:
        return MAIN_METRIC[self.kind]
