"""`choice.json`: the candidate that is tested, and the choices that were made before it."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from bimed_dist.evaluation.grid import records
from bimed_dist.evaluation.grid.model_on_task import Candidate, ModelOnTask
from bimed_dist.manifest import write_json
from bimed_dist.workspace import CHOICE


def best_candidate(dev_scores: Mapping[Candidate, list[float]]) -> Candidate | None:
    """Return the candidate with the highest mean over seeds, the first one of a tie; None if there are no scores."""
    return max(dev_scores, key=lambda candidate: float(np.mean(dev_scores[candidate])), default=None)


def write_choice(entry: ModelOnTask, dev_scores: Mapping[Candidate, list[float]], chosen: Candidate) -> None:
    """Write `choice.json`, which opens the test splits; it keeps choices among other candidates or seeds."""
    candidates = [
        {"learning_rate": c.learning_rate, "epochs": c.epochs, "dev": values, "mean": float(np.mean(values))}
        for c, values in dev_scores.items()
    ]
    write_json(
        entry.folder / CHOICE,
        {
            "schema": records.SCHEMA,
            "key": entry.choice_key(),
            "metric": entry.prepared.task.metric,
            "candidates": candidates,
            "chosen": {"learning_rate": chosen.learning_rate, "epochs": chosen.epochs},
            "earlier": _earlier_choices(entry),
        },
    )


def _earlier_choices(entry: ModelOnTask) -> list[dict[str, Any]]:
    """Return previous choices for other keys, oldest first: key, chosen candidate, and whether it was tested."""
    try:
        previous = json.loads((entry.folder / CHOICE).read_text(encoding="utf-8"))
        last = {"key": previous["key"], "chosen": previous["chosen"], "tested": _was_tested(entry, previous["key"])}
        choices = [*previous["earlier"], last]
    except (OSError, ValueError, LookupError, TypeError):
        # Missing, or damaged, and then it never opened a test split.
        return []
    return [choice for choice in choices if choice["key"] != entry.choice_key()]


def _was_tested(entry: ModelOnTask, key: Mapping[str, Any]) -> bool:
    """Return whether there is a test record of the choice that was made for `key`."""
    for path in entry.folder.glob("test,seed=*.json"):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["status"] == "done" and record["key"].items() >= key.items():
                return True
        except (OSError, ValueError, LookupError, AttributeError):
            continue
    return False


def was_chosen_after_a_test(entry: ModelOnTask) -> bool:
    """Return whether the model had test scores on the same data, for other candidates or seeds, before the choice."""
    earlier = json.loads((entry.folder / CHOICE).read_text(encoding="utf-8"))["earlier"]
    same = {name: value for name, value in entry.choice_key().items() if name not in ("grid", "seeds")}
    return any(choice["tested"] and {name: choice["key"].get(name) for name in same} == same for choice in earlier)
