import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bimed_dist.errors import ConfigError
from bimed_dist.shards import batches
from bimed_dist.shards.batches import PhaseBatches, Prefetcher, TrainingBatches, validation_batches
from bimed_dist.shards.packing import PackedBatch
from bimed_dist.shards.reading import ShardSet

WORLD_SIZES = (1, 2, 3, 4, 6)


@pytest.fixture(scope="module")
def phase(toy, settings: Callable) -> PhaseBatches:
    return PhaseBatches(toy.open(), settings(), seed=1)


@pytest.fixture(scope="module")
def held_out(toy) -> ShardSet:
    return ShardSet.open(toy.folder, "held_out")


def rows_of(parts: list[PackedBatch]) -> list[int]:
    return [row for part in parts for row in part.rows.tolist()]


def row_texts(parts: list[PackedBatch]) -> dict[int, tuple[list[int], list[int]]]:
    """Row number -> its masked ids and its labels."""
    texts = {}
    for part in parts:
        labels = dict(zip(part.masked_positions.tolist(), part.mlm_labels.tolist(), strict=True))
        for i, row in enumerate(part.rows.tolist()):
            span = range(part.row_starts[i], part.row_starts[i + 1])
            texts[row] = part.input_ids[span.start : span.stop].tolist(), [labels.get(position) for position in span]
    return texts


def assert_same_batches(first: list[PackedBatch], second: list[PackedBatch]) -> None:
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert a.__dict__.keys() == b.__dict__.keys()
        assert all(np.array_equal(a.__dict__[name], b.__dict__[name]) for name in a.__dict__)


def test_rows_have_the_layout_of_bert(toy, settings: Callable):
    phase = PhaseBatches(toy.open(), settings(), seed=1)
    plan = phase.plan(0)

    for part in phase.step_batches(0, rank=0, world_size=1):
        ids = part.input_ids.copy()
        ids[part.masked_positions] = part.mlm_labels
        for i, row in enumerate(part.rows):
            start, end = part.row_starts[i], part.row_starts[i + 1]
            a = phase.shards.gather(plan.a_start[[row]], plan.a_length[[row]]).tolist()
            b = phase.shards.gather(plan.b_start[[row]], plan.b_length[[row]]).tolist()
            assert ids[start:end].tolist() == [2, *a, 3, *b, 3]
            assert part.token_type_ids[start:end].tolist() == [0] * (len(a) + 2) + [1] * (len(b) + 1)
            assert part.position_ids[start:end].tolist() == list(range(end - start))
            assert part.nsp_labels[i] == (toy.position_of[a[-1]] + 1 != toy.position_of[b[0]])
            assert phase.shards.languages[part.languages[i]] == ("ko", "en")[toy.document_of[a[0]] % 2]
        assert part.row_starts[-1] == len(part.input_ids)


def test_arrays_have_the_types_that_kernels_and_losses_need(phase: PhaseBatches):
    (part, *_) = phase.step_batches(0, rank=0, world_size=1)
    kinds = {name: str(array.dtype) for name, array in part.__dict__.items()}
    int64 = ("input_ids", "token_type_ids", "position_ids", "masked_positions", "mlm_labels", "nsp_labels", "rows")
    assert kinds == {**dict.fromkeys(int64, "int64"), "row_starts": "int32", "languages": "int8", "sources": "int16"}


def test_every_world_size_trains_on_the_same_rows_and_masks(phase: PhaseBatches):
    for step in (0, 1, phase.steps_per_epoch - 1, phase.steps_per_epoch):
        reference = row_texts(phase.step_batches(step, rank=0, world_size=1))
        assert len(reference) == 24
        for world_size in WORLD_SIZES:
            shares = [phase.step_batches(step, rank=rank, world_size=world_size) for rank in range(world_size)]
            rows = [row for share in shares for row in rows_of(share)]
            assert sorted(rows) == sorted(reference)
            assert {len(rows_of(share)) for share in shares} == {24 // world_size}
            assert row_texts([part for share in shares for part in share]) == reference


def test_ranks_have_equally_many_micro_batches_within_the_limit(toy, settings: Callable):
    for micro_batch in (1, 3, 4, 5, 24, 100):
        phase = PhaseBatches(toy.open(), settings(micro_batch=micro_batch), seed=1)
        for world_size in WORLD_SIZES:
            shares = [phase.step_batches(0, rank=rank, world_size=world_size) for rank in range(world_size)]
            assert len({len(share) for share in shares}) == 1
            assert all(0 < len(part.rows) <= micro_batch for share in shares for part in share)


def test_ranks_have_nearly_equal_tokens():
    random = np.random.default_rng(0)
    for world_size in (2, 4, 6):
        lengths = random.integers(5, 129, size=240)
        rows = random.permutation(240)
        shares = [
            batches.rank_rows(rows, lengths[rows], rank=rank, world_size=world_size) for rank in range(world_size)
        ]
        tokens = [int(lengths[share].sum()) for share in shares]
        # Assigned back and forth, shares differ by less than the longest row; random shares differ by several rows.
        assert max(tokens) - min(tokens) < 0.01 * np.mean(tokens)


def test_a_global_batch_that_is_not_a_multiple_of_the_processes_is_refused(phase: PhaseBatches):
    with pytest.raises(ConfigError, match="global_batch=24 is not a multiple of the 5 processes"):
        phase.step_batches(0, rank=0, world_size=5)


def test_an_epoch_trains_on_no_row_twice_and_drops_only_the_last_rows(phase: PhaseBatches):
    rows = [
        row for step in range(phase.steps_per_epoch) for row in rows_of(phase.step_batches(step, rank=0, world_size=1))
    ]
    assert len(set(rows)) == len(rows) == phase.num_rows - phase.dropped_rows
    assert phase.dropped_rows < 24


def test_the_epoch_of_a_step_is_a_division():
    assert batches.steps_per_epoch(100, 24) == 4
    assert [batches.locate_step(step, 100, 24) for step in (0, 3, 4, 41)] == [(0, 0), (0, 3), (1, 0), (10, 1)]
    with pytest.raises(ConfigError, match="global_batch=24 is more than the 23 rows"):
        batches.steps_per_epoch(23, 24)


def test_restarting_at_any_step_gives_the_same_remainder(toy, settings: Callable):
    # One step past the second epoch.
    steps = range(2 * PhaseBatches(toy.open(), settings(), seed=1).steps_per_epoch + 1)
    uninterrupted = PhaseBatches(toy.open(), settings(), seed=1)
    expected = [uninterrupted.step_batches(step, rank=1, world_size=2) for step in steps]
    for first in steps:
        restarted = PhaseBatches(toy.open(), settings(), seed=1)
        for step in steps[first : first + 2]:
            assert_same_batches(restarted.step_batches(step, rank=1, world_size=2), expected[step])


def test_epochs_mask_and_pair_rows_differently(phase: PhaseBatches):
    steps = phase.steps_per_epoch
    first, second = (
        row_texts([part for s in range(steps) for part in phase.step_batches(e * steps + s, rank=0, world_size=1)])
        for e in (0, 1)
    )
    shared = first.keys() & second.keys()
    assert len(shared) > 50
    assert sum(first[row] == second[row] for row in shared) == 0


def test_another_seed_gives_other_rows(toy, settings: Callable):
    one, two = (
        PhaseBatches(toy.open(), settings(), seed=seed).step_batches(0, rank=0, world_size=1) for seed in (1, 2)
    )
    assert rows_of(one) != rows_of(two)


@pytest.mark.parametrize("micro_batch", [1, 2, 4])
def test_validation_reads_the_same_rows_once_for_every_world_size(
    held_out: ShardSet, settings: Callable, micro_batch: int
):
    validation = settings(validation_rows=11, micro_batch=micro_batch, max_length=16)
    reference = row_texts(validation_batches(held_out, validation, seed=1, rank=0, world_size=1))
    assert len(reference) == 11
    for world_size in WORLD_SIZES:
        shares = [
            validation_batches(held_out, validation, seed=1, rank=r, world_size=world_size) for r in range(world_size)
        ]
        rows = [row for share in shares for row in rows_of(share)]
        assert len(rows) == 11
        assert row_texts([part for share in shares for part in share]) == reference
        # With ZeRO-3, ranks would wait for ever for one that has one forward pass less.
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
    phase = PhaseBatches(toy.open(), settings(mask_unit="word"), seed=1)
    for part in phase.step_batches(0, rank=0, world_size=1):
        labels = set(part.mlm_labels.tolist())
        positions = {toy.position_of[label] for label in labels}
        for label in labels:
            sentence = next(s for s in toy.documents[toy.document_of[label]] if label in s)
            word = sentence.index(label) // 3
            assert {toy.position_of[token] for token in sentence[3 * word : 3 * word + 3]} <= positions


def test_prefetched_batches_are_those_of_the_requested_step(phase: PhaseBatches):
    prefetcher = Prefetcher(phase, rank=1, world_size=2, end=4)
    for step in (0, 1, 3, 2, 2, 3):  # also out of order, as if a run starts in the middle
        assert_same_batches(prefetcher.batches(step), phase.step_batches(step, rank=1, world_size=2))


def test_the_plan_of_the_next_epoch_is_prefetched_and_none_after_the_last(
    toy, settings: Callable, monkeypatch: pytest.MonkeyPatch
):
    computed = []

    def load(self: PhaseBatches, epoch: int):
        computed.append((epoch, threading.current_thread() is threading.main_thread()))
        return original(self, epoch)

    original = PhaseBatches._load
    monkeypatch.setattr(PhaseBatches, "_load", load)
    per_epoch = PhaseBatches(toy.open(), settings(), seed=1).steps_per_epoch
    rows = TrainingBatches(toy.open(), settings(steps=2 * per_epoch), seed=1)
    computed.clear()
    prefetcher = Prefetcher(rows, rank=0, world_size=1, end=2 * per_epoch)
    prefetcher.batches(0)
    rows.phases[0]._prefetched[1].result()
    assert computed == [(1, False)]
    for step in range(1, 2 * per_epoch):
        prefetcher.batches(step)
    assert computed == [(1, False)]


def test_nothing_is_prefetched_after_the_last_step(phase: PhaseBatches):
    requested = []

    class Watched:
        def step_batches(self, step: int, *, rank: int, world_size: int) -> list[PackedBatch]:
            requested.append(step)
            return phase.step_batches(step, rank=rank, world_size=world_size)

        def prefetch_plan(self, step: int) -> None: ...

    prefetcher = Prefetcher(Watched(), rank=0, world_size=1, end=2)
    for step in (0, 1):
        prefetcher.batches(step)
    assert requested == [0, 1]


def test_an_error_while_prefetching_is_raised_at_its_own_step(phase: PhaseBatches):
    class Broken:
        def step_batches(self, step: int, *, rank: int, world_size: int) -> list[PackedBatch]:
            if step == 1:
                raise ConfigError("damaged")
            return phase.step_batches(step, rank=rank, world_size=world_size)

        def prefetch_plan(self, step: int) -> None: ...

    prefetcher = Prefetcher(Broken(), rank=0, world_size=1, end=3)
    prefetcher.batches(0)
    with pytest.raises(ConfigError, match="damaged"):
        prefetcher.batches(1)
