"""Limits: what readers are warned about, decided by declared fields and never by text for people."""

import fake_work
import pytest

from bimed_dist.report.sections.limits import task_limits


def limits_of(**entry) -> str:
    task = fake_work.results()["tasks"]["ner"] | {"title": "TASK"} | entry
    return " ".join(task_limits({"ner": task}))


def test_the_page_warns_of_labels_made_by_rules_and_of_what_intervals_leave_out(page_html):
    assert "Labels made by rules on the text itself: 흉부 CT 판독문" in page_html
    assert "Intervals and p values cover the choice of test rows, not the randomness of training." in page_html


@pytest.mark.parametrize("origin", ["annotators, disagreements ruled out by a third reader", "Rules of the clinic", ""])
def test_labels_by_people_are_never_called_labels_made_by_rules(origin):
    assert "TASK" not in limits_of(labels_by="people", labels_from=origin)


@pytest.mark.parametrize("origin", ["판독문에 대한 정규식과 진단 코드", "keywords"])
def test_labels_by_rules_are_reported_in_whatever_language_their_origin_is_written(origin):
    assert "Labels made by rules on the text itself: TASK." in limits_of(labels_by="rules", labels_from=origin)


def test_generated_texts_are_reported_whatever_the_task_is_called():
    assert "Texts and labels made by a program: TASK." in limits_of(labels_by="generator", task="ward_notes")
    assert "TASK" not in limits_of(labels_by="people", task="synthetic_speech")
