import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bimed_dist.corpus.contamination import SHORTEST, WINDOW, Overlap, TaskIndex, TaskText, build_index, screen
from bimed_dist.recipe.corpus import ContaminationSettings

LONG = "우상엽에 3.5 cm 크기의 조영 증강되는 mass가 관찰되며 주변 폐실질의 침윤을 동반하고 있어 폐암이 의심된다."
OTHER = "환자는 특별한 증상 없이 건강검진에서 발견된 간 결절로 내원하였고 추적 관찰을 하기로 하였다."
ENGLISH = "A 3.5 cm enhancing mass in the right upper lobe invades the adjacent lung and suggests lung cancer."
SHORT = "한 여자가 당근을 자르고 있다."
ALL = ("train", "dev", "test", "external")
REMOVE, REPORT = ContaminationSettings(), ContaminationSettings(action="report")


def index_of(*texts: str, split: str = "test") -> TaskIndex:
    return build_index([TaskText("sts", split, f"f line {i}", text) for i, text in enumerate(texts, start=1)], ALL)


def test_a_row_that_stands_in_the_corpus_is_reported_and_only_its_sentence_taken_out():
    screened = screen([["앞 문장이다.", LONG], [OTHER, OTHER]], index_of(LONG, ENGLISH), REMOVE)
    assert screened.overlaps == [Overlap("sts", "test", "f line 1", "", 1.0)]
    assert screened.remaining == [["앞 문장이다."], [OTHER, OTHER]]
    assert screened.removed == 1


def test_a_document_that_is_mostly_text_of_rows_is_dropped_whole():
    screened = screen([["앞 문장이다.", LONG]], index_of(LONG), REMOVE)
    assert screened.share > 0.5
    assert (screened.remaining, screened.removed) == ([], 2)


def test_text_that_is_only_reported_stays():
    paragraphs = [["앞 문장이다.", LONG], [OTHER]]
    screened = screen(paragraphs, index_of(LONG), REPORT)
    assert len(screened.overlaps) == 1
    assert (screened.remaining, screened.removed) == (paragraphs, 0)


@pytest.mark.parametrize(
    "copy",
    [
        LONG.replace(" ", ""),
        LONG.replace(" ", "  ").upper(),
        LONG.replace("3.5", "３．５").replace("mass", "MASS"),
        LONG.replace(".", " ,"),
        f"“{LONG}”",
    ],
)
def test_spacing_case_punctuation_and_width_hide_no_row(copy):
    assert screen([[copy, OTHER]], index_of(LONG), REMOVE).overlaps[0].share == 1.0


def test_a_row_of_several_sentences_is_found_over_their_ends():
    row = f"{SHORT} {LONG} {ENGLISH}"
    screened = screen([[OTHER, OTHER, SHORT], [LONG, ENGLISH], [OTHER, OTHER, OTHER]], index_of(row), REMOVE)
    assert screened.overlaps[0].share == 1.0
    assert screened.remaining == [[OTHER, OTHER], [OTHER, OTHER, OTHER]]


def test_a_stock_phrase_of_a_long_row_is_no_leak():
    row = f"{OTHER} {ENGLISH} {LONG}"
    screened = screen([[LONG]], index_of(row), REMOVE)
    assert (screened.overlaps, screened.remaining) == ([], [[LONG]])


def test_the_share_of_a_row_that_makes_it_a_leak_is_a_setting():
    half = ENGLISH[: len(ENGLISH) * 6 // 10]
    assert screen([[half]], index_of(ENGLISH), REMOVE).overlaps == []
    (overlap,) = screen([[half]], index_of(ENGLISH), ContaminationSettings(min_row_share=0.4)).overlaps
    assert overlap.share == pytest.approx(0.6, abs=0.05)


def test_a_short_row_is_found_as_a_whole_sentence_and_not_inside_one():
    index = index_of(SHORT)
    assert screen([[SHORT.replace(" ", ""), OTHER]], index, REMOVE).remaining == [[OTHER]]
    assert screen([[f"{SHORT[:-1]}고 말했다.", OTHER]], index, REMOVE).overlaps == []


def test_rows_of_hardly_any_text_are_counted_and_not_compared():
    index = index_of("정상입니다", LONG)
    assert index.too_short == 1
    assert screen([["정상입니다"]], index, REMOVE).overlaps == []


def test_every_row_of_the_same_text_is_reported():
    texts = [TaskText("ko", "test", "a line 1", LONG), TaskText("en", "test", "b line 1", LONG, through="ko")]
    overlaps = screen([[LONG]], build_index(texts, ALL), REMOVE).overlaps
    assert [(o.task, o.through) for o in overlaps] == [("ko", ""), ("en", "ko")]


def test_splits_that_are_not_asked_for_are_not_searched():
    texts = [TaskText("sts", "train", "f line 1", LONG), TaskText("sts", "test", "f line 2", OTHER)]
    index = build_index(texts, ("test",))
    assert [o.row for o in screen([[LONG], [OTHER]], index, REPORT).overlaps] == ["f line 2"]


def test_an_index_without_rows_finds_nothing():
    assert screen([[LONG]], build_index([], ALL), REMOVE) == screen([[LONG]], index_of("가"), REMOVE)


@pytest.mark.parametrize("paragraphs", [[], [[]], [["..."]], [["", "가"], [SHORT]]])
def test_documents_of_hardly_any_text_pass(paragraphs):
    screened = screen(paragraphs, index_of(LONG), REMOVE)
    assert (screened.overlaps, screened.remaining) == ([], paragraphs)


def test_an_index_is_the_same_when_it_was_saved_and_mapped_into_memory(tmp_path):
    index = index_of(LONG, SHORT, ENGLISH, "가")
    index.save(tmp_path)
    loaded = TaskIndex.load(tmp_path)
    document = [[OTHER, LONG], [SHORT, OTHER, OTHER]]
    assert screen(document, loaded, REMOVE) == screen(document, index, REMOVE)
    assert loaded.labels == index.labels
    assert loaded.too_short == index.too_short == 1


def test_overlaps_tell_task_and_row_and_never_text():
    (overlap,) = screen([[LONG]], index_of(LONG), REMOVE).overlaps
    assert not {word for value in overlap for word in str(value).split()} & set(LONG.split())


def test_windows_are_long_enough_not_to_meet_by_chance_of_wording():
    assert WINDOW >= 2 * SHORTEST


SENTENCES = st.lists(st.sampled_from([LONG, OTHER, ENGLISH, SHORT, "짧다.", "..."]), max_size=4)


@given(st.lists(SENTENCES, max_size=4), st.sets(st.sampled_from([LONG, ENGLISH, SHORT])))
@settings(max_examples=150, deadline=None)
def test_remaining_sentences_are_clean_and_in_the_order_of_the_document(paragraphs, rows):
    index = index_of(*sorted(rows))
    screened = screen(paragraphs, index, REMOVE)
    remaining = [sentence for paragraph in screened.remaining for sentence in paragraph]
    everything = iter([sentence for paragraph in paragraphs for sentence in paragraph])
    assert all(sentence in everything for sentence in remaining)
    assert not set(remaining) & rows
    assert screened.removed == sum(map(len, paragraphs)) - len(remaining)
    assert 0 <= screened.share <= 1
