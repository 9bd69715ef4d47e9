"""YAML text -> Recipe: reading, `--set` overrides, and one line per problem."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from bimed_dist.errors import ConfigError
from bimed_dist.recipe.recipe import Recipe


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


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads 1e-4 as text; a learning rate is a number. Repeated keys are refused."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._checked: set[int] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        # Checked before the first flattening: `<<: *anchor` may repeat what the mapping itself then overrides.
        if id(node) not in self._checked:
            self._checked.add(id(node))
            keys = [key.value for key, _ in node.value]
            for i, (key, _) in enumerate(node.value):
                if keys[i] in keys[:i]:
                    raise ConfigError(f"line {key.start_mark.line + 1}: {keys[i]} is given twice; keep one")
        super().flatten_mapping(node)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def read_tree(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; ConfigError where there is none."""
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"{path}, {error}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} holds no mapping; a recipe starts with `name:`")
    return tree


def set_value(tree: dict[str, Any], override: str) -> None:
    """Apply one `a.b.0.c=value` (the value is YAML) to nested dicts and lists in place."""
    dotted, equals, text = override.partition("=")
    if not equals or not dotted:
        raise ConfigError(f"--set {override}: write it as place.of.setting=value")
    try:
        value = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, ConfigError) as error:
        raise ConfigError(f"--set {dotted}: {text} is not a YAML value: {error}") from None
    *parents, last = dotted.split(".")
    node: Any = tree
    for i, part in enumerate(parents):
        node = _child(node, part, ".".join(parents[: i + 1]))
    if isinstance(node, list):
        node[_index(node, last, dotted)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise ConfigError(f"--set {dotted}: {'.'.join(parents)} is a single value and has no parts")


def _child(node: Any, part: str, place: str) -> Any:
    if isinstance(node, list):
        return node[_index(node, part, place)]
    if isinstance(node, dict):
        if node.get(part) is None:
            node[part] = {}
        return node[part]
    raise ConfigError(f"--set {place}: its parent is a single value and has no parts")


def _index(node: list[Any], part: str, place: str) -> int:
    if not part.isdecimal() or int(part) >= len(node):
        raise ConfigError(f"--set {place}: there are {len(node)} entries, counted from 0")
    return int(part)
