"""Rows of a task that the corpus held, as the corpus stage found them: what stands beside the task's score."""

from bimed_dist.recipe.recipe import Recipe
from bimed_dist.report.records import Records


def found_in_corpora(records: Records, recipe: Recipe, task: str) -> list[tuple[str, str]]:
    """For each corpus that was searched for the task's rows, how many of them it held and what became of them.

    Test splits are always told, the others where a row was found.
    """
    facts = []
    for name, manifest in records.of("corpus").items():
        if f"task/{task}" not in manifest.inputs:
            continue
        settings = manifest.settings.get("contamination", {})
        found = {split: records.overlaps[name][task, split] for split in settings.get("splits", ())}
        rows = {split: n for split, n in records.results["tasks"][task].get("read", {}).items() if split in found}
        told = [
            f"{found[split]:,} of {n:,} {split} rows"
            for split, n in rows.items()
            if found[split] or split in ("test", "external")
        ]
        fact = ", ".join(told) or "its test rows were not searched for"
        if any(found.values()):
            fact += ", removed from it" if settings["action"] == "remove" else ", left in it"
        if any(starts_elsewhere(recipe, model["folder"]) for model in records.results["models"].values()):
            fact += "; what the foundation was trained on is unknown"
        facts.append((f"Found in corpus {name}", fact))
    return facts


def starts_elsewhere(recipe: Recipe, folder: str) -> bool:
    """Whether a model comes from weights that were not trained in this recipe."""
    run = recipe.pretraining_run(folder)
    if run is None:
        return True
    foundation = recipe.model[recipe.pretraining[run].model].foundation
    return foundation is not None and starts_elsewhere(recipe, foundation)
