"""Forgetting: comparisons in the foundation's own language, and how that language is known."""

from types import SimpleNamespace

import fake_work

from bimed_dist.recipe.loading import parse_recipe
from bimed_dist.report.scores import forgetting_rows, result_rows, verdict
from bimed_dist.report.sections.forgetting import forgetting_section, foundation_languages, replays


def test_comparisons_are_in_the_foundations_language_or_in_single_languages_if_it_is_not_known():
    rows = result_rows(fake_work.results())
    known = forgetting_rows(rows, {"ko-mini": ("ko",), "en-mini": ("en",)})
    assert [(r.task, r.split, r.foundation) for r in known] == [
        ("korsts", "test", "ko-mini"),
        ("stsb", "test", "en-mini"),
        ("ner", "test", "ko-mini"),
        ("mlm", "ko", "ko-mini"),
        ("mlm", "en", "en-mini"),
    ]
    unknown = forgetting_rows(rows, {"ko-mini": (), "en-mini": ("en",)})
    assert [(r.task, r.foundation) for r in unknown if r.foundation == "ko-mini"] == [
        ("korsts", "ko-mini"),
        ("stsb", "ko-mini"),
        ("ner", "ko-mini"),
        ("mlm", "ko-mini"),
        ("mlm", "ko-mini"),
    ]
    assert [verdict(row) for row in known[:4:3]] == ["no significant change", "worse"]


def test_nothing_is_claimed_of_foundations_whose_language_is_not_known():
    rows = result_rows(fake_work.results())
    _, paragraph = forgetting_section(rows, {}, {}).paragraphs
    assert paragraph.startswith("In tasks of a single language, adapted models score worse in ")
    assert "The language of en-mini, ko-mini is not known" in paragraph
    _, known, unknown = forgetting_section(rows, {"ko-mini": ("ko",), "en-mini": ()}, {}).paragraphs
    assert known == "In the foundation's language, adapted models score worse in 2 of 3 comparisons (1 significantly)."
    assert unknown.startswith("In tasks of a single language, ") and "of en-mini is not known" in unknown


def test_a_foundations_language_is_that_of_the_recipe_or_of_nearly_all_its_training_rows():
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
        counts = {"pretraining": {name: {"phases": phases} for name in recipe.pretraining}, "shards": shards}
        manifests = {
            stage: {name: SimpleNamespace(counts=values) for name, values in by_name.items()}
            for stage, by_name in counts.items()
        }
        return foundation_languages(SimpleNamespace(of_stage=manifests.__getitem__), recipe)

    def phase(steps, **rows):
        return {"steps": steps, "rows_per_epoch": sum(rows.values()), "by_language": rows}

    # 96,000 rows, then 8,000 of which half are English.
    nearly_all = phase(1500, ko=960, en=40), phase(500, ko=50, en=50)
    assert languages(*nearly_all)["ko-mini"] == ("ko",)
    assert languages(nearly_all[1], nearly_all[0])["ko-mini"] == ()
    assert languages(phase(1500, ko=80, mixed=20))["ko-mini"] == ()
    assert languages(phase(1500, ko=80, other=20))["ko-mini"] == ("ko",)
    assert languages(phase(1500, mixed=100))["ko-mini"] == ()
    assert languages()["ko-mini"] == ("ko",)
    assert languages(*nearly_all)["en-mini"] == ("en", "es")
    assert replays(recipe) == {"bi-ko-mini": "replay: 10.0 % of its pre-training rows are from shards/korean"}
