"""Recipes: one YAML file, one section per stage, every section a mapping from a name to settings.

A name is also the folder: `shards: {bilingual: ...}` is built in `WORK/shards/bilingual`. A field that can only mean
one stage takes the bare name (`corpus: bilingual`); a field that also takes a path or a hub name says which stage it
means (`foundation: pretraining/ko-mini`). Settings are frozen and strict: unknown keys and impossible values are
refused, all at once, each with its place.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bimed_dist.errors import ConfigError
from bimed_dist.tree import read_tree, set_value

Language = str
"""`ko`, what Latin script means in a source (`en`, `nl`, ...), `mixed` for Hangul with Latin script, or `other`."""
# No dots: `--set a.b=c` is split at them, and NAME.partial is a folder that is being built.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]
Above0 = Annotated[float, Field(gt=0)]
Below1 = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[int, Field(ge=0)]

STAGES = ("corpus", "vocabulary", "shards", "model", "pretraining", "evaluation", "report")


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False, str_min_length=1)


# --------------------------------------------------------------------------------------------------------------- corpus


class FileSource(Settings):
    name: Name
    path: str
    """A file or a folder of them, relative to the recipe's `data`."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the documents that is used, by the hash of their ids, so that one source does not drown others."""
    latin_language: Annotated[str, Field(pattern="^[a-z]{2}$")] = "en"
    """Language of what is in Latin script, by its two letters of ISO 639-1 (nl, ro, es): letters don't tell."""

    @field_validator("latin_language")
    @classmethod
    def script_is_latin(cls, language: str) -> str:
        if language == "ko":
            raise ValueError("Korean is told by its script; name the language of the text in Latin script")
        return language


class TextSource(FileSource):
    """.txt files."""

    kind: Literal["text"]
    document: Literal["file", "paragraph", "line"] = "file"
    """What one document is. Paragraphs are separated by blank lines."""
    line_break: Literal["space", "sentence"] = "space"
    """Whether a single line break inside a paragraph is a blank or the end of a sentence."""


class JsonLinesSource(FileSource):
    """.jsonl and .jsonl.gz files."""

    kind: Literal["jsonl"]
    text: Annotated[tuple[str, ...], Field(min_length=1)]
    """Fields that hold the text; each is one paragraph or more of the document."""
    id: str | None = None
    """Field that names the document; rows with the same value become one document."""


class TableSource(FileSource):
    """.csv and .tsv files, also .gz, with a header line."""

    kind: Literal["table"]
    text: Annotated[tuple[str, ...], Field(min_length=1)]
    """Columns that hold the text."""
    id: str | None = None
    """Column that names the document; rows with the same value become one document."""


class SyntheticSource(Settings):
    kind: Literal["synthetic"]
    name: Name
    documents: Positive
    languages: Annotated[tuple[Literal["ko", "en", "mixed"], ...], Field(min_length=1)] = ("ko", "en", "mixed")
    latin_language: ClassVar[str] = "en"


Source = Annotated[TextSource | JsonLinesSource | TableSource | SyntheticSource, Field(discriminator="kind")]


class CorpusSettings(Settings):
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    held_out_share: Below1 = 0.05
    """Share of documents, chosen by the hash of their text, that is never trained on."""

    @model_validator(mode="after")
    def names_are_unique(self) -> "CorpusSettings":
        names = [source.name for source in self.sources]
        if len(set(names)) != len(names):
            raise ValueError(f"source names must be unique, found {names}")
        return self


# ------------------------------------------------------------------------------------------------ vocabulary and shards


class VocabularySettings(Settings):
    corpus: Name
    size: Annotated[int, Field(ge=300)] = 45_000
    """Pieces, the five special ones included (45,000 in Jo et al. 2025)."""
    min_frequency: Positive = 2
    lowercase: bool = False


class ShardSettings(Settings):
    corpus: Name
    tokenizer: str
    """`vocabulary/NAME`, or a folder or hub name whose tokenizer is kept (KM-BERT, BioBERT)."""
    shard_tokens: Positive = 16_777_216
    """Tokens per shard file at most; a document is never cut."""


# ---------------------------------------------------------------------------------------------------------------- model


class Architecture(Settings):
    """A BERT trained from random weights."""

    layers: Positive
    width: Positive
    heads: Positive
    feed_forward: Positive
    positions: Positive = 512

    @model_validator(mode="after")
    def heads_divide_width(self) -> "Architecture":
        if self.width % self.heads:
            raise ValueError(f"width={self.width} is not a multiple of heads={self.heads}")
        return self


class ModelSettings(Settings):
    foundation: str | None = None
    """`pretraining/NAME`, a folder or a hub name. Exactly one of `foundation` and `architecture` is given."""
    architecture: Architecture | None = None
    tokenizer: str | None = None
    """`vocabulary/NAME`, a folder or a hub name; without it the foundation's vocabulary is kept."""
    new_rows: Literal["mean", "random"] = "mean"
    """How rows for pieces that the foundation lacks are made: mean of the old tokenizer's pieces (normal where these
    are unknown), or random normal (KM-BERT-vocab)."""

    @model_validator(mode="after")
    def one_origin(self) -> "ModelSettings":
        if (self.foundation is None) == (self.architecture is None):
            raise ValueError("give either foundation or architecture")
        if self.architecture is not None and self.tokenizer is None:
            raise ValueError("architecture needs a tokenizer")
        return self


# ---------------------------------------------------------------------------------------------------------- pretraining


class PretrainingSettings(Settings):
    model: Name
    shards: Name
    steps: Positive
    """Optimizer updates in all."""
    global_batch: Positive
    """Rows (sentence pairs) per update over all ranks."""
    micro_batch: Positive
    """Rows that one rank feeds forward at once, at most."""
    max_length: Annotated[int, Field(ge=8)] = 128
    """Tokens per row, [CLS] and both [SEP] included."""
    pairing: Literal["segments", "sentences"] = "segments"
    """`segments`: fill up to max_length (BERT). `sentences`: one sentence and its successor (KM-BERT)."""
    mask_rate: Annotated[float, Field(gt=0, lt=1)] = 0.15
    mask_unit: Literal["token", "word"] = "token"
    mask_token_share: Share = 0.8
    random_token_share: Share = 0.1
    learning_rate: Above0 = 1e-4
    warmup_steps: NotNegative = 0
    schedule: Literal["linear", "constant"] = "linear"
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    betas: tuple[Below1, Below1] = (0.9, 0.999)
    epsilon: Above0 = 1e-6
    clip_norm: Above0 = 1.0
    dropout: Below1 | None = None
    """Overrides the model's hidden and attention dropout; none keeps the model's own."""
    precision: Literal["fp32", "bf16"] = "fp32"
    log_every: Positive = 10
    validate_every: Positive = 500
    validation_rows: Positive = 512
    checkpoint_every: Positive = 500
    keep_checkpoints: Positive = 2
    accelerate_config: str | None = None
    """File of ds_configs/accelerate that `pipeline.py` launches this run with; without it one process."""

    @model_validator(mode="after")
    def numbers_fit(self) -> "PretrainingSettings":
        problems = []
        if self.mask_token_share + self.random_token_share > 1:
            problems.append("mask_token_share + random_token_share is above 1")
        if self.warmup_steps >= self.steps:
            problems.append(f"warmup_steps={self.warmup_steps} leaves nothing of steps={self.steps}")
        if problems:
            raise ValueError("; ".join(problems))
        return self


# ------------------------------------------------------------------------------------------------ evaluation and report


class EvaluatedModel(Settings):
    folder: str
    """`pretraining/NAME`, a folder or a hub name."""
    adapted_from: str | None = None
    """Label of the foundation that the report compares this model with."""


class TaskSettings(Settings):
    task: str
    """A file of bimed_dist/evaluation/tasks, such as `korsts`."""
    path: str | None = None
    """Folder of the task's files, relative to the recipe's `data`; none for synthetic and intrinsic tasks."""
    corpus: Name | None = None
    """Intrinsic tasks: whose held-out documents are used."""
    rows: dict[str, Positive] = {}
    """Rows kept per split (the first by hash), for machines that can't afford all; shown in the report."""
    max_length: Annotated[int, Field(ge=8)] = 128
    learning_rates: Annotated[tuple[Above0, ...], Field(min_length=1)] | None = None
    epochs: Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None
    """Grid values that differ from the evaluation's own."""
    folds: Annotated[int, Field(ge=3)] | None = None
    """Cross-validation over all rows but the external ones, with the choice nested in every turn; none takes the task's
    own splits."""


class EvaluationSettings(Settings):
    models: Annotated[dict[Name, EvaluatedModel], Field(min_length=1)]
    tasks: Annotated[dict[Name, TaskSettings], Field(min_length=1)]
    learning_rates: Annotated[tuple[Above0, ...], Field(min_length=1)] = (2e-5, 3e-5, 5e-5)
    epochs: Annotated[tuple[Positive, ...], Field(min_length=1)] = (2, 3, 4)
    seeds: Annotated[tuple[NotNegative, ...], Field(min_length=1)] = (1, 2, 3, 4, 5)
    batch: Positive = 32
    workers: Positive | None = None
    """Processes that compute cells side by side; none means one per GPU, or as many as there are cores, as far as
    memory goes. The cores are divided between them, so that the last digits of a score may follow the number."""

    @model_validator(mode="after")
    def grid_and_foundations_fit(self) -> "EvaluationSettings":
        problems = []
        for name, model in self.models.items():
            if model.adapted_from is not None and model.adapted_from not in self.models.keys() - {name}:
                problems.append(f"models.{name}.adapted_from={model.adapted_from} is no other model that is evaluated")
        # A seed given twice would make the spread over seeds too small.
        for field in ("seeds", "epochs", "learning_rates"):
            if len(set(getattr(self, field))) != len(getattr(self, field)):
                problems.append(f"{field} holds a value twice: {list(getattr(self, field))}")
        if problems:
            raise ValueError("; ".join(problems))
        return self


class ReportSettings(Settings):
    title: str


class AttributionSettings(Settings):
    """Heatmaps show text of the test split, so that only a section of its own and `launch/attribution.py` make them."""

    task: Name
    """An entry of `evaluation.tasks`, of single texts with labels or of sentence pairs."""
    models: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    """Entries of `evaluation.models` to show beside each other; none means all."""
    rows: Positive = 5
    """Test rows, the first by hash."""


# --------------------------------------------------------------------------------------------------------------- recipe


class Recipe(Settings):
    name: Name
    seed: NotNegative
    data: str | None = None
    """Folder that relative paths of sources and tasks start from; none means the recipe's folder."""
    corpus: dict[Name, CorpusSettings] = {}
    vocabulary: dict[Name, VocabularySettings] = {}
    shards: dict[Name, ShardSettings] = {}
    model: dict[Name, ModelSettings] = {}
    pretraining: dict[Name, PretrainingSettings] = {}
    evaluation: EvaluationSettings | None = None
    report: ReportSettings | None = None
    attribution: dict[Name, AttributionSettings] = {}

    @model_validator(mode="after")
    def references_exist(self) -> "Recipe":
        problems = []

        def check(place: str, stage: str, name: str) -> None:
            if name not in getattr(self, stage):
                problems.append(f"{place}: there is no {stage}/{name} in this recipe")

        for place, reference in open_references(self):
            stage, _, name = reference.partition("/")
            if stage == "vocabulary" and not place.endswith(".tokenizer"):
                problems.append(f"{place}: {reference} is a tokenizer, not a model")
            elif stage in ("vocabulary", "pretraining"):
                check(place, stage, name)
        for name, vocabulary in self.vocabulary.items():
            check(f"vocabulary.{name}.corpus", "corpus", vocabulary.corpus)
        for name, shards in self.shards.items():
            check(f"shards.{name}.corpus", "corpus", shards.corpus)
        for name, run in self.pretraining.items():
            check(f"pretraining.{name}.model", "model", run.model)
            check(f"pretraining.{name}.shards", "shards", run.shards)
        for name, task in (self.evaluation.tasks if self.evaluation else {}).items():
            if task.corpus is not None:
                check(f"evaluation.tasks.{name}.corpus", "corpus", task.corpus)
        for name, wanted in self.attribution.items():
            problems += _unknown_to_evaluation(f"attribution.{name}", wanted, self.evaluation)
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _unknown_to_evaluation(
    place: str, wanted: AttributionSettings, evaluation: EvaluationSettings | None
) -> Iterable[str]:
    if evaluation is None:
        return [f"{place}: this recipe has no evaluation"]
    known = {f"evaluation.tasks.{name}" for name in evaluation.tasks}
    known |= {f"evaluation.models.{label}" for label in evaluation.models}
    named = [f"evaluation.tasks.{wanted.task}", *(f"evaluation.models.{label}" for label in wanted.models or ())]
    return [f"{place}: there is no {entry}" for entry in named if entry not in known]


def open_references(recipe: Recipe) -> Iterable[tuple[str, str]]:
    """(place, value) of every field that takes `stage/NAME`, a folder or a hub name."""
    for name, shards in recipe.shards.items():
        yield f"shards.{name}.tokenizer", shards.tokenizer
    for name, model in recipe.model.items():
        if model.foundation is not None:
            yield f"model.{name}.foundation", model.foundation
        if model.tokenizer is not None:
            yield f"model.{name}.tokenizer", model.tokenizer
    for name, evaluated in (recipe.evaluation.models if recipe.evaluation else {}).items():
        yield f"evaluation.models.{name}.folder", evaluated.folder


def load_recipe(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """The recipe in `path` with `a.b=value` overrides (values are YAML).

    Raises ConfigError with every problem and its place.
    """
    if not path.is_file():
        raise ConfigError(f"no recipe at {path}; ready ones are in launch/recipes/")
    tree = read_tree(path)
    for override in overrides:
        set_value(tree, override)
    if tree.get("data") is None:
        tree["data"] = str(path.resolve().parent)
    return parse_recipe(tree, where=str(path))


def parse_recipe(tree: Mapping[str, Any], where: str) -> Recipe:
    try:
        # JSON mode: strict about types, yet takes a list for a tuple.
        return Recipe.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        found = error.errors(include_url=False)
        lines = [f"  {line}" for problem in found if not _is_echo(problem, found) for line in _lines(problem)]
        raise ConfigError(f"{where}: {len(lines)} problem(s)\n" + "\n".join(lines)) from None
    except TypeError as error:
        raise ConfigError(f"{where}: a value is not plain YAML text, number, list or mapping ({error})") from None


def _is_echo(problem: Mapping[str, Any], found: Iterable[Mapping[str, Any]]) -> bool:
    """pydantic counts only valid entries, so a list with one wrong entry is also said to be too short."""
    loc = problem["loc"]
    return problem["type"] == "too_short" and any(p["loc"][: len(loc)] == loc and p["loc"] != loc for p in found)


def _lines(problem: Mapping[str, Any]) -> list[str]:
    """`place: reason`, where the place is what `--set` would take."""
    loc = list(problem["loc"])
    if loc[:1] == ["corpus"] and loc[2:3] == ["sources"] and len(loc) > 4:
        del loc[4]  # pydantic's mark of the kind of source, which is not in the file
    if not loc and problem["type"] == "value_error":
        return problem["msg"].removeprefix("Value error, ").splitlines()
    return [f"{'.'.join(map(str, loc)) or 'recipe'}: {_reason(problem)}"]


def _reason(problem: Mapping[str, Any]) -> str:
    if problem["type"] == "extra_forbidden":
        return "unknown setting"
    if problem["type"] in ("missing", "value_error", "union_tag_not_found"):
        return problem["msg"].removeprefix("Value error, ")
    found = repr(problem["input"])
    return f"{problem['msg']}, found {found if len(found) <= 80 else found[:77] + '...'}"
