import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bimed_dist.corpus.near_duplicates import (
    HASHES,
    RECALL,
    SHINGLE,
    NearDuplicates,
    bands_for,
    signature,
)
from bimed_dist.corpus.windows import units, window_hashes
from bimed_dist.recipe.corpus import NearDuplicateSettings
from bimed_dist.synthetic.documents import generate_documents

NOTE = (
    "65세 남자 환자로 3일 전부터 발열과 기침이 있어 내원하였다. 흉부 CT에서 우상엽에 3.5 cm 크기의 mass가 관찰되어",
    "조직검사를 시행하였고 adenocarcinoma로 진단되었다. 이후 항암치료를 시작하였으며 큰 부작용 없이 퇴원하였다.",
)


def documents(count: int, language: str = "ko") -> list[tuple[str, ...]]:
    return [document.paragraphs for document in generate_documents(7, count, (language,), "s")]


def exact_similarity(first: tuple[str, ...], second: tuple[str, ...]) -> float:
    a, b = ({*window_hashes(units(" ".join(text)), SHINGLE).tolist()} for text in (first, second))
    return len(a & b) / len(a | b)


def filled(threshold: float, texts: list[tuple[str, ...]]) -> tuple[NearDuplicates, list[int | None]]:
    index = NearDuplicates(threshold)
    return index, [index.find_or_add(signature(text), i) for i, text in enumerate(texts)]


def test_a_signature_is_a_function_of_letters_and_digits_alone():
    spaced = tuple(paragraph.replace(" ", "  ").upper() for paragraph in NOTE)
    assert np.array_equal(signature(NOTE), signature(spaced))
    assert np.array_equal(signature(NOTE), signature([" ".join(NOTE)]))
    assert signature(NOTE).shape == (HASHES,)
    assert signature(NOTE).nbytes == 256


def test_signatures_are_the_same_in_every_process_and_version():
    """An interrupted build continues with signatures of its first run. A new rensa that changes them must be seen."""
    assert signature(NOTE)[:4].tolist() == [45837, 48755, 1860, 13163]


@pytest.mark.parametrize("language", ["ko", "en", "mixed"])
def test_similarity_is_that_of_the_sets_of_windows_within_its_error(language):
    rng = random.Random(1)
    for text in documents(12, language):
        words = " ".join(text).split()
        changed = tuple(word for word in words if rng.random() > 0.05)
        expected = exact_similarity((" ".join(words),), (" ".join(changed),))
        # Four standard errors of a share of 128.
        assert (signature(words) == signature(changed)).mean() == pytest.approx(expected, abs=4 * 0.0442)


def test_the_first_document_is_kept_and_the_later_one_is_dropped_for_it():
    changed = (NOTE[0].replace("65세", "66세"), NOTE[1])
    _, kept = filled(0.7, [NOTE, *documents(5), changed])
    assert kept[:-1] == [None] * 6
    assert kept[-1] == 0


def test_a_document_goes_to_the_kept_one_that_is_most_like_it():
    near = (NOTE[0], NOTE[1].replace("큰 부작용 없이", "경과 관찰 후"))
    index, kept = filled(0.9, [NOTE, near])
    assert kept == [None, None]
    assert index.find_or_add(signature((near[0], near[1] + " 끝")), 2) == 1


def test_a_chain_of_small_changes_does_not_drop_documents_unlike_all_kept_ones():
    words = " ".join(documents(1)[0]).split()
    half = len(words) // 2
    chain = [(" ".join(words[: len(words) - cut]),) for cut in range(0, half, max(1, half // 12))]
    _, kept = filled(0.8, chain)
    assert kept[1] == 0
    assert kept.count(None) > 1
    for text, origin in zip(chain, kept, strict=True):
        if origin is not None:
            assert exact_similarity(text, chain[origin]) > 0.8 - 4 * 0.0442


def test_different_documents_are_all_kept():
    for language in ("ko", "en", "mixed"):
        texts = documents(150, language)
        assert filled(0.8, texts)[1] == [None] * len(texts)


def test_text_without_letters_is_like_no_other_and_is_not_remembered():
    assert filled(0.5, [("...",), ("---",), ()])[1] == [None] * 3


def test_short_texts_are_alike_only_where_they_are_the_same():
    texts = [("흉수 없음",), ("흉막 없음",), ("흉수 없음.",), ("A",), ("B",), ("a",)]
    assert filled(0.8, texts)[1] == [None, None, 0, None, None, 3]


def test_the_index_grows_and_still_finds_earlier_documents():
    rng = np.random.default_rng(0)
    signatures = rng.integers(0, 2**16, (4000, HASHES), np.uint16)
    index = NearDuplicates(0.8)
    assert [index.find_or_add(s, i) for i, s in enumerate(signatures)] == [None] * len(signatures)
    assert [index.find_or_add(signatures[i], -1) for i in range(0, 4000, 250)] == list(range(0, 4000, 250))


def test_memory_per_document_has_a_bound():
    """Half a million documents of a corpus of 1 GB take less than 400 MB."""
    rng = np.random.default_rng(0)
    index = NearDuplicates(NearDuplicateSettings().threshold)
    most = 0.0
    for number, row in enumerate(rng.integers(0, 2**16, (6000, HASHES), np.uint16), start=1):
        index.find_or_add(row, number)
        if number > 2000:
            most = max(most, index.nbytes / number)
    assert most < 800


def test_frames_that_many_documents_share_keep_the_work_bounded():
    """Thousands of forms that agree in most of their text but not enough to be repeats."""
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 2**16, HASHES, np.uint16)
    rows = np.where(rng.random((4000, HASHES)) < 0.6, frame, rng.integers(0, 2**16, (4000, HASHES), np.uint16))
    index = NearDuplicates(0.9)
    for number, row in enumerate(rows.astype(np.uint16)):
        assert index.find_or_add(row, number) is None
    origins = [index.find_or_add(row, -1) for row in rows[-200:].astype(np.uint16)]
    assert sum(origin is not None for origin in origins) >= 0.95 * len(origins)


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0])
def test_bands_find_a_pair_at_the_threshold(threshold):
    bands, rows = bands_for(threshold)
    assert bands * rows <= HASHES
    assert 1 - (1 - threshold**rows) ** bands >= RECALL


@given(st.permutations(range(6)))
@settings(max_examples=30, deadline=None)
def test_which_text_is_first_decides_and_nothing_else(order):
    """Three texts twice each: whatever the order, the first of each text is kept."""
    texts = [text for text in documents(3) for _ in range(2)]
    _, kept = filled(0.8, [texts[i] for i in order])
    first = {}
    for place, i in enumerate(order):
        expected = first.setdefault(i // 2, place)
        assert kept[place] == (None if expected == place else expected)
