from collections import Counter

import pytest

from bimed_dist.corpus.layout import paragraphs_of
from bimed_dist.recipe.corpus import CleaningSettings

ALL = CleaningSettings()


def laid_out(text: str, line_break: str = "space", rules: CleaningSettings = ALL, changed: Counter | None = None):
    return paragraphs_of(text, line_break, rules, Counter() if changed is None else changed)


def test_paragraphs_of_a_field_without_text_are_none():
    assert laid_out(" \n\n ") == []


def pages(*bodies: str) -> str:
    return "\f".join(
        f"서울병원 진료지침 2020\n\n{body}\n\n- {number} -\n" for number, body in enumerate(bodies, start=1)
    )


def test_headers_and_footers_that_recur_on_the_pages_are_taken_away_and_counted():
    changed = Counter()
    text = pages("첫 쪽의 글이다.", "둘째 쪽의 글이\n이어진다.", "셋째 쪽이다.")
    assert laid_out(text, changed=changed) == ["첫 쪽의 글이다.", "둘째 쪽의 글이 이어진다.", "셋째 쪽이다."]
    assert changed["page_furniture"] == 6


def test_page_furniture_is_kept_where_the_rule_is_off_or_there_are_few_pages():
    off = CleaningSettings(page_furniture=False)
    assert "서울병원 진료지침 2020" in laid_out(pages("가.", "나.", "다."), rules=off)
    assert "서울병원 진료지침 2020" in laid_out(pages("가.", "나."))


def test_lines_in_the_middle_of_pages_are_kept_even_if_they_recur():
    body = "처음\n\n중간\n\n정상 소견\n\n중간 아래\n\n끝"
    assert "\n".join(laid_out("\f".join([body] * 4))).count("정상 소견") == 4


def test_a_paragraph_goes_on_over_the_end_of_a_page():
    assert laid_out("The patient was\fseen again.\fNew page.") == ["The patient was seen again.", "New page."]


def test_words_hyphenated_at_the_end_of_a_line_are_joined_and_compounds_are_not():
    changed = Counter()
    text = "an exami-\nnation of the T-\ncell and COVID-\n19"
    assert laid_out(text, changed=changed) == ["an examination of the T- cell and COVID- 19"]
    assert changed["hyphenation"] == 1
    assert laid_out(text, rules=CleaningSettings(hyphenation=False))[0].startswith("an exami- nation")


WRAPPED = (
    "The lungs are clear without focal consolidation, effusion or pneumothorax and\n"
    "the heart is of normal size.\n"
    "No fracture\n"
    "- old granuloma"
)


@pytest.mark.parametrize(
    ("line_break", "breaks"),
    [("sentence", 3), ("space", 1), ("wrapped", 2)],
)
def test_the_meaning_of_a_line_break_is_a_setting(line_break, breaks):
    changed = Counter()
    [paragraph] = laid_out(WRAPPED, line_break, changed=changed)
    assert paragraph.count("\n") == breaks and changed["lines_joined"] == 3 - breaks
    assert paragraph.split() == WRAPPED.split()
