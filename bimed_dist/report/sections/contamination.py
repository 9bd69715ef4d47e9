"""Rows of a task that a corpus holds, shown among the facts of the task."""

from bimed_dist.recipe.recipe import Recipe
from bimed_dist.report.records import Records
from bimed_dist.report.text import listed


def corpus_overlaps(records: Records, recipe: Recipe, task: str) -> list[tuple[str, str]]:
    """For each corpus that was searched for the task's rows, return how many it held and if they were removed.

    Test splits are always reported, other splits if a row was found.
    """
    facts = []
    for name, manifest in records.of_stage("corpus").items():
        if f"task/{task}" not in manifest.inputs:
            continue
        settings = manifest.settings.get("contamination", {})
        counts = {split: records.overlaps[name][task, split] for split in settings.get("splits", ())}
        rows_read = {split: n for split, n in records.results["tasks"][task]["read"].items() if split in counts}
        shown = [
            f"{counts[split]:,} of {n:,} {split} rows"
            for split, n in rows_read.items()
            if counts[split] or split in ("test", "external")
        ]
        fact = listed(shown) or "its test rows were not searched for"
        if any(counts.values()):
            fact += "; removed from the corpus" if settings["action"] == "remove" else "; left in the corpus"
        if any(starts_elsewhere(recipe, model["folder"]) for model in records.results["models"].values()):
            fact += "; the foundation's training text is not known"
        facts.append((f"Found in corpus {name}", fact))
    return facts


def starts_elsewhere(recipe: Recipe, folder: str) -> bool:
    """Whether a model starts from weights that were not trained in this recipe."""
    run = recipe.pretraining_run(folder)
    if run is None:
        return True
    foundation = recipe.model[recipe.pretraining[run].model].foundation
    return foundation is not None and starts_elsewhere(recipe, foundation)
