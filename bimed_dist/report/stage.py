"""The report stage: read every finished stage of the recipe, write index.html, report.md and tables/*.csv.

The files depend neither on the clock nor on the machine: the same records give the same bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bimed_dist.errors import ConfigError
from bimed_dist.evaluation.results_format import Results
from bimed_dist.manifest import Outcome, build
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.report import page
from bimed_dist.report.page import Section
from bimed_dist.report.records import Records, read_records, stage_folders, verified_manifests
from bimed_dist.report.scores import MainRow, main_rows, result_rows
from bimed_dist.report.sections.attribution import attribution_section
from bimed_dist.report.sections.corpus import corpus_section
from bimed_dist.report.sections.embeddings import embeddings_section
from bimed_dist.report.sections.forgetting import forgetting_section, foundation_languages, replays
from bimed_dist.report.sections.limits import limits_section
from bimed_dist.report.sections.main_results import headline, main_csv, main_section
from bimed_dist.report.sections.provenance import provenance_section
from bimed_dist.report.sections.tasks import corpus_overlaps, tasks_section
from bimed_dist.report.sections.training import training_section
from bimed_dist.report.sections.vocabulary import vocabulary_section
from bimed_dist.report.tables import Table, table_csv
from bimed_dist.workspace import PAGE, REPORT_TABLES, REPORT_TEXT, stage_folder

# With a byte order mark, so that spreadsheets read Hangul correctly.
_CSV_ENCODING = "utf-8-sig"


def run(recipe: Recipe, work: Path) -> Outcome:
    """Build WORK/report from the other stages' folders in WORK.

    Raises ConfigError if the recipe has no report, DataError if a stage is unfinished or damaged.
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
    """Return the languages that the recipe gives for its models, which are in no manifest; None if it gives none."""
    return {label: list(m.languages) for label, m in recipe.evaluated_models.items() if m.languages} or None


def write_report(records: Records, recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Write the files of the report and return its counts."""
    rows = main_rows(records.results) if records.results is not None else []
    sections = report_sections(records, recipe, rows)
    finished = max((m.finished for m in records.manifests.values()), default="")
    report = page.Page(
        title=recipe.report.title,
        subtitle=f"Recipe {recipe.name}, seed {recipe.seed}" + (f", finished {finished[:10]}" if finished else ""),
        headline=headline(rows),
        sections=tuple(sections),
    )
    (folder / PAGE).write_text(page.html(report), encoding="utf-8")
    (folder / REPORT_TEXT).write_text(page.markdown(report), encoding="utf-8")
    files = {table.name: table_csv(table) for table in all_tables(sections)}
    if rows:
        files["main"] = main_csv(rows)
    (folder / REPORT_TABLES).mkdir()
    for name, content in files.items():
        (folder / REPORT_TABLES / f"{name}.csv").write_text(content, encoding=_CSV_ENCODING, newline="")
    return _counts(rows, files, records.results)


def report_sections(records: Records, recipe: Recipe, rows: Sequence[MainRow]) -> list[Section]:
    """Return the sections that these records have data for, in the order of the page."""
    results = records.results
    limits = limits_section(records, recipe, rows)
    sections = [limits]
    if results is not None:
        overlaps = {task: corpus_overlaps(records, recipe, task) for task in results["tasks"]}
        languages = foundation_languages(records, recipe)
        sections = [
            main_section(rows),
            forgetting_section(result_rows(results), languages, replays(recipe)),
            limits,
            tasks_section(results, overlaps),
        ]
    if records.attributions:
        sections.append(attribution_section(records.attributions))
    if records.compositions:
        sections.append(vocabulary_section(records))
    if models := records.of_stage("model"):
        sections.append(embeddings_section(models))
    if records.curves:
        sections.append(training_section(records.curves, records.of_stage("pretraining")))
    if corpora := records.of_stage("corpus"):
        sections.append(corpus_section(corpora))
    return [*sections, provenance_section(records.manifests, recipe)]


def all_tables(sections: Iterable[Section]) -> list[Table]:
    return [table for section in sections for table in (*section.tables, *all_tables(section.parts))]


def _counts(rows: Sequence[MainRow], files: Mapping[str, str], results: Results | None) -> dict[str, Any]:
    gains = [row.gain for row in rows if row.gain is not None]
    return {
        "tables": len(files),
        "comparisons": len(gains),
        "improved": sum(gain > 0 for gain in gains),
        "worsened": sum(gain < 0 for gain in gains),
        "failed_trials": len(results["failures"]) if results is not None else 0,
    }
