"""Sentences to pairs: chunks, cuts, and partners in other documents; functions of lengths and document numbers."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bimed_dist.recipe.pretraining import Pairing, SentenceObjective
from bimed_dist.shards import chance

logger = logging.getLogger(__name__)

Int64Array = NDArray[np.int64]
_SHORT_EVERY = 10


@dataclass(frozen=True)
class Pairs:
    """R rows as ranges of sentence numbers, before truncation; an empty range is no B."""

    a_first: Int64Array
    a_end: Int64Array
    b_first: Int64Array
    b_end: Int64Array
    is_next: NDArray[np.bool_]
    unused_sentences: int


def make_pairs(
    lengths: NDArray[np.int32],
    documents: Int64Array,
    languages: NDArray[np.int8],
    *,
    pairing: Pairing,
    objective: SentenceObjective,
    seed: int,
    epoch: int,
    budget: int,
) -> Pairs:
    """The rows of one epoch from the (S,) length, document and language of every sentence."""
    if objective == "next_sentence":
        make = segment_pairs if pairing == "segments" else sentence_pairs
        return make(lengths, documents, languages, seed=seed, epoch=epoch, budget=budget)
    if pairing == "segments":
        first, end = _chunks(lengths, documents, budget, seed)
    elif objective == "sentence_order":
        first = np.flatnonzero(documents[1:] == documents[:-1])
        end = first + 2
    else:
        first = np.arange(len(lengths))
        end = first + 1
    if objective == "sentence_order":
        return order_pairs(first, end, seed=seed, epoch=epoch)
    return Pairs(first, end, first, first, np.ones(len(first), dtype=bool), unused_sentences=0)


def order_pairs(first: Int64Array, end: Int64Array, *, seed: int, epoch: int) -> Pairs:
    """Ranges of sentences cut in two at a random border, the halves exchanged in half of the rows (Lan et al. 2020).

    A range of one sentence can't be cut and is left out.
    """
    several = end - first > 1
    unused = int((~several).sum())
    first, end = first[several], end[several]
    cut = _cut(first, end, chance.key("cut", seed=seed, epoch=epoch))
    in_order = ~_half(len(first), chance.key("label", seed=seed, epoch=epoch))
    return Pairs(
        a_first=np.where(in_order, first, cut),
        a_end=np.where(in_order, cut, end),
        b_first=np.where(in_order, cut, first),
        b_end=np.where(in_order, end, cut),
        is_next=in_order,
        unused_sentences=unused,
    )


def sentence_pairs(
    lengths: NDArray[np.int32],
    documents: Int64Array,
    languages: NDArray[np.int8],
    *,
    seed: int,
    epoch: int,
    budget: int,
) -> Pairs:
    """Every sentence that has a successor, with it (half of the rows) or with a random one of another document.

    The random one is in the successor's language where another document has that: two languages would tell the label.
    """
    a = np.flatnonzero(documents[1:] == documents[:-1])
    b = a + 1
    is_next = ~_half(len(a), chance.key("label", seed=seed, epoch=epoch))
    bits = chance.draws(chance.key("partner", seed=seed, epoch=epoch), a)
    everywhere = np.arange(len(documents))
    for language in np.unique(languages[b[~is_next]]):
        rows = np.flatnonzero(~is_next & (languages[b] == language))
        inside = _elsewhere(np.flatnonzero(languages == language), documents, a[rows], bits[rows])
        b[rows] = np.where(inside >= 0, inside, _elsewhere(everywhere, documents, a[rows], bits[rows]))
    return Pairs(a, a + 1, b, b + 1, is_next, unused_sentences=0)


def _elsewhere(
    candidates: Int64Array, documents: Int64Array, sentences: Int64Array, bits: chance.UInt64Array
) -> Int64Array:
    """For each of `sentences` one of the ascending `candidates` that is in another document; -1 where none is."""
    document = documents[candidates]
    first = np.searchsorted(document, documents[sentences], side="left")
    own = np.searchsorted(document, documents[sentences], side="right") - first
    other = len(candidates) - own
    # A number below the candidates of all other documents; those from `first` on lie behind the own document.
    number = chance.below(bits, np.maximum(other, 1))
    chosen = candidates[np.minimum(number + np.where(number >= first, own, 0), len(candidates) - 1)]
    return np.where(other > 0, chosen, -1)


def segment_pairs(
    lengths: NDArray[np.int32],
    documents: Int64Array,
    languages: NDArray[np.int8],
    *,
    seed: int,
    epoch: int,
    budget: int,
) -> Pairs:
    """Chunks of sentences cut in two; half of the rows have their B exchanged with rows of other documents.

    Chunks of one sentence can't be cut: as many of them become A as B, and they count towards the half.
    """

    def key(purpose: str) -> np.uint64:
        return chance.key(purpose, seed=seed, epoch=epoch)

    first, end = _chunks(lengths, documents, budget, seed)
    is_single = end - first == 1
    chunks_of = np.bincount(documents[first[~is_single]], minlength=int(documents[-1]) + 1)
    singles = _usable_singles(first[is_single], documents, chunks_of, key("single"))
    half = len(singles) // 2
    first, end = first[~is_single], end[~is_single]
    cut = _cut(first, end, key("cut"))
    chosen = _not_next(documents[first], documents[singles], key("label"))

    own = Pairs(
        a_first=np.concatenate([first, singles[:half]]),
        a_end=np.concatenate([cut, singles[:half] + 1]),
        b_first=np.concatenate([cut, singles[half:]]),
        b_end=np.concatenate([end, singles[half:] + 1]),
        is_next=np.concatenate([~chosen, np.zeros(half, dtype=bool)]),
        unused_sentences=int(is_single.sum()) - len(singles),
    )
    giver = _givers(own, len(first), lengths, documents, languages, key)
    return replace(own, b_first=own.b_first[giver], b_end=own.b_end[giver])


def _chunks(lengths: NDArray[np.int32], documents: Int64Array, budget: int, seed: int) -> tuple[Int64Array, Int64Array]:
    """First and end of each chunk. The same in every epoch, so that the number of rows is."""
    borders = chunk_borders(lengths, documents, budget, chance.key("short", seed=seed, epoch=0))
    return borders[:-1], borders[1:]


def _cut(first: Int64Array, end: Int64Array, key: np.uint64) -> Int64Array:
    """A random sentence border inside each range of two sentences or more."""
    return first + 1 + chance.below(chance.draws(key, first), end - first - 1)


def _half(count: int, key: np.uint64) -> NDArray[np.bool_]:
    """(count,) True for a random half, rounded down."""
    chosen = np.zeros(count, dtype=bool)
    chosen[chance.permutation(key, count)[: count // 2]] = True
    return chosen


def document_starts(documents: Int64Array) -> Int64Array:
    """Number of each document's first sentence."""
    return np.flatnonzero(np.diff(documents, prepend=documents[0] - 1))


def chunk_borders(lengths: NDArray[np.int32], documents: Int64Array, budget: int, key: np.uint64) -> Int64Array:
    """(C + 1,) first sentence of each chunk, and the end: as many sentences of a document as fit into `budget` tokens.

    A sentence longer than the budget is a chunk of its own. Every tenth chunk aims at a random shorter length, but
    at two sentences (short_seq_prob of Devlin et al. 2019): short rows would else be left-over single sentences only,
    which are never next, and a model would learn that short means not next.
    """
    total = np.concatenate([[0], np.cumsum(np.minimum(lengths, budget), dtype=np.int64)])
    starts = np.append(document_starts(documents), len(lengths))
    document_end = np.repeat(starts[1:], np.diff(starts))
    reach = np.minimum(np.searchsorted(total, total[:-1] + budget, side="right") - 1, document_end)
    sentence = np.arange(len(lengths))
    bits = chance.draws(key, sentence)
    aim = total[:-1] + chance.below(bits << np.uint64(32), budget + 1)
    short = np.maximum(np.searchsorted(total, aim, side="right") - 1, sentence + 2)
    is_short = chance.below(bits, _SHORT_EVERY) == 0
    reach = np.where(is_short, np.minimum(short, reach), reach)
    # Each chunk begins where the one before ends: a chain, walked in Python once per chunk (some 10 million a second).
    following = memoryview(reach)
    borders, at, last = [0], 0, len(lengths)
    while at < last:
        at = following[at]
        borders.append(at)
    return np.array(borders, dtype=np.int64)


def _usable_singles(singles: Int64Array, documents: Int64Array, chunks: Int64Array, key: np.uint64) -> Int64Array:
    """The one-sentence chunks that can have a partner, an even number, in random order.

    Every row that takes part in the exchange brings two parts. A document with more single sentences than all others
    have parts can't place the rest. How many are left out depends on the corpus alone, which ones on the epoch.
    """
    singles = singles[chance.permutation(key, len(singles))]
    per_document = np.bincount(documents[singles], minlength=len(chunks))
    room = 2 * (chunks.sum() - chunks) + len(singles) - per_document
    crowded = int(np.argmax(per_document - room))
    excess = per_document[crowded] - room[crowded]
    if excess > 0:
        surplus = np.flatnonzero(documents[singles] == crowded)[-excess:]
        singles = np.delete(singles, surplus)
        logger.warning("%d single sentences of one document have no partner in another and are left out", excess)
    return singles[: len(singles) // 2 * 2]


def _not_next(chunks: Int64Array, singles: Int64Array, key: np.uint64) -> NDArray[np.bool_]:
    """Which chunks, given by document, exchange their B, so that half of all rows do and partners can be found.

    Partners can be found if and only if no document owns more than half of the parts in the exchange (Hall's theorem).
    """
    half = len(singles) // 2
    wanted = max(0, (len(chunks) + half) // 2 - half)
    order = chance.permutation(key, len(chunks))
    chosen = np.zeros(len(chunks), dtype=bool)
    chosen[order[:wanted]] = True
    parts = 2 * np.bincount(chunks[chosen], minlength=1)
    own = np.bincount(singles, minlength=len(parts))
    parts = np.pad(parts, (0, len(own) - len(parts))) + own
    large = int(np.argmax(parts))
    if parts[large] <= wanted + half:
        return chosen
    inside, outside = order[chunks[order] == large], order[chunks[order] != large]
    # As many parts of the large document as of all others together: from_large = from_others + lead.
    lead = (len(singles) - 2 * int(own[large])) // 2
    wanted = max(wanted, -lead)
    wanted += (wanted + lead) % 2
    from_large = min((wanted + lead) // 2, len(outside) + lead)
    from_others = min(wanted - from_large, len(outside))
    chosen[:] = False
    chosen[inside[:from_large]] = True
    chosen[outside[:from_others]] = True
    if from_large + from_others < wanted:
        logger.warning(
            "one document owns most of the text: only %d of %d rows, not half, can have a B from another document; "
            "cut it into several documents",
            from_large + from_others + half,
            len(chunks) + half,
        )
    return chosen


def _givers(
    own: Pairs,
    chunks: int,
    lengths: NDArray[np.int32],
    documents: Int64Array,
    languages: NDArray[np.int8],
    key: Callable[[str], np.uint64],
) -> Int64Array:
    """(R,) row that each row has its B from: itself, or, where not next, one of another document; a permutation.

    The new B is in the language of the old one and about as long, so that neither two languages nor the length of the
    row tells the label, and hardly more has to be truncated. The first `chunks` rows are chunks. The rows behind them
    have a single sentence as A and no B of their own: they want A's language and the length of a random chunk.
    """
    rows = np.flatnonzero(~own.is_next)
    single = rows >= chunks
    total = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    a_tokens = total[own.a_end] - total[own.a_first]
    b_tokens = total[own.b_end] - total[own.b_first]
    language = languages[own.b_first]
    wanted_language = np.where(single, languages[own.a_first[rows]], language[rows])
    wanted_tokens = b_tokens[rows]
    if chunks:
        like = chance.below(chance.draws(key("length"), rows), chunks)
        wanted_tokens = np.where(single, (a_tokens + b_tokens)[like] - a_tokens[rows], wanted_tokens)
    takers = rows[_by_language_and_length(wanted_language, wanted_tokens, key("exchange a"))]
    # One place further on than in the order of wishes, where a chunk's own B would stand.
    given = np.roll(rows[_by_language_and_length(language[rows], b_tokens[rows], key("exchange b"))], -1)
    giver = np.arange(len(own.is_next))
    giver[takers] = given[partners(documents[own.a_first[takers]], documents[own.b_first[given]])]
    return giver


def _by_language_and_length(languages: NDArray[np.int8], tokens: Int64Array, key: np.uint64) -> Int64Array:
    """Ascending, equal ones in random order."""
    return np.lexsort((chance.draws(key, np.arange(len(tokens))), tokens, languages))


def partners(a: Int64Array, b: Int64Array) -> Int64Array:
    """(n,) permutation p, near the identity, with b[p[i]] != a[i] for all i; `a` and `b` are document numbers.

    It exists where no document has more than n entries in both together, which the caller sees to.
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
            near = same + shift
            inside = (near >= 0) & (near < len(a))
            i, j = same[inside], near[inside]
            free = (a[j] != b[j]) & (b[j] != a[i]) & (b[i] != a[j])
            swap(i[free], j[free])
        distance *= 2
    for document in np.unique(a[a == b]):
        # Entries that the document has no part in number at least as many as its collisions, and take any of them.
        i = np.flatnonzero((a == document) & (b == document))
        swap(i, np.flatnonzero((a != document) & (b != document))[: len(i)])
    return p
