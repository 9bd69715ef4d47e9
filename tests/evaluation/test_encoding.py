import numpy as np

from bimed_dist.evaluation.models.encoding import IGNORED, covered_units, encode, of_items, tags_of_units, tokenizer_key
from bimed_dist.evaluation.task import Example
from bimed_dist.hugging_face import load_tokenizer

LABELS = ("DS", "ST")


def perfect(encoded):
    """Tags that a model with the right label for every piece would give."""
    return [
        tags_of_units(np.where(row.target == IGNORED, 0, row.target), row.covers, len(gold))
        for row, gold in zip(encoded.rows, encoded.gold, strict=True)
    ]


def test_the_first_piece_of_each_word_carries_its_tag(tiny_model):
    tokenizer = load_tokenizer(str(tiny_model("m")))
    example = Example("1", ("폐", "결은", "mass"), ("B-DS", "I-DS", "O"))
    row = encode(tokenizer, "ner", "word", LABELS, [example], 64).rows[0]
    pieces = tokenizer.convert_ids_to_tokens(row.ids.tolist())
    assert pieces == ["[CLS]", "폐", "결", "##은", "mass", "[SEP]"]
    assert row.target.tolist() == [IGNORED, 1, 2, IGNORED, 0, IGNORED]


def test_characters_take_the_tag_of_the_piece_that_covers_them(tiny_model):
    tokenizer = load_tokenizer(str(tiny_model("m")))
    # One piece for "lung", whose first character decides; pieces of one letter for the rest.
    example = Example("1", ("lung", "폐가"), ("B-DS", "I-DS", "I-DS", "I-DS", "B-ST", "O"))
    encoded = encode(tokenizer, "ner", "character", LABELS, [example], 64)
    assert encoded.rows[0].covers.tolist() == [[0, 0], [0, 4], [4, 5], [5, 6], [0, 0]]
    assert perfect(encoded)[0].tolist() == [1, 2, 2, 2, 3, 0]


def test_a_piece_over_the_border_of_entity_and_particle_makes_the_span_wrong():
    covers = covered_units("character", ["폐는"], [None, 0, None], [(0, 0), (0, 2), (0, 0)])
    assert tags_of_units(np.array([0, 1, 0]), covers, 2).tolist() == [1, 2]


def test_a_syllable_taken_apart_into_jamo_is_one_character():
    offsets = [(0, 0), (0, 1), (0, 1), (0, 1), (1, 2), (1, 2), (0, 0)]
    covers = covered_units("character", ["환자"], [None, 0, 0, 0, 0, 0, None], offsets)
    assert covers.tolist() == [[0, 0], [0, 1], [0, 0], [0, 0], [1, 2], [0, 0], [0, 0]]


def test_words_beyond_the_limit_are_counted_and_predicted_as_outside(tiny_model):
    tokenizer = load_tokenizer(str(tiny_model("m")))
    example = Example("1", ("mass",) * 10, ("B-DS",) * 10)
    encoded = encode(tokenizer, "ner", "word", LABELS, [example], 6)
    assert encoded.cut == 1
    assert perfect(encoded)[0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]


def test_scores_are_trained_on_as_shares_and_kept_as_gold(tiny_model):
    tokenizer = load_tokenizer(str(tiny_model("m")))
    encoded = encode(tokenizer, "sts", "word", (), [Example("1", ("폐 결절", "mass"), 4.0)], 64)
    assert encoded.rows[0].target.tolist() == [np.float32(0.8)]
    assert encoded.gold[0].tolist() == [4.0]
    assert encoded.rows[0].types.tolist() == [0, 0, 0, 0, 1, 1]


def test_unknown_pieces_are_counted(tiny_model):
    tokenizer = load_tokenizer(str(tiny_model("m")))
    encoded = encode(tokenizer, "multilabel", "word", ("a",), [Example("1", ("폐 漢字漢",), (1,))], 64)
    assert encoded.unknown == 3 / 6


def test_the_key_of_a_tokenizer_follows_its_rules_and_not_what_was_encoded_before(tiny_model):
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


def test_long_texts_keep_their_head_both_ends_or_everything_in_windows(tiny_model):
    tokenizer = load_tokenizer(str(tiny_model("m")))
    words = [str(i % 10) for i in range(30)]
    examples = [Example("long", (" ".join(words),), (1,)), Example("short", ("0 1",), (0,))]

    def read(long_texts):
        encoded = encode(tokenizer, "multilabel", "word", ("a",), examples, 10, long_texts)
        return encoded, ["".join(tokenizer.convert_ids_to_tokens(row.ids[1:-1])) for row in encoded.rows]

    cut, texts = read("truncate")
    assert (texts, cut.cut) == (["01234567", "01"], 1)
    ends, texts = read("head_tail")
    assert (texts, ends.cut) == (["0" + "3456789", "01"], 1)
    assert [len(row.ids) for row in ends.rows] == [10, 4]
    windows, texts = read("windows")
    assert windows.cut == 0 and windows.item.tolist() == [0, 0, 0, 0, 0, 1]
    assert texts == ["01234567", "67890123", "23456789", "89012345", "456789", "01"]
    assert [row.target.tolist() for row in windows.rows] == [[1.0]] * 5 + [[0.0]]
    assert len(windows.gold) == 2


def test_windows_of_an_item_are_joined_by_the_highest_label_and_the_mean_class():
    predicted = [np.array([0.1, 0.8]), np.array([0.6, 0.2]), np.array([0.3, 0.3])]
    item = np.array([0, 0, 1])
    assert [p.tolist() for p in of_items("multilabel", predicted, item)] == [[0.6, 0.8], [0.3, 0.3]]
    assert [p.tolist() for p in of_items("classification", predicted, item)] == [[0.35, 0.5], [0.3, 0.3]]
