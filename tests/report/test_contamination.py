"""Rows of tasks that a corpus holds, from the corpus stage to the task's section of the report."""

import fake_work
import pytest

from bimed_dist.corpus import stage as corpus
from bimed_dist.errors import DataError
from bimed_dist.evaluation.preparation.corpus_texts import task_texts
from bimed_dist.recipe.loading import parse_recipe
from bimed_dist.report import stage
from bimed_dist.report.records import read_overlaps
from bimed_dist.report.sections.tasks import starts_elsewhere

PLANTED = "어떤 남자가 부엌에서 아주 큰 갓 구운 빵을 자르고 있다."
UNKNOWN = "; the foundation's training text is not known"


@pytest.fixture
def report_of(tmp_path):
    """Return a function that makes the Markdown report over a corpus of `text`, with tasks in KorSTS' format."""

    def make(text: str, screened: bool = True, model: str = "hub/name", **contamination) -> str:
        for split, pairs in (("train", 5), ("dev", 2), ("test", 3)):
            rows = [f"g\tf\ty\t{i}\t{i}.0\t{split} 문장 번호 {i}번을 여기에 적었다\t다른 글" for i in range(pairs)]
            rows += [f"g\tf\ty\t9\t3.0\t{PLANTED}\t{PLANTED[:-1]}!"] if split == "test" else []
            (tmp_path / f"sts-{split}.tsv").write_text("\n".join(["header", *rows]) + "\n", encoding="utf-8")
        (tmp_path / "text.txt").write_text(text, encoding="utf-8")
        source = {"kind": "text", "name": "s", "path": "text.txt"}
        tree = {
            "name": "r",
            "seed": 1,
            "data": str(tmp_path),
            "corpus": {"bilingual": {"sources": [source], "contamination": contamination}},
            "evaluation": {
                "models": {"m": {"folder": model}},
                "tasks": {"korsts": {"task": "korsts", "path": "."}},
            },
            "report": {"title": "t"},
        }
        recipe = parse_recipe(tree, where="test")
        work = tmp_path / "work"
        corpus.run(recipe, "bilingual", work, *([task_texts(recipe)] if screened else []))
        results = fake_work.results()
        results["models"] = {"m": {**results["models"]["ko-mini"], "folder": model}}
        results["tasks"] = {"korsts": {**results["tasks"]["korsts"], "read": {"train": 5, "dev": 2, "test": 4}}}
        results["scores"] = results["comparisons"] = results["failures"] = []
        fake_work.build(work, recipe.model_copy(update={"corpus": {}}), results)
        stage.run(recipe, work)
        return (work / "report" / "report.md").read_text(encoding="utf-8").replace("\\", "")

    return make


TEXT = "오늘은 날씨가 매우 좋았고 우리는 산책을 오래 했다.\n\n"


def test_a_test_row_that_the_corpus_held_is_reported_with_the_task_s_scores(report_of):
    markdown = report_of(TEXT + PLANTED + " " + TEXT)
    assert f"Found in corpus bilingual: 1 of 4 test rows; removed from the corpus{UNKNOWN}\n" in markdown


def test_a_row_that_was_left_in_the_corpus_is_reported_with_those_of_other_splits(report_of):
    train = "train 문장 번호 2번을 여기에 적었다. 그리고 비가 왔다. train 문장 번호 4번을 여기에 적었다."
    # The pair's two texts are one row.
    markdown = report_of(f"{TEXT}{PLANTED} 바람도 조금 불었다. {train}", action="report")
    fact = "Found in corpus bilingual: 2 of 5 train rows and 1 of 4 test rows; left in the corpus"
    assert f"{fact}{UNKNOWN}\n" in markdown


def test_a_search_without_matches_is_reported_too(report_of):
    assert f"Found in corpus bilingual: 0 of 4 test rows{UNKNOWN}\n" in report_of(TEXT)


def test_a_corpus_that_was_not_searched_has_no_fact(report_of):
    assert "Found in corpus" not in report_of(TEXT + PLANTED, screened=False)


def test_only_models_that_start_from_random_weights_of_this_recipe_have_known_training_text():
    recipe = fake_work.recipe()
    assert not starts_elsewhere(recipe, "pretraining/ko-mini")
    assert not starts_elsewhere(recipe, "pretraining/bi-ko-mini")
    assert starts_elsewhere(recipe, "models/km-bert") and starts_elsewhere(recipe, "pretraining/other")


def test_a_table_of_overlaps_without_its_columns_is_refused(tmp_path):
    (tmp_path / "contamination.csv").write_text("id,task\n1,a\n", encoding="utf-8")
    with pytest.raises(DataError, match="lacks the column task, split or row"):
        read_overlaps(tmp_path / "contamination.csv")
