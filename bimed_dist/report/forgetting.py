"""Forgetting: which languages are a foundation's own, what was done against it, and what the scores say of it."""

from collections import Counter
from collections.abc import Mapping, Sequence

from bimed_dist.recipe.evaluation import EvaluatedModel
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.report.cells import plural
from bimed_dist.report.records import Records
from bimed_dist.report.scores import MainRow

_OWN = 0.9
"""Share of the text from which on its language is the one a model was made for."""


def foundation_languages(records: Records, recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """Evaluated model -> its own languages: what the recipe says, or the one language of nearly all the text that it
    was pre-trained on here, replayed and mixed text included; empty where neither tells.
    """
    return {
        label: model.languages or _main_language(_trained_on(model, records, recipe))
        for label, model in recipe.evaluated_models.items()
    }


def _trained_on(model: EvaluatedModel, records: Records, recipe: Recipe) -> Mapping[str, float]:
    """Rows of its pre-training by language, or tokens of its shards where the run tells no rows; empty where it was not
    pre-trained here.
    """
    run = recipe.pretraining_run(model.folder)
    if run is None:
        return {}
    settings = recipe.pretraining[run]
    phases = records.of("pretraining")[run].counts.get("phases", ())
    if not phases:
        by_language = records.of("shards")[settings.shards].counts["by_language"]
        return {code: part["tokens"] for code, part in by_language.items()}
    rows: Counter[str] = Counter()
    for phase, counts in zip(settings.phases, phases, strict=False):
        # Counted over an epoch, of which a phase may have seen a part or several.
        trained = counts["steps"] * phase.global_batch / max(counts["rows_per_epoch"], 1)
        rows.update({code: trained * number for code, number in counts["by_language"].items()})
    return rows


def _main_language(amounts: Mapping[str, float]) -> tuple[str, ...]:
    # Numbers and signs are of no language; mixed text is of two.
    of_languages = {code: amount for code, amount in amounts.items() if code != "other"}
    main = max(of_languages, key=of_languages.__getitem__, default="mixed")
    whole = sum(of_languages.values())
    return (main,) if main != "mixed" and of_languages[main] >= _OWN * whole > 0 else ()


def replayed(recipe: Recipe) -> dict[str, str]:
    """Adapted model -> what was replayed while it was pre-trained, such as `10 % of the rows are of shards/general`."""
    found = {}
    for label, model in recipe.evaluated_models.items():
        run = recipe.pretraining_run(model.folder)
        replay = recipe.pretraining[run].replay if run is not None else None
        if model.adapted_from is not None and replay is not None:
            found[label] = f"replay: {replay.share:.1%} of the rows of its pre-training are of shards/{replay.shards}"
    return found


def told_of_forgetting(rows: Sequence[MainRow], languages: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Paragraphs on these comparisons in one language; `languages` are the foundations' own, where they are known."""
    if not rows:
        return ("No task in a foundation's own language was measured for both models, so nothing can be said.",)
    known = [row for row in rows if languages.get(row.foundation or "")]
    unknown = [row for row in rows if not languages.get(row.foundation or "")]
    told = []
    if known:
        told.append(f"In the foundation's own language the adapted model does worse in {_worse(known)}.")
    if unknown:
        names = ", ".join(sorted({str(row.foundation) for row in unknown}))
        told.append(
            f"In tasks of a single language the adapted model does worse in {_worse(unknown)}. The own language of "
            f"{names} is not recorded (`language` of the model in the recipe), so that these show no forgetting."
        )
    return tuple(told)


def _worse(rows: Sequence[MainRow]) -> str:
    """Such as `2 of 5 comparisons, 1 of them beyond chance`."""
    worse = [row for row in rows if row.gain < 0]
    clear = f", {sum(row.clear for row in worse)} of them beyond chance" if any(row.tested for row in worse) else ""
    return f"{len(worse)} of {plural(len(rows), 'comparison')}{clear}"
