"""Shares of languages and sources, and replayed text: which rows an epoch has, and that all else stays as it was."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from pydantic import ValidationError

from bimed_dist.errors import ConfigError
from bimed_dist.recipe.pretraining import Mixture, PretrainingSettings, Replay
from bimed_dist.shards.batches import PhaseBatches
from bimed_dist.shards.mixture import in_turn, whole_numbers
from bimed_dist.shards.reading import ShardSet


@pytest.fixture(scope="module")
def uneven(tmp_path_factory, build_toy: Callable):
    """Documents of even number, which are `ko` and `book`, have eight sentences; the others two."""
    shape = [[5] * 8 if i % 2 == 0 else [5] * 2 for i in range(80)]
    return build_toy(tmp_path_factory.mktemp("uneven"), shape)


@pytest.fixture
def make(uneven, settings: Callable) -> Callable[..., PhaseBatches]:
    def make(general: ShardSet | None = None, **changes: object) -> PhaseBatches:
        wanted: PretrainingSettings = settings(max_length=16, pairing="sentences", **changes)
        return PhaseBatches(uneven.open(), wanted, seed=1, general=general)

    return make


def rows_by_language(stream: PhaseBatches, epoch: int = 0) -> dict[str, int]:
    counts = np.bincount(stream.plan(epoch).language, minlength=2)
    return dict(zip(stream.shards.languages, counts.tolist(), strict=True))


def first_sentences(stream: PhaseBatches, epoch: int) -> Counter[int]:
    """How often each sentence opens a row."""
    return Counter(stream.plan(epoch).a_start.tolist())


def test_quotas_are_met_to_the_row_in_an_epoch_of_the_same_length(make):
    assert rows_by_language(make()) == {"en": 40, "ko": 280}
    for epoch in range(3):
        stream = make(mixture=Mixture(by="language", quotas={"en": 0.375, "ko": 0.625}))
        assert rows_by_language(stream, epoch) == {"en": 120, "ko": 200}
    by_source = make(mixture=Mixture(by="source", quotas={"book": 0.0, "web": 1.0}))
    assert rows_by_language(by_source) == {"en": 320, "ko": 0}


def test_a_temperature_takes_the_root_of_the_shares(make):
    # 40 and 280 rows: sqrt gives 1 : 2.6458, so 320 / 3.6458 = 87.8 rows.
    stream = make(mixture=Mixture(by="language", temperature=2.0))
    assert rows_by_language(stream) == {"en": 88, "ko": 232}
    assert rows_by_language(make(mixture=Mixture(by="language", temperature=1.0))) == {"en": 40, "ko": 280}


def test_no_row_comes_again_before_all_others_of_its_language_have_come(make):
    stream = make(mixture=Mixture(by="language", quotas={"en": 0.375, "ko": 0.625}))
    total: Counter[int] = Counter()
    for epoch in range(7):
        total += first_sentences(stream, epoch)
        # 200 of 280 rows once, 120 = 3 * 40 rows three times.
        assert Counter(first_sentences(stream, epoch).values()) == {1: 200, 3: 40}
    # 7 * 200 = 5 * 280 and 7 * 120 = 21 * 40.
    assert Counter(total.values()) == {5: 280, 21: 40}


def test_a_row_that_comes_several_times_in_an_epoch_is_masked_anew_each_time(make):
    stream = make(mixture=Mixture(by="language", quotas={"en": 1.0, "ko": 0.0}))
    masks: dict[int, set[tuple[int, ...]]] = {}
    for step in range(stream.steps_per_epoch):
        for part in stream.step_batches(step, rank=0, world_size=1):
            for i, row in enumerate(part.rows.tolist()):
                here = slice(part.row_starts[i], part.row_starts[i + 1])
                masks.setdefault(int(stream.plan(0).a_start[row]), set()).add(tuple(part.input_ids[here].tolist()))
    assert len(masks) == 40
    # Eight times each, 13 tokens with 15 % masked.
    assert np.mean([len(found) for found in masks.values()]) > 5


def test_ranks_of_a_mixture_are_disjoint_and_complete_and_any_step_can_be_sought(make):
    mixture = Mixture(by="language", temperature=3.0)
    stream = make(mixture=mixture)
    seen: list[int] = []
    for step in range(stream.steps_per_epoch):
        shares = [make(mixture=mixture).step_batches(step, rank=rank, world_size=3) for rank in range(3)]
        rows = [row for share in shares for part in share for row in part.rows.tolist()]
        whole = [row for part in stream.step_batches(step, rank=0, world_size=1) for row in part.rows.tolist()]
        assert sorted(rows) == sorted(whole)
        seen += rows
    assert len(seen) == len(set(seen)) == stream.num_rows - stream.dropped_rows


def test_replayed_rows_have_their_share_and_come_from_the_other_shards(make, uneven, toy, tmp_path, build_toy):
    general = build_toy(tmp_path, [[5] * 6 for _ in range(60)]).open()
    general.tokens = uneven.open().tokens  # the vocabularies of toy corpora count their own pieces
    stream = make(general=general, replay=Replay(shards="general", share=0.2))
    assert stream.num_rows == 320 + 80
    own, border = uneven.open(), uneven.open().num_tokens
    total: Counter[int] = Counter()
    for epoch in range(5):
        plan = stream.plan(epoch)
        replayed = plan.a_start >= border
        assert replayed.sum() == 80
        assert ((plan.b_start >= border) == replayed).all()
        total.update((plan.a_start[replayed] - border).tolist())
        row = int(np.flatnonzero(replayed)[0])
        a = np.array([plan.a_start[row]]), np.array([5])
        assert stream.shards.gather(*a).tolist() == general.gather(a[0] - border, a[1]).tolist()
        row = int(np.flatnonzero(~replayed)[0])
        a = np.array([plan.a_start[row]]), np.array([5])
        assert stream.shards.gather(*a).tolist() == own.gather(*a).tolist()
    # 60 documents have 300 rows, of which 5 * 80 were asked for.
    assert Counter(total.values()) == {1: 200, 2: 100}


def test_shards_of_another_vocabulary_are_not_replayed(make, toy):
    with pytest.raises(ConfigError, match="shards of different vocabularies"):
        make(general=toy.open(), replay=Replay(shards="general", share=0.2))


def test_a_mixture_that_can_not_be_is_refused(make):
    with pytest.raises(ConfigError, match=r"must name every language .* it has en, ko, the quotas are for ko"):
        make(mixture=Mixture(by="language", quotas={"ko": 1.0}))
    with pytest.raises(ValidationError, match="either temperature or quotas"):
        Mixture(by="language")
    with pytest.raises(ValidationError, match=r"add up to 0\.9"):
        Mixture(by="language", quotas={"ko": 0.5, "en": 0.4})


def test_whole_numbers_add_up():
    assert whole_numbers({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, 100) == {"a": 34, "b": 33, "c": 33}
    assert whole_numbers({"a": 0.5, "b": 0.25, "c": 0.25}, 7) == {"a": 3, "b": 2, "c": 2}
    assert in_turn(np.arange(3), 0, np.uint64(1), 5).tolist() == []
