"""Settings of the evaluation stage: models, tasks and what each of them reads, and the grid."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from bimed_dist.recipe.base import Above0, Name, NotNegative, Positive, Settings, TermList

Split = Literal["train", "dev", "test", "external"]
SplitFile = Literal["train", "dev", "test", "external", "all"]
LabelsBy = Literal["people", "rules", "generator"]
LanguageCode = Annotated[str, Field(pattern="^[a-z]{2}$")]


class EvaluatedModel(Settings):
    folder: str
    """`pretraining/NAME`, a folder or a hub name."""
    adapted_from: str | None = None
    """Label of the foundation that the report compares this model with."""
    language: LanguageCode | Annotated[tuple[LanguageCode, ...], Field(min_length=1)] | None = None
    """The model's own languages (`en`, `[en, ko]`), in which models adapted from it may forget; decides no score. None
    means the one that nearly all text of its pre-training here was in."""

    HOW_ONLY = frozenset({"language"})

    @property
    def languages(self) -> tuple[str, ...]:
        return (self.language,) if isinstance(self.language, str) else self.language or ()


class TableSettings(Settings):
    """Where tables have what. A .csv follows csv's quoting; in other files tabs cut and quotes are characters."""

    files: Annotated[dict[SplitFile, str], Field(min_length=1)]
    """Split -> file below the task's `path`; `all` holds every split. Missing dev and test are dealt by hash."""
    text_columns: Annotated[tuple[str, ...], Field(min_length=1, max_length=2)]
    """Columns of the text, or of the two sentences of a pair."""
    label_columns: Annotated[tuple[str, ...], Field(min_length=1)]
    """One column of 0 and 1 per label; for classes and scores the one column that holds them."""
    positive_class: str | None = None
    """Classes: of two the one that is looked for, such as patients who fit a study; otherwise the last by its text."""
    split_column: str | None = None
    """File `all`: column that names the split of a row."""
    split_values: dict[str, Split] = Field(default_factory=dict)
    """What stands in that column -> split, besides the usual names."""
    group_column: str | None = None
    """Column of the patient or hospital: hashing keeps its rows in one split, and intervals resample it as one."""
    encoding: Literal["utf-8", "cp949"] = "utf-8"


class EntitySettings(Settings):
    """Files of tagged sentences: BIO in columns, JSON lines (.json, .jsonl), or a folder of BRAT files."""

    files: Annotated[dict[SplitFile, str], Field(min_length=1)]
    """Split -> file or folder below the task's `path`; `all` is dealt by hash."""
    types: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Types of entities that count; none means all."""
    tag_scheme: Literal["IOB2", "IOB1"] = "IOB2"
    """`IOB2`: an I- tag that continues no entity of its type is an error. `IOB1`: it begins an entity."""


class TaskDescription(Settings):
    """What the report says of a task whose file can't know it."""

    title: str | None = None
    language: Annotated[str, Field(pattern="^([a-z]{2}|mixed|any)$")] | None = None
    citation: str | None = None
    licence: str | None = None
    labels_from: str | None = None
    labels_by: LabelsBy | None = None
    """Who made the labels: `people` (annotators, or the authors of the text), `rules` applied to the text, or the
    `generator` of synthetic text. The report warns about labels made by rules."""


class TaskSettings(Settings):
    task: str
    """A file of bimed_dist/evaluation/tasks, such as `korsts`."""
    path: str | None = None
    """Folder of the task's files, relative to the recipe's `data`; none for synthetic and intrinsic tasks."""
    corpus: Name | None = None
    """Intrinsic tasks: whose held-out documents are used."""
    max_rows: dict[str, Positive] = Field(default_factory=dict)
    """Rows kept per split (the first by hash), for machines that can't afford all; shown in the report."""
    table: TableSettings | None = None
    """Tasks named `table_...`: which files and columns."""
    entities: EntitySettings | None = None
    """Tasks named `files_ner...`: which files."""
    terms: TermList | None = None
    """Task `mlm_terms`: which words are masked."""
    repetitions: Positive | None = None
    """Tasks `mlm` and `nsp`: how often masks or random sentences are drawn anew, instead of once for each seed."""
    description: TaskDescription = TaskDescription()
    """Takes the place of what the task's file says."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{8,64}$")] | None = None
    """How the SHA-256 over the task's files must begin; other files are refused."""
    keyword_rules: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """multilabel: label -> keywords of a baseline that finds them outside of negations; instead of the task's own."""
    threshold: Literal["fixed", "dev"] = "fixed"
    """multilabel: 0.5 for every label, or for each label what gives the best F1 on the development split."""
    long_texts: Literal["truncate", "head_tail", "windows"] = "truncate"
    """Texts longer than `max_length`: their head; a quarter head and the rest tail; or overlapping windows."""
    pooling: Literal["cls", "mean"] = "cls"
    """What the head of a text or a pair sees: the first piece as the model pools it, or the mean over all pieces."""
    also_test_on: tuple[Name, ...] = ()
    """Other tasks of the evaluation on whose test splits these trained models are tested too (Korean after English)."""
    max_length: Annotated[int, Field(ge=8)] = 128
    learning_rates: Annotated[tuple[Above0, ...], Field(min_length=1)] | None = None
    epochs: Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None
    """Grid values that differ from the evaluation's own."""
    folds: Annotated[int, Field(ge=3)] | None = None
    """Cross-validation over all rows but the external ones, with the choice nested in every turn; none takes the task's
    own splits."""


def given_twice(settings: Settings, fields: Iterable[str]) -> list[str]:
    """What is wrong where one of these fields, each a tuple or none, holds a value more than once."""
    lists = {field: list(getattr(settings, field) or ()) for field in fields}
    return [
        f"{field} holds a value twice: {values}; give each once"
        for field, values in lists.items()
        if len(set(values)) < len(values)
    ]


class EvaluationSettings(Settings):
    models: Annotated[dict[Name, EvaluatedModel], Field(min_length=1)]
    tasks: Annotated[dict[Name, TaskSettings], Field(min_length=1)]
    learning_rates: Annotated[tuple[Above0, ...], Field(min_length=1)] = (2e-5, 3e-5, 5e-5)
    epochs: Annotated[tuple[Positive, ...], Field(min_length=1)] = (2, 3, 4)
    seeds: Annotated[tuple[NotNegative, ...], Field(min_length=1)] = (1, 2, 3, 4, 5)
    batch_size: Positive = 32
    workers: Positive | None = None
    """Processes that compute cells side by side; none means one per GPU, or as many as there are cores, as far as
    memory goes. The cores are divided between them, so that the last digits of a score may follow the number."""

    HOW_ONLY = frozenset({"workers"})

    @model_validator(mode="after")
    def grid_and_foundations_fit(self) -> "EvaluationSettings":
        problems = []
        for name, model in self.models.items():
            if model.adapted_from is not None and model.adapted_from not in self.models.keys() - {name}:
                problems.append(f"models.{name}.adapted_from={model.adapted_from} is no other model that is evaluated")
        # A seed given twice would make the spread over seeds too small.
        problems += given_twice(self, ("seeds", "epochs", "learning_rates"))
        if problems:
            raise ValueError("; ".join(problems))
        return self
