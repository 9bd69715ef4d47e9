import numpy as np
import pytest
from tokenizers import BertWordPieceTokenizer

from bimed_dist.shards.masking import MaskedTokens, MaskRule, mask_tokens
from bimed_dist.shards.reading import TokenTable

# Ids from 3000 on are ## tokens.
TOKENS = TokenTable(
    vocabulary_size=5000,
    pad=0,
    unknown=1,
    cls=2,
    sep=3,
    mask=4,
    special_ids=(0, 1, 2, 3, 4),
    continuing_ids=tuple(range(3000, 5000)),
)


def packed(num_rows: int, seed: int = 0, shortest: int = 20, longest: int = 120) -> dict[str, np.ndarray]:
    """Random rows [CLS] ... [SEP] ... [SEP] with some [UNK]."""
    random = np.random.default_rng(seed)
    rows = []
    for length in random.integers(shortest, longest, size=num_rows):
        row = random.integers(5, 5000, size=length)
        row[random.random(length) < 0.02] = 1
        row[0], row[length // 2], row[-1] = 2, 3, 3
        rows.append(row)
    row_starts = np.cumsum([0, *map(len, rows)])
    return {
        "token_ids": np.concatenate(rows),
        "position_ids": np.concatenate([np.arange(len(row)) for row in rows]),
        "row_starts": row_starts,
        "rows": np.arange(num_rows) * 7,
    }


def mask(batch: dict[str, np.ndarray], seed: int = 1, epoch: int = 0, **rule: object) -> MaskedTokens:
    return mask_tokens(**batch, seed=seed, epoch=epoch, rule=MaskRule(**rule), tokens=TOKENS)


def test_fifteen_percent_of_ordinary_tokens_are_masked_by_80_10_10():
    batch = packed(4000)
    masked = mask(batch)
    ordinary = int((batch["token_ids"] > 4).sum())
    replaced = masked.input_ids[masked.positions]

    # About 270,000 ordinary and 40,000 masked tokens: the standard errors are 0.0007 and at most 0.002; 5 of each.
    assert len(masked.positions) / ordinary == pytest.approx(0.15, abs=0.0035)
    assert (replaced == 4).mean() == pytest.approx(0.8, abs=0.01)
    assert (replaced == masked.labels).mean() == pytest.approx(0.1, abs=0.01)
    assert ((replaced != 4) & (replaced != masked.labels)).mean() == pytest.approx(0.1, abs=0.01)


def test_random_tokens_are_uniform_over_ordinary_ids():
    masked = mask(packed(3000), rate=0.5, mask_token_share=0.0, random_token_share=1.0)
    replaced = masked.input_ids[masked.positions]

    assert replaced.min() == 5
    assert replaced.max() == 4999
    # 100,000 draws in 50 equal bins: 5 standard errors of 44.
    counts = np.histogram(replaced, bins=50, range=(5, 5000))[0]
    assert abs(counts - counts.mean()).max() < 5 * np.sqrt(counts.mean())


@pytest.mark.parametrize("rate", [0.4, 1.0])
def test_the_rate_is_a_setting(rate: float):
    batch = packed(500)
    chosen = len(mask(batch, rate=rate).positions) / (batch["token_ids"] > 4).sum()
    assert chosen == pytest.approx(rate, abs=0.02 if rate == 0.4 else 0)


def test_labels_are_the_original_ids_and_other_tokens_are_unchanged():
    batch = packed(200)
    before = batch["token_ids"].copy()
    masked = mask(batch)

    assert (batch["token_ids"] == before).all()
    assert (masked.labels == before[masked.positions]).all()
    assert (np.diff(masked.positions) > 0).all()
    unmasked = np.setdiff1d(np.arange(len(before)), masked.positions)
    assert (masked.input_ids[unmasked] == before[unmasked]).all()


@pytest.mark.parametrize("unit", ["token", "word"])
def test_special_tokens_are_never_masked_nor_inserted(unit: str):
    batch = packed(500)
    masked = mask(batch, rate=1.0, unit=unit, mask_token_share=0.5, random_token_share=0.5)

    assert (masked.labels > 4).all()
    assert (masked.input_ids[masked.positions] >= 4).all()
    special = batch["token_ids"] <= 4
    assert (masked.input_ids[special] == batch["token_ids"][special]).all()


@pytest.mark.parametrize("unit", ["token", "word"])
def test_a_row_is_masked_the_same_in_any_batch(unit: str):
    batch = packed(60)
    whole = mask(batch, unit=unit)
    order = np.random.default_rng(9).permutation(60)
    spans = [slice(batch["row_starts"][row], batch["row_starts"][row + 1]) for row in range(60)]
    for part in (order[:7], order[7:8], order[8:]):
        some = {
            "token_ids": np.concatenate([batch["token_ids"][spans[row]] for row in part]),
            "position_ids": np.concatenate([batch["position_ids"][spans[row]] for row in part]),
            "row_starts": np.cumsum([0, *(spans[row].stop - spans[row].start for row in part)]),
            "rows": batch["rows"][part],
        }
        masked = mask(some, unit=unit)
        expected = np.concatenate([whole.input_ids[spans[row]] for row in part])
        assert (masked.input_ids == expected).all()


def test_seed_epoch_and_row_change_the_masks():
    batch = packed(300)
    other_rows = {**batch, "rows": batch["rows"] + 1}
    results = [mask(batch), mask(batch, seed=2), mask(batch, epoch=1), mask(other_rows)]

    assert (mask(batch).input_ids == results[0].input_ids).all()
    for i, first in enumerate(results):
        for second in results[i + 1 :]:
            both = np.intersect1d(first.positions, second.positions)
            # Independent masks agree on 15 % of the masked tokens.
            assert len(both) / len(first.positions) == pytest.approx(0.15, abs=0.03)


def test_whole_words_are_masked_in_the_same_way():
    batch = packed(400)
    ids = batch["token_ids"]
    masked = mask(batch, unit="word", mask_token_share=0.5, random_token_share=0.3)
    chosen = np.zeros(len(ids), dtype=bool)
    chosen[masked.positions] = True
    continues = (ids >= 3000) & (np.roll(ids, 1) > 4)

    following = np.flatnonzero(continues)
    assert len(following) > 5000
    assert (chosen[following] == chosen[following - 1]).all()
    hidden, kept = masked.input_ids == 4, masked.input_ids == ids
    both = following[chosen[following]]
    assert (hidden[both] == hidden[both - 1]).all()
    assert (kept[both] == kept[both - 1]).all()
    random = both[~hidden[both] & ~kept[both]]
    assert (masked.input_ids[random] != masked.input_ids[random - 1]).mean() > 0.99
    # 16,000 words, of which 15 % are chosen; their lengths vary, hence the wider tolerance.
    assert chosen[ids > 4].mean() == pytest.approx(0.15, abs=0.02)


@pytest.mark.parametrize("unit", ["token", "word"])
def test_every_row_has_a_token_to_predict(unit: str):
    batch = packed(3000, shortest=5, longest=9)
    masked = mask(batch, unit=unit, rate=0.01)

    owner = np.searchsorted(batch["row_starts"], masked.positions, side="right") - 1
    has_ordinary = np.logical_or.reduceat(batch["token_ids"] > 4, batch["row_starts"][:-1])
    assert np.unique(owner).tolist() == np.flatnonzero(has_ordinary).tolist()


def test_whole_word_masking_takes_an_eojeol_up_to_punctuation_with_its_particles(tmp_path):
    """The expected words come from the pre-tokenizer, the masked ones from the tokens alone."""
    report = "흉부CT상 우상엽에서 12mm 결절이 관찰되었으나 T1-weighted 영상에서는 조영증강되지 않음(이전과 同一)."
    letters = sorted(set(report) - {" "})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = special + letters + [f"##{letter}" for letter in letters]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    tokenizer = BertWordPieceTokenizer(str(tmp_path / "vocab.txt"), lowercase=False, strip_accents=False)
    encoding = tokenizer.encode(report)
    words = [encoding.word_ids.index(number) for number in dict.fromkeys(encoding.word_ids) if number is not None]
    ends = [*words[1:], len(encoding.ids) - 1]
    texts = [report[encoding.offsets[a][0] : encoding.offsets[b - 1][1]] for a, b in zip(words, ends, strict=True)]
    assert texts[:6] == ["흉부CT상", "우상엽에서", "12mm", "결절이", "관찰되었으나", "T1"] and texts[6:8] == [
        "-",
        "weighted",
    ]
    assert texts[-5:-2] == ["이전과", "同", "一"]

    ids = np.array(encoding.ids)
    continuing = tuple(number for number, token in enumerate(vocabulary) if token.startswith("##"))
    tokens = TokenTable(
        vocabulary_size=len(vocabulary), pad=0, unknown=1, cls=2, sep=3, mask=4, special_ids=(0, 1, 2, 3, 4),
        continuing_ids=continuing,
    )  # fmt: skip
    seen = set()
    for epoch in range(60):
        masked = mask_tokens(
            ids, np.arange(len(ids)), np.array([0, len(ids)]), np.array([0]), seed=1, epoch=epoch,
            rule=MaskRule(rate=0.3, unit="word"), tokens=tokens,
        )  # fmt: skip
        hidden = set(masked.positions.tolist())
        for text, start, end in zip(texts, words, ends, strict=True):
            share = len(hidden & set(range(start, end)))
            assert share in (0, end - start), text
            seen |= {text} if share else set()
    assert seen == set(texts)


def test_a_row_of_unknown_tokens_is_not_masked():
    batch = {
        "token_ids": np.array([2, 1, 3, 1, 3]),
        "position_ids": np.arange(5),
        "row_starts": np.array([0, 5]),
        "rows": np.array([0]),
    }
    masked = mask(batch)
    assert masked.positions.tolist() == []
    assert masked.input_ids.tolist() == [2, 1, 3, 1, 3]
