"""Forgetting: does an adapted model score worse in the languages of its foundation?"""

from collections import Counter
from collections.abc import Mapping, Sequence

from bimed_dist.recipe.evaluation import EvaluatedModel
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.report.page import Section
from bimed_dist.report.records import Records
from bimed_dist.report.score_cells import difference_cells, model_cell, score_cell, split_name
from bimed_dist.report.scores import MainRow, forgetting_rows, verdict
from bimed_dist.report.tables import Cell, Table, make_table, text_cell
from bimed_dist.report.text import language_name, metric_title, percent, plural

_EXPLANATION = "Continued pre-training can make a model worse in the languages that its foundation was trained on."
_MAIN_SHARE = 0.9
"""Share of the training text from which on its language counts as the model's language."""


def forgetting_section(
    rows: Sequence[MainRow], languages: Mapping[str, Sequence[str]], replays: Mapping[str, str]
) -> Section:
    """rows: of all tasks; languages: those of each foundation; replays: adapted model -> its replay, in words."""
    compared = forgetting_rows(rows, languages)
    return Section(
        title="Forgetting",
        anchor="forgetting",
        paragraphs=(_EXPLANATION, *forgetting_paragraphs(compared, languages)),
        facts=tuple(replays.items()),
        tables=(forgetting_table(compared, languages),) if compared else (),
    )


def forgetting_paragraphs(rows: Sequence[MainRow], languages: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    if not rows:
        return ("No task in a foundation's language was measured for both models, so forgetting cannot be judged.",)
    known = [row for row in rows if languages.get(row.foundation or "")]
    unknown = [row for row in rows if not languages.get(row.foundation or "")]
    paragraphs = []
    if known:
        paragraphs.append(f"In the foundation's language, adapted models score worse in {_worse(known)}.")
    if unknown:
        names = ", ".join(sorted({str(row.foundation) for row in unknown}))
        paragraphs.append(
            f"In tasks of a single language, adapted models score worse in {_worse(unknown)}. The language of {names} "
            "is not known, so these comparisons do not show forgetting. Give the model a language in the recipe."
        )
    return tuple(paragraphs)


def _worse(rows: Sequence[MainRow]) -> str:
    """Return such as `2 of 5 comparisons (1 significantly)`."""
    worse = [row for row in rows if row.gain < 0]
    tested = f" ({sum(row.is_significant for row in worse) or 'none'} significantly)"
    return f"{len(worse)} of {plural(len(rows), 'comparison')}" + (
        tested if any(row.is_tested for row in worse) else ""
    )


def forgetting_table(rows: Sequence[MainRow], languages: Mapping[str, Sequence[str]]) -> Table:
    """rows: those of `scores.forgetting_rows`; languages: those of each foundation."""
    columns = ("Adapted model", "Foundation's language", "Task", "Foundation", "Adapted", "Difference", "Verdict")
    cells = [
        (
            model_cell(row),
            text_cell(", ".join(map(language_name, languages.get(row.foundation or "") or ("not known",)))),
            Cell(row.title, row.task, detail=f"{metric_title(row.metric)} · {split_name(row.split, row.slice)}"),
            score_cell(row.foundation_score),
            score_cell(row.model_score),
            difference_cells(row)[0],
            text_cell(verdict(row)),
        )
        for row in rows
    ]
    caption = "Adapted models against their foundations in the foundation's language, or in any if it is not known"
    return make_table("forgetting", caption, columns, cells)


# ------------------------------------------------------------------------------------------------ languages and replay


def foundation_languages(records: Records, recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """Return the languages of every evaluated model, () if they are not known.

    They are those of the recipe or, if it names none, the one language of nearly all rows that the model was
    pre-trained on here, replayed rows included.
    """
    return {
        label: model.languages or _main_language(_training_amounts(model, records, recipe))
        for label, model in recipe.evaluated_models.items()
    }


def _training_amounts(model: EvaluatedModel, records: Records, recipe: Recipe) -> Mapping[str, float]:
    """Return rows of its pre-training by language, or tokens of its shards if the run has no counts of rows.

    Empty if it was not pre-trained here.
    """
    run = recipe.pretraining_run(model.folder)
    if run is None:
        return {}
    settings = recipe.pretraining[run]
    phases = records.of_stage("pretraining")[run].counts.get("phases", ())
    if not phases:
        by_language = records.of_stage("shards")[settings.shards].counts["by_language"]
        return {code: part["tokens"] for code, part in by_language.items()}
    rows: Counter[str] = Counter()
    for phase, counts in zip(settings.phases, phases, strict=False):
        # Counts are those of an epoch; a phase trains a part of an epoch or several.
        trained = counts["steps"] * phase.global_batch / max(counts["rows_per_epoch"], 1)
        rows.update({code: trained * number for code, number in counts["by_language"].items()})
    return rows


def _main_language(amounts: Mapping[str, float]) -> tuple[str, ...]:
    # Numbers and signs ("other") have no language; "mixed" has two.
    by_language = {code: amount for code, amount in amounts.items() if code != "other"}
    main = max(by_language, key=by_language.__getitem__, default="mixed")
    total = sum(by_language.values())
    return (main,) if main != "mixed" and by_language[main] >= _MAIN_SHARE * total > 0 else ()


def replays(recipe: Recipe) -> dict[str, str]:
    """Return adapted model -> its replay, such as `replay: 10.0 % of its pre-training rows are from shards/general`."""
    facts = {}
    for label, model in recipe.evaluated_models.items():
        run = recipe.pretraining_run(model.folder)
        replay = recipe.pretraining[run].replay if run is not None else None
        if model.adapted_from is not None and replay is not None:
            share = percent(replay.share)
            facts[label] = f"replay: {share} of its pre-training rows are from shards/{replay.shards}"
    return facts
