"""Experiment trackers by name: the packages they need, the settings they get, and how they are opened."""

import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate import tracking

from bimed_dist.errors import ConfigError

_PROJECT = "bimed_dist"


def require_trackers(names: Sequence[str]) -> None:
    """Raise ConfigError if the package of a tracker is not installed."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"trackers: {', '.join(missing)} is not installed: pip install 'bimed-dist[trackers]', or leave it out"
        )


def open_trackers(
    names: Sequence[str], folder: Path, label: str, run_id: str, first_step: int, settings: Mapping[str, Any]
) -> list[Any]:
    """Return the started trackers of a run; for rank 0 only.

    They write into the run's folder unless their own environment variables say otherwise. A resumed run continues under
    the same name in TensorBoard, wandb and trackio; MLflow shows each launch.
    """
    os.environ.setdefault("TRACKIO_DIR", str(folder / "trackio"))
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    makers = {
        "tensorboard": lambda: tracking.TensorBoardTracker("tensorboard", folder, purge_step=first_step + 1),
        "wandb": lambda: tracking.WandBTracker(_PROJECT, name=label, id=run_id, resume="allow", dir=str(folder)),
        "mlflow": lambda: tracking.MLflowTracker(_PROJECT, run_name=label, tags={"run": run_id}),
        "trackio": lambda: tracking.TrackioTracker(_PROJECT, name=label, resume="allow"),
    }
    started = [makers[name]() for name in names]
    for tracker in started:
        tracker.start()
        if tracker.name != "tensorboard":  # it would begin a new run for them
            tracker.store_init_configuration(_flat(settings))
    return started


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as trackers take them: numbers and text."""
    plain = (bool, int, float, str)
    return {key: value if isinstance(value, plain) else json.dumps(value) for key, value in settings.items()}
