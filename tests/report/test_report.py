"""The report on a fake but complete work folder: what it says, what it escapes, what it never shows."""

import copy
import csv
import importlib.util
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest

from bimed_dist.errors import ConfigError, DataError
from bimed_dist.recipe.loading import parse_recipe
from bimed_dist.report import cells, figures, forgetting, page, scores, sections, stage, tables
from bimed_dist.report.records import read_curve

# Tests are imported by path, so a module beside them is too.
_spec = importlib.util.spec_from_file_location("fake_work", Path(__file__).with_name("fake_work.py"))
fake_work = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fake_work)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    recipe = fake_work.recipe()
    fake_work.build(work, recipe)
    return recipe, work, stage.run(recipe, work)


class Elements(HTMLParser):
    """(tag, attributes) of everything, and the text of cells by row of the main table."""

    def __init__(self, html: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def html_of(built) -> str:
    return (built[1] / "report" / "index.html").read_text(encoding="utf-8")


def csv_of(built, name: str) -> list[dict[str, str]]:
    with (built[1] / "report" / "tables" / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def row_of(task: str, model: str, split: str = "test", results=None) -> scores.MainRow:
    rows = scores.main_rows(results or fake_work.results())
    return next(r for r in rows if (r.task, r.model, r.split) == (task, model, split))


# ----------------------------------------------------------------------------------------------------------- main table


def test_main_table_numbers_are_those_of_the_results(built):
    rows = {(r["task"], r["split"], r["model"]): r for r in csv_of(built, "main")}
    for task, (_, title, _, metric, splits) in fake_work.TASKS.items():
        for split, means in splits.items():
            for model, described in fake_work.MODELS.items():
                if described["adapted_from"] is None or scores.is_slice(split):
                    continue
                row = rows[task, split, model]
                assert (row["title"], row["metric"], row["foundation"]) == (title, metric, described["adapted_from"])
                for side, label in (("foundation", described["adapted_from"]), ("model", model)):
                    assert row[f"{side}_mean"] == (str(means[label]) if label in means else "")
    assert len(rows) == 14


def test_every_mean_of_the_main_table_is_in_page_markdown_and_text(built):
    shown = (
        html_of(built),
        (built[1] / "report/report.md").read_text(encoding="utf-8"),
        tables.main_table_text(fake_work.results()),
    )
    for _, _, _, _, splits in fake_work.TASKS.values():
        for mean in (m for split, means in splits.items() for m in means.values() if not scores.is_slice(split)):
            assert all(f"{mean:.3f} ± 0.010" in text for text in shown), mean


def test_a_failed_cell_is_shown_as_failed_with_its_error_and_never_as_a_number(built):
    row = next(r for r in csv_of(built, "main") if (r["task"], r["model"]) == ("ner", "bi-en-mini"))
    assert (row["model_state"], row["model_mean"], row["difference"]) == ("failed", "", "")
    assert row["model_reason"] == f"lr=5e-05,epochs=4,seed=2: out of memory {fake_work.SCRIPT}"
    cell = tables.score_cell(row_of("ner", "bi-en-mini").model_score)
    assert (cell.text, cell.kind) == ("failed", "failed")
    assert "out of memory" in html_of(built)
    assert "failed (a)" in tables.main_table_text(fake_work.results())


def test_a_score_that_does_not_apply_is_shown_with_its_reason(built):
    score = row_of("nsp", "bi-en-mini").foundation_score
    assert (score.state, score.mean, score.reason) == ("n/a", None, "the checkpoint has no NSP head")
    assert "the checkpoint has no NSP head" in html_of(built)


def test_a_score_of_zero_is_a_number():
    results = fake_work.results()
    found = next(s for s in results["scores"] if (s["task"], s["model"], s["main"]) == ("korsts", "bi-ko-mini", True))
    found["mean"] = 0.0
    score = row_of("korsts", "bi-ko-mini", results=results).model_score
    assert tables.score_cell(score).text == "0.000 ± 0.010"


def test_the_best_of_each_task_is_bold_and_the_lowest_is_best_for_bits():
    assert row_of("korsts", "bi-ko-mini").best == {"ko-mini"}
    assert row_of("ct", "bi-ko-mini", "external").best == {"bi-ko-mini"}
    assert row_of("mlm", "bi-ko-mini").best == {"bi-ko-mini"}
    assert row_of("mlm", "bi-ko-mini").gain == pytest.approx(0.807)


def test_a_seed_that_failed_beside_others_is_told_with_the_score():
    results = fake_work.results()
    results["failures"].append({"task": "korsts", "model": "ko-mini", "cell": "seed=3", "error": "killed"})
    score = row_of("korsts", "bi-ko-mini", results=results).foundation_score
    assert (score.state, score.reason) == ("measured", "1 cell(s) failed: seed=3: killed")


def test_a_split_that_failed_alone_is_shown_as_failed_and_the_other_splits_keep_their_scores():
    results = fake_work.results()
    for rows in (results["scores"], results["comparisons"]):
        rows[:] = [row for row in rows if (row["task"], row["split"]) != ("ct", "external")]
    error = {"task": "ct", "model": "bi-ko-mini", "cell": "test,seed=1, external", "error": "all answers are equal"}
    results["failures"].append({**error, "split": "external"})
    external = row_of("ct", "bi-ko-mini", "external", results).model_score
    assert (external.state, external.reason) == ("failed", "test,seed=1, external: all answers are equal")
    assert row_of("ct", "bi-ko-mini", "external", results).foundation_score.state == "n/a"
    test = row_of("ct", "bi-ko-mini", "test", results).model_score
    assert (test.mean, test.reason) == (0.9460, "")
    shown = {row[0].text: row[3] for row in tables.task_table(results, "ct").rows if row[1].text == "Macro F1"}
    assert shown["external"].text == "failed" and shown["test"].text.startswith("0.946")


def test_columns_of_the_text_table_line_up_below_korean():
    lines = cells.aligned([["가나", "1"], ["ab", "22"], ["c", "333"]], [False, True])
    assert lines == ["가나    1", "ab     22", "c     333"]
    assert len({cells.display_width(line) for line in lines}) == 1


# ------------------------------------------------------------------------------------------------------------- headline


def test_the_headline_counts_gains_and_losses_and_names_the_largest():
    sentence = sections.headline(scores.main_rows(fake_work.results()))
    assert sentence == (
        "Continued pre-training improved 10 of 12 scores (9 of them beyond chance) and worsened 2 (0 of them beyond "
        "chance); largest gain: 한국어 문장 유사도 (KorSTS) (en-mini → bi-en-mini), Pearson 0.190 to 0.613 (+0.422); "
        "largest loss: STS-B: English sentence similarity (en-mini → bi-en-mini), Pearson 0.701 to 0.687 (−0.014); "
        "2 comparisons can't be made, 1 of them because a run failed."
    )


def test_the_headline_does_not_claim_a_gain_where_all_got_worse():
    results = fake_work.results()
    results["comparisons"] = []
    for score in results["scores"]:
        lower = scores.lower_is_better(score["metric"])
        score["mean"] = 0.5 + (0.1 if lower != score["model"].startswith("bi-") else 0.2)
    sentence = sections.headline(scores.main_rows(results))
    assert sentence.startswith("Continued pre-training improved 0 of 12 scores and worsened 12; largest loss: ")
    assert "gain" not in sentence
    assert sections.headline([]) == "This recipe evaluates no models."


def test_forgetting_looks_at_the_foundations_own_language():
    rows = scores.compared_rows(fake_work.results())
    known = scores.forgetting_rows(rows, {"ko-mini": ("ko",), "en-mini": ("en",)})
    assert [(r.task, r.split, r.foundation) for r in known] == [
        ("korsts", "test", "ko-mini"),
        ("stsb", "test", "en-mini"),
        ("ner", "test", "ko-mini"),
        ("mlm", "ko", "ko-mini"),
        ("mlm", "en", "en-mini"),
    ]
    unknown = scores.forgetting_rows(rows, {"ko-mini": (), "en-mini": ("en",)})
    assert [(r.task, r.foundation) for r in unknown if r.foundation == "ko-mini"] == [
        ("korsts", "ko-mini"),
        ("stsb", "ko-mini"),
        ("ner", "ko-mini"),
        ("mlm", "ko-mini"),
        ("mlm", "ko-mini"),
    ]
    assert [scores.verdict(row) for row in known[:4:3]] == ["no clear change", "worse"]


def test_where_no_foundations_language_is_known_nothing_is_claimed_of_it():
    rows = scores.compared_rows(fake_work.results())
    told = sections._forgetting(rows, {}, {}).paragraphs
    assert len(told) == 1 and told[0].startswith("In tasks of a single language the adapted model does worse in ")
    assert "The own language of en-mini, ko-mini is not recorded" in told[0]
    own, single = sections._forgetting(rows, {"ko-mini": ("ko",), "en-mini": ()}, {}).paragraphs
    assert own == (
        "In the foundation's own language the adapted model does worse in 2 of 3 comparisons, 1 of them beyond chance."
    )
    assert single.startswith("In tasks of a single language ") and "of en-mini is not recorded" in single


def test_a_foundations_language_is_what_the_recipe_says_or_that_of_nearly_all_rows_it_was_trained_on():
    tree = fake_work.recipe().model_dump(mode="json", exclude_none=True)
    tree["pretraining"]["ko-mini"] |= {
        "long_phase": {"steps": 500, "max_length": 256, "global_batch": 16, "micro_batch": 16},
        "replay": {"shards": "bilingual", "share": 0.25},
    }
    tree["pretraining"]["bi-ko-mini"]["replay"] = {"shards": "korean", "share": 0.1}
    tree["evaluation"]["models"]["en-mini"]["language"] = ["en", "es"]
    recipe = parse_recipe(tree, where="test")
    shards = {name: {"by_language": {"ko": {"tokens": 10}}} for name in recipe.shards}

    def languages(*phases):
        runs = {name: {"phases": phases} for name in recipe.pretraining}
        found = {"pretraining": runs, "shards": shards}
        manifests = {
            stage: {name: SimpleNamespace(counts=counts) for name, counts in of.items()} for stage, of in found.items()
        }
        return forgetting.foundation_languages(SimpleNamespace(of=manifests.__getitem__), recipe)

    def phase(steps, **rows):
        return {"steps": steps, "rows_per_epoch": sum(rows.values()), "by_language": rows}

    # 96,000 rows, then 8,000 of them half in English.
    nearly_all = phase(1500, ko=960, en=40), phase(500, ko=50, en=50)
    assert languages(*nearly_all)["ko-mini"] == ("ko",)
    assert languages(nearly_all[1], nearly_all[0])["ko-mini"] == ()
    assert languages(phase(1500, ko=80, mixed=20))["ko-mini"] == ()
    assert languages(phase(1500, ko=80, other=20))["ko-mini"] == ("ko",)
    assert languages(phase(1500, mixed=100))["ko-mini"] == ()
    assert languages()["ko-mini"] == ("ko",)
    assert languages(*nearly_all)["en-mini"] == ("en", "es")
    assert forgetting.replayed(recipe) == {
        "bi-ko-mini": "replay: 10.0% of the rows of its pre-training are of shards/korean"
    }


def test_a_finished_report_is_not_that_of_other_languages_of_the_foundations(tmp_path):
    recipe = fake_work.recipe()
    fake_work.build(tmp_path, recipe)
    stage.run(recipe, tmp_path)
    tree = recipe.model_dump(mode="json", exclude_none=True)
    tree["evaluation"]["models"]["en-mini"]["language"] = "en"
    with pytest.raises(ConfigError, match="languages: was null, now"):
        stage.run(parse_recipe(tree, where="test"), tmp_path)


# ------------------------------------------------------------------------------------------------------------- escaping


def test_names_titles_and_errors_are_escaped(built):
    html = html_of(built)
    assert fake_work.SCRIPT not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 5
    elements = Elements(html).found
    assert not [tag for tag, _ in elements if tag in ("script", "iframe", "object", "embed", "form", "base")]
    assert not [name for _, attributes in elements for name in attributes if name.startswith("on")]
    markdown = (built[1] / "report/report.md").read_text(encoding="utf-8")
    assert "<script>" not in markdown.replace(r"\<", "").split("name: demo")[0]


def test_the_page_loads_nothing_and_links_only_citations(built):
    html = html_of(built)
    elements = Elements(html).found
    policies = [a["content"] for t, a in elements if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1 and policies[0].startswith("default-src 'none'; ")
    assert "script-src" not in policies[0]
    for tag, attributes in elements:
        for name in ("src", "href", "xlink:href", "data", "srcset", "poster"):
            address = attributes.get(name) or "#"
            assert address.startswith("#") or (tag == "a" and address.startswith("https://doi.org/10.1186/")), (
                tag,
                address,
            )
    assert "@import" not in html and not re.search(r"url\((?!#)", html)


def test_links_in_citations_can_not_break_out():
    linked = page.linked('see https://example.org/a"onerror="x and doi 10.1186/s12911-025-03262-7, javascript:alert(1)')
    assert linked == (
        'see <a href="https://example.org/a">https://example.org/a</a>&#34;onerror=&#34;x and doi '
        '<a href="https://doi.org/10.1186/s12911-025-03262-7">10.1186/s12911-025-03262-7</a>, javascript:alert(1)'
    )


def test_ids_are_unique_over_all_figures(built):
    ids = [attributes["id"] for _, attributes in Elements(html_of(built)).found if "id" in attributes]
    assert len(ids) > 50
    assert len(set(ids)) == len(ids)
    assert "<!--" not in html_of(built)


@pytest.mark.parametrize("hostile", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_csv_cell_can_not_become_a_formula(hostile):
    written = cells.csv_text(["x"], [[hostile]])
    assert list(csv.reader(io.StringIO(written, newline=""))) == [["x"], ["'" + hostile]]


@pytest.mark.parametrize("harmless", [-0.25, "-0.25", "+1e-5", 0, "가나다", "a=b", None])
def test_numbers_and_plain_text_stay_as_they_are_in_csv(harmless):
    assert cells.csv_cell(harmless) == ("" if harmless is None else str(harmless))


# -------------------------------------------------------------------------------------------------------------- content


def test_sections_come_in_the_order_of_a_paper(built):
    headings = re.findall(r"<h2>(.*?)</h2>", html_of(built))
    assert headings == [
        "Main results",
        "Tasks in detail",
        "Vocabulary",
        "How rows were transplanted",
        "Training curves",
        "Corpus",
        "Forgetting",
        "Settings and versions",
        "Limits",
    ]


def test_composition_has_the_form_of_the_published_table(built):
    rows = csv_of(built, "vocabulary-bilingual")
    assert [row["Item"] for row in rows][:3] == ["Vocabulary size", "Korean subwords", "English subwords"]
    assert "24,497 (54.44%)" in html_of(built)


def test_the_corpus_section_tells_what_was_done_to_the_text_and_how_mixed_it_is(built):
    done = {(row["Step"], row["Rule or kind"]): row["Number"] for row in csv_of(built, "corpus-done")}
    assert done["cleaning, documents changed", "whitespace"] == "1204"
    assert done["privacy, matches found", "phone"] == "2"
    assert done["evaluation tasks, rows found in documents", "korsts"] == "7"
    assert done["encodings, files", "cp949"] == "1" and not any(rule == "full_width" for _, rule in done)
    of_documents, of_sentences = csv_of(built, "corpus-minority_share")
    assert (of_documents["Of"], of_documents["<20 %"], of_sentences[">=20 %"]) == ("documents", "100", "1000")
    assert "What was done to the text" in html_of(built)


def test_vocabularies_are_measured_beside_what_they_are_compared_with(built):
    rows = [row for row in csv_of(built, "fit") if row["Vocabulary"] == "bilingual"]
    assert [(r["Tokenizer"], r["Language"], r["Pieces per word"], r["[UNK] share"]) for r in rows] == [
        ("vocabulary/bilingual", "Korean", "1.83", "0.0"),
        ("vocabulary/bilingual", "English", "1.31", "0.0"),
        ("vocabulary/bilingual", "all", "1.83", "0.0"),
        ("models/m-bert", "Korean", "4.06", "0.021"),
        ("models/m-bert", "English", "1.22", "0.0"),
        ("models/m-bert", "all", "4.06", "0.021"),
    ]
    assert csv_of(built, "sources-bilingual")[0]["models/m-bert"] == "4.06"
    assert "[UNK] 2.100%" in html_of(built)


def test_terms_and_frequent_words_are_shown_in_pieces(built):
    assert csv_of(built, "examples-bilingual") == [
        {"Term": "전신경화증", "vocabulary/bilingual": "전신 ##경화증", "models/m-bert": "[UNK]"}
    ]
    split = csv_of(built, "split-bilingual")
    assert len(split) == 10
    assert (split[0]["Korean word"], split[0]["Korean pieces"]) == ("이부프로펜0", "이부 ##프로펜 ##0")
    assert (split[0]["English word"], split[1]["English word"]) == ("ibuprofen", "")
    assert "이부 ##프로펜 ##0" in html_of(built)


def test_details_tell_rows_used_dropped_and_the_origin_of_labels(built):
    html = html_of(built)
    for text in ("train 1,200 of 5,749, dev 300, test 1,379", "12 duplicates, 3 leaked", "rules on the report text"):
        assert text in html
    assert "Labels made by rules on the text itself" in html


def test_each_task_shows_its_own_candidates_and_a_single_one_is_not_called_tuned(built):
    results = fake_work.results()
    assert sections.candidates(results["tasks"]["mlm"]) == ""
    for told in ("learning rates 2e-05, 5e-05; epochs 2, 4<", "learning rates 5e-05; epochs 4 (fixed, not tuned)<"):
        assert told in html_of(built)
    for task, told in (("ct", "chosen on dev"), ("ner", "fixed, not tuned")):
        assert [row[0].text for row in tables.task_table(results, task).rows[-2:]] == [told, told]


def test_the_limits_name_the_chance_that_is_left_out_and_texts_made_from_their_labels(built):
    assert html_of(built).count("beyond chance in the choice of test rows") == 1
    assert "The chance of training (seeds) is shown as ± sd" in html_of(built)
    tasks = fake_work.results()["tasks"]
    told = f"Texts generated from the labels by templates: {tasks['ner']['title']}."
    assert told not in " ".join(sections._limits_of_tasks(tasks))
    tasks["ner"]["task"] = "synthetic_ner"
    assert told in " ".join(sections._limits_of_tasks(tasks))


def test_a_resumed_run_shows_each_step_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(fake_work.metrics(0), encoding="utf-8")
    at_1000 = [line for line in read_curve(path) if line["step"] == 1000 and line["kind"] == "validation"]
    assert len(at_1000) == 1
    assert at_1000[0]["mlm_loss"] < 10


def test_curves_are_those_of_the_sentence_objective_that_was_trained():
    lines = [
        {"kind": "validation", "step": step, "mlm_loss": 3.0, "sop_loss": 0.5, "sop_accuracy": 0.7} for step in (0, 9)
    ]
    assert [title for title, _ in figures.curve_panels({"run": lines})] == ["MLM loss", "SOP loss", "SOP accuracy"]
    table = tables.training_table({"run": lines})
    assert table.columns == ("Run", "Step", "MLM loss", "SOP loss", "SOP accuracy")


def test_a_run_tells_the_steps_and_rows_that_it_did_and_not_those_that_were_planned():
    settings = {"steps": 9_000, "global_batch": 64}
    counts = {"steps": 2_000, "rows": 120_800, "epochs": 1.52, "engine": "ddp", "processes": 2}
    run = SimpleNamespace(settings=settings, counts={**counts, "phases": [{"steps": 1_800}, {"steps": 200}]})
    assert sections.trained_on(run) == (
        "2,000 steps (1,800 and 200 of longer rows), 120,800 rows, 1.52 epochs, ddp, 2 processes"
    )
    run.counts = {**counts, "phases": [{"steps": 2_000}]}
    assert sections.trained_on(run) == "2,000 steps, 120,800 rows, 1.52 epochs, ddp, 2 processes"
    run.counts = {"steps": 2_000}
    assert sections.trained_on(run) == "2,000 steps"


def test_training_curves_say_which_numbers_compare_across_vocabularies():
    (told,) = sections._training({}, {}).paragraphs
    assert "MLM loss and accuracy are per piece" in told
    assert "Bits per character compare across vocabularies, for runs with the same held-out text only." in told


def test_the_recipe_is_shown_without_the_folder_of_the_data(built):
    assert "/somewhere/private" not in html_of(built)
    assert "global_batch: 64" in html_of(built)


def test_a_figure_without_a_korean_font_calls_tasks_by_their_short_names(caplog):
    rows = scores.main_rows(fake_work.results())
    caplog.set_level("INFO", logger="bimed_dist.report.figures")
    assert figures.change_figure(rows, korean=None).startswith("<svg ")
    assert any("calls a task korsts" in message for message in caplog.messages)


def test_dollar_signs_in_titles_are_not_mathematics():
    results = fake_work.results()
    results["tasks"]["korsts"]["title"] = r"costs $1 to $\frac{"
    assert figures.change_figure(scores.main_rows(results), korean=None)


def test_more_runs_than_colours_differ_by_their_dashes():
    styles = [figures.series_style(i) for i in range(18)]
    assert len(set(styles)) == 18


# ---------------------------------------------------------------------------------------------------------------- stage


def test_the_same_records_give_the_same_bytes(built, tmp_path):
    recipe, work, outcome = built
    folders = stage.stage_folders(recipe, work)
    again = tmp_path / "again"
    again.mkdir()
    stage.write_report(stage.read_records(folders, stage.verified_manifests(folders)), recipe, again)
    for name in outcome.manifest.files:
        assert (again / name).read_bytes() == (outcome.folder / name).read_bytes(), name
    assert sorted(outcome.manifest.files) == sorted(
        p.relative_to(again).as_posix() for p in again.rglob("*") if p.is_file()
    )


def test_a_finished_report_is_left_alone(built):
    recipe, work, outcome = built
    assert not outcome.was_done
    assert stage.run(recipe, work).was_done
    assert outcome.manifest.counts["failed_cells"] == 1
    assert (outcome.manifest.counts["improved"], outcome.manifest.counts["worsened"]) == (10, 2)


def test_every_stage_that_is_missing_or_damaged_is_told_at_once(tmp_path):
    recipe = fake_work.recipe()
    fake_work.build(tmp_path, recipe)
    (tmp_path / "pretraining/ko-mini/manifest.json").unlink()
    with (tmp_path / "vocabulary/bilingual/composition.json").open("a") as file:
        file.write(" ")
    with pytest.raises(DataError) as error:
        stage.run(recipe, tmp_path)
    assert "2 can't be used" in str(error.value)
    assert "ko-mini" in str(error.value) and "composition.json" in str(error.value)
    assert not (tmp_path / "report").exists()


def test_a_recipe_without_evaluation_still_gets_a_report(tmp_path):
    recipe = fake_work.recipe(evaluation=None)
    fake_work.build(tmp_path, recipe)
    outcome = stage.run(recipe, tmp_path)
    assert "This recipe evaluates no models." in (outcome.folder / "index.html").read_text(encoding="utf-8")
    assert not (outcome.folder / "tables/main.csv").exists()


def test_numbers_of_finished_attributions_are_shown_and_those_never_made_are_not_missed(tmp_path):
    recipe = fake_work.recipe(attribution={"reports": {"task": "ct"}, "pairs": {"task": "korsts"}})
    fake_work.build(tmp_path, recipe)
    fake_work.explain(tmp_path, "reports", {"ko-mini": 0.31, "bi-ko-mini": 0.62})
    outcome = stage.run(recipe, tmp_path)
    page = (outcome.folder / "index.html").read_text(encoding="utf-8")
    assert "What the models looked at" in page and "attribution/reports" in outcome.manifest.inputs
    rows = csv_of((recipe, tmp_path), "attribution")
    assert [row["Texts of"] for row in rows] == ["ct"] * 4
    assert [(row["Model"], row["Korean words"]) for row in rows if row["Method"] == "integrated gradients"] == [
        ("ko-mini", "0.31"), ("bi-ko-mini", "0.62"),
    ]  # fmt: skip


def test_results_of_a_newer_schema_are_refused_and_tests_and_effect_sizes_are_shown_where_there_are_any(tmp_path):
    results, recipe = copy.deepcopy(fake_work.results()), fake_work.recipe()
    assert "schema" not in results and "effect_sizes" not in results["comparisons"][0]
    fake_work.build(tmp_path / "old", recipe, json.loads(json.dumps(results)))
    assert "Tests and effect sizes" in (stage.run(recipe, tmp_path / "old").folder / "index.html").read_text("utf-8")
    results["comparisons"][0] |= {
        "williams": {"t": -2.345, "df": 97, "p": 0.0004},
        "effect_sizes": {"cohens_q": 0.123, "hedges_g": -1.5},
    }
    fake_work.build(tmp_path / "new", recipe, json.loads(json.dumps({**results, "schema": 1})))
    html = (stage.run(recipe, tmp_path / "new").folder / "index.html").read_text("utf-8")
    assert "t(97) = −2.345, p &lt;0.001" in html and "+0.123" in html and "−1.500" in html
    fake_work.build(tmp_path / "newer", recipe, {**results, "schema": 2})
    with pytest.raises(DataError, match="has schema 2, this version reads up to 1"):
        stage.run(recipe, tmp_path / "newer")


def test_a_recipe_without_a_report_section_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no section `report`"):
        stage.run(fake_work.recipe(report=None), tmp_path)


def test_results_where_everything_failed_still_make_a_report(tmp_path):
    results = copy.deepcopy(fake_work.results())
    results["scores"], results["comparisons"] = [], []
    results["failures"] = [
        {"task": task, "model": model, "cell": "seed=1", "error": "killed"}
        for task in fake_work.TASKS
        for model in fake_work.MODELS
    ]
    recipe = fake_work.recipe()
    fake_work.build(tmp_path, recipe, json.loads(json.dumps(results)))
    outcome = stage.run(recipe, tmp_path)
    html = (outcome.folder / "index.html").read_text(encoding="utf-8")
    main = html.split('id="tasks"')[0]
    assert "No adapted model could be compared with its foundation" in html
    assert main.count('class="number failed"') == 2 * 12
    assert "0.000" not in main


def with_rules():
    found = fake_work.results()
    (row,) = [
        row
        for row in found["scores"]
        if (row["task"], row["model"], row["split"], row["metric"]) == ("ct", "ko-mini", "test", "macro_f1")
    ]
    rules = {**row, "model": "rules", "values": [0.99], "mean": 0.99, "sd": None, "chosen": None, "interval": None}
    found["baselines"] = [rules, {**rules, "metric": "f1:cancer", "main": False, "mean": 0.7}]
    per_label = {**row, "main": False, "sd": None, "interval": None}
    found["scores"] += [
        {**per_label, "metric": "f1:cancer", "mean": 0.6},
        {**per_label, "metric": "auroc:cancer", "mean": 0.8},
    ]
    return found


def test_the_rules_stand_in_the_main_table_with_the_origin_of_the_labels_and_change_no_headline():
    rows = scores.main_rows(with_rules())
    (row,) = [row for row in rows if row.model == "rules"]
    assert (row.task, row.split, row.foundation, row.model_score.mean) == ("ct", "test", None, 0.99)
    assert row.best == {"rules"}
    cell = tables.model_cell(row)
    assert (cell.text, cell.detail) == ("rules", "no model; labels: rules on the report text")
    assert sections.headline(rows) == sections.headline(scores.main_rows(fake_work.results()))


def test_metrics_of_single_labels_have_a_table_of_their_own():
    found = with_rules()
    whole, by_label = tables.task_table(found, "ct"), tables.label_table(found, "ct")
    assert whole.columns == ("Split", "Metric", *fake_work.MODELS, "rules")
    assert not any("cancer" in cell.text for row in whole.rows for cell in row)
    assert by_label.columns == ("Split", "Label", *fake_work.MODELS, "rules")
    (row,) = by_label.rows
    assert [cell.text for cell in row] == ["test", "cancer", "0.600", "–", "–", "–", "0.700"]
    assert row[2].detail == "– · 0.800" and row[6].detail == "– · –" and row[3].detail == ""
    assert by_label.caption == "By label: F1, below it 95 % interval, AUROC"
    assert tables.label_table(found, "korsts") is None


def test_a_label_that_the_split_lacks_has_a_dash_for_its_f1_and_no_other_metric_takes_that_place():
    found = with_rules()
    per_label = next(row for row in found["scores"] if row["metric"] == "f1:cancer")
    found["scores"] += [
        {**per_label, "metric": "hamming_loss:cancer", "mean": 0.1, "interval": [0.05, 0.2]},
        {**per_label, "metric": "hamming_loss:embolism", "mean": 0.3, "interval": [0.2, 0.4]},
    ]
    table = tables.label_table(found, "ct")
    assert table.caption == "By label: F1, below it 95 % interval, AUROC, Hamming loss"
    cancer, embolism = (row[2] for row in table.rows)
    assert (cancer.text, cancer.detail) == ("0.600", "– · 0.800 · 0.100")
    assert (embolism.text, embolism.detail) == ("–", "– · – · 0.300")
    of_embolism = list(csv.DictReader(io.StringIO(cells.table_csv(table), newline="")))[1]
    assert (of_embolism["Label"], of_embolism["ko-mini"]) == ("embolism", "")


def test_the_spread_of_tasks_that_train_nothing_is_that_of_draws_and_has_no_effect_size_over_seeds():
    found = fake_work.results()
    for row in found["comparisons"]:
        row["effect_sizes"] = {"hedges_g": 3.0, "cohens_h": 0.2 if row["task"] == "nsp" else None}
    assert tables.comparison_table(found, "ner").columns[-1] == "Hedges' g over seeds"
    assert tables.comparison_table(found, "nsp").columns[-1] == "Cohen's h"
    assert tables.comparison_table(found, "mlm").columns[-1] == "p (Holm)"
    assert tables.task_table(found, "ner").caption.startswith("All metrics: mean ± sd over seeds,")
    assert tables.task_table(found, "mlm").caption.startswith("All metrics: mean ± sd over draws of masks or pairs,")
    rows = scores.main_rows(found)
    assert tables.main_table(rows).columns[-1] == "Seeds or draws"
    assert tables.main_table([row for row in rows if row.task != "mlm" and row.task != "nsp"]).columns[-1] == "Seeds"


def test_next_sentence_probabilities_are_a_figure_for_each_model_and_sources_are_no_languages():
    found = fake_work.results()
    found["tasks"]["nsp"]["next_probabilities"] = {"ko-mini": {"next": [0] * 19 + [9], "random": [9] + [0] * 19}}
    (part,) = [part for part in sections._tasks(found, {}).parts if part.title == "Next or random sentence"]
    ((model, svg),) = part.figures
    assert model == "ko-mini" and svg.startswith("<svg") and "probability of being next" in svg
    row = next(row for row in found["scores"] if row["task"] == "mlm" and row["split"] == "ko")
    found["scores"].append({**row, "split": "source books"})
    compared = [row for row in scores.compared_rows(found) if row.split == "source books"]
    assert {row.language for row in compared} == {"any"}
    assert not [row for row in scores.main_rows(found) if row.split == "source books"]
