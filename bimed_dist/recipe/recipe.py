"""Recipes: one YAML file, one section per stage, every section a mapping from a name to settings.

A name is also the folder: `shards: {bilingual: ...}` is built in `WORK/shards/bilingual`. A field that can only mean
one stage takes the bare name (`corpus: bilingual`); a field that also takes a path or a hub name says which stage it
means (`foundation: pretraining/ko-mini`). Settings are frozen and strict: unknown keys and impossible values are
refused, all at once, each with its place.
"""

from collections.abc import Iterable

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
