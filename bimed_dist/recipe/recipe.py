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

from bimed_dist.errors import ConfigError
from bimed_dist.recipe.base import Name, NotNegative, Positive, Settings, Share
from bimed_dist.recipe.corpus import CorpusSettings
from bimed_dist.recipe.evaluation import EvaluatedModel, EvaluationSettings
from bimed_dist.recipe.pretraining import PretrainingSettings
from bimed_dist.recipe.tree import read_tree, set_value

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


# ----------------------------------------------------------------------------------------------- report and attribution


class ReportSettings(Settings):
    title: str


class AttributionSettings(Settings):
    """Heatmaps show text of the test split, so that only a section of its own and `launch/attribution.py` make them."""

    task: Name
    """An entry of `evaluation.tasks`: texts with labels or classes, or pairs with scores."""
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
    corpus: dict[Name, CorpusSettings] = Field(default_factory=dict)
    vocabulary: dict[Name, VocabularySettings] = Field(default_factory=dict)
    shards: dict[Name, ShardSettings] = Field(default_factory=dict)
    model: dict[Name, ModelSettings] = Field(default_factory=dict)
    pretraining: dict[Name, PretrainingSettings] = Field(default_factory=dict)
    evaluation: EvaluationSettings | None = None
    report: ReportSettings | None = None
    attribution: dict[Name, AttributionSettings] = Field(default_factory=dict)

    @property
    def evaluated_models(self) -> dict[str, EvaluatedModel]:
        return self.evaluation.models if self.evaluation is not None else {}

    def run_of(self, reference: str) -> str | None:
        """The pre-training run of this recipe that `pretraining/NAME` means; none for any other folder or hub name."""
        stage, _, name = reference.partition("/")
        return name if stage == "pretraining" and name in self.pretraining else None

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
            if run.replay is not None:
                check(f"pretraining.{name}.replay.shards", "shards", run.replay.shards)
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
    for name, evaluated in recipe.evaluated_models.items():
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
