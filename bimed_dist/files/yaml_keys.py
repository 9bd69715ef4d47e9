"""Keys that a YAML mapping repeats: YAML keeps the last value in silence, so they are refused."""

import yaml


class RepeatedKeyError(ValueError):
    """The message names line and key, and not the file."""


def refuse_repeated_keys(node: yaml.MappingNode) -> None:
    """Raise RepeatedKeyError at the first key that is given twice."""
    keys = [key.value for key, _ in node.value]
    for i, (key, _) in enumerate(node.value):
        if keys[i] in keys[:i]:
            raise RepeatedKeyError(f"line {key.start_mark.line + 1}: {keys[i]} is given twice; keep one")
