"""The report's input: the verified manifest of every stage in the recipe, and the files that hold its numbers.

Nothing is computed here. Folders that are missing, unfinished or damaged raise one DataError that lists them all.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bimed_dist.attribution.summary_format import Summary
from bimed_dist.errors import DataError
from bimed_dist.evaluation.results_format import SCHEMA, Results
from bimed_dist.manifest import Manifest, verified
from bimed_dist.metrics_log import read_metrics
from bimed_dist.recipe.recipe import STAGES, Recipe
from bimed_dist.vocabulary.report_format import Composition, Fertility
from bimed_dist.workspace import COMPOSITION, CONTAMINATION, FERTILITY, MANIFEST, METRICS, RESULTS, SUMMARY

_NAMED_STAGES = STAGES[: STAGES.index("evaluation")]


@dataclass(frozen=True, kw_only=True)
class Records:
    manifests: dict[str, Manifest]
    """`stage/NAME` (and `evaluation`) -> manifest, in the order of the stages."""
    results: Results | None
    """results.json; None if the recipe evaluates nothing."""
    curves: dict[str, list[dict[str, Any]]]
    """Run -> lines of metrics.jsonl, by step, each step once."""
    compositions: dict[str, Composition]
    """Vocabulary -> composition.json."""
    fertilities: dict[str, Fertility]
    """Vocabulary -> fertility.json."""
    attributions: dict[str, Summary]
    """Attribution -> summary.json, if it is finished."""
    overlaps: dict[str, Counter[tuple[str, str]]]
    """Corpus that was searched for text of the tasks -> rows of each (task, split) that it held."""

    def of_stage(self, stage: str) -> dict[str, Manifest]:
        """Return NAME -> manifest of one stage."""
        return {key.partition("/")[2]: m for key, m in self.manifests.items() if key.startswith(stage + "/")}


def stage_folders(recipe: Recipe, work: Path) -> dict[str, Path]:
    """Return `stage/NAME` -> folder of everything in the recipe that the report shows.

    Attributions are included only if they are finished, since the pipeline never makes them.
    """
    keys = [f"{stage}/{name}" for stage in _NAMED_STAGES for name in getattr(recipe, stage)]
    if recipe.evaluation is not None:
        keys.append("evaluation")
    keys += [key for name in recipe.attribution if (work / (key := f"attribution/{name}") / MANIFEST).is_file()]
    return {key: work / key for key in keys}


def verified_manifests(folders: Mapping[str, Path]) -> dict[str, Manifest]:
    manifests, problems = {}, []
    for key, folder in folders.items():
        try:
            manifests[key] = verified(folder)
        except DataError as error:
            problems.append(f"  {error}")
    if problems:
        raise DataError(
            f"the report needs every stage of the recipe; {len(problems)} can't be used\n" + "\n".join(problems)
        )
    return manifests


def read_records(folders: Mapping[str, Path], manifests: Mapping[str, Manifest]) -> Records:
    results, curves, compositions, fertilities, attributions, overlaps = None, {}, {}, {}, {}, {}
    for key, folder in folders.items():
        stage, _, name = key.partition("/")
        if stage == "evaluation":
            results = _read_results(folder / RESULTS)
        elif stage == "corpus" and any(key.startswith("task/") for key in manifests[f"corpus/{name}"].inputs):
            overlaps[name] = read_overlaps(folder / CONTAMINATION)
        elif stage == "pretraining":
            curves[name] = read_curve(folder / METRICS)
        elif stage == "vocabulary":
            compositions[name] = _read_json(folder / COMPOSITION)
            fertilities[name] = _read_json(folder / FERTILITY)
        elif stage == "attribution":
            attributions[name] = _read_json(folder / SUMMARY)
    return Records(
        manifests=dict(manifests),
        results=results,
        curves=curves,
        compositions=compositions,
        fertilities=fertilities,
        attributions=attributions,
        overlaps=overlaps,
    )


def read_overlaps(path: Path) -> Counter[tuple[str, str]]:
    """Return how many rows of each (task, split) a corpus held; a row found in several documents counts once."""
    try:
        rows = {(row["task"], row["split"], row["row"]) for row in csv.DictReader(io.StringIO(_read_text(path)))}
    except KeyError:
        raise DataError(f"{path} lacks the column task, split or row; build the corpus again") from None
    return Counter((task, split) for task, split, _ in rows)


def read_curve(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a metrics.jsonl by step. A resumed run logs some steps twice; the later line counts."""
    if not path.is_file():
        raise DataError(f"{path} is missing although its folder is finished; build the folder again")
    latest = {(line["step"], line["kind"]): line for line in read_metrics(path)}
    return [latest[key] for key in sorted(latest)]


def _read_results(path: Path) -> Results:
    results = _read_json(path)
    schema = results.get("schema")
    if schema != SCHEMA:
        raise DataError(f"{path} has schema {schema}, this version reads schema {SCHEMA}; run the evaluation again")
    return results


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(_read_text(path))
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}); build its folder again") from None


def _read_text(path: Path) -> str:
    if not path.is_file():
        raise DataError(f"{path} is missing although its folder is finished; build the folder again")
    return path.read_text(encoding="utf-8")
