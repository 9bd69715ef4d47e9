"""Settings of the evaluation stage: models, tasks with their files, and the grid."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from bimed_dist.recipe.base import Above0, Name, NotNegative, Positive, Settings, TermList

Split = Literal["train", "dev", "test", "external"]
SplitFile = Literal["train", "dev", "test", "external", "all"]
LabelsBy = Literal["people", "rules", "generator"]
LanguageCode = Annotated[str, Field(pattern="^[a-z]{2}$")]


class EvaluatedModel(Settings):
    """A model to evaluate: an encoder in Hugging Face format, from this recipe or from anywhere else."""

    folder: str
    """`pretraining/NAME`, a folder or a hub name."""
    adapted_from: str | None = None
    """Entry of `evaluation.models` that is this model's foundation, with which the report compares it. `null`: none."""
    language: LanguageCode | Annotated[tuple[LanguageCode, ...], Field(min_length=1)] | None = None
    """Languages of a foundation (`en`, `[en, ko]`), in which the report measures forgetting after adaptation. `null`:
    the language of nearly all text that it was pre-trained on in this recipe."""

    HOW_ONLY = frozenset({"language"})

    @property
    def languages(self) -> tuple[str, ...]:
        return (self.language,) if isinstance(self.language, str) else self.language or ()


class TableSettings(Settings):
    """Files and columns of a table. A .csv file is comma-separated, with quoting; any other file is tab-separated,
    without."""

    files: Annotated[dict[SplitFile, str], Field(min_length=1)]
    """Split -> file in the task's `path`. `all` is a file with rows of several splits. Missing dev and test splits are
    drawn from train or `all` by hash."""
    text_columns: Annotated[tuple[str, ...], Field(min_length=1, max_length=2)]
    """Column of the text, or the two columns of a sentence pair."""
    label_columns: Annotated[tuple[str, ...], Field(min_length=1)]
    """Multi-label: a column of 0 and 1 per label. Otherwise the column with the class or score."""
    positive_class: str | None = None
    """The positive of two classes, such as patients who fit a study. `null`: the last in alphabetical order."""
    split_column: str | None = None
    """Column of the file `all` with the split of each row; `null` if there is none."""
    split_values: dict[str, Split] = Field(default_factory=dict)
    """Value in `split_column` -> split, in addition to the usual names (train, training, dev, val, valid, validation,
    development, test, internal, external)."""
    group_column: str | None = None
    """Column with the patient or hospital. Splits drawn by hash and folds keep a group together; a note counts groups
    that are in several of the given splits. Rows of a group are resampled together for intervals. `null`: every row is
    a group of its own."""
    encoding: Literal["utf-8", "cp949"] = "utf-8"
    """Encoding of the files."""


class EntitySettings(Settings):
    """Files of tagged sentences: BIO in columns, JSON lines (.json, .jsonl), or a folder of BRAT files."""

    files: Annotated[dict[SplitFile, str], Field(min_length=1)]
    """Split -> file or folder in the task's `path`; the sentences of `all` are assigned to splits by hash."""
    types: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Entity types to find; other entities are ignored. `null`: all types."""
    tag_scheme: Literal["IOB2", "IOB1"] = "IOB2"
    """`IOB2`: an I- tag that continues no entity of its type is an error. `IOB1`: it begins an entity."""


class TaskDescription(Settings):
    """Facts about a task's data for the report. `null` keeps what the task's own file says."""

    title: str | None = None
    """Name of the task."""
    language: Annotated[str, Field(pattern="^([a-z]{2}|mixed|any)$")] | None = None
    """Language of the text."""
    citation: str | None = None
    """Publication to cite for the data."""
    licence: str | None = None
    """Licence of the data."""
    labels_from: str | None = None
    """Origin of the labels, in words."""
    labels_by: LabelsBy | None = None
    """Who made the labels: `people` (annotators, or the authors of the text), `rules` applied to the text, or the
    `generator` of synthetic text. The report warns about labels made by rules."""


class TaskSettings(Settings):
    """A benchmark, or one of the tasks on held-out documents (`mlm`, `mlm_terms`, `nsp`), which need no labels."""

    task: str
    """Name of a task in bimed_dist/evaluation/tasks, such as `korsts`. Other names are refused, with a list of all,
    when the corpus or the evaluation stage starts; `--dry-run` does not check them."""
    path: str | None = None
    """Folder of the task's files, relative to the recipe's `data`. `null` for synthetic tasks and those
    on held-out documents."""
    corpus: Name | None = None
    """Tasks `mlm`, `mlm_terms` and `nsp`: entry of `corpus` with the held-out documents. `null` for other tasks."""
    max_rows: dict[str, Positive] = Field(default_factory=dict)
    """Split -> maximum number of rows, chosen by hash and noted in the report; for synthetic tasks the number of rows
    to generate. Splits that are not named keep all rows."""
    table: TableSettings | None = None
    """Tasks `table_...`: files and columns. `null` for other tasks."""
    entities: EntitySettings | None = None
    """Tasks `files_ner...`: files. `null` for other tasks."""
    terms: TermList | None = None
    """Task `mlm_terms`: terms whose words are masked. `null` for other tasks."""
    repetitions: Positive | None = None
    """Tasks `mlm` and `nsp`: number of times that masks or random sentences are drawn. `null`: once per seed."""
    description: TaskDescription = TaskDescription()
    """Facts about the data for the report, which replace those in the task's own file."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{8,64}$")] | None = None
    """SHA-256 of the task's files, or its first digits; other files are refused. `null`: not checked."""
    keyword_rules: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """Multi-label: label -> keywords of a baseline that searches for them outside negations. Replaces the task's own
    rules."""
    threshold: Literal["fixed", "dev"] = "fixed"
    """Multi-label: `fixed` is 0.5 for every label; `dev` is the value with the best F1 on the development split, for
    each label."""
    long_texts: Literal["truncate", "head_tail", "windows"] = "truncate"
    """Texts longer than `max_length`: `truncate` keeps the head, `head_tail` keeps a quarter from the head and the rest
    from the tail, `windows` reads the whole text in overlapping windows."""
    pooling: Literal["cls", "mean"] = "cls"
    """Input of the classification or regression head: the pooled [CLS] token, or the mean over all tokens."""
    also_test_on: tuple[Name, ...] = ()
    """Other entries of `evaluation.tasks` whose test splits the fine-tuned models are tested on too (trained on
    English, tested on Korean)."""
    max_length: Annotated[int, Field(ge=8)] = 128
    """Maximum number of tokens per row, special tokens included."""
    learning_rates: Annotated[tuple[Above0, ...], Field(min_length=1)] | None = None
    """Learning rates of the grid. `null`: those of the evaluation."""
    epochs: Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None
    """Numbers of epochs in the grid. `null`: those of the evaluation."""
    folds: Annotated[int, Field(ge=3)] | None = None
    """Number of folds of a cross-validation over all rows except the external ones; the grid is searched within each
    training part. `null`: train, development and test splits."""


def given_twice(settings: Settings, fields: Iterable[str]) -> list[str]:
    """Return a message for each of these fields (tuples or None) that holds a value more than once."""
    lists = {field: list(getattr(settings, field) or ()) for field in fields}
    return [
        f"{field} holds a value twice: {values}; give each once"
        for field, values in lists.items()
        if len(set(values)) < len(values)
    ]


class EvaluationSettings(Settings):
    """Every model is fine-tuned and tested on every task. Learning rate and epochs are chosen on the development split;
    the test split is used once."""

    models: Annotated[dict[Name, EvaluatedModel], Field(min_length=1)]
    """Models to evaluate; the names are their labels in the report."""
    tasks: Annotated[dict[Name, TaskSettings], Field(min_length=1)]
    """Tasks to evaluate them on."""
    learning_rates: Annotated[tuple[Above0, ...], Field(min_length=1)] = (2e-5, 3e-5, 5e-5)
    """Learning rates of the grid."""
    epochs: Annotated[tuple[Positive, ...], Field(min_length=1)] = (2, 3, 4)
    """Numbers of epochs in the grid."""
    seeds: Annotated[tuple[NotNegative, ...], Field(min_length=1)] = (1, 2, 3, 4, 5)
    """Seeds of fine-tuning (initial head, order of rows, dropout); scores are means over seeds."""
    batch_size: Positive = 32
    """Rows per step of fine-tuning."""
    workers: Positive | None = None
    """Number of processes that fine-tune side by side; they share the cores, so the last digits of a score may depend
    on it. `null`: one per GPU, or one per core as far as memory allows."""

    HOW_ONLY = frozenset({"workers"})

    @model_validator(mode="after")
    def grid_and_foundations_fit(self) -> "EvaluationSettings":
        problems = []
        for name, model in self.models.items():
            if model.adapted_from is not None and model.adapted_from not in self.models.keys() - {name}:
                problems.append(
                    f"models.{name}.adapted_from={model.adapted_from} is not another entry of evaluation.models"
                )
        # A seed given twice would make the spread over seeds too small.
        problems += given_twice(self, ("seeds", "epochs", "learning_rates"))
        if problems:
            raise ValueError("; ".join(problems))
        return self
