"""How long a run goes on: to its last step, or to the end of its hours, or longer than it was begun for."""

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bimed_dist import manifest
from bimed_dist.errors import ConfigError
from bimed_dist.pretraining import checkpoints
from bimed_dist.pretraining.optimizer import learning_rate
from bimed_dist.recipe.pretraining import PretrainingSettings
from bimed_dist.workspace import CHECKPOINTS, MANIFEST, SETTINGS

_log = logging.getLogger(__name__)
LENGTH = ("steps", "hours")
"""Settings that may change between a run's beginning and its continuation."""
_UPDATES_OF_A_MEASUREMENT = 50
"""Fewer say little: a validation among them would count for a multiple of its share."""


class Clock:
    """The step that a run ends at. A budget of hours decides one number, once: when the decay begins.

    From then on the learning rate is a function of the step again. Ranks agree by what rank 0's clock says.
    """

    def __init__(self, settings: PretrainingSettings, first_step: int = 0, record: Mapping[str, Any] | None = None):
        """`record` is that of the checkpoint continued from."""
        self._settings, self._first_step = settings, first_step
        self._start = self._after_first = time.monotonic()
        record = record or {}
        self._before = float(record.get("training_seconds", 0.0))
        same_length = record.get("planned") == self._planned()
        self.end = int(record["end"]) if same_length else settings.steps
        """The step after the last one, as far as is known."""

    def seconds(self) -> float:
        """Spent on training, validation and checkpoints, over all launches; what was lost by a crash not included."""
        return self._before + time.monotonic() - self._start

    def is_time_to_decay(self, step: int) -> bool:
        """Whether update `step` must be the first of the decay for the run to end in time."""
        settings = self._settings
        if step == self._first_step + 1:
            self._after_first = time.monotonic()
        if settings.hours is None or step < max(settings.warmup_steps, 1) or step + settings.decay_steps >= self.end:
            return False
        return self.seconds() + settings.decay_steps * self._seconds_a_step(step) >= settings.hours * 3600

    def _seconds_a_step(self, step: int) -> float:
        """Of this launch, without its start and first update, which are slow.

        The decision is for good, so before there is a measurement of this launch the lower of two estimates counts: a
        decay that begins late is less of a loss than one that begins hours too early.
        """
        measured = step - self._first_step - 1
        here = (time.monotonic() - self._after_first) / measured if measured > 0 else 0.0
        if measured >= _UPDATES_OF_A_MEASUREMENT:
            return here
        before = self._before / self._first_step if self._first_step else 0.0
        return min(before, here) if measured > 0 else before

    def decay_from(self, step: int) -> None:
        self.end = step + self._settings.decay_steps

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"training_seconds": round(self.seconds(), 3), "end": self.end, "planned": self._planned()}

    def _planned(self) -> list[float | None]:
        return [getattr(self._settings, name) for name in LENGTH]


def is_of_other_length(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> bool:
    """Whether the run in `folder` was begun with these settings and inputs but for its length.

    Raises ConfigError where it can't go on with the new length.
    """
    return _other_length(folder, settings, inputs) is not None


def _other_length(
    folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, str]
) -> tuple[dict[str, Any], PretrainingSettings, PretrainingSettings] | None:
    """Record of the newest checkpoint ({} where there is none), settings it was begun with, new settings.

    None where there is nothing or nothing else but the length. Reads the checkpoint whole. Raises ConfigError where
    the run can't go on with the new length.
    """
    try:
        before = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    changed = {name for name in settings if before["settings"].get(name) != settings[name]}
    if not changed or not changed <= set(LENGTH) or before["inputs"] != inputs:
        return None
    old, new = (_without_seed(tree) for tree in (before["settings"], settings))
    found = checkpoints.newest(folder / CHECKPOINTS)
    record = found[1] if found else {}
    done = int(record.get("step", 0))
    if new.steps <= done:
        raise ConfigError(f"{folder} has done {done} steps already; steps={new.steps} leaves nothing to do")
    if old.long_phase and done > old.phases[-1].first_step:
        raise ConfigError(
            f"{folder} is in its long phase since step {old.phases[-1].first_step}, and with steps={new.steps} that "
            "would begin later; start a new run from this one's model (model: {foundation: pretraining/NAME})"
        )
    return record, old, new


def begin(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> None:
    """Note what the run is for; where it was begun with another length, also say what that does to the schedule."""
    other = _other_length(folder, settings, inputs)
    if other is not None:
        _log.info(what_changes(*other))
        # The result of the shorter run goes; its checkpoint is what the longer one continues from.
        (folder / MANIFEST).unlink(missing_ok=True)
    manifest.begin(folder, settings, inputs)


def what_changes(record: Mapping[str, Any], old: PretrainingSettings, new: PretrainingSettings) -> str:
    """One sentence: whether the run goes on as if it had been this long from the start. `record`: of its checkpoint."""
    done, end = record.get("step", 0), record.get("end")  # which hours may have set before `steps`

    def before(step: int) -> float:
        return learning_rate(step, old, end)

    length = f"{old.steps} to {new.steps} steps" if old.steps != new.steps else f"{old.hours} to {new.hours} hours"
    other = next((step for step in range(done) if before(step) != learning_rate(step, new)), None)
    if other is None:
        return f"the run goes from {length}; every rate so far is that of the longer run"
    return (
        f"the run goes from {length}: the learning rate, {before(done - 1):.3g} at step {done}, goes on as "
        f"that of the new length, {learning_rate(done, new):.3g}; from step {other + 1} on a run of this length from "
        "the start would have had other rates"
    )


def _without_seed(settings: Mapping[str, Any]) -> PretrainingSettings:
    tree = {name: value for name, value in settings.items() if name != "seed"}
    return PretrainingSettings.model_validate_json(json.dumps(tree))
