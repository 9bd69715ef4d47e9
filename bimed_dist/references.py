"""Resolve the references of a recipe to folders, and order its stages by them."""

import importlib.util
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from bimed_dist.errors import ConfigError
from bimed_dist.manifest import input_digest, verified
from bimed_dist.recipe.recipe import STAGES, Recipe
from bimed_dist.workspace import EXPORT, stage_folder


@dataclass(frozen=True)
class Located:
    """A tokenizer or model."""

    location: str
    """A local folder or a hub name, for `from_pretrained`."""
    digest: str
    """Digest of the folder's manifest or content; `hub:NAME` for a hub name."""


def locate(reference: str, recipe: Recipe, work: Path) -> Located:
    """Resolve `vocabulary/NAME`, `pretraining/NAME`, `package/MODULE/FOLDER`, a folder, or a hub name.

    Raises DataError if the stage referred to is unfinished or damaged, ConfigError if a folder does not exist.
    """
    stage, _, rest = reference.partition("/")
    if stage == "vocabulary" and rest in recipe.vocabulary:
        folder = stage_folder(work, "vocabulary", rest)
        return Located(str(folder), verified(folder).digest)
    if stage == "pretraining" and rest in recipe.pretraining:
        folder = stage_folder(work, "pretraining", rest)
        return Located(str(folder / EXPORT), verified(folder).digest)
    if stage == "package":
        folder = _package_folder(rest)
        return Located(str(folder), input_digest(folder))
    folder = data_path(recipe, reference)
    if folder.is_dir():
        return Located(str(folder), input_digest(folder))
    if Path(reference).is_absolute() or reference.startswith(".") or reference.count("/") > 1:
        raise ConfigError(f"there is no folder {folder}; check the recipe's `data` and the path")
    return Located(reference, f"hub:{reference}")


def data_path(recipe: Recipe, path: str) -> Path:
    """Return an input path of the recipe as an absolute path; relative ones start from its `data` folder."""
    return (Path(recipe.data or ".").expanduser() / Path(path).expanduser()).absolute()


def _package_folder(rest: str) -> Path:
    module, _, below = rest.partition("/")
    if not module.isidentifier():
        raise ConfigError(f"package/{rest} names no Python package; write package/MODULE/FOLDER")
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"the Python package {module} is not installed; install it with pip, or name a folder")
    folder = Path(next(iter(spec.submodule_search_locations))) / below
    if not folder.is_dir():
        raise ConfigError(f"the Python package {module} has no folder {below}")
    return folder


def stage_order(recipe: Recipe) -> list[tuple[str, str | None]]:
    """Return (stage, name) of everything the pipeline makes, inputs before outputs; evaluation and report come last.

    Raises ConfigError if entries are made from each other in a circle.
    """
    sections = {stage: getattr(recipe, stage) for stage in STAGES}
    inputs: dict[tuple[str, str | None], list[tuple[str, str | None]]] = {
        (stage, name): [] for stage, section in sections.items() if isinstance(section, dict) for name in section
    }
    for reference in recipe.references():
        stage, name, *_ = reference.place.split(".")
        if (stage, name) in inputs:
            inputs[stage, name].append((reference.stage, reference.name))
    for stage, section in sections.items():
        if section is not None and not isinstance(section, dict):  # evaluation and report use everything before them
            inputs[stage, None] = list(inputs)
    try:
        return list(TopologicalSorter(inputs).static_order())
    except CycleError as error:
        chain = " <- ".join(f"{stage}/{name}" for stage, name in error.args[1])
        raise ConfigError(f"the recipe's entries are made from each other in a circle: {chain}") from None
