import numpy as np
import pytest

from bimed_dist.evaluation.metrics.scores import scores
from bimed_dist.evaluation.models.rules import apply_keyword_rules
from bimed_dist.evaluation.preparation.preparing import prepare_tasks
from bimed_dist.recipe.evaluation import TaskSettings

KEYWORDS = {"pneumonia": ("pneumonia", "폐렴"), "effusion": ("pleural effusion", "흉수"), "mass": ("mass", "PTE")}


def positive_labels(text):
    positive = apply_keyword_rules([text], KEYWORDS, tuple(KEYWORDS))[0]
    return {label for label, value in zip(KEYWORDS, positive, strict=True) if value}


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Pneumonia in the right lower lobe.", {"pneumonia"}),
        ("No evidence of pneumonia.", set()),
        ("No pneumonia, pleural effusion or mass.", set()),
        ("No pneumonia but pleural  effusion.", {"effusion"}),
        ("There is no change. Masses in both lungs.", {"mass"}),
        ("Pneumonia is not seen.", set()),
        ("Pneumonia without pleural effusion.", {"pneumonia"}),
        ("Size of 3.5 cm without change\nmass", {"mass"}),
        ("massive", set()),
        ("폐렴 소견 없음.", set()),
        ("폐렴이 의심됨. 흉수는 관찰되지 않음.", {"pneumonia"}),
        ("폐렴, 흉수 및 mass는 보이지 않음.", set()),
        ("폐렴 소견이 보이고 흉수는 없음.", {"pneumonia"}),
        ("흉수 없이 폐렴만 있음.", {"pneumonia"}),
        ("RLL에 pneumonia가 있으며 pleural effusion은 없음.", {"pneumonia"}),
        ("PTE(-), 우측 흉수(+)", {"effusion"}),
        ("흉수없음. PTE 의심", {"mass"}),
        ("Pneumonia negative임. mass absent함.", set()),
        ("이전의 폐렴은 없어지고 흉수가 생김", {"effusion"}),
    ],
)
def test_keywords_count_outside_of_korean_english_and_mixed_negation(text, labels):
    assert positive_labels(text) == labels


def test_a_label_without_keywords_is_never_positive():
    assert apply_keyword_rules(["mass"], {"mass": ("mass",)}, ("mass", "other")).tolist() == [[1.0, 0.0]]


def test_keyword_rules_of_a_recipe_replace_those_of_the_task(tmp_path, make_recipe):
    settings = TaskSettings(task="synthetic_ct", max_rows={"train": 60, "dev": 20, "test": 20, "external": 10})
    own = prepare_tasks(make_recipe({"m": {"folder": "x"}}, {"t": settings}), tmp_path)["t"]
    other = settings.model_copy(update={"keyword_rules": {"cancer": ("no such word",)}})
    changed = prepare_tasks(make_recipe({"m": {"folder": "x"}}, {"t": other}), tmp_path)["t"]
    assert set(own.rules) == {"test", "external"}
    assert np.stack(own.rules["test"].predicted)[:, 2].any()
    assert not np.stack(changed.rules["test"].predicted)[:, 2].any()
    assert np.array_equal(
        np.stack(changed.rules["test"].predicted)[:, :2], np.stack(own.rules["test"].predicted)[:, :2]
    )


@pytest.mark.data
def test_rules_from_the_names_of_ctclips_labels_score_high_on_its_test_reports(open_data, make_recipe):
    settings = TaskSettings(task="ctclip", path=str(open_data / "chest_ct" / "ctclip"))
    prepared = prepare_tasks(make_recipe({"m": {"folder": "x"}}, {"c": settings}), open_data)["c"]
    rules = prepared.rules["test"]
    found = scores("multilabel", rules.gold, rules.predicted, prepared.labels)
    assert len(rules.gold) == 198
    assert found["macro_f1"] == pytest.approx(0.86, abs=0.02)
