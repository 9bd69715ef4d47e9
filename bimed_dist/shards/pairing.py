"""Segments A and B of every row as ranges of sentences, from sentence lengths and document numbers alone."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bimed_dist.recipe.pretraining import Pairing, SentenceObjective
from bimed_dist.shards import counter_rng

logger = logging.getLogger(__name__)

Int64Array = NDArray[np.int64]
_SHORT_EVERY = 10


@dataclass(frozen=True)
class RowRanges:
    """R rows as ranges of sentence numbers, before truncation; B is an empty range in rows of one segment."""

    a_first: Int64Array
    a_end: Int64Array
    b_first: Int64Array
    b_end: Int64Array
    is_next: NDArray[np.bool_]
    unused_sentences: int


def row_ranges(
    lengths: NDArray[np.int32],
    documents: Int64Array,
    languages: NDArray[np.int8],
    *,
    pairing: Pairing,
    objective: SentenceObjective,
    seed: int,
    epoch: int,
    budget: int,
) -> RowRanges:
    """Return the rows of one epoch, from the (S,) length, document and language of every sentence."""
    if objective == "next_sentence":
        pair = next_segment_rows if pairing == "segments" else next_sentence_rows
        return pair(lengths, documents, languages, seed=seed, epoch=epoch, budget=budget)
    if pairing == "segments":
        first, end = _chunks(lengths, documents, budget, seed)
    elif objective == "sentence_order":
        first = np.flatnonzero(documents[1:] == documents[:-1])
        end = first + 2
    else:
        first = np.arange(len(lengths))
        end = first + 1
    if objective == "sentence_order":
        return sentence_order_rows(first, end, seed=seed, epoch=epoch)
    return RowRanges(first, end, first, first, np.ones(len(first), dtype=bool), unused_sentences=0)


def sentence_order_rows(first: Int64Array, end: Int64Array, *, seed: int, epoch: int) -> RowRanges:
    """Split ranges of sentences at a random border and swap the parts in half of the rows (SOP, Lan et al. 2020).

    Ranges of one sentence can't be split and are left out.
    """
    several = end - first > 1
    unused = int((~several).sum())
    first, end = first[several], end[several]
    split = _split_points(first, end, counter_rng.key("cut", seed=seed, epoch=epoch))
    in_order = ~_random_half(len(first), counter_rng.key("label", seed=seed, epoch=epoch))
    return RowRanges(
        a_first=np.where(in_order, first, split),
        a_end=np.where(in_order, split, end),
        b_first=np.where(in_order, split, first),
        b_end=np.where(in_order, end, split),
        is_next=in_order,
        unused_sentences=unused,
    )


def next_sentence_rows(
    lengths: NDArray[np.int32],
    documents: Int64Array,
    languages: NDArray[np.int8],
    *,
    seed: int,
    epoch: int,
    budget: int,
) -> RowRanges:
    """Pair every sentence with its successor, or in half of the rows with a random sentence of another document.

    The random sentence is in the successor's language if another document has one: otherwise a change of language would
    reveal the label.
    """
    a = np.flatnonzero(documents[1:] == documents[:-1])
    b = a + 1
    is_next = ~_random_half(len(a), counter_rng.key("label", seed=seed, epoch=epoch))
    bits = counter_rng.draws(counter_rng.key("partner", seed=seed, epoch=epoch), a)
    everywhere = np.arange(len(documents))
    for language in np.unique(languages[b[~is_next]]):
        rows = np.flatnonzero(~is_next & (languages[b] == language))
        same_language = np.flatnonzero(languages == language)
        chosen = _from_other_documents(same_language, documents, a[rows], bits[rows])
        b[rows] = np.where(chosen >= 0, chosen, _from_other_documents(everywhere, documents, a[rows], bits[rows]))
    return RowRanges(a, a + 1, b, b + 1, is_next, unused_sentences=0)


def _from_other_documents(
    candidates: Int64Array, documents: Int64Array, sentences: Int64Array, bits: counter_rng.UInt64Array
) -> Int64Array:
    """Return for each sentence one of the ascending `candidates` in another document, -1 if there is none."""
    document = documents[candidates]
    first = np.searchsorted(document, documents[sentences], side="left")
    same = np.searchsorted(document, documents[sentences], side="right") - first
    others = len(candidates) - same
    # An index into the candidates of all other documents; from `first` on they are behind those of the same document.
    index = counter_rng.below(bits, np.maximum(others, 1))
    chosen = candidates[np.minimum(index + np.where(index >= first, same, 0), len(candidates) - 1)]
    return np.where(others > 0, chosen, -1)


def next_segment_rows(
    lengths: NDArray[np.int32],
    documents: Int64Array,
    languages: NDArray[np.int8],
    *,
    seed: int,
    epoch: int,
    budget: int,
) -> RowRanges:
    """Split chunks of sentences into A and B; half of the rows exchange their B with rows of other documents.

    Chunks of one sentence can't be split: half of them become A, half B, in rows that are not next.
    """

    def key(purpose: str) -> np.uint64:
        return counter_rng.key(purpose, seed=seed, epoch=epoch)

    first, end = _chunks(lengths, documents, budget, seed)
    is_single = end - first == 1
    chunks_of = np.bincount(documents[first[~is_single]], minlength=int(documents[-1]) + 1)
    singles = _usable_singles(first[is_single], documents, chunks_of, key("single"))
    half = len(singles) // 2
    first, end = first[~is_single], end[~is_single]
    split = _split_points(first, end, key("cut"))
    exchanged = _choose_exchanged(documents[first], documents[singles], key("label"))

    rows = RowRanges(
        a_first=np.concatenate([first, singles[:half]]),
        a_end=np.concatenate([split, singles[:half] + 1]),
        b_first=np.concatenate([split, singles[half:]]),
        b_end=np.concatenate([end, singles[half:] + 1]),
        is_next=np.concatenate([~exchanged, np.zeros(half, dtype=bool)]),
        unused_sentences=int(is_single.sum()) - len(singles),
    )
    b_row = _exchange(rows, len(first), lengths, documents, languages, key)
    return replace(rows, b_first=rows.b_first[b_row], b_end=rows.b_end[b_row])


def _chunks(lengths: NDArray[np.int32], documents: Int64Array, budget: int, seed: int) -> tuple[Int64Array, Int64Array]:
    """Return first and end of each chunk, the same in every epoch, so that the number of rows is the same too."""
    borders = chunk_borders(lengths, documents, budget, counter_rng.key("short", seed=seed, epoch=0))
    return borders[:-1], borders[1:]


def _split_points(first: Int64Array, end: Int64Array, key: np.uint64) -> Int64Array:
    """Return a random sentence border inside each range of at least two sentences."""
    return first + 1 + counter_rng.below(counter_rng.draws(key, first), end - first - 1)


def _random_half(count: int, key: np.uint64) -> NDArray[np.bool_]:
    """Return (count,) True for a random half of the rows, rounded down."""
    chosen = np.zeros(count, dtype=bool)
    chosen[counter_rng.permutation(key, count)[: count // 2]] = True
    return chosen


def document_starts(documents: Int64Array) -> Int64Array:
    """Return the number of each document's first sentence."""
    return np.flatnonzero(np.diff(documents, prepend=documents[0] - 1))


def chunk_borders(lengths: NDArray[np.int32], documents: Int64Array, budget: int, key: np.uint64) -> Int64Array:
    """Return (C + 1,) the first sentence of each chunk, and the end; a chunk is consecutive sentences of a document.

    It takes as many as fit into `budget` tokens; a longer sentence is a chunk of its own. Every tenth chunk has a
    random shorter target, but at least two sentences (short_seq_prob of Devlin et al. 2019): otherwise only left-over
    single sentences would be short, which are never next, and a short row would reveal the label.
    """
    total = np.concatenate([[0], np.cumsum(np.minimum(lengths, budget), dtype=np.int64)])
    starts = np.append(document_starts(documents), len(lengths))
    document_end = np.repeat(starts[1:], np.diff(starts))
    reach = np.minimum(np.searchsorted(total, total[:-1] + budget, side="right") - 1, document_end)
    sentence = np.arange(len(lengths))
    bits = counter_rng.draws(key, sentence)
    target = total[:-1] + counter_rng.below(bits << np.uint64(32), budget + 1)
    short = np.maximum(np.searchsorted(total, target, side="right") - 1, sentence + 2)
    is_short = counter_rng.below(bits, _SHORT_EVERY) == 0
    reach = np.where(is_short, np.minimum(short, reach), reach)
    # Each chunk begins where the previous one ends: a loop over the chunks in Python (about 10 million a second).
    following = memoryview(reach)
    borders, border, last = [0], 0, len(lengths)
    while border < last:
        border = following[border]
        borders.append(border)
    return np.array(borders, dtype=np.int64)


def _usable_singles(singles: Int64Array, documents: Int64Array, chunks: Int64Array, key: np.uint64) -> Int64Array:
    """Return the one-sentence chunks that can be paired, an even number, in random order.

    Every exchanged row brings two segments. If a document has more single sentences than all others have segments, the
    excess is left out. Its size depends on the corpus alone, its sentences on the epoch.
    """
    singles = singles[counter_rng.permutation(key, len(singles))]
    per_document = np.bincount(documents[singles], minlength=len(chunks))
    room = 2 * (chunks.sum() - chunks) + len(singles) - per_document
    crowded = int(np.argmax(per_document - room))
    excess = per_document[crowded] - room[crowded]
    if excess > 0:
        surplus = np.flatnonzero(documents[singles] == crowded)[-excess:]
        singles = np.delete(singles, surplus)
        logger.warning("%d one-sentence chunks of one document have no partner in others and are left out", excess)
    return singles[: len(singles) // 2 * 2]


def _choose_exchanged(chunks: Int64Array, singles: Int64Array, key: np.uint64) -> NDArray[np.bool_]:
    """Choose the chunks that exchange their B, so that half of all rows do and all find a partner.

    `chunks` and `singles` are document numbers. All find a partner if and only if no document has more than half of the
    exchanged segments (Hall's theorem).
    """
    half = len(singles) // 2
    wanted = max(0, (len(chunks) + half) // 2 - half)
    order = counter_rng.permutation(key, len(chunks))
    chosen = np.zeros(len(chunks), dtype=bool)
    chosen[order[:wanted]] = True
    segments = 2 * np.bincount(chunks[chosen], minlength=1)
    single_segments = np.bincount(singles, minlength=len(segments))
    segments = np.pad(segments, (0, len(single_segments) - len(segments))) + single_segments
    large = int(np.argmax(segments))
    if segments[large] <= wanted + half:
        return chosen
    inside, outside = order[chunks[order] == large], order[chunks[order] != large]
    # As many segments of the large document as of all others together: from_large = from_others + lead.
    lead = (len(singles) - 2 * int(single_segments[large])) // 2
    wanted = max(wanted, -lead)
    wanted += (wanted + lead) % 2
    from_large = min((wanted + lead) // 2, len(outside) + lead)
    from_others = min(wanted - from_large, len(outside))
    chosen[:] = False
    chosen[inside[:from_large]] = True
    chosen[outside[:from_others]] = True
    if from_large + from_others < wanted:
        logger.warning(
            "one document has most of the text: only %d of %d rows, not half, can have a B from another document; "
            "split it into several documents",
            from_large + from_others + half,
            len(chunks) + half,
        )
    return chosen


def _exchange(
    ranges: RowRanges,
    chunks: int,
    lengths: NDArray[np.int32],
    documents: Int64Array,
    languages: NDArray[np.int8],
    key: Callable[[str], np.uint64],
) -> Int64Array:
    """Return a permutation (R,): the row that each row takes its B from, itself if next, else one of another document.

    The new B is in the language of the old one and about as long, so neither a change of language nor the length of the
    row reveals the label, and hardly more is truncated. The first `chunks` rows are chunks. The others have a single
    sentence as A: they get a B in A's language with which they are as long as a random chunk.
    """
    rows = np.flatnonzero(~ranges.is_next)
    single = rows >= chunks
    total = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    a_tokens = total[ranges.a_end] - total[ranges.a_first]
    b_tokens = total[ranges.b_end] - total[ranges.b_first]
    language = languages[ranges.b_first]
    wanted_language = np.where(single, languages[ranges.a_first[rows]], language[rows])
    wanted_tokens = b_tokens[rows]
    if chunks:
        chunk = counter_rng.below(counter_rng.draws(key("length"), rows), chunks)
        wanted_tokens = np.where(single, (a_tokens + b_tokens)[chunk] - a_tokens[rows], wanted_tokens)
    a_rows = rows[_by_language_and_length(wanted_language, wanted_tokens, key("exchange a"))]
    # Shifted by one, because at the same position is often a chunk's own B.
    b_rows = np.roll(rows[_by_language_and_length(language[rows], b_tokens[rows], key("exchange b"))], -1)
    b_row = np.arange(len(ranges.is_next))
    b_row[a_rows] = b_rows[match_documents(documents[ranges.a_first[a_rows]], documents[ranges.b_first[b_rows]])]
    return b_row


def _by_language_and_length(languages: NDArray[np.int8], tokens: Int64Array, key: np.uint64) -> Int64Array:
    """Return the ascending order by language, then length; ties are in random order."""
    return np.lexsort((counter_rng.draws(key, np.arange(len(tokens))), tokens, languages))


def match_documents(a: Int64Array, b: Int64Array) -> Int64Array:
    """Return a permutation p (n,), close to the identity, with b[p[i]] != a[i] for all i.

    `a` and `b` are document numbers. The caller ensures that p exists: no document has more than n entries in both
    together.
    """
    p = np.arange(len(a))
    b = b.copy()

    def swap(i: Int64Array, j: Int64Array) -> None:
        b[i], b[j] = b[j], b[i]
        p[i], p[j] = p[j], p[i]

    distance = 1
    while distance < len(a):
        for shift in (distance, -distance):
            same = np.flatnonzero(a == b)
            if not len(same):
                return p
            neighbours = same + shift
            inside = (neighbours >= 0) & (neighbours < len(a))
            i, j = same[inside], neighbours[inside]
            free = (a[j] != b[j]) & (b[j] != a[i]) & (b[i] != a[j])
            swap(i[free], j[free])
        distance *= 2
    for document in np.unique(a[a == b]):
        # There are at least as many entries without the document as it has collisions, and each takes any of them.
        i = np.flatnonzero((a == document) & (b == document))
        swap(i, np.flatnonzero((a != document) & (b != document))[: len(i)])
    return p
