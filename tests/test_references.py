"""References of a recipe: the folders that they resolve to, and the order of stages."""

import sys
from pathlib import Path

import pytest

from bimed_dist.errors import ConfigError, DataError
from bimed_dist.manifest import build, input_digest
from bimed_dist.recipe.loading import parse_recipe
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.references import data_path, locate, stage_order


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    synthetic = {"kind": "synthetic", "name": "made", "documents": 1}
    run = {"model": "ko", "shards": "ko", "steps": 1, "global_batch": 1, "micro_batch": 1}
    tree = {
        "name": "test",
        "seed": 1,
        "data": str(tmp_path / "data"),
        "corpus": {"ko": {"sources": [synthetic]}},
        "vocabulary": {"ko": {"corpus": "ko"}},
        "shards": {"ko": {"corpus": "ko", "tokenizer": "vocabulary/ko"}},
        "model": {"ko": {"foundation": "klue/bert-base"}},
        "pretraining": {"ko": run},
    }
    return parse_recipe(tree, where="test")


def finish(folder: Path, file: str) -> str:
    def make(partial: Path) -> dict[str, int]:
        (partial / file).parent.mkdir(parents=True, exist_ok=True)
        (partial / file).write_text("content")
        return {}

    return build(folder, stage=folder.parent.name, settings={}, inputs={}, make=make).manifest.digest


def test_a_vocabulary_is_its_stage_folder(recipe: Recipe, tmp_path: Path):
    work = tmp_path / "work"
    digest = finish(work / "vocabulary" / "ko", "tokenizer.json")
    located = locate("vocabulary/ko", recipe, work)
    assert (located.location, located.digest) == (str(work / "vocabulary" / "ko"), digest)


def test_a_trained_model_is_the_export_in_its_stage_folder(recipe: Recipe, tmp_path: Path):
    work = tmp_path / "work"
    digest = finish(work / "pretraining" / "ko", "export/config.json")
    located = locate("pretraining/ko", recipe, work)
    assert (located.location, located.digest) == (str(work / "pretraining" / "ko" / "export"), digest)


def test_a_stage_that_is_unfinished_or_damaged_is_refused(recipe: Recipe, tmp_path: Path):
    work = tmp_path / "work"
    with pytest.raises(DataError, match="did not finish"):
        locate("vocabulary/ko", recipe, work)
    finish(work / "vocabulary" / "ko", "tokenizer.json")
    (work / "vocabulary" / "ko" / "tokenizer.json").write_text("changed")
    with pytest.raises(DataError, match="does not have the SHA-256"):
        locate("vocabulary/ko", recipe, work)


def test_a_folder_is_found_below_the_data_folder(recipe: Recipe, tmp_path: Path):
    folder = tmp_path / "data" / "models" / "mini"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    for reference in ("models/mini", str(folder)):
        located = locate(reference, recipe, tmp_path / "work")
        assert located.location == str(folder)
        assert located.digest == input_digest(folder)


@pytest.mark.parametrize("reference", ["/absent/folder", "./absent", "../absent", "three/parts/absent"])
def test_a_path_that_can_only_be_a_folder_must_exist(recipe: Recipe, tmp_path: Path, reference: str):
    with pytest.raises(ConfigError, match="there is no folder"):
        locate(reference, recipe, tmp_path / "work")


@pytest.mark.parametrize("reference", ["bert-base-uncased", "klue/bert-base"])
def test_other_names_are_left_to_the_hub(recipe: Recipe, tmp_path: Path, reference: str):
    located = locate(reference, recipe, tmp_path / "work")
    assert (located.location, located.digest) == (reference, f"hub:{reference}")


def test_a_model_in_an_installed_package_is_found(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "site" / "weights_package" / "model"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")
    (folder / "config.json").write_text("{}")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    assert locate("package/weights_package/model", recipe, tmp_path).location == str(folder)
    with pytest.raises(ConfigError, match="has no folder absent"):
        locate("package/weights_package/absent", recipe, tmp_path)


@pytest.mark.parametrize("reference", ["package/no_such_package/model", "package/", "package/a.b/model", "package/sys"])
def test_a_package_that_is_not_installed_is_refused(recipe: Recipe, tmp_path: Path, reference: str):
    with pytest.raises(ConfigError, match="package"):
        locate(reference, recipe, tmp_path)


def test_paths_start_from_the_data_folder(recipe: Recipe, tmp_path: Path):
    assert data_path(recipe, "corpus/book") == tmp_path / "data" / "corpus" / "book"
    assert data_path(recipe, "/elsewhere/book") == Path("/elsewhere/book")
    assert data_path(recipe, "~/book") == Path.home() / "book"


def test_a_vocabulary_follows_those_that_it_extends_or_is_compared_with(recipe: Recipe):
    tree = recipe.model_dump(mode="json")
    terms = [{"path": "terms.tsv", "columns": ["ko"]}]
    extended = {
        "mode": "extend",
        "corpus": "ko",
        "base": "vocabulary/zero",
        "terms": terms,
        "compare_with": ["pretraining/ko"],
    }
    tree["vocabulary"] = {"longer": extended, **tree["vocabulary"], "zero": {"corpus": "ko"}}
    order = stage_order(parse_recipe(tree, where="test"))
    longer = order.index(("vocabulary", "longer"))
    assert order.index(("vocabulary", "zero")) < longer
    assert order.index(("pretraining", "ko")) < longer
    tree["vocabulary"]["zero"]["compare_with"] = ["vocabulary/longer"]
    with pytest.raises(ConfigError, match="in a circle"):
        stage_order(parse_recipe(tree, where="test"))


def test_every_entry_follows_its_inputs(recipe: Recipe):
    tree = recipe.model_dump(mode="json")
    tree["model"] = {"bilingual": {"foundation": "pretraining/ko", "tokenizer": "vocabulary/ko"}, **tree["model"]}
    tree["pretraining"] = {"bilingual": {**tree["pretraining"]["ko"], "model": "bilingual"}, **tree["pretraining"]}
    tree["shards"] = {"kept": {"corpus": "ko", "tokenizer": "pretraining/ko"}, **tree["shards"]}
    tree["evaluation"] = {"models": {"ko": {"folder": "pretraining/ko"}}, "tasks": {"nsp": {"task": "nsp"}}}
    tree["report"] = {"title": "Test"}
    order = stage_order(parse_recipe(tree, where="test"))
    assert len(order) == len(set(order)) == 10
    assert order[-2:] == [("evaluation", None), ("report", None)]
    for earlier, later in (
        (("corpus", "ko"), ("vocabulary", "ko")),
        (("vocabulary", "ko"), ("shards", "ko")),
        (("shards", "ko"), ("pretraining", "ko")),
        (("model", "ko"), ("pretraining", "ko")),
        (("pretraining", "ko"), ("model", "bilingual")),
        (("model", "bilingual"), ("pretraining", "bilingual")),
        (("pretraining", "ko"), ("shards", "kept")),
    ):
        assert order.index(earlier) < order.index(later)


def test_entries_made_from_each_other_are_refused(recipe: Recipe):
    tree = recipe.model_dump(mode="json")
    tree["model"]["ko"]["foundation"] = "pretraining/ko"
    with pytest.raises(ConfigError, match=r"in a circle: .*model/ko"):
        stage_order(parse_recipe(tree, where="test"))
