"""Sentence order prediction and MLM alone: every row of the toy corpus."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from bimed_dist.errors import DataError
from bimed_dist.shards.batches import PhaseBatches
from bimed_dist.shards.plan import EpochPlan, epoch_plan

PAIRINGS = ("segments", "sentences")


def make(toy, objective: str, pairing: str = "segments", epoch: int = 0, max_length: int = 64) -> EpochPlan:
    return epoch_plan(toy.open(), seed=1, epoch=epoch, max_length=max_length, pairing=pairing, objective=objective)


def texts(toy, plan: EpochPlan) -> list[tuple[list[int], list[int]]]:
    shards = toy.open()
    rows = zip(plan.a_start, plan.a_length, plan.b_start, plan.b_length, strict=True)
    return [
        tuple(shards.gather(np.array([s]), np.array([n])).tolist() for s, n in ((a, a_length), (b, b_length)))
        for a, a_length, b, b_length in rows
    ]


@pytest.mark.parametrize("pairing", PAIRINGS)
@pytest.mark.parametrize("epoch", [0, 3])
def test_every_sentence_order_label_matches_the_text(toy, pairing: str, epoch: int):
    plan = make(toy, "sentence_order", pairing, epoch)
    for (a, b), in_order in zip(texts(toy, plan), plan.is_next, strict=True):
        assert toy.document_of[a[0]] == toy.document_of[b[0]]
        first, second = (a, b) if in_order else (b, a)
        # No row is full here, so nothing is truncated and the two halves touch.
        assert toy.position_of[first[-1]] + 1 == toy.position_of[second[0]]
    assert plan.truncated_tokens == 0
    assert abs(int(plan.is_next.sum()) - plan.num_rows / 2) <= 0.5


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_sentence_order_uses_all_sentences_that_can_be_paired_and_counts_the_rest(toy, pairing: str):
    plan = make(toy, "sentence_order", pairing)
    used = Counter(toy.sentence_of[token] for a, b in texts(toy, plan) for token in a + b)
    sentences = sum(map(len, toy.documents))
    if pairing == "segments":
        assert plan.unused_sentences == sentences - len(used) > 0
        longest = max(toy.documents, key=len)
        assert set(longest[0]) <= {token for a, b in texts(toy, plan) for token in a + b}
    else:
        assert plan.num_rows == sum(len(document) - 1 for document in toy.documents)


def test_epochs_swap_other_rows_and_have_equally_many(toy):
    plans = [make(toy, "sentence_order", epoch=epoch) for epoch in range(3)]
    assert len({plan.num_rows for plan in plans}) == 1
    assert len({plan.is_next.tobytes() for plan in plans}) == 3


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_without_a_sentence_objective_rows_are_one_segment_and_hold_every_token_once(toy, pairing: str):
    plan = make(toy, "none", pairing)
    assert (plan.b_length == 0).all()
    seen = Counter(token for a, _ in texts(toy, plan) for token in a)
    assert seen == Counter(dict.fromkeys(toy.position_of, 1))
    assert plan.lengths(plan.order).max() <= 64
    if pairing == "sentences":
        assert [a for a, _ in texts(toy, plan)] == [s for document in toy.documents for s in document]


def test_rows_of_one_segment_are_laid_out_without_a_second(toy, settings: Callable):
    phase = PhaseBatches(toy.open(), settings(sentence_objective="none"), seed=1)
    plan = phase.plan(0)
    for part in phase.step_batches(0, rank=0, world_size=1):
        ids = part.input_ids.copy()
        ids[part.masked_positions] = part.mlm_labels
        for i, row in enumerate(part.rows):
            start, end = part.row_starts[i], part.row_starts[i + 1]
            a = phase.shards.gather(plan.a_start[[row]], plan.a_length[[row]]).tolist()
            assert ids[start:end].tolist() == [2, *a, 3]
            assert part.position_ids[start:end].tolist() == list(range(end - start))
        assert not part.token_type_ids.any()
        assert not part.nsp_labels.any()


def test_one_document_is_enough_without_next_sentences(tmp_path, build_toy: Callable):
    toy = build_toy(tmp_path, [[4, 5, 6, 7]])
    assert make(toy, "none", "sentences").num_rows == 4
    assert make(toy, "sentence_order", "sentences").num_rows == 3
    with pytest.raises(DataError, match="has 1 document"):
        make(toy, "next_sentence")


def test_documents_of_one_sentence_have_no_order(tmp_path, build_toy: Callable):
    with pytest.raises(DataError, match="sentence_objective=sentence_order: no document has two"):
        make(build_toy(tmp_path, [[4], [5], [6]]), "sentence_order")
