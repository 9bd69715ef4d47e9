import dataclasses
import errno
import logging
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from bimed_dist.errors import ConfigError, DataError
from bimed_dist.shards import counter_rng
from bimed_dist.shards import plan as plan_module
from bimed_dist.shards.pairing import chunk_borders, match_documents, next_segment_rows, next_sentence_rows
from bimed_dist.shards.plan import EpochPlan, epoch_plan, load_plan, truncate
from bimed_dist.shards.reading import ShardSet

SIX = [7, 5, 6, 4, 8, 5]
# Corpora (number of tokens of each sentence of each document) in which partners are hard to find.
HARD_SHAPES = {
    "two equal documents": [SIX * 4, SIX * 4],
    "two unequal documents": [SIX * 9, SIX * 2],
    "one large document": [SIX * 30, *[[6, 6]] * 9],
    "one large document of long sentences": [[40] * 50, *[[6, 6]] * 9],
    "long sentences only": [[40] * 7, [30] * 5, [50] * 4],
    "one-sentence documents": [[9]] * 21,
    "one-sentence documents and a large one": [*[[9]] * 21, SIX * 20],
    "two rows": [[5, 5], [6, 6]],
    "three rows": [[5, 5], [6, 6], [7, 7]],
}


def texts(toy, plan: EpochPlan, shards: ShardSet) -> list[tuple[list[int], list[int]]]:
    """Ids of A and B of every row."""
    rows = zip(plan.a_start, plan.a_length, plan.b_start, plan.b_length, strict=True)
    return [
        tuple(shards.gather(np.array([s]), np.array([n])).tolist() for s, n in ((a, a_length), (b, b_length)))
        for a, a_length, b, b_length in rows
    ]


def make(shards: ShardSet, pairing: str = "segments", epoch: int = 0, max_length: int = 64, seed: int = 1) -> EpochPlan:
    return epoch_plan(shards, seed=seed, epoch=epoch, max_length=max_length, pairing=pairing)


@pytest.mark.parametrize("pairing", ["segments", "sentences"])
@pytest.mark.parametrize("epoch", [0, 3])
def test_every_next_sentence_label_matches_the_documents(toy, pairing: str, epoch: int):
    shards = toy.open()
    plan = make(shards, pairing, epoch)

    for (a, b), is_next in zip(texts(toy, plan, shards), plan.is_next, strict=True):
        same_document = toy.document_of[a[0]] == toy.document_of[b[0]]
        follows = toy.position_of[a[-1]] + 1 == toy.position_of[b[0]]
        assert (same_document and follows) if is_next else not same_document


@pytest.mark.parametrize("pairing", ["segments", "sentences"])
def test_a_and_b_are_whole_sentences_in_the_order_of_the_text(toy, pairing: str):
    shards = toy.open()
    plan = make(shards, pairing)
    sentences = [sentence for document in toy.documents for sentence in document]

    # A new B is about as long as the old one, so little is truncated.
    assert plan.truncated_tokens < 0.01 * toy.num_tokens
    cut = 0
    for part in (part for row in texts(toy, plan, shards) for part in row):
        first, last = toy.sentence_of[part[0]], toy.sentence_of[part[-1]]
        whole = [token for sentence in sentences[first : last + 1] for token in sentence]
        assert part == whole[: len(part)]
        assert pairing == "segments" or first == last
        cut += len(whole) - len(part)
    assert cut <= plan.truncated_tokens


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_every_sentence_is_in_one_row_of_an_epoch(toy, epoch: int):
    shards = toy.open()
    plan = make(shards, epoch=epoch)

    seen = Counter(token for a, b in texts(toy, plan, shards) for token in a + b)
    assert set(seen.values()) == {1}
    missing = toy.num_tokens - len(seen)
    assert plan.unused_sentences <= 1
    assert plan.truncated_tokens <= missing <= plan.truncated_tokens + 24 * plan.unused_sentences


def test_with_the_pairing_sentences_every_sentence_with_a_successor_is_the_a_of_one_row(toy):
    shards = toy.open()
    plan = make(shards, "sentences")

    expected = [s for document in toy.documents for s in document[:-1]]
    assert [a for a, _ in texts(toy, plan, shards)] == expected


@pytest.mark.parametrize("pairing", ["segments", "sentences"])
def test_half_of_the_rows_are_next_sentences(toy, pairing: str):
    plan = make(toy.open(), pairing)
    assert abs(int(plan.is_next.sum()) - plan.num_rows / 2) <= 0.5


@pytest.mark.parametrize("pairing", ["segments", "sentences"])
def test_epochs_have_equally_many_rows_in_other_orders_with_other_partners(toy, pairing: str):
    shards = toy.open()
    plans = [make(shards, pairing, epoch) for epoch in range(4)]

    assert len({plan.num_rows for plan in plans}) == 1
    assert len({plan.order.tobytes() for plan in plans}) == 4
    assert len({plan.b_start.tobytes() for plan in plans}) == 4
    assert len({plan.is_next.tobytes() for plan in plans}) == 4
    for plan in plans:
        assert np.sort(plan.order).tolist() == list(range(plan.num_rows))


@pytest.mark.parametrize("pairing", ["segments", "sentences"])
@pytest.mark.parametrize("max_length", [8, 16, 33])
def test_rows_never_exceed_the_maximum_length_and_keep_both_segments(toy, pairing: str, max_length: int):
    shards = toy.open()
    plan = make(shards, pairing, max_length=max_length)

    lengths = plan.lengths(np.arange(plan.num_rows))
    assert lengths.max() <= max_length
    assert min(plan.a_length.min(), plan.b_length.min()) >= 1
    assert plan.truncated_tokens > 0
    if pairing == "segments":
        kept = int(plan.a_length.sum() + plan.b_length.sum())
        unused = toy.num_tokens - kept - plan.truncated_tokens
        assert 0 <= unused <= 24 * plan.unused_sentences


def test_segments_fill_rows(toy):
    plan = make(toy.open())
    # The mean document has 62 tokens, so that many rows end with their document before they are full.
    assert plan.lengths(plan.order).mean() > 0.6 * 64


def test_truncation_takes_from_the_longer_segment():
    a, b = truncate(np.array([5, 9, 9, 2, 30]), np.array([5, 2, 8, 40, 30]), 11)
    assert a.tolist() == [5, 9, 6, 2, 6]
    assert b.tolist() == [5, 2, 5, 9, 5]


def test_chunks_hold_as_many_sentences_as_fit():
    lengths = np.array([3, 3, 3, 20, 10, 1, 9, 2, 2], dtype=np.int32)
    documents = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1])
    key = next(k for k in map(np.uint64, range(99)) if not short_starts(k, len(lengths)).any())
    # 3+3+3 | 20 (too long by itself) | 10 | 1+9 | 2+2
    assert chunk_borders(lengths, documents, 10, key).tolist() == [0, 3, 4, 5, 7, 9]


def short_starts(key: np.uint64, count: int) -> np.ndarray:
    """Sentences at which a chunk would have a shorter target."""
    return counter_rng.below(counter_rng.draws(key, np.arange(count)), 10) == 0


def test_every_tenth_chunk_is_short_and_has_two_sentences_or_more():
    lengths, documents = np.full(60_000, 5, dtype=np.int32), np.repeat(np.arange(3), 20_000)
    borders = chunk_borders(lengths, documents, 100, np.uint64(1))
    sizes = np.diff(borders)
    at_document_end = np.isin(borders[1:], [20_000, 40_000, 60_000])
    assert sizes.max() == 20
    short = (sizes < 20)[~at_document_end]
    # About 3,200 chunks, a tenth short (19 of 20 targets are below 20 sentences): four standard errors are 0.02.
    assert abs(short.mean() - 0.1) < 0.025
    assert sizes[~at_document_end].min() == 2
    assert len(np.unique(sizes[~at_document_end])) > 15


def test_language_and_source_are_those_of_segment_a(toy):
    shards = toy.open()
    plan = make(shards)

    for (a, _), language, source in zip(texts(toy, plan, shards), plan.language, plan.source, strict=True):
        odd = toy.document_of[a[0]] % 2
        assert (shards.languages[language], shards.sources[source]) == (("ko", "en")[odd], ("book", "web")[odd])


@pytest.mark.parametrize("name", HARD_SHAPES)
@pytest.mark.parametrize("epoch", range(5))
def test_labels_are_right_if_partners_are_hard_to_find(name: str, epoch: int):
    shape = HARD_SHAPES[name]
    lengths = np.array([length for document in shape for length in document], dtype=np.int32)
    documents = np.repeat(np.arange(len(shape)), [len(document) for document in shape])
    languages = (documents % 3).astype(np.int8)
    pairs = next_segment_rows(lengths, documents, languages, seed=1, epoch=epoch, budget=30)
    first_epoch = next_segment_rows(lengths, documents, languages, seed=1, epoch=0, budget=30)

    a, b = documents[pairs.a_first], documents[pairs.b_first]
    follows = pairs.a_end == pairs.b_first
    assert ((a == b) & follows)[pairs.is_next].all()
    assert (a != b)[~pairs.is_next].all()
    assert (~pairs.is_next).any()
    used = np.zeros(len(lengths), dtype=int)
    for start, end in [*zip(pairs.a_first, pairs.a_end, strict=True), *zip(pairs.b_first, pairs.b_end, strict=True)]:
        used[start:end] += 1
    assert used.max() == 1
    assert (used == 0).sum() == pairs.unused_sentences
    assert len(pairs.is_next) == len(first_epoch.is_next)
    assert pairs.unused_sentences == first_epoch.unused_sentences


def test_random_sentences_come_evenly_from_all_other_documents():
    # Documents of 2, 3 and 4 sentences; counted are the rows whose A is sentence 2 or 3.
    documents = np.array([0, 0, 1, 1, 1, 2, 2, 2, 2])
    lengths = np.full(9, 5, dtype=np.int32)
    partner = Counter()
    for epoch in range(2000):
        pairs = next_sentence_rows(lengths, documents, np.zeros(9, dtype=np.int8), seed=1, epoch=epoch, budget=10)
        assert (~pairs.is_next).sum() == 3
        middle = ~pairs.is_next & np.isin(pairs.a_first, [2, 3])
        partner.update(pairs.b_first[middle].tolist())
    assert sorted(partner) == [0, 1, 5, 6, 7, 8]
    # 2,000 draws over six sentences: 5 standard errors of 17.
    assert all(abs(count - sum(partner.values()) / 6) < 85 for count in partner.values())


def two_languages(random: np.random.Generator, documents: int, most: int) -> tuple[np.ndarray, ...]:
    """(lengths, documents, languages) of sentences; some documents hold both languages."""
    sizes = random.integers(1, most, size=documents)
    number = np.repeat(np.arange(documents), sizes)
    share = np.array([0.0, 1.0, 0.5])[number % 3]
    languages = (random.random(len(number)) < share).astype(np.int8)
    # As in real text, one language takes more tokens a sentence than the other.
    return random.integers(5, 30, size=len(number)).astype(np.int32) + 10 * languages, number, languages


def separation(labels: np.ndarray, values: np.ndarray) -> float:
    """|AUC - 0.5| of `values` as a predictor of `labels`: 0 if they reveal nothing."""
    ranks = rankdata(values)
    positives = int(labels.sum())
    wins = ranks[labels].sum() - positives * (positives + 1) / 2
    return abs(wins / (positives * (len(labels) - positives)) - 0.5)


@pytest.mark.parametrize("most", [6, 40])
@pytest.mark.parametrize("pairing", [next_segment_rows, next_sentence_rows])
def test_neither_length_nor_language_reveals_the_label(pairing: Callable, most: int):
    lengths, documents, languages = two_languages(np.random.default_rng(2), 40_000 // most, most)
    pairs = pairing(lengths, documents, languages, seed=1, epoch=0, budget=125)
    total = np.concatenate([[0], np.cumsum(lengths)])
    a, b = total[pairs.a_end] - total[pairs.a_first], total[pairs.b_end] - total[pairs.b_first]
    a, b = truncate(a, b, 125)
    same = languages[pairs.a_end - 1] == languages[pairs.b_first]
    # Measured: at most 0.08, if many documents have one sentence, whose rows are never next. Without matching partners
    # by language and length: up to 0.27 by language and 0.48 by length.
    for feature in (a + b, a, b, same, np.abs(a + b - np.median(a + b)), a + b == 125):
        assert separation(pairs.is_next, feature) < 0.1


def test_partners_are_found_whenever_they_exist():
    random = np.random.default_rng(3)
    for _ in range(300):
        n = int(random.integers(2, 30))
        # At most n of the 2n entries are of document 0, often exactly n; the others share the rest in equal parts.
        large = int(random.integers(0, n + 1))
        rest = 1 + np.arange(2 * n - large) % 3
        entries = random.permutation(np.concatenate([np.zeros(large, dtype=int), rest]))
        a, b = entries[:n], entries[n:]
        if np.bincount(entries).max() > n:
            continue
        p = match_documents(a, b)
        assert sorted(p) == list(range(n))
        assert (b[p] != a).all()


def test_a_document_with_most_of_the_text_is_reported(caplog: pytest.LogCaptureFixture):
    lengths = np.full(200, 5, dtype=np.int32)
    documents = np.array([0] * 180 + [1] * 20)
    with caplog.at_level(logging.WARNING):
        pairs = next_segment_rows(lengths, documents, np.zeros(200, dtype=np.int8), seed=1, epoch=0, budget=10)
    assert "only 20 of 100 rows" in caplog.text
    assert (~pairs.is_next).sum() == 20


def test_one_document_is_refused(tmp_path: Path, build_toy: Callable):
    shards = build_toy(tmp_path, [[4, 5, 6]]).open()
    for pairing in ("segments", "sentences"):
        with pytest.raises(DataError, match="has 1 document"):
            make(shards, pairing)


def test_documents_that_can_not_be_paired_are_refused(tmp_path: Path, build_toy: Callable):
    shards = build_toy(tmp_path, [[4, 5], [4]]).open()
    with pytest.raises(DataError, match="no two documents whose segments could be paired"):
        make(shards, max_length=20)


def test_documents_without_a_second_sentence_make_no_next_sentence_rows(tmp_path: Path, build_toy: Callable):
    shards = build_toy(tmp_path, [[4], [5], [6]]).open()
    with pytest.raises(DataError, match="no document has two sentences"):
        make(shards, "sentences")


def test_a_too_small_max_length_is_refused(toy):
    with pytest.raises(ConfigError, match="max_length=4"):
        make(toy.open(), max_length=4)


def assert_same_plan(first: EpochPlan, second: EpochPlan) -> None:
    for field in dataclasses.fields(EpochPlan):
        a, b = getattr(first, field.name), getattr(second, field.name)
        assert type(a) is type(b)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
        assert np.array_equal(a, b)


def test_swapping_sentences_does_not_change_the_language_of_a_row(toy):
    mixed = toy.open()
    mixed.sentence_language = (np.arange(mixed.num_sentences) % 2).astype(np.int8)
    arguments = {"seed": 1, "max_length": 64, "pairing": "sentences", "objective": "sentence_order"}
    plans = [epoch_plan(mixed, epoch=epoch, **arguments) for epoch in range(2)]
    assert (plans[0].is_next != plans[1].is_next).any()
    assert (plans[0].language == plans[1].language).all()


@pytest.mark.parametrize("pairing", ["segments", "sentences"])
def test_a_cached_plan_equals_the_computed_one(toy, pairing: str, monkeypatch: pytest.MonkeyPatch):
    shards = toy.open()
    arguments = {"seed": 7, "epoch": 2, "max_length": 48, "pairing": pairing}
    computed = epoch_plan(shards, **arguments)
    written = load_plan(shards, **arguments)
    monkeypatch.delattr(plan_module, "epoch_plan")
    cached = load_plan(toy.open(), **arguments)

    assert_same_plan(computed, written)
    assert_same_plan(computed, cached)
    assert not list((toy.folder / "plans").glob("*.partial"))


def test_other_arguments_have_other_cached_plans(tmp_path: Path, build_toy: Callable):
    toy = build_toy(tmp_path, [SIX] * 20)
    base = {"seed": 1, "epoch": 0, "max_length": 32, "pairing": "segments"}
    for change in ({}, {"seed": 2}, {"epoch": 1}, {"max_length": 33}, {"pairing": "sentences"}):
        load_plan(toy.open(), **{**base, **change})
    load_plan(ShardSet.open(toy.folder, "held_out"), **base)
    assert len(list((toy.folder / "plans").glob("*/"))) == 6


def _load(folder: Path) -> int:
    return load_plan(ShardSet.open(folder, "train"), seed=1, epoch=0, max_length=32, pairing="segments").num_rows


def _load_and_report(folder: Path, started, computed) -> None:
    def compute(*args, **kwargs):
        computed.put(1)
        time.sleep(0.2)  # so that the others arrive meanwhile
        return epoch_plan(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "epoch_plan", compute)
        started.wait()
        _load(folder)


def test_of_several_processes_that_need_a_plan_one_computes_it(tmp_path: Path, build_toy: Callable):
    toy = build_toy(tmp_path, [SIX] * 200)
    fork = multiprocessing.get_context("fork")
    started, computed = fork.Barrier(4), fork.Queue()
    processes = [fork.Process(target=_load_and_report, args=(toy.folder, started, computed)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    computed.get(timeout=5)
    assert computed.empty()
    assert len(list((toy.folder / "plans").glob("*/"))) == 1


def test_a_plan_that_can_not_be_written_is_used_from_memory(
    tmp_path: Path, build_toy: Callable, caplog: pytest.LogCaptureFixture
):
    toy = build_toy(tmp_path, [SIX] * 20)
    (toy.folder / "plans").touch()
    assert _load(toy.folder) > 0
    assert "the plan of epoch 0 stays in memory" in caplog.text


def test_a_plan_that_could_not_be_written_is_not_computed_twice(
    tmp_path: Path, build_toy: Callable, monkeypatch: pytest.MonkeyPatch
):
    toy, events = build_toy(tmp_path, [SIX] * 20), []

    def full(plan: EpochPlan, folder: Path) -> None:
        events.append(plan)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(plan_module, "_write", full)
    monkeypatch.setattr(plan_module, "epoch_plan", lambda *a, **k: events.append("computed") or epoch_plan(*a, **k))
    assert _load(toy.folder) > 0
    assert events.count("computed") == 1


def test_a_damaged_cached_plan_is_reported(tmp_path: Path, build_toy: Callable):
    toy = build_toy(tmp_path, [SIX] * 20)
    _load(toy.folder)
    (path,) = (toy.folder / "plans").glob("*/order.npy")
    whole = path.read_bytes()
    for damaged in (whole[:-8], whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"the cached plan .* is damaged"):
            _load(toy.folder)


def test_unfinished_plans_of_killed_processes_are_removed(tmp_path: Path, build_toy: Callable):
    toy = build_toy(tmp_path, [SIX] * 20)
    left = toy.folder / "plans" / "0123.abc.partial"
    left.mkdir(parents=True)
    (left / "order.npy").write_bytes(b"half")
    _load(toy.folder)
    assert not left.exists()
