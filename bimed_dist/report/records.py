"""What the report reads: the verified manifest of every stage in the recipe, and the few files that hold its numbers.

Nothing is computed here; a folder that is missing, unfinished or damaged is a DataError, all told at once.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bimed_dist.errors import DataError
from bimed_dist.manifest import Manifest, verified
from bimed_dist.metrics_log import read_metrics
from bimed_dist.recipe.recipe import STAGES, Recipe
from bimed_dist.workspace import COMPOSITION, CONTAMINATION, FERTILITY, MANIFEST, METRICS, RESULTS, SUMMARY

RESULTS_SCHEMA = 1
"""Newest schema of results.json that is understood. Older ones, and what has none, are read with what they have."""
_CURVES = (
    *("mlm_loss", "nsp_loss", "sop_loss", "mlm_accuracy", "nsp_accuracy", "sop_accuracy"),
    "mlm_bits_per_character",
)
"""Of metrics.jsonl; which pairs there are follows the run's sentence objective."""
_NAMED_STAGES = STAGES[: STAGES.index("evaluation")]


@dataclass(frozen=True, kw_only=True)
class Records:
    manifests: dict[str, Manifest]
    """`stage/NAME` (and `evaluation`) -> manifest, in the order of the stages."""
    results: dict[str, Any] | None
    """evaluation/results.json; None where the recipe evaluates nothing."""
    curves: dict[str, list[dict[str, Any]]]
    """Run -> lines of metrics.jsonl, by step, each step once."""
    compositions: dict[str, dict[str, Any]]
    """Vocabulary -> composition.json."""
    fertilities: dict[str, dict[str, Any]]
    """Vocabulary -> fertility.json."""
    attributions: dict[str, dict[str, Any]]
    """Attribution -> summary.json, of those that are finished."""
    overlaps: dict[str, Counter[tuple[str, str]]]
    """Corpus that was searched for text of the tasks -> rows of each (task, split) that were found."""

    def of(self, stage: str) -> dict[str, Manifest]:
        """NAME -> manifest of one stage."""
        return {key.partition("/")[2]: m for key, m in self.manifests.items() if key.startswith(stage + "/")}


def stage_folders(recipe: Recipe, work: Path) -> dict[str, Path]:
    """`stage/NAME` -> folder of everything in the recipe that the report shows.

    Attributions only where they are finished: the pipeline never makes them.
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


def curve_names(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """What any of the runs validated, in the order it is shown in."""
    found = {name for lines in curves.values() for line in lines if line["kind"] == "validation" for name in line}
    return [name for name in _CURVES if name in found]


def read_overlaps(path: Path) -> Counter[tuple[str, str]]:
    """How many rows of each (task, split) a corpus held, in its own documents or through a parallel task."""
    try:
        found = {(row["task"], row["split"], row["row"]) for row in csv.DictReader(io.StringIO(_read_text(path)))}
    except KeyError:
        raise DataError(f"{path} has not the columns task, split and row; build the corpus again") from None
    return Counter((task, split) for task, split, _ in found)


def read_curve(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a metrics.jsonl by step. A resumed run logged some steps twice: the later line counts."""
    if not path.is_file():
        raise DataError(f"{path} is missing although its folder is finished; build the folder again")
    latest = {(line["step"], line["kind"]): line for line in read_metrics(path)}
    return [latest[key] for key in sorted(latest)]


def _read_results(path: Path) -> dict[str, Any]:
    results = _read_json(path)
    if results.get("schema", 0) > RESULTS_SCHEMA:
        raise DataError(
            f"{path} has schema {results['schema']}, this version reads up to {RESULTS_SCHEMA}; use the version that "
            "wrote it, or a newer one"
        )
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
