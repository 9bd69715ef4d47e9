"""When a run ends: at its last step, when its training hours are used up, or later than planned at its start."""

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bimed_dist import manifest
from bimed_dist.errors import ConfigError
from bimed_dist.pretraining import checkpoints
from bimed_dist.pretraining.checkpoints import CheckpointRecord, Duration
from bimed_dist.pretraining.optimizer import learning_rate
from bimed_dist.recipe.pretraining import PretrainingSettings
from bimed_dist.workspace import CHECKPOINTS, MANIFEST, SETTINGS

_log = logging.getLogger(__name__)
_MEASURED_STEPS = 50
"""Minimum of steps for a measurement of speed: among fewer, one validation would count for a multiple of its share."""


class Clock:
    """The step at which a run ends. `training_hours` determines one number, once: the step at which the decay begins.

    From then on the learning rate is a function of the step again. All ranks follow rank 0's clock.
    """

    def __init__(self, settings: PretrainingSettings, record: CheckpointRecord | None = None) -> None:
        """`record`: of the checkpoint to continue from."""
        self._settings = settings
        self._start = self._after_first_step = time.monotonic()
        self._first_step = record["step"] if record else 0
        self._seconds_before = record["training_seconds"] if record else 0.0
        has_same_length = record is not None and record["length"] == self._length()
        self.end = record["end_step"] if has_same_length else settings.steps
        """First step that is not trained, as far as known."""

    def seconds(self) -> float:
        """Return the seconds of training, validation and saving over all launches, without work lost in a crash."""
        return self._seconds_before + time.monotonic() - self._start

    def is_time_to_decay(self, step: int) -> bool:
        """Return whether `step` must be the first of the decay for the run to end in time."""
        settings = self._settings
        if step == self._first_step + 1:
            self._after_first_step = time.monotonic()
        if (
            settings.training_hours is None
            or step < max(settings.warmup_steps, 1)
            or step + settings.decay_steps >= self.end
        ):
            return False
        decay_seconds = settings.decay_steps * self._seconds_per_step(step)
        return self.seconds() + decay_seconds >= settings.training_hours * 3600

    def _seconds_per_step(self, step: int) -> float:
        """Return the mean seconds per step in this launch, excluding start-up and the first step.

        The decision is final, so until this launch has been measured the lower of two estimates counts: a decay that
        begins late costs less than one that begins hours too early.
        """
        measured = step - self._first_step - 1
        this_launch = (time.monotonic() - self._after_first_step) / measured if measured > 0 else 0.0
        if measured >= _MEASURED_STEPS:
            return this_launch
        earlier_launches = self._seconds_before / self._first_step if self._first_step else 0.0
        return min(earlier_launches, this_launch) if measured > 0 else earlier_launches

    def decay_from(self, step: int) -> None:
        self.end = step + self._settings.decay_steps

    def state(self) -> Duration:
        """Return what a checkpoint keeps."""
        return {"training_seconds": round(self.seconds(), 3), "end_step": self.end, "length": self._length()}

    def _length(self) -> dict[str, float | None]:
        return {name: getattr(self._settings, name) for name in sorted(PretrainingSettings.LENGTH)}


class LengthChange(NamedTuple):
    record: CheckpointRecord | None
    """Record of the newest checkpoint; None if there is none yet."""
    old: PretrainingSettings
    new: PretrainingSettings


def find_length_change(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> LengthChange | None:
    """Return how the length of the run in `folder` differs from `settings`.

    Returns None if there is no run, its length is the same, or anything else differs. Verifies the newest checkpoint,
    which reads it whole. Raises ConfigError if the run can't continue with the new length.
    """
    try:
        started_with = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    changed = {name for name in settings if started_with["settings"].get(name) != settings[name]}
    if not changed or not changed <= PretrainingSettings.LENGTH or started_with["inputs"] != inputs:
        return None
    old, new = (_without_seed(tree) for tree in (started_with["settings"], settings))
    newest = checkpoints.newest(folder / CHECKPOINTS)
    record = newest[1] if newest else None
    done = record["step"] if record else 0
    if new.steps <= done:
        raise ConfigError(f"{folder} has done {done} steps already; steps={new.steps} leaves nothing to do")
    if old.long_phase and done > old.phases[-1].first_step:
        raise ConfigError(
            f"{folder} is in its long phase since step {old.phases[-1].first_step}, and with steps={new.steps} that "
            "would begin later; start a new run from this one's model (model: {foundation: pretraining/NAME})"
        )
    return LengthChange(record, old, new)


def begin(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> None:
    """Record the run's settings in its folder; log what a change of its length does to the schedule."""
    change = find_length_change(folder, settings, inputs)
    if change is not None:
        _log.info(describe_change(*change))
        # The finished result of the shorter run is removed; the longer one continues from its checkpoint.
        (folder / MANIFEST).unlink(missing_ok=True)
    manifest.begin(folder, settings, inputs)


def describe_change(record: CheckpointRecord | None, old: PretrainingSettings, new: PretrainingSettings) -> str:
    """Return a sentence on whether the run continues as if it had had its new length from the start."""
    done = record["step"] if record else 0
    end = record["end_step"] if record else None  # training_hours may have set it below `steps`

    def old_rate(step: int) -> float:
        return learning_rate(step, old, end)

    if old.steps != new.steps:
        length = f"{old.steps} to {new.steps} steps"
    else:
        length = f"{old.training_hours} to {new.training_hours} hours"
    different = next((step for step in range(done) if old_rate(step) != learning_rate(step, new)), None)
    if different is None:
        return f"the run is extended from {length}; every learning rate so far is that of the longer run"
    return (
        f"the run is extended from {length}: the learning rate, {old_rate(done - 1):.3g} at step {done}, continues as "
        f"that of the new length, {learning_rate(done, new):.3g}; from step {different + 1} on a run of this length "
        "from the start would have had other rates"
    )


def _without_seed(settings: Mapping[str, Any]) -> PretrainingSettings:
    tree = {name: value for name, value in settings.items() if name != "seed"}
    return PretrainingSettings.model_validate_json(json.dumps(tree))
