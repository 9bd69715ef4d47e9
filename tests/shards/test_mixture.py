"""Mixtures of languages and sources, and replay: the rows of an epoch, and that everything else stays the same."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from pydantic import ValidationError

from bimed_dist.errors import ConfigError
from bimed_dist.recipe.pretraining import Mixture, PretrainingSettings, Replay
from bimed_dist.shards.batches import PhaseBatches
from bimed_dist.shards.mixture import cycle_rows, round_shares
from bimed_dist.shards.reading import ShardSet


@pytest.fixture(scope="module")
def uneven(tmp_path_factory, build_toy: Callable):
    """Documents of even number, which are `ko` and `book`, have eight sentences; the others two."""
    shape = [[5] * 8 if i % 2 == 0 else [5] * 2 for i in range(80)]
    return build_toy(tmp_path_factory.mktemp("uneven"), shape)


@pytest.fixture
def make(uneven, settings: Callable) -> Callable[..., PhaseBatches]:
    def make(general: ShardSet | None = None, **changes: object) -> PhaseBatches:
        mixed: PretrainingSettings = settings(max_length=16, pairing="sentences", **changes)
        return PhaseBatches(uneven.open(), mixed, seed=1, general=general)

    return make


def rows_by_language(phase: PhaseBatches, epoch: int = 0) -> dict[str, int]:
    counts = np.bincount(phase.plan(epoch).language, minlength=2)
    return dict(zip(phase.shards.languages, counts.tolist(), strict=True))


def first_sentences(phase: PhaseBatches, epoch: int) -> Counter[int]:
    """How often each sentence opens a row."""
    return Counter(phase.plan(epoch).a_start.tolist())


def test_quotas_are_met_to_the_row_in_an_epoch_of_the_same_length(make):
    assert rows_by_language(make()) == {"en": 40, "ko": 280}
    for epoch in range(3):
        phase = make(mixture=Mixture(by="language", quotas={"en": 0.375, "ko": 0.625}))
        assert rows_by_language(phase, epoch) == {"en": 120, "ko": 200}
    by_source = make(mixture=Mixture(by="source", quotas={"book": 0.0, "web": 1.0}))
    assert rows_by_language(by_source) == {"en": 320, "ko": 0}


def test_a_temperature_takes_the_root_of_the_shares(make):
    # 40 and 280 rows: sqrt gives 1 : 2.6458, so 320 / 3.6458 = 87.8 rows.
    phase = make(mixture=Mixture(by="language", temperature=2.0))
    assert rows_by_language(phase) == {"en": 88, "ko": 232}
    assert rows_by_language(make(mixture=Mixture(by="language", temperature=1.0))) == {"en": 40, "ko": 280}


def test_no_row_is_repeated_before_all_others_of_its_language_were_used(make):
    phase = make(mixture=Mixture(by="language", quotas={"en": 0.375, "ko": 0.625}))
    total: Counter[int] = Counter()
    for epoch in range(7):
        total += first_sentences(phase, epoch)
        # 200 of 280 rows once, 120 = 3 * 40 rows three times.
        assert Counter(first_sentences(phase, epoch).values()) == {1: 200, 3: 40}
    # 7 * 200 = 5 * 280 and 7 * 120 = 21 * 40.
    assert Counter(total.values()) == {5: 280, 21: 40}


def test_a_repeated_row_is_masked_differently_each_time(make):
    phase = make(mixture=Mixture(by="language", quotas={"en": 1.0, "ko": 0.0}))
    masks: dict[int, set[tuple[int, ...]]] = {}
    for step in range(phase.steps_per_epoch):
        for part in phase.step_batches(step, rank=0, world_size=1):
            for i, row in enumerate(part.rows.tolist()):
                span = slice(part.row_starts[i], part.row_starts[i + 1])
                masks.setdefault(int(phase.plan(0).a_start[row]), set()).add(tuple(part.input_ids[span].tolist()))
    assert len(masks) == 40
    # Eight times each, 13 tokens with 15 % masked.
    assert np.mean([len(texts) for texts in masks.values()]) > 5


def test_ranks_of_a_mixture_are_disjoint_and_complete_at_every_step(make):
    mixture = Mixture(by="language", temperature=3.0)
    phase = make(mixture=mixture)
    seen: list[int] = []
    for step in range(phase.steps_per_epoch):
        shares = [make(mixture=mixture).step_batches(step, rank=rank, world_size=3) for rank in range(3)]
        rows = [row for share in shares for part in share for row in part.rows.tolist()]
        whole = [row for part in phase.step_batches(step, rank=0, world_size=1) for row in part.rows.tolist()]
        assert sorted(rows) == sorted(whole)
        seen += rows
    assert len(seen) == len(set(seen)) == phase.num_rows - phase.dropped_rows


def test_replayed_rows_have_their_share_and_come_from_the_other_shards(make, uneven, toy, tmp_path, build_toy):
    general = build_toy(tmp_path, [[5] * 6 for _ in range(60)]).open()
    general.tokens = uneven.open().tokens  # every toy corpus has a vocabulary of its own
    phase = make(general=general, replay=Replay(shards="general", share=0.2))
    assert phase.num_rows == 320 + 80
    main, border = uneven.open(), uneven.open().num_tokens
    total: Counter[int] = Counter()
    for epoch in range(5):
        plan = phase.plan(epoch)
        replayed = plan.a_start >= border
        assert replayed.sum() == 80
        assert ((plan.b_start >= border) == replayed).all()
        total.update((plan.a_start[replayed] - border).tolist())
        row = int(np.flatnonzero(replayed)[0])
        segment = np.array([plan.a_start[row]]), np.array([5])
        assert phase.shards.gather(*segment).tolist() == general.gather(segment[0] - border, segment[1]).tolist()
        row = int(np.flatnonzero(~replayed)[0])
        segment = np.array([plan.a_start[row]]), np.array([5])
        assert phase.shards.gather(*segment).tolist() == main.gather(*segment).tolist()
    # 60 documents have 300 rows; 5 * 80 rows were replayed.
    assert Counter(total.values()) == {1: 200, 2: 100}


def test_shards_of_another_vocabulary_are_not_replayed(make, toy):
    with pytest.raises(ConfigError, match="shards of different vocabularies"):
        make(general=toy.open(), replay=Replay(shards="general", share=0.2))


def test_an_impossible_mixture_is_refused(make):
    with pytest.raises(ConfigError, match=r"must name every language .* it has en, ko, the quotas are for ko"):
        make(mixture=Mixture(by="language", quotas={"ko": 1.0}))
    with pytest.raises(ValidationError, match="either temperature or quotas"):
        Mixture(by="language")
    with pytest.raises(ValidationError, match=r"add up to 0\.9"):
        Mixture(by="language", quotas={"ko": 0.5, "en": 0.4})


def test_rounded_shares_add_up():
    assert round_shares({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, 100) == {"a": 34, "b": 33, "c": 33}
    assert round_shares({"a": 0.5, "b": 0.25, "c": 0.25}, 7) == {"a": 3, "b": 2, "c": 2}
    assert cycle_rows(np.arange(3), 0, np.uint64(1), 5).tolist() == []
