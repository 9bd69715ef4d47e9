"""Recipes: one YAML file with a section per stage; a section maps names to settings.

A name is also a folder: `shards: {bilingual: ...}` is built in `WORK/shards/bilingual`. A setting that can refer to one
stage only takes the name (`corpus: bilingual`); a setting that also accepts a folder or hub name takes stage and name
(`foundation: pretraining/ko-mini`).
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pydantic import Field, model_validator

from bimed_dist.recipe.base import Name, NotNegative, Settings
from bimed_dist.recipe.corpus import CorpusSettings
from bimed_dist.recipe.evaluation import EvaluatedModel, EvaluationSettings
from bimed_dist.recipe.model import ModelSettings
from bimed_dist.recipe.pretraining import PretrainingSettings
from bimed_dist.recipe.report import AttributionSettings, ReportSettings
from bimed_dist.recipe.shards import ShardSettings
from bimed_dist.recipe.vocabulary import ExtendedVocabulary, VocabularySettings

STAGES = ("corpus", "vocabulary", "shards", "model", "pretraining", "evaluation", "report")


class Reference(NamedTuple):
    """A setting that names an entry of another section."""

    place: str
    """`shards.bilingual.tokenizer`, as `--set` would take it."""
    stage: str
    name: str


class Recipe(Settings):
    """The whole file: name, seed, data folder, and a section per stage. Stages without a section do not run."""

    HOW_ONLY = frozenset({"data"})

    name: Name
    """Name of the recipe, shown in the report."""
    seed: NotNegative
    """Seed of everything random: synthetic text, order and masks of rows, initial weights."""
    data: str | None = None
    """Folder that relative paths in the recipe start from; `null` is the folder of the recipe file."""
    corpus: dict[Name, CorpusSettings] = Field(default_factory=dict)
    """Text: sources, cleaning, deduplication, privacy, split into training and held-out documents."""
    vocabulary: dict[Name, VocabularySettings] = Field(default_factory=dict)
    """WordPiece vocabularies, trained or extended on a corpus."""
    shards: dict[Name, ShardSettings] = Field(default_factory=dict)
    """Corpora as token ids."""
    model: dict[Name, ModelSettings] = Field(default_factory=dict)
    """Models before pre-training."""
    pretraining: dict[Name, PretrainingSettings] = Field(default_factory=dict)
    """Pre-training runs; each writes a Hugging Face folder."""
    evaluation: EvaluationSettings | None = None
    """Models, tasks and the grid of the evaluation; `null` evaluates nothing."""
    report: ReportSettings | None = None
    """The report; `null` writes none."""
    attribution: dict[Name, AttributionSettings] = Field(default_factory=dict)
    """Pages that show on which words models rely; made by `launch/attribution.py` only."""

    @property
    def evaluated_models(self) -> dict[str, EvaluatedModel]:
        return self.evaluation.models if self.evaluation is not None else {}

    def pretraining_run(self, reference: str) -> str | None:
        """Return the NAME of `pretraining/NAME`, or None for a folder or hub name."""
        stage, _, name = reference.partition("/")
        return name if stage == "pretraining" and name in self.pretraining else None

    def references(self) -> Iterator[Reference]:
        """Yield every setting that names an entry of another section."""
        for name, vocabulary in self.vocabulary.items():
            yield Reference(f"vocabulary.{name}.corpus", "corpus", vocabulary.corpus)
            if isinstance(vocabulary, ExtendedVocabulary):
                yield from _with_stage(f"vocabulary.{name}.base", vocabulary.base)
            for i, tokenizer in enumerate(vocabulary.compare_with):
                yield from _with_stage(f"vocabulary.{name}.compare_with.{i}", tokenizer)
        for name, shards in self.shards.items():
            yield Reference(f"shards.{name}.corpus", "corpus", shards.corpus)
            yield from _with_stage(f"shards.{name}.tokenizer", shards.tokenizer)
        for name, model in self.model.items():
            yield from _with_stage(f"model.{name}.foundation", model.foundation)
            yield from _with_stage(f"model.{name}.tokenizer", model.tokenizer)
        for name, run in self.pretraining.items():
            yield Reference(f"pretraining.{name}.model", "model", run.model)
            yield Reference(f"pretraining.{name}.shards", "shards", run.shards)
            if run.replay is not None:
                yield Reference(f"pretraining.{name}.replay.shards", "shards", run.replay.shards)
        for name, evaluated in self.evaluated_models.items():
            yield from _with_stage(f"evaluation.models.{name}.folder", evaluated.folder)
        for name, task in (self.evaluation.tasks if self.evaluation else {}).items():
            if task.corpus is not None:
                yield Reference(f"evaluation.tasks.{name}.corpus", "corpus", task.corpus)

    @model_validator(mode="after")
    def references_exist(self) -> "Recipe":
        problems = []
        for place, stage, name in self.references():
            if stage == "vocabulary" and place.endswith((".foundation", ".folder")):
                problems.append(f"{place}: {stage}/{name} is a tokenizer, not a model")
            elif name not in getattr(self, stage):
                problems.append(f"{place}: there is no {stage}/{name} in this recipe")
        for name, settings in self.attribution.items():
            problems += _missing_in_evaluation(f"attribution.{name}", settings, self.evaluation)
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _with_stage(place: str, value: str | None) -> Iterator[Reference]:
    """Yield the reference in `vocabulary/NAME` or `pretraining/NAME`; nothing for folders and hub names."""
    stage, _, name = (value or "").partition("/")
    if stage in ("vocabulary", "pretraining"):
        yield Reference(place, stage, name)


def _missing_in_evaluation(
    place: str, settings: AttributionSettings, evaluation: EvaluationSettings | None
) -> Iterable[str]:
    if evaluation is None:
        return [f"{place}: this recipe has no evaluation"]
    known = {f"evaluation.tasks.{name}" for name in evaluation.tasks}
    known |= {f"evaluation.models.{name}" for name in evaluation.models}
    used = [f"evaluation.tasks.{settings.task}", *(f"evaluation.models.{name}" for name in settings.models or ())]
    return [f"{place}: there is no {entry}" for entry in used if entry not in known]
