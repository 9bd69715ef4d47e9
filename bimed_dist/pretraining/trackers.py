"""Experiment trackers by name: which packages they need, and what they are told. accelerate's classes do the rest."""

import importlib.util
import json
from collections.abc import Mapping, Sequence
from typing import Any

from bimed_dist.errors import ConfigError

PROJECT = "bimed_dist"


def require_trackers(names: Sequence[str]) -> None:
    """ConfigError for a tracker whose package is not installed."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"trackers: {', '.join(missing)} is not installed: pip install 'bimed-dist[trackers]', or leave it out"
        )


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as trackers take them: numbers and text."""
    plain = (bool, int, float, str)
    return {key: value if isinstance(value, plain) else json.dumps(value) for key, value in settings.items()}
