"""Recipes are strict and frozen, and all their errors are reported at once with their places."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from bimed_dist.errors import ConfigError
from bimed_dist.recipe.loading import load_recipe, parse_recipe, set_value
from bimed_dist.recipe.recipe import Recipe, Reference

RECIPES = sorted((Path(__file__).resolve().parent.parent.parent / "launch" / "recipes").glob("*.yaml"))

SMALL = """\
name: small
seed: 1
corpus:
  bilingual:
    sources:
      - {kind: text, name: book, path: book_ko}
      - {kind: synthetic, name: made, documents: 10}
vocabulary:
  bilingual: {corpus: bilingual, size: 500}
shards:
  bilingual: {corpus: bilingual, tokenizer: vocabulary/bilingual}
model:
  first:
    architecture: {num_hidden_layers: 1, hidden_size: 8, num_attention_heads: 2, intermediate_size: 16}
    tokenizer: vocabulary/bilingual
pretraining:
  first: {model: first, shards: bilingual, steps: 10, global_batch: 4, micro_batch: 2, learning_rate: 1e-4}
evaluation:
  models:
    first: {folder: pretraining/first}
    other: {folder: some/folder, adapted_from: first}
  tasks:
    mlm: {task: mlm, corpus: bilingual}
report: {title: Small}
"""


def write(folder: Path, text: str = SMALL) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def load(folder: Path, *overrides: str, text: str = SMALL) -> Recipe:
    return load_recipe(write(folder, text), overrides)


def problems(folder: Path, *overrides: str, text: str = SMALL) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, *overrides, text=text)
    return str(caught.value)


def tree() -> dict[str, Any]:
    return yaml.safe_load(SMALL)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_every_recipe_that_ships_is_valid(path: Path):
    assert load_recipe(path).name


def test_settings_that_are_absent_have_their_defaults(tmp_path: Path):
    recipe = load(tmp_path)
    assert recipe.pretraining["first"].mask_rate == 0.15
    assert recipe.corpus["bilingual"].sources[1].languages == ("ko", "en", "mixed")
    assert recipe.data == str(tmp_path)


def test_settings_are_frozen(tmp_path: Path):
    recipe = load(tmp_path)
    with pytest.raises(ValidationError):
        recipe.pretraining["first"].steps = 20


def test_1e_minus_4_is_a_number(tmp_path: Path):
    assert load(tmp_path).pretraining["first"].learning_rate == 0.0001
    assert load(tmp_path, "pretraining.first.learning_rate=5e-5").pretraining["first"].learning_rate == 0.00005


def test_all_errors_are_reported_at_once_with_their_places(tmp_path: Path):
    text = problems(
        tmp_path,
        "pretraining.first.stepps=5",
        "pretraining.first.micro_batch=0",
        "pretraining.first.precision=fp16",
        "vocabulary.bilingual.size=many",
        "seed=-1",
    )
    assert "5 problem(s)" in text
    assert str(tmp_path / "recipe.yaml") in text
    for line in (
        "  pretraining.first.stepps: unknown setting\n",
        "  pretraining.first.micro_batch: Input should be greater than 0, found 0",
        "  pretraining.first.precision: Input should be 'fp32' or 'bf16', found 'fp16'",
        "  vocabulary.bilingual.size: Input should be a valid integer, found 'many'",
        "  seed: Input should be greater than or equal to 0, found -1",
    ):
        assert line in text + "\n"


def test_the_place_of_an_error_in_a_source_is_written_as_in_the_file(tmp_path: Path):
    assert "  corpus.bilingual.sources.0.document: Input should be" in problems(
        tmp_path, "corpus.bilingual.sources.0.document=page"
    )


def test_a_source_without_a_kind_is_refused(tmp_path: Path):
    text = problems(tmp_path, "corpus.bilingual.sources.0={name: x, path: y}")
    assert "corpus.bilingual.sources.0:" in text
    assert "'kind'" in text


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("pretraining.first.steps=10.5", "valid integer"),
        ("pretraining.first.steps=true", "valid integer"),
        ("pretraining.first.steps='10'", "valid integer"),
        ("pretraining.first.learning_rate=0", "greater than 0"),
        ("pretraining.first.learning_rate=.nan", "finite"),
        ("pretraining.first.learning_rate=.inf", "finite"),
        ("pretraining.first.mask_rate=0", "greater than 0"),
        ("pretraining.first.betas=[0.9, 1.0]", "less than 1"),
        ("pretraining.first.warmup_steps=10", "leaves nothing of steps=10"),
        ("pretraining.first.schedule=wsd", "needs decay_steps"),
        ("pretraining.first.decay_steps=2", "no other schedule takes them"),
        (
            "pretraining.first={model: first, shards: first, steps: 10, global_batch: 4, micro_batch: 2, "
            "schedule: wsd, warmup_steps: 5, decay_steps: 6}",
            "more than steps=10",
        ),
        ("pretraining.first.mask_token_share=0.95", "is above 1"),
        ("pretraining.first.max_length=4", "greater than or equal to 8"),
        ("model.first.foundation=bert-base", "set either foundation or architecture"),
        ("model.first.architecture.num_attention_heads=3", "not a multiple of num_attention_heads=3"),
        ("corpus.bilingual.sources=[]", "at least 1 item"),
        ("corpus.bilingual.sources=[{kind: synthetic, name: x, documents: 0}]", "sources.0.documents: Input"),
        ("corpus.bilingual.sources.1.name=book", "must be unique"),
        ("corpus.bilingual.sources.0.latin_language=dutch", "match pattern"),
        ("corpus.bilingual.sources.0.latin_language=ko", "Korean is recognised by its script"),
        ("corpus.bilingual.sources.0.path=", "valid string"),
        ("corpus.bilingual.sources.0.path=''", "at least 1 character"),
        ("corpus.bilingual.held_out_share=1", "less than 1"),
        ("evaluation.seeds=[1, 1]", "holds a value twice"),
        ("evaluation.learning_rates=[]", "at least 1 item"),
        ("evaluation.tasks.mlm.learning_rates=[-1.0]", "greater than 0"),
        ("evaluation.models.other.adapted_from=nobody", "is not another entry of evaluation.models"),
        ("evaluation.models.other.adapted_from=other", "is not another entry of evaluation.models"),
        ("name=a/b", "match pattern"),
        ("name=a.partial", "match pattern"),
        ("corpus=", "should be an object, found None"),
    ],
)
def test_an_impossible_value_is_refused(tmp_path: Path, override: str, reason: str):
    text = problems(tmp_path, override)
    assert reason in text
    assert "Value error" not in text
    assert "1 problem(s)" in text


def test_a_missing_setting_is_reported_by_name(tmp_path: Path):
    assert "pretraining.first.model: Field required" in problems(tmp_path, "pretraining.first={}")


def test_every_reference_to_a_missing_entry_is_reported(tmp_path: Path):
    text = problems(
        tmp_path,
        "vocabulary.bilingual.corpus=ghost",
        "shards.bilingual.tokenizer=vocabulary/ghost",
        "pretraining.first.model=ghost",
        "pretraining.first.shards=ghost",
        "evaluation.models.first.folder=pretraining/ghost",
        "evaluation.tasks.mlm.corpus=ghost",
    )
    assert "6 problem(s)" in text
    for line in (
        "  vocabulary.bilingual.corpus: there is no corpus/ghost in this recipe",
        "  shards.bilingual.tokenizer: there is no vocabulary/ghost in this recipe",
        "  pretraining.first.model: there is no model/ghost in this recipe",
        "  pretraining.first.shards: there is no shards/ghost in this recipe",
        "  evaluation.models.first.folder: there is no pretraining/ghost in this recipe",
        "  evaluation.tasks.mlm.corpus: there is no corpus/ghost in this recipe",
    ):
        assert line in text


def test_quotas_that_do_not_add_up_to_1_and_protected_words_with_spaces_are_refused(tmp_path: Path):
    text = problems(
        tmp_path,
        "vocabulary.bilingual.quotas={ko: 0.54, en: 0.34, other: 0.1}",
        "vocabulary.bilingual.protected_words=[ibuprofen, pleural effusion, '']",
    )
    assert "  vocabulary.bilingual.quotas: ko, en and other add up to 0.98, not to 1" in text
    assert "  vocabulary.bilingual.protected_words.2: " in text
    text = problems(tmp_path, "vocabulary.bilingual.protected_words=[ibuprofen, pleural effusion]")
    assert "  vocabulary.bilingual: protected_words.1: contains a space, but a token is at most one word" in text


def test_a_vocabulary_accepts_only_the_settings_of_its_mode(tmp_path: Path):
    terms = "[{path: terms.tsv, columns: [ko]}]"
    extended = load(tmp_path, f"vocabulary.second={{mode: extend, corpus: bilingual, base: km-bert, terms: {terms}}}")
    assert extended.vocabulary["second"].min_frequency == 3
    assert load(tmp_path).vocabulary["bilingual"].mode == "train"
    text = problems(
        tmp_path,
        f"vocabulary.second={{mode: extend, corpus: bilingual, size: 500, terms: {terms}}}",
        "vocabulary.bilingual.base=km-bert",
        "vocabulary.third={mode: shrink, corpus: bilingual}",
    )
    assert "  vocabulary.second.base: Field required" in text
    assert "  vocabulary.second.size: unknown setting" in text
    assert "  vocabulary.bilingual.base: unknown setting" in text
    assert "  vocabulary.third: " in text and "shrink" in text


def test_the_base_and_the_compared_tokenizers_of_a_vocabulary_must_exist(tmp_path: Path):
    terms = "[{path: terms.tsv, columns: [ko]}]"
    second = (
        "{mode: extend, corpus: bilingual, base: vocabulary/ghost, compare_with: [vocabulary/bilingual, vocabulary/no]"
    )
    text = problems(tmp_path, f"vocabulary.second={second}, terms: {terms}}}")
    assert text.splitlines()[1:] == [
        "  vocabulary.second.base: there is no vocabulary/ghost in this recipe",
        "  vocabulary.second.compare_with.1: there is no vocabulary/no in this recipe",
    ]


def test_a_vocabulary_is_refused_as_a_foundation(tmp_path: Path):
    text = problems(tmp_path, "model.second={foundation: vocabulary/bilingual}")
    assert "model.second.foundation: vocabulary/bilingual is a tokenizer, not a model" in text


def test_references_are_listed_with_their_places(tmp_path: Path):
    assert list(load(tmp_path).references()) == [
        Reference("vocabulary.bilingual.corpus", "corpus", "bilingual"),
        Reference("shards.bilingual.corpus", "corpus", "bilingual"),
        Reference("shards.bilingual.tokenizer", "vocabulary", "bilingual"),
        Reference("model.first.tokenizer", "vocabulary", "bilingual"),
        Reference("pretraining.first.model", "model", "first"),
        Reference("pretraining.first.shards", "shards", "bilingual"),
        Reference("evaluation.models.first.folder", "pretraining", "first"),
        Reference("evaluation.tasks.mlm.corpus", "corpus", "bilingual"),
    ]


def test_a_key_given_twice_is_refused_with_its_line(tmp_path: Path):
    text = problems(tmp_path, text=SMALL + "seed: 2\n")
    assert f"line {len(SMALL.splitlines()) + 1}: seed is given twice" in text


def test_keys_of_a_merged_anchor_can_be_overridden_once(tmp_path: Path):
    second = "  first: &run {model: first,"
    merged = SMALL.replace("  first: {model: first,", second).replace(
        "evaluation:\n", "  second: {<<: *run, steps: 20}\nevaluation:\n"
    )
    runs = load(tmp_path, text=merged).pretraining
    assert (runs["second"].steps, runs["second"].learning_rate) == (20, 0.0001)
    assert "steps is given twice" in problems(tmp_path, text=merged.replace("steps: 20", "steps: 20, steps: 30"))


def test_set_changes_values_in_mappings_and_lists(tmp_path: Path):
    recipe = load(
        tmp_path,
        "corpus.bilingual.sources.1.documents=7",
        "corpus.bilingual.sources.1.languages=[ko]",
        "evaluation.seeds.0=9",
        "evaluation.batch_size=8",
        text=SMALL.replace("evaluation:\n", "evaluation:\n  seeds: [1, 2]\n"),
    )
    assert recipe.corpus["bilingual"].sources[1].documents == 7
    assert recipe.corpus["bilingual"].sources[1].languages == ("ko",)
    assert recipe.evaluation.seeds == (9, 2)
    assert recipe.evaluation.batch_size == 8


def test_set_creates_missing_mappings():
    nested = tree()
    set_value(nested, "evaluation.tasks.mlm.rows.test=5")
    assert nested["evaluation"]["tasks"]["mlm"]["rows"] == {"test": 5}


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("seed", "write it as section.name.setting=value"),
        ("=5", "write it as section.name.setting=value"),
        ("corpus.bilingual.sources.2.name=x", "the list has 2 entries, counted from 0"),
        ("corpus.bilingual.sources.book.name=x", "the list has 2 entries, counted from 0"),
        ("corpus.bilingual.sources.-1={}", "the list has 2 entries, counted from 0"),
        ("corpus.bilingual.sources.²={}", "the list has 2 entries, counted from 0"),
        ("seed.low=1", "seed is a single value and has no settings"),
        ("seed.low.er=1", "is a single value and has no settings"),
        ("evaluation.seeds=[1, 2", "is not a YAML value"),
        ("evaluation={batch: 1, batch: 2}", "batch is given twice"),
    ],
)
def test_a_set_without_a_place_in_the_recipe_is_refused(tmp_path: Path, override: str, reason: str):
    text = problems(tmp_path, override)
    assert reason in text
    assert text.startswith("--set ")


def test_a_set_of_an_unknown_section_is_refused(tmp_path: Path):
    assert "pretrainin: unknown setting" in problems(tmp_path, "pretrainin.first.steps=5")


def test_an_unreadable_recipe_is_refused_with_the_reason(tmp_path: Path):
    with pytest.raises(ConfigError, match="there is no recipe"):
        load_recipe(tmp_path / "absent.yaml")
    assert "is not YAML" in problems(tmp_path, text="name: [")
    assert "is not a mapping" in problems(tmp_path, text="- name\n")
    assert "is not a mapping" in problems(tmp_path, text="")
    (tmp_path / "latin.yaml").write_bytes("name: café".encode("latin-1"))
    with pytest.raises(ConfigError, match="is not UTF-8 at byte 9"):
        load_recipe(tmp_path / "latin.yaml")


def test_a_date_is_refused(tmp_path: Path):
    assert "is not text, a number" in problems(tmp_path, text=SMALL.replace("title: Small", "title: 2024-01-01"))


def test_a_long_value_is_truncated_in_the_message(tmp_path: Path):
    text = problems(tmp_path, f"pretraining.first.steps={'x' * 500}")
    assert len(text) < 300


def test_a_resolved_recipe_can_be_parsed_again(tmp_path: Path):
    recipe = load(tmp_path)
    assert parse_recipe(recipe.model_dump(mode="json"), where="dump") == recipe
