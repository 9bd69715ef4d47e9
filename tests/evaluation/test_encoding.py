import numpy as np

from bimed_dist.evaluation.models.encoding import (
    IGNORED,
    encode,
    merge_windows,
    tags_by_unit,
    tokenizer_key,
    unit_spans,
)
from bimed_dist.evaluation.task import Example
from bimed_dist.hugging_face import load_tokenizer

LABELS = ("DS", "ST")


def perfect_tags(encoded):
    """Return the tags of a model that predicts the right tag for every token."""
    return [
        tags_by_unit(np.where(row.target == IGNORED, 0, row.target), row.unit_spans, len(gold))
        for row, gold in zip(encoded.rows, encoded.gold, strict=True)
    ]


def test_the_first_token_of_each_word_carries_its_tag(tiny_model):
    tokenizer = load_tokenizer(str(tiny_model("m")))
    example = Example("1", ("폐", "결은", "mass"), ("B-DS", "I-DS", "O"))
    row = encode(tokenizer, "ner", "word", LABELS, [example], 64).rows[0]
    tokens = tokenizer.convert_ids_to_tokens(row.ids.tolist())
    assert tokens == ["[CLS]", "폐", "결", "##은", "mass", "[SEP]"]
    assert row.target.tolist() == [IGNORED, 1, 2, IGNORED, 0, IGNORED]


def test_characters_get_the_tag_of_the_token_that_covers_them(tiny_model):
    tokenizer = load_tokenizer(str(tiny_model("m")))
    # One token for "lung", whose first character decides; tokens of one letter for the rest.
    example = Example("1", ("lung", "폐가"), ("B-DS", "I-DS", "I-DS", "I-DS", "B-ST", "O"))
    encoded = encode(tokenizer, "ner", "character", LABELS, [example], 64)
    assert encoded.rows[0].unit_spans.tolist() == [[0, 0], [0, 4], [4, 5], [5, 6], [0, 0]]
    assert perfect_tags(encoded)[0].tolist() == [1, 2, 2, 2, 3, 0]


def test_a_token_across_the_border_of_entity_and_particle_makes_the_span_wrong():
    spans = unit_spans("character", ["폐는"], [None, 0, None], [(0, 0), (0, 2), (0, 0)])
    assert tags_by_unit(np.array([0, 1, 0]), spans, 2).tolist() == [1, 2]


def test_a_syllable_that_is_split_into_jamo_is_one_character():
    offsets = [(0, 0), (0, 1), (0, 1), (0, 1), (1, 2), (1, 2), (0, 0)]
    spans = unit_spans("character", ["환자"], [None, 0, 0, 0, 0, 0, None], offsets)
    assert spans.tolist() == [[0, 0], [0, 1], [0, 0], [0, 0], [1, 2], [0, 0], [0, 0]]


def test_words_beyond_the_limit_are_counted_and_predicted_as_outside(tiny_model):
    tokenizer = load_tokenizer(str(tiny_model("m")))
    example = Example("1", ("mass",) * 10, ("B-DS",) * 10)
    encoded = encode(tokenizer, "ner", "word", LABELS, [example], 6)
    assert encoded.truncated == 1
    assert perfect_tags(encoded)[0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]


def test_scores_are_scaled_for_training_and_kept_as_gold(tiny_model):
    tokenizer = load_tokenizer(str(tiny_model("m")))
    encoded = encode(tokenizer, "sts", "word", (), [Example("1", ("폐 결절", "mass"), 4.0)], 64)
    assert encoded.rows[0].target.tolist() == [np.float32(0.8)]
    assert encoded.gold[0].tolist() == [4.0]
    assert encoded.rows[0].segment_ids.tolist() == [0, 0, 0, 0, 1, 1]


def test_unknown_tokens_are_counted(tiny_model):
    tokenizer = load_tokenizer(str(tiny_model("m")))
    encoded = encode(tokenizer, "multilabel", "word", ("a",), [Example("1", ("폐 漢字漢",), (1,))], 64)
    assert encoded.unknown_share == 3 / 6


def test_the_key_of_a_tokenizer_depends_on_its_rules_and_not_on_earlier_calls(tiny_model):
    folder = str(tiny_model("m"))
    used, untouched = load_tokenizer(folder), load_tokenizer(folder)
    used("폐 결절", truncation=True, max_length=3, padding="max_length")
    assert used.backend_tokenizer.to_str() != untouched.backend_tokenizer.to_str()
    assert tokenizer_key(used, 64) == tokenizer_key(untouched, 64)
    from_the_left = load_tokenizer(folder)
    from_the_left.truncation_side = "left"
    others = [tokenizer_key(used, 63), tokenizer_key(from_the_left, 64)]
    others.append(tokenizer_key(load_tokenizer(str(tiny_model("other", words=[]))), 64))
    assert tokenizer_key(used, 64) not in others and len(set(others)) == 3


def test_long_texts_are_truncated_or_keep_both_ends_or_become_windows(tiny_model):
    tokenizer = load_tokenizer(str(tiny_model("m")))
    words = [str(i % 10) for i in range(30)]
    examples = [Example("long", (" ".join(words),), (1,)), Example("short", ("0 1",), (0,))]

    def read(long_texts):
        encoded = encode(tokenizer, "multilabel", "word", ("a",), examples, 10, long_texts)
        return encoded, ["".join(tokenizer.convert_ids_to_tokens(row.ids[1:-1])) for row in encoded.rows]

    truncated, texts = read("truncate")
    assert (texts, truncated.truncated) == (["01234567", "01"], 1)
    ends, texts = read("head_tail")
    assert (texts, ends.truncated) == (["0" + "3456789", "01"], 1)
    assert [len(row.ids) for row in ends.rows] == [10, 4]
    windows, texts = read("windows")
    assert windows.truncated == 0 and windows.item_of_row.tolist() == [0, 0, 0, 0, 0, 1]
    assert texts == ["01234567", "67890123", "23456789", "89012345", "456789", "01"]
    assert [row.target.tolist() for row in windows.rows] == [[1.0]] * 5 + [[0.0]]
    assert len(windows.gold) == 2


def test_windows_are_merged_by_the_largest_value_of_a_label_and_the_mean_of_a_class():
    predictions = [np.array([0.1, 0.8]), np.array([0.6, 0.2]), np.array([0.3, 0.3])]
    item_of_row = np.array([0, 0, 1])
    assert [p.tolist() for p in merge_windows("multilabel", predictions, item_of_row)] == [[0.6, 0.8], [0.3, 0.3]]
    assert [p.tolist() for p in merge_windows("classification", predictions, item_of_row)] == [[0.35, 0.5], [0.3, 0.3]]
