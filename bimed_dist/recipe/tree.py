"""YAML text to plain mappings, lists and values, and `a.b.0.c=value` on them."""

import re
from pathlib import Path
from typing import Any

import yaml

from bimed_dist.errors import ConfigError


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
