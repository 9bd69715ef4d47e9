"""Read a recipe: YAML text, `--set` overrides, and one line per error with the place of the setting."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from bimed_dist.errors import ConfigError
from bimed_dist.files.yaml_keys import RepeatedKeyError, refuse_repeated_keys
from bimed_dist.recipe.recipe import Recipe


def load_recipe(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a YAML file and apply overrides such as `pretraining.run.steps=5`, whose values are YAML too.

    Raises ConfigError with every problem and its place.
    """
    if not path.is_file():
        raise ConfigError(f"there is no recipe {path}; see launch/recipes/ for examples")
    tree = read_yaml(path)
    for override in overrides:
        set_value(tree, override)
    if tree.get("data") is None:
        tree["data"] = str(path.resolve().parent)
    return parse_recipe(tree, where=str(path))


def parse_recipe(tree: Mapping[str, Any], where: str) -> Recipe:
    """Check plain mappings, lists and values. Raises ConfigError, whose message begins with `where`."""
    try:
        # JSON mode is strict about types but accepts a list for a tuple.
        return Recipe.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        problems = error.errors(include_url=False)
        lines = [f"  {line}" for problem in problems if not _is_echo(problem, problems) for line in _lines(problem)]
        raise ConfigError(f"{where}: {len(lines)} problem(s)\n" + "\n".join(lines)) from None
    except TypeError as error:
        raise ConfigError(f"{where}: a value is not text, a number, a list or a mapping ({error})") from None


def _is_echo(problem: Mapping[str, Any], problems: Iterable[Mapping[str, Any]]) -> bool:
    """Pydantic counts only valid items: a list with one invalid item is reported as too short as well."""
    loc = problem["loc"]
    return problem["type"] == "too_short" and any(p["loc"][: len(loc)] == loc and p["loc"] != loc for p in problems)


def _lines(problem: Mapping[str, Any]) -> list[str]:
    """Return `place: reason`; the place is written as in `--set`."""
    loc = list(problem["loc"])
    # Pydantic adds the tag of a union (a source's kind, a vocabulary's mode), which is not a key of the file.
    if loc[:1] == ["corpus"] and loc[2:3] == ["sources"] and len(loc) > 4:
        del loc[4]
    if loc[:1] == ["vocabulary"] and len(loc) > 2:
        del loc[2]
    if not loc and problem["type"] == "value_error":
        return problem["msg"].removeprefix("Value error, ").splitlines()
    return [f"{'.'.join(map(str, loc)) or 'recipe'}: {_reason(problem)}"]


def _reason(problem: Mapping[str, Any]) -> str:
    if problem["type"] == "extra_forbidden":
        return "unknown setting"
    if problem["type"] in ("missing", "value_error", "union_tag_not_found"):
        return problem["msg"].removeprefix("Value error, ")
    value = repr(problem["input"])
    return f"{problem['msg']}, found {value if len(value) <= 80 else value[:77] + '...'}"


class _Loader(yaml.SafeLoader):
    """Reads 1e-4 as a number, which YAML 1.1 takes for text, and refuses repeated keys."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._checked: set[int] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        # Check before the first flattening only: `<<: *anchor` adds keys that the mapping may override.
        if id(node) not in self._checked:
            self._checked.add(id(node))
            refuse_repeated_keys(node)
        super().flatten_mapping(node)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file. Raises ConfigError if the file is not UTF-8, not YAML or not a mapping."""
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except RepeatedKeyError as error:
        raise ConfigError(f"{path}, {error}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} is not a mapping; a recipe starts with `name:`")
    return tree


def set_value(tree: dict[str, Any], override: str) -> None:
    """Apply one override `a.b.0.c=value` (the value is YAML) to nested mappings and lists, in place.

    Raises ConfigError if the place does not exist or the value is not YAML.
    """
    place, equals, text = override.partition("=")
    if not equals or not place:
        raise ConfigError(f"--set {override}: write it as section.name.setting=value")
    try:
        value = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"--set {place}: {text} is not a YAML value: {error}") from None
    *parents, last = place.split(".")
    node: Any = tree
    for depth, key in enumerate(parents, start=1):
        node = _child(node, key, ".".join(parents[:depth]))
    if isinstance(node, list):
        node[_index(node, last, place)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise ConfigError(f"--set {place}: {'.'.join(parents)} is a single value and has no settings")


def _child(node: Any, key: str, place: str) -> Any:
    """Return the item at a key or index; a mapping that is missing is created."""
    if isinstance(node, list):
        return node[_index(node, key, place)]
    if isinstance(node, dict):
        if node.get(key) is None:
            node[key] = {}
        return node[key]
    raise ConfigError(f"--set {place}: its parent is a single value and has no settings")


def _index(items: list[Any], key: str, place: str) -> int:
    if not key.isdecimal() or int(key) >= len(items):
        raise ConfigError(f"--set {place}: the list has {len(items)} entries, counted from 0")
    return int(key)
