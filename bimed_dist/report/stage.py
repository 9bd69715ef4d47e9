"""The report stage: read every finished stage of the recipe, write index.html, report.md and tables/*.csv.

The files hold nothing of the clock or the machine they were written on: the same records give the same bytes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bimed_dist.errors import ConfigError
from bimed_dist.manifest import Outcome, build
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.report import page, scores, tables
from bimed_dist.report.cells import Table, table_csv
from bimed_dist.report.records import Records, read_records, stage_folders, verified_manifests
from bimed_dist.report.sections import Section, headline, report_sections
from bimed_dist.workspace import PAGE, REPORT_TABLES, REPORT_TEXT, stage_folder

# With a byte order mark, so that spreadsheets read Korean as Korean.
_CSV_ENCODING = "utf-8-sig"


def run(recipe: Recipe, work: Path) -> Outcome:
    """Build WORK/report from what the other stages left in WORK.

    Raises ConfigError where the recipe has no report, DataError where a stage is unfinished or damaged.
    """
    if recipe.report is None:
        raise ConfigError(f"recipe {recipe.name} has no section `report`; add one with a `title`")
    folders = stage_folders(recipe, work)
    manifests = verified_manifests(folders)

    def make(folder: Path) -> dict[str, Any]:
        return write_report(read_records(folders, manifests), recipe, folder)

    return build(
        stage_folder(work, "report"),
        stage="report",
        settings={
            "seed": recipe.seed,
            "recipe": recipe.name,
            **recipe.report.model_dump(mode="json"),
            "languages": _languages(recipe),
        },
        inputs={key: manifest.digest for key, manifest in manifests.items()},
        make=make,
    )


def _languages(recipe: Recipe) -> dict[str, list[str]] | None:
    """What the recipe says of the models' own languages: it stands in no manifest. None where it says nothing."""
    return {label: list(m.languages) for label, m in recipe.evaluated_models.items() if m.languages} or None


def write_report(records: Records, recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Write the files of the report and return its counts."""
    rows = scores.main_rows(records.results) if records.results is not None else []
    sections = report_sections(records, recipe, rows)
    finished = max((m.finished for m in records.manifests.values()), default="")
    shown = page.Page(
        title=recipe.report.title,
        subtitle=f"Recipe {recipe.name}, seed {recipe.seed}" + (f", finished {finished[:10]}" if finished else ""),
        headline=headline(rows),
        sections=tuple(sections),
    )
    (folder / PAGE).write_text(page.html(shown), encoding="utf-8")
    (folder / REPORT_TEXT).write_text(page.markdown(shown), encoding="utf-8")
    files = {table.name: table_csv(table) for table in all_tables(sections)}
    if rows:
        files["main"] = tables.main_csv(rows)
    (folder / REPORT_TABLES).mkdir()
    for name, content in files.items():
        (folder / REPORT_TABLES / f"{name}.csv").write_text(content, encoding=_CSV_ENCODING, newline="")
    return _counts(rows, files, records.results)


def all_tables(sections: list[Section] | tuple[Section, ...]) -> list[Table]:
    return [table for section in sections for table in (*section.tables, *all_tables(section.parts))]


def _counts(rows: list[scores.MainRow], files: Mapping[str, str], results: Mapping[str, Any] | None) -> dict[str, Any]:
    gains = [row.gain for row in rows if row.gain is not None]
    return {
        "tables": len(files),
        "comparisons": len(gains),
        "improved": sum(gain > 0 for gain in gains),
        "worsened": sum(gain < 0 for gain in gains),
        "failed_cells": len(results["failures"]) if results is not None else 0,
    }
