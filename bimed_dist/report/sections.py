"""What the report says, in which order: sections of facts, tables and figures, made from the records alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from bimed_dist.manifest import Manifest
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.report import figures, scores, tables, vocabulary
from bimed_dist.report.attribution import attribution_table
from bimed_dist.report.cells import Table, decimal, language_name, metric_name, plural, signed
from bimed_dist.report.contamination import found_in_corpora
from bimed_dist.report.corpus import corpus_tables
from bimed_dist.report.forgetting import foundation_languages, replayed, told_of_forgetting
from bimed_dist.report.records import Records
from bimed_dist.report.scores import MainRow


@dataclass(frozen=True)
class Bar:
    """A bar of shares that add up to 1."""

    label: str
    parts: tuple[tuple[str, float], ...]
    """(name of the part, share)"""


@dataclass(frozen=True, kw_only=True)
class Section:
    title: str
    anchor: str = ""
    paragraphs: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    figures: tuple[tuple[str, str], ...] = ()
    """(title, SVG)"""
    legend: tuple[tuple[str, int, str], ...] = ()
    """(run, number of its colour, dash pattern)"""
    bars: tuple[Bar, ...] = ()
    tables: tuple[Table, ...] = ()
    code: str = ""
    parts: tuple["Section", ...] = ()


def report_sections(records: Records, recipe: Recipe, rows: Sequence[MainRow]) -> list[Section]:
    """Every section that these records have something for, in the order of the page."""
    sections = [_main(rows)] if records.results is not None else []
    if records.results is not None:
        found = {task: found_in_corpora(records, recipe, task) for task in records.results["tasks"]}
        sections.append(_tasks(records.results, found))
    if records.attributions:
        sections.append(_attribution(records.attributions))
    if records.compositions:
        sections.append(_vocabulary(records))
    if models := records.of("model"):
        sections.append(_transplant(models))
    if records.curves:
        sections.append(_training(records.curves, records.of("pretraining")))
    if corpora := records.of("corpus"):
        sections.append(_corpus(corpora))
    if records.results is not None:
        languages = foundation_languages(records, recipe)
        sections.append(_forgetting(scores.compared_rows(records.results), languages, replayed(recipe)))
    sections.append(_run(records, recipe))
    sections.append(Section(title="Limits", anchor="limits", points=tuple(limits(records, recipe, rows))))
    return sections


# ------------------------------------------------------------------------------------------------------------- headline


def headline(rows: Sequence[MainRow]) -> str:
    """One sentence on what continued pre-training did to the scores, losses named as openly as gains."""
    if not rows:
        return "This recipe evaluates no models."
    compared = [row for row in rows if row.gain is not None]
    missing = [row for row in rows if row.foundation is not None and row.gain is None]
    if not compared:
        return f"No adapted model could be compared with its foundation{_missing(missing)}."
    raised, lowered = ([row for row in compared if sign * row.gain > 0] for sign in (1, -1))
    sentence = f"Continued pre-training improved {len(raised)} of {plural(len(compared), 'score')}{_clear(raised)}"
    if lowered:
        sentence += f" and worsened {len(lowered)}{_clear(lowered)}"
    # Gains in loss or bits are on another scale than gains in correlation or F1.
    bounded = [row for row in compared if not row.lower_is_better] or compared
    best, worst = max(bounded, key=lambda row: row.gain), min(bounded, key=lambda row: row.gain)
    if best.gain > 0:
        sentence += f"; largest gain: {_change(best)}"
    if worst.gain < 0:
        sentence += f"; largest loss: {_change(worst)}"
    return sentence + _missing(missing) + "."


def _clear(rows: Sequence[MainRow]) -> str:
    tested = [row for row in rows if row.tested]
    return f" ({sum(row.clear for row in tested)} of them beyond chance)" if tested else ""


def _change(row: MainRow) -> str:
    where = "" if row.split == "test" else f", {row.split}"
    values = f"{decimal(row.foundation_score.mean)} to {decimal(row.model_score.mean)}"
    measured = f"{metric_name(row.metric)} {values} ({signed(row.difference)})"
    return f"{row.title}{where} ({row.foundation} → {row.model}), {measured}"


def _missing(rows: Sequence[MainRow]) -> str:
    if not rows:
        return ""
    failed = sum("failed" in (row.foundation_score.state, row.model_score.state) for row in rows)
    reason = f", {failed} of them because a run failed" if failed else ""
    return f"; {plural(len(rows), 'comparison')} can't be made{reason}"


# ------------------------------------------------------------------------------------------------------------- sections


def _main(rows: Sequence[MainRow]) -> Section:
    figure = figures.change_figure(rows, figures.korean_font())
    return Section(
        title="Main results",
        anchor="main",
        paragraphs=(
            "Each adapted model against the foundation it was trained from. Mean ± standard deviation over seeds, of "
            "tasks that train nothing over draws of masks or pairs; bold is the best of all models on that task. "
            "Intervals and p come from resampling the test rows (whole documents or patients where rows depend on each "
            "other); p is corrected by Holm's method over all tests of one adapted model. "
            '"Beyond chance", "better" and "worse" mean beyond chance in the choice of test rows: the trained models '
            "stay as they are.",
        ),
        tables=(tables.main_table(rows),),
        figures=(("Change from foundation to adapted model", figure),) if figure else (),
    )


def _tasks(results: Mapping[str, Any], in_corpora: Mapping[str, Sequence[tuple[str, str]]]) -> Section:
    grid = results["grid"]
    paragraph = (
        f"Seeds {', '.join(map(str, grid['seeds']))}; batch {grid['batch']}. Where a task has several candidates, "
        "learning rate and epochs are chosen on the development split before the test split is read. Where candidates "
        "or seeds were added later, a note says that they were chosen anew after a test score had been computed."
    )
    parts = tuple(_task(results, name, in_corpora.get(name, ())) for name in results["tasks"])
    return Section(title="Tasks in detail", anchor="tasks", paragraphs=(paragraph,), parts=parts)


def _task(results: Mapping[str, Any], name: str, in_corpora: Sequence[tuple[str, str]]) -> Section:
    task = results["tasks"][name]
    dropped = ", ".join(f"{number:,} {what}" for what, number in task["dropped"].items() if number)
    kind = f"{tables.KINDS[task['kind']]}, {language_name(task['language'])}"
    facts = [
        ("Kind", f"{kind}; judged by {metric_name(task['metric'])}"),
        ("Rows used", rows_used(task)),
        ("Rows dropped", dropped or "none"),
        *in_corpora,
        ("Candidates", candidates(task)),
        ("Settings", variant(task)),
        ("Labels from", task["labels_from"]),
        ("Source", task["citation"]),
        ("Licence", task["licence"]),
    ]
    by_label = tables.label_table(results, name)
    return Section(
        title=task["title"],
        facts=tuple((label, value) for label, value in facts if value),
        points=tuple(task["notes"]),
        figures=tuple(figures.next_panels(name, task.get("next_probabilities", {}))),
        tables=tuple(
            filter(None, (tables.task_table(results, name), by_label, tables.comparison_table(results, name)))
        ),
    )


def candidates(task: Mapping[str, Any]) -> str:
    """Such as `learning rates 2e-05, 5e-05; epochs 2, 4`; empty where nothing is trained."""
    grid = task.get("grid")
    if not grid:
        return ""
    tried = f"learning rates {', '.join(f'{v:g}' for v in grid['learning_rates'])}; epochs "
    tried += ", ".join(map(str, grid["epochs"]))
    return tried + (f" ({tables.FIXED})" if tables.is_fixed(task) else "")


def variant(task: Mapping[str, Any]) -> str:
    """Settings beside the grid that are not the usual ones, such as `threshold dev, long texts windows`."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in task.get("variant", {}).items())


def rows_used(task: Mapping[str, Any]) -> str:
    """Such as `train 1,200 of 5,749, dev 300, test 1,379`."""
    kept_of = task["kept_of"]
    return ", ".join(
        f"{split} {number:,}" + (f" of {kept_of[split]:,}" if kept_of.get(split, number) != number else "")
        for split, number in task["rows"].items()
    )


def _attribution(found: Mapping[str, Mapping[str, Any]]) -> Section:
    return Section(
        title="What the models looked at",
        anchor="attribution",
        paragraphs=(
            "Deletion: the answer's mean while words are masked, the weightiest first; below random order is better. "
            "Insertion: while words are shown again; above random order is better. Like random weights: rank "
            "correlation with the same model with random weights; near 0 is better. The heatmaps themselves show text "
            "and stay in the work folder (attribution/NAME/index.html).",
        ),
        tables=(attribution_table(found),),
    )


def _vocabulary(records: Records) -> Section:
    shards = records.of("shards")
    return Section(
        title="Vocabulary",
        anchor="vocabulary",
        paragraphs=(
            "Pieces by script, and how finely they cut text: fewer pieces a word are a better fit. A word is what "
            "stands between blanks, without the punctuation at its ends; in Korean that is an eojeol.",
        ),
        tables=(
            *(vocabulary.composition_table(name, found) for name, found in records.compositions.items()),
            vocabulary.fit_table(records.fertilities),
            *((tables.tokens_table(shards),) if shards else ()),
        ),
        parts=tuple(_words(name, found) for name, found in records.fertilities.items()),
    )


def _words(name: str, found: Mapping[str, Any]) -> Section:
    return Section(
        title=f"Words in vocabulary/{name}",
        tables=(
            vocabulary.examples_table(name, found),
            vocabulary.split_table(name, found),
            vocabulary.sources_table(name, found),
        ),
    )


def _transplant(models: Mapping[str, Manifest]) -> Section:
    bars = []
    for name, manifest in models.items():
        total = manifest.counts["rows"]
        made = ((origin, manifest.counts.get(origin, 0) / total) for origin in tables.ORIGINS if total)
        bars.append(Bar(name, tuple((origin, part) for origin, part in made if part > 0)))
    return Section(
        title="How rows were transplanted",
        anchor="transplant",
        paragraphs=("Where the embedding row of each piece of the new vocabulary came from.",),
        bars=tuple(bars),
        tables=(tables.transplant_table(models),),
    )


def _training(curves: Mapping[str, Sequence[Mapping[str, Any]]], runs: Mapping[str, Manifest]) -> Section:
    return Section(
        title="Training curves",
        anchor="training",
        paragraphs=(
            "Thick: held-out text. Thin: training loss. MLM loss and accuracy are per piece, so that runs with other "
            "vocabularies are not on one scale there. Bits per character compare across vocabularies, for runs with "
            "the same held-out text only.",
        ),
        facts=tuple((name, trained_on(manifest)) for name, manifest in runs.items()),
        figures=tuple(figures.curve_panels(curves)),
        legend=tuple((name, *figures.series_style(i)) for i, name in enumerate(curves)),
        tables=(tables.training_table(curves),),
    )


def trained_on(manifest: Manifest) -> str:
    """What a run did, which may be less than was planned, such as `2,000 steps (1,800 and 200 of longer rows), 120,800
    rows, 1.5 epochs, ddp, 2 processes`.
    """
    counts = manifest.counts
    steps = [f"{phase['steps']:,}" for phase in counts.get("phases", ())]
    of_phases = f" ({' and '.join(steps)} of longer rows)" if len(steps) > 1 else ""
    parts = [f"{counts['steps']:,} steps{of_phases}"]
    parts += [f"{counts['rows']:,} rows"] if "rows" in counts else []
    parts += [f"{counts['epochs']:g} epochs"] if "epochs" in counts else []
    parts += [str(counts["engine"])] if "engine" in counts else []
    parts += [plural(counts["processes"], "process")] if "processes" in counts else []
    return ", ".join(parts)


_DROPPED = {
    "duplicates_dropped": "duplicates",
    "near_duplicates_dropped": "near-duplicates",
    "contaminated_dropped": "of evaluation tasks",
    "rejected_dropped": "of poor quality",
    "empty_dropped": "empty",
}
"""Counts of documents that the corpus stage left out."""


def _corpus(corpora: Mapping[str, Manifest]) -> Section:
    facts = []
    for name, manifest in corpora.items():
        counts = manifest.counts
        held_out = f"{counts['held_out_documents']:,} documents ({counts['held_out_sentences']:,} sentences) held out"
        dropped = ", ".join(f"{counts.get(key, 0):,} {what}" for key, what in _DROPPED.items())
        facts.append((f"corpus/{name}", f"{held_out}; dropped: {dropped}; {counts['nfc_changed']:,} changed by NFC"))
    return Section(title="Corpus", anchor="corpus", facts=tuple(facts), tables=corpus_tables(corpora))


def _forgetting(rows: Sequence[MainRow], languages: Mapping[str, Sequence[str]], against: Mapping[str, str]) -> Section:
    """languages: a foundation's own; against: adapted model -> what was done against forgetting."""
    concerned = scores.forgetting_rows(rows, languages)
    return Section(
        title="Forgetting",
        anchor="forgetting",
        paragraphs=told_of_forgetting(concerned, languages),
        facts=tuple(against.items()),
        tables=(tables.forgetting_table(concerned, languages),) if concerned else (),
    )


def _run(records: Records, recipe: Recipe) -> Section:
    # The data folder is a path on somebody's machine; the digests say what was in it.
    shown = recipe.model_dump(mode="json", exclude={"data"}, exclude_none=True)
    return Section(
        title="Settings and versions",
        anchor="run",
        tables=(tables.stages_table(records.manifests), tables.versions_table(records.manifests)),
        code=yaml.safe_dump(shown, allow_unicode=True, sort_keys=False, default_flow_style=None, width=100),
    )


# --------------------------------------------------------------------------------------------------------------- limits


def limits(records: Records, recipe: Recipe, rows: Sequence[MainRow]) -> list[str]:
    """What a reader must know before believing the numbers, as far as the records tell."""
    found = []
    if any(source.kind == "synthetic" for corpus in recipe.corpus.values() for source in corpus.sources):
        found.append("Part of the corpus is synthetic: written by a program, not by clinicians.")
    if records.results is None:
        return [*found, "No model was evaluated."]
    found += _limits_of_tasks(records.results["tasks"])
    seeds = records.results["grid"]["seeds"]
    if len(seeds) < 5:
        found.append(
            f"{plural(len(seeds), 'seed')} per score: fine-tuning scores swing with the seed, take five or more."
        )
    if any(row.tested for row in rows):
        found.append(
            "The chance of training (seeds) is shown as ± sd where there are several seeds; intervals and p leave it "
            "out. In tasks that train nothing ± sd is the chance of the draw of masks or pairs, and the chance of "
            "pre-training is not shown."
        )
    failures = records.results["failures"]
    if failures:
        found.append(f"{plural(len(failures), 'cell')} failed; each is told beside its score.")
    if any(row.foundation is not None and not row.tested for row in rows if row.difference is not None):
        found.append("Differences without an interval or p were not tested; they may be chance.")
    found.append("A score says how a model does on this test set, not that it is safe in care.")
    return found


def _limits_of_tasks(tasks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    found = []
    cut = [t["title"] for t in tasks.values() if any(t["rows"].get(split) != n for split, n in t["kept_of"].items())]
    if cut:
        found.append(f"Only part of the rows was used for: {', '.join(cut)}. Published scores are on all rows.")
    dropped = sum(sum(t["dropped"].values()) for t in tasks.values())
    if dropped:
        found.append(f"{plural(dropped, 'row')} dropped as duplicates or leaks; published scores may include them.")
    synthetic = [t["title"] for t in tasks.values() if t["task"].startswith("synthetic_")]
    if synthetic:
        found.append(
            f"Texts generated from the labels by templates: {', '.join(synthetic)}. Scores there say little about "
            "clinical text."
        )
    ruled = [t["title"] for t in tasks.values() if "rule" in t["labels_from"].lower()]
    if ruled:
        found.append(f"Labels made by rules on the text itself: {', '.join(ruled)}. A rule can score high there.")
    return found
