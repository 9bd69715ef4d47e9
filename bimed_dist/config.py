"""Recipes: one YAML file, one section per stage, every section a mapping from a name to settings.

A name is also the folder: `shards: {bilingual: ...}` is built in `WORK/shards/bilingual`. A field that can only mean
one stage takes the bare name (`corpus: bilingual`); a field that also takes a path or a hub name says which stage it
means (`foundation: pretraining/ko-mini`). Settings are frozen and strict: unknown keys and impossible values are
refused, all at once, each with its place.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationError, model_validator

from bimed_dist.corpus_settings import CorpusSettings
from bimed_dist.errors import ConfigError
from bimed_dist.settings import Above0, Below1, Name, NotNegative, Positive, Settings, Share
from bimed_dist.tree import read_tree, set_value

STAGES = ("corpus", "vocabulary", "shards", "model", "pretraining", "evaluation", "report")


# ------------------------------------------------------------------------------------------------ vocabulary and shards


class Quotas(Settings):
    """Shares of the vocabulary, by the script of the pieces."""

    ko: Share
    en: Share
    """Latin letters."""
    other: Share
    """Digits, symbols, both scripts in one piece, other scripts, special tokens."""

    @model_validator(mode="after")
    def are_shares_of_a_whole(self) -> "Quotas":
        total = self.ko + self.en + self.other
        if abs(total - 1) > 1e-6:
            raise ValueError(f"ko, en and other add up to {total:g}, not to 1")
        return self


class _Vocabulary(Settings):
    corpus: Name
    compare: tuple[str, ...] = ()
    """Other tokenizers that the fertility report measures on the same held-out text: `vocabulary/NAME`, folders or hub
    names, such as the foundation's."""
    examples: tuple[str, ...] = (
        *("ibuprofen", "이부프로펜", "systemic sclerosis", "전신경화증"),
        *("nephrosclerosis", "신경화증", "pulmonary embolism", "폐색전증"),
    )
    """Terms whose pieces are shown side by side."""


class TrainedVocabulary(_Vocabulary):
    """Pieces learned from the corpus by byte-pair merging."""

    mode: Literal["train"] = "train"
    size: Annotated[int, Field(ge=300)] = 45_000
    """Pieces, the five special ones included (45,000 in Jo et al. 2025)."""
    min_frequency: Positive = 2
    """Occurrences that a character or a pair must have."""
    lowercase: bool = False
    quotas: Quotas | None = None
    """Without them the most frequent pairs are merged, whatever their language."""
    alphabet_limit: Positive | None = None
    """Characters at most, the most frequent ones; words with any other are [UNK]."""
    unused_slots: NotNegative = 0
    """`[unusedN]` pieces that occur in no text."""
    protected: tuple[str, ...] = ()
    """Words that are one piece each, however rare."""

    @model_validator(mode="after")
    def protected_are_words(self) -> "TrainedVocabulary":
        broken = [f"protected.{i} holds a blank" for i, word in enumerate(self.protected) if len(word.split()) != 1]
        if broken:
            raise ValueError("; ".join(broken) + "; a piece is at most one word")
        return self


class TermList(Settings):
    path: str
    """A .csv or .tsv file with a header line, relative to the recipe's `data`."""
    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    """Columns that hold terms."""


class ExtendedVocabulary(_Vocabulary):
    """A foundation's vocabulary and words of term lists, as KM-BERT-vocab was made (Kim et al. 2022)."""

    mode: Literal["extend"]
    base: str
    """Whose tokenizer is extended: a folder or a hub name, such as the foundation's."""
    terms: Annotated[tuple[TermList, ...], Field(min_length=1)]
    min_count: Positive = 3
    """Occurrences in the training text that a word of a term must have."""
    top: Positive = 10_000
    """Words at most, the most frequent ones."""
    always: tuple[TermList, ...] = ()
    """Lists whose words are added however rare (KM-BERT-vocab: 1,629 words of another experiment)."""


def _mode_of(settings: Any) -> str | None:
    return settings.get("mode", "train") if isinstance(settings, dict) else getattr(settings, "mode", None)


VocabularySettings = Annotated[
    Annotated[TrainedVocabulary, Tag("train")] | Annotated[ExtendedVocabulary, Tag("extend")], Discriminator(_mode_of)
]


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
    optimizer: Literal["adamw", "lamb"] = "adamw"
    """`lamb` is for batches of thousands of rows; not with ZeRO."""
    learning_rate: Above0 = 1e-4
    warmup_steps: NotNegative = 0
    schedule: Literal["linear", "cosine", "constant", "wsd"] = "linear"
    """After the warm-up: down to 0 in a line or half a cosine, constant, or constant until the last `decay_steps`."""
    decay_steps: Positive | None = None
    """Of `wsd` only."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    betas: tuple[Below1, Below1] = (0.9, 0.999)
    epsilon: Above0 = 1e-6
    clip_norm: Above0 = 1.0
    dropout: Below1 | None = None
    """Overrides the model's hidden and attention dropout; none keeps the model's own."""
    precision: Literal["fp32", "bf16"] = "fp32"
    activation_checkpointing: bool = False
    """Compute activations again in the backward pass: less memory, a third slower, the same gradients."""
    skipped_steps: NotNegative = 0
    """Updates at most that may be left out because a loss or gradient is not finite; one more stops the run."""
    log_every: Positive = 10
    validate_every: Positive = 500
    validation_rows: Positive = 512
    checkpoint_every: Positive = 500
    keep_checkpoints: Positive = 2
    """The newest so many; the one with the lowest held-out loss is kept beside them."""
    time_budget: Above0 | None = None
    """Hours of one launch, after which it commits a checkpoint and ends with exit code 75, as on SIGTERM."""
    lost_after: Positive = 120
    """Seconds without a sign of life from a process after which the whole job ends."""
    accelerate_config: str | None = None
    """File of ds_configs/accelerate that `pipeline.py` launches this run with; without it one process."""

    @model_validator(mode="after")
    def numbers_fit(self) -> "PretrainingSettings":
        problems = []
        if self.mask_token_share + self.random_token_share > 1:
            problems.append("mask_token_share + random_token_share is above 1")
        if self.warmup_steps >= self.steps:
            problems.append(f"warmup_steps={self.warmup_steps} leaves nothing of steps={self.steps}")
        if (self.schedule == "wsd") != (self.decay_steps is not None):
            problems.append("schedule=wsd needs decay_steps, and no other schedule takes them")
        elif self.warmup_steps + (self.decay_steps or 0) > self.steps:
            problems.append(f"warmup_steps and decay_steps are more than steps={self.steps}")
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
    rows: dict[str, Positive] = Field(default_factory=dict)
    """Rows kept per split (the first by hash), for machines that can't afford all; shown in the report."""
    max_length: Annotated[int, Field(ge=8)] = 128
    learning_rates: Annotated[tuple[Above0, ...], Field(min_length=1)] | None = None
    epochs: Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None
    """Grid values that differ from the evaluation's own."""


class EvaluationSettings(Settings):
    models: Annotated[dict[Name, EvaluatedModel], Field(min_length=1)]
    tasks: Annotated[dict[Name, TaskSettings], Field(min_length=1)]
    learning_rates: Annotated[tuple[Above0, ...], Field(min_length=1)] = (2e-5, 3e-5, 5e-5)
    epochs: Annotated[tuple[Positive, ...], Field(min_length=1)] = (2, 3, 4)
    seeds: Annotated[tuple[NotNegative, ...], Field(min_length=1)] = (1, 2, 3, 4, 5)
    batch: Positive = 32

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


# --------------------------------------------------------------------------------------------------------------- recipe


class Recipe(Settings):
    name: Name
    seed: NotNegative
    data: str | None = None
    """Folder that relative paths of sources and tasks start from; none means the recipe's folder."""
    corpus: dict[Name, CorpusSettings] = Field(default_factory=dict)
    vocabulary: dict[Name, VocabularySettings] = Field(default_factory=dict)
    shards: dict[Name, ShardSettings] = Field(default_factory=dict)
    model: dict[Name, ModelSettings] = Field(default_factory=dict)
    pretraining: dict[Name, PretrainingSettings] = Field(default_factory=dict)
    evaluation: EvaluationSettings | None = None
    report: ReportSettings | None = None

    @model_validator(mode="after")
    def references_exist(self) -> "Recipe":
        problems = []

        def check(place: str, stage: str, name: str) -> None:
            if name not in getattr(self, stage):
                problems.append(f"{place}: there is no {stage}/{name} in this recipe")

        for place, reference in open_references(self):
            stage, _, name = reference.partition("/")
            if stage == "vocabulary" and not (place.endswith((".tokenizer", ".base")) or ".compare." in place):
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
        if problems:
            raise ValueError("\n".join(problems))
        return self


def open_references(recipe: Recipe) -> Iterable[tuple[str, str]]:
    """(place, value) of every field that takes `stage/NAME`, a folder or a hub name."""
    for name, vocabulary in recipe.vocabulary.items():
        if isinstance(vocabulary, ExtendedVocabulary):
            yield f"vocabulary.{name}.base", vocabulary.base
        for i, reference in enumerate(vocabulary.compare):
            yield f"vocabulary.{name}.compare.{i}", reference
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
    if loc[:1] == ["vocabulary"] and len(loc) > 2:
        del loc[2]  # and of the vocabulary's mode
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
