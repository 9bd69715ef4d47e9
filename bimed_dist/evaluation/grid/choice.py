"""`choice.json`: which candidate is tested, and which ones were chosen before it."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from bimed_dist.evaluation.grid import records
from bimed_dist.evaluation.grid.model_on_task import Candidate, ModelOnTask
from bimed_dist.manifest import write_json
from bimed_dist.workspace import CHOICE


def best(dev_scores: Mapping[Candidate, list[float]]) -> Candidate | None:
    """Highest mean over seeds; the first of the grid where two are equal."""
    return max(dev_scores, key=lambda candidate: float(np.mean(dev_scores[candidate])), default=None)


def write_choice(pair: ModelOnTask, dev_scores: Mapping[Candidate, list[float]], chosen: Candidate) -> None:
    """`choice.json`, which opens the test splits. Choices of before, among other candidates or seeds, stay in it."""
    tried = [
        {"learning_rate": c.learning_rate, "epochs": c.epochs, "dev": values, "mean": float(np.mean(values))}
        for c, values in dev_scores.items()
    ]
    write_json(
        pair.folder / CHOICE,
        {
            "schema": records.SCHEMA,
            "key": pair.choice_key(),
            "metric": pair.prepared.task.metric,
            "candidates": tried,
            "chosen": {"learning_rate": chosen.learning_rate, "epochs": chosen.epochs},
            "earlier": _earlier(pair),
        },
    )


def _earlier(pair: ModelOnTask) -> list[dict[str, Any]]:
    """Other choices that stood in this one's place, the oldest first: for what, which, and whether it was tested."""
    try:
        found = json.loads((pair.folder / CHOICE).read_text(encoding="utf-8"))
        before = {"key": found["key"], "chosen": found["chosen"], "tested": _was_tested(pair, found["key"])}
        known = [*found.get("earlier", ()), before]
    except (OSError, ValueError, LookupError, TypeError):
        # None, or a damaged one, which opens nothing either.
        return []
    return [choice for choice in known if choice["key"] != pair.choice_key()]


def _was_tested(pair: ModelOnTask, key: Mapping[str, Any]) -> bool:
    """Whether there is a test record of the choice that was made for `key`."""
    for path in pair.folder.glob("test,seed=*.json"):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["status"] == "done" and record["key"].items() >= key.items():
                return True
        except (OSError, ValueError, LookupError, AttributeError):
            continue
    return False


def was_chosen_after_a_test(pair: ModelOnTask) -> bool:
    """Whether the same model had test scores on the same data when it was chosen among these candidates and seeds."""
    found = json.loads((pair.folder / CHOICE).read_text(encoding="utf-8"))
    same = {name: value for name, value in pair.choice_key().items() if name not in ("grid", "seeds")}
    return any(
        choice["tested"] and {name: choice["key"].get(name) for name in same} == same
        for choice in found.get("earlier", ())
    )
