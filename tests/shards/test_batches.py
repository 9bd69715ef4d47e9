import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bimed_dist.errors import ConfigError
from bimed_dist.shards import batches
from bimed_dist.shards.batches import PackedBatch, PhaseBatches, Prefetcher, TrainingBatches, validation_batches
from bimed_dist.shards.reading import ShardSet

WORLD_SIZES = (1, 2, 3, 4, 6)


@pytest.fixture(scope="module")
def stream(toy, settings: Callable) -> PhaseBatches:
    return PhaseBatches(toy.open(), settings(), seed=1)


@pytest.fixture(scope="module")
def held_out(toy) -> ShardSet:
    return ShardSet.open(toy.folder, "held_out")


def rows_of(parts: list[PackedBatch]) -> list[int]:
    return [row for part in parts for row in part.rows.tolist()]


def row_texts(parts: list[PackedBatch]) -> dict[int, tuple[list[int], list[int]]]:
    """Row number -> its masked ids and its labels."""
    found = {}
    for part in parts:
        labels = dict(zip(part.masked_positions.tolist(), part.mlm_labels.tolist(), strict=True))
        for i, row in enumerate(part.rows.tolist()):
            span = range(part.row_starts[i], part.row_starts[i + 1])
            found[row] = part.input_ids[span.start : span.stop].tolist(), [labels.get(place) for place in span]
    return found


def assert_same_batches(first: list[PackedBatch], second: list[PackedBatch]) -> None:
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert a.__dict__.keys() == b.__dict__.keys()
        assert all(np.array_equal(a.__dict__[name], b.__dict__[name]) for name in a.__dict__)


def test_rows_are_laid_out_as_bert_expects(toy, settings: Callable):
    stream = PhaseBatches(toy.open(), settings(), seed=1)
    plan = stream.plan(0)

    for part in stream.step_batches(0, rank=0, world_size=1):
        ids = part.input_ids.copy()
        ids[part.masked_positions] = part.mlm_labels
        for i, row in enumerate(part.rows):
            start, end = part.row_starts[i], part.row_starts[i + 1]
            a = stream.shards.gather(plan.a_start[[row]], plan.a_length[[row]]).tolist()
            b = stream.shards.gather(plan.b_start[[row]], plan.b_length[[row]]).tolist()
            assert ids[start:end].tolist() == [2, *a, 3, *b, 3]
            assert part.token_type_ids[start:end].tolist() == [0] * (len(a) + 2) + [1] * (len(b) + 1)
            assert part.position_ids[start:end].tolist() == list(range(end - start))
            assert part.nsp_labels[i] == (toy.place_of[a[-1]] + 1 != toy.place_of[b[0]])
            assert stream.shards.languages[part.languages[i]] == ("ko", "en")[toy.document_of[a[0]] % 2]
        assert part.row_starts[-1] == len(part.input_ids)


def test_arrays_have_the_types_that_kernels_and_losses_take(stream: PhaseBatches):
    (part, *_) = stream.step_batches(0, rank=0, world_size=1)
    kinds = {name: str(array.dtype) for name, array in part.__dict__.items()}
    int64 = ("input_ids", "token_type_ids", "position_ids", "masked_positions", "mlm_labels", "nsp_labels", "rows")
    assert kinds == {**dict.fromkeys(int64, "int64"), "row_starts": "int32", "languages": "int8", "sources": "int16"}


def test_every_world_size_trains_on_the_same_rows_and_masks(stream: PhaseBatches):
    for step in (0, 1, stream.steps_per_epoch - 1, stream.steps_per_epoch):
        reference = row_texts(stream.step_batches(step, rank=0, world_size=1))
        assert len(reference) == 24
        for world_size in WORLD_SIZES:
            shares = [stream.step_batches(step, rank=rank, world_size=world_size) for rank in range(world_size)]
            rows = [row for share in shares for row in rows_of(share)]
            assert sorted(rows) == sorted(reference)
            assert {len(rows_of(share)) for share in shares} == {24 // world_size}
            assert row_texts([part for share in shares for part in share]) == reference


def test_ranks_have_equally_many_micro_batches_within_the_limit(toy, settings: Callable):
    for micro_batch in (1, 3, 4, 5, 24, 100):
        stream = PhaseBatches(toy.open(), settings(micro_batch=micro_batch), seed=1)
        for world_size in WORLD_SIZES:
            shares = [stream.step_batches(0, rank=rank, world_size=world_size) for rank in range(world_size)]
            assert len({len(share) for share in shares}) == 1
            assert all(0 < len(part.rows) <= micro_batch for share in shares for part in share)


def test_ranks_carry_nearly_equal_tokens():
    random = np.random.default_rng(0)
    for world_size in (2, 4, 6):
        lengths = random.integers(5, 129, size=240)
        rows = random.permutation(240)
        shares = [
            batches.rank_rows(rows, lengths[rows], rank=rank, world_size=world_size) for rank in range(world_size)
        ]
        tokens = [int(lengths[share].sum()) for share in shares]
        # Dealt to and fro, shares differ by less than the longest row; random shares differ by several rows.
        assert max(tokens) - min(tokens) < 0.01 * np.mean(tokens)


def test_a_batch_that_does_not_divide_among_processes_is_refused(stream: PhaseBatches):
    with pytest.raises(ConfigError, match="global_batch=24 is not a multiple of the 5 processes"):
        stream.step_batches(0, rank=0, world_size=5)


def test_an_epoch_trains_on_no_row_twice_and_drops_only_the_last_rows(stream: PhaseBatches):
    rows = [
        row
        for step in range(stream.steps_per_epoch)
        for row in rows_of(stream.step_batches(step, rank=0, world_size=1))
    ]
    assert len(set(rows)) == len(rows) == stream.num_rows - stream.dropped_rows
    assert stream.dropped_rows < 24


def test_steps_find_their_epoch_by_division():
    assert batches.steps_per_epoch(100, 24) == 4
    assert [batches.locate_step(step, 100, 24) for step in (0, 3, 4, 41)] == [(0, 0), (0, 3), (1, 0), (10, 1)]
    with pytest.raises(ConfigError, match="global_batch=24 is more than the 23 rows"):
        batches.steps_per_epoch(23, 24)


def test_restarting_at_any_step_gives_the_same_remainder(toy, settings: Callable):
    # One step past the second epoch.
    steps = range(2 * PhaseBatches(toy.open(), settings(), seed=1).steps_per_epoch + 1)
    without_break = PhaseBatches(toy.open(), settings(), seed=1)
    expected = [without_break.step_batches(step, rank=1, world_size=2) for step in steps]
    for first in steps:
        restarted = PhaseBatches(toy.open(), settings(), seed=1)
        for step in steps[first : first + 2]:
            assert_same_batches(restarted.step_batches(step, rank=1, world_size=2), expected[step])


def test_epochs_mask_and_pair_rows_anew(stream: PhaseBatches):
    steps = stream.steps_per_epoch
    first, second = (
        row_texts([part for s in range(steps) for part in stream.step_batches(e * steps + s, rank=0, world_size=1)])
        for e in (0, 1)
    )
    shared = first.keys() & second.keys()
    assert len(shared) > 50
    assert sum(first[row] == second[row] for row in shared) == 0


def test_seeds_give_other_rows(toy, settings: Callable):
    one, two = (
        PhaseBatches(toy.open(), settings(), seed=seed).step_batches(0, rank=0, world_size=1) for seed in (1, 2)
    )
    assert rows_of(one) != rows_of(two)


@pytest.mark.parametrize("micro_batch", [1, 2, 4])
def test_validation_reads_the_same_rows_once_for_every_world_size(
    held_out: ShardSet, settings: Callable, micro_batch: int
):
    wanted = settings(validation_rows=11, micro_batch=micro_batch, max_length=16)
    reference = row_texts(validation_batches(held_out, wanted, seed=1, rank=0, world_size=1))
    assert len(reference) == 11
    for world_size in WORLD_SIZES:
        shares = [
            validation_batches(held_out, wanted, seed=1, rank=r, world_size=world_size) for r in range(world_size)
        ]
        rows = [row for share in shares for row in rows_of(share)]
        assert len(rows) == 11
        assert row_texts([part for share in shares for part in share]) == reference
        # ZeRO-3 would wait for ever on a rank with one forward pass less.
        assert len({len(share) for share in shares}) == 1
        assert all(len(part.rows) for share in shares for part in share)


def test_validation_needs_a_row_for_every_rank(held_out: ShardSet, settings: Callable):
    with pytest.raises(ConfigError, match="2 held-out rows are fewer than 3 processes"):
        validation_batches(held_out, settings(validation_rows=2), seed=1, rank=0, world_size=3)


def test_whole_words_need_a_vocabulary_that_marks_them(toy, settings: Callable):
    shards = toy.open()
    shards.tokens = replace(shards.tokens, continuing_ids=())
    with pytest.raises(ConfigError, match="mask_unit=word"):
        PhaseBatches(shards, settings(mask_unit="word"), seed=1)


def test_whole_words_of_the_toy_text_are_masked_together(toy, settings: Callable):
    stream = PhaseBatches(toy.open(), settings(mask_unit="word"), seed=1)
    for part in stream.step_batches(0, rank=0, world_size=1):
        labels = set(part.mlm_labels.tolist())
        place = {toy.place_of[label] for label in labels}
        for label in labels:
            sentence = next(s for s in toy.documents[toy.document_of[label]] if label in s)
            word = sentence.index(label) // 3
            assert {toy.place_of[token] for token in sentence[3 * word : 3 * word + 3]} <= place


def test_batches_made_ahead_are_those_of_the_step_that_is_asked_for(stream: PhaseBatches):
    upcoming = Prefetcher(stream, rank=1, world_size=2, end=4)
    for step in (0, 1, 3, 2, 2, 3):  # also out of order, as where a run begins in the middle
        assert_same_batches(upcoming.batches(step), stream.step_batches(step, rank=1, world_size=2))


def test_the_plan_of_an_epoch_is_made_while_the_one_before_is_trained_and_none_behind_the_last(
    toy, settings: Callable, monkeypatch: pytest.MonkeyPatch
):
    made = []

    def load(self: PhaseBatches, epoch: int):
        made.append((epoch, threading.current_thread() is threading.main_thread()))
        return before(self, epoch)

    before = PhaseBatches._load
    monkeypatch.setattr(PhaseBatches, "_load", load)
    per_epoch = PhaseBatches(toy.open(), settings(), seed=1).steps_per_epoch
    rows = TrainingBatches(toy.open(), settings(steps=2 * per_epoch), seed=1)
    made.clear()
    upcoming = Prefetcher(rows, rank=0, world_size=1, end=2 * per_epoch)
    upcoming.batches(0)
    rows.streams[0]._ahead[1].result()
    assert made == [(1, False)]
    for step in range(1, 2 * per_epoch):
        upcoming.batches(step)
    assert made == [(1, False)]


def test_nothing_is_made_behind_the_last_update(stream: PhaseBatches):
    asked = []

    class Watched:
        def step_batches(self, step: int, *, rank: int, world_size: int) -> list[PackedBatch]:
            asked.append(step)
            return stream.step_batches(step, rank=rank, world_size=world_size)

        def plan_ahead(self, step: int) -> None: ...

    upcoming = Prefetcher(Watched(), rank=0, world_size=1, end=2)
    for step in (0, 1):
        upcoming.batches(step)
    assert asked == [0, 1]


def test_what_fails_ahead_is_raised_at_its_own_update(stream: PhaseBatches):
    class Broken:
        def step_batches(self, step: int, *, rank: int, world_size: int) -> list[PackedBatch]:
            if step == 1:
                raise ConfigError("damaged")
            return stream.step_batches(step, rank=rank, world_size=world_size)

        def plan_ahead(self, step: int) -> None: ...

    upcoming = Prefetcher(Broken(), rank=0, world_size=1, end=3)
    upcoming.batches(0)
    with pytest.raises(ConfigError, match="damaged"):
        upcoming.batches(1)
