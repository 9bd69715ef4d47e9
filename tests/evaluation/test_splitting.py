from bimed_dist.evaluation.preparation.splitting import drop_leaks, hash_split, limit_rows
from bimed_dist.evaluation.task import Example


def reports(*texts):
    return [Example(f"row {i}", (text,), (0,)) for i, text in enumerate(texts)]


def test_duplicates_and_leaks_are_dropped_and_counted_and_test_keeps_every_distinct_row():
    splits = {
        "train": reports("a", "a", "b", "c", "t1", "d1"),
        "dev": reports("d1", "d2", "t2"),
        "test": reports("t1", "t2", "t2", "t3"),
    }
    cleaned = drop_leaks("multilabel", splits)
    texts = {name: [e.texts[0] for e in rows] for name, rows in cleaned.splits.items()}
    assert texts == {"train": ["a", "b", "c"], "dev": ["d1", "d2"], "test": ["t1", "t2", "t3"]}
    assert (cleaned.duplicates, cleaned.leaked) == (2, 3)


def test_duplicates_whose_labels_contradict_the_row_that_is_kept_are_counted():
    rows = [
        Example(str(i), (text,), (label,))
        for i, (text, label) in enumerate(zip("aaabbc", (1, 0, 0, 1, 1, 0), strict=True))
    ]
    cleaned = drop_leaks("multilabel", {"train": rows, "test": [Example("t", ("c",), (1,))]})
    # The same text on both sides of a split is a leak, whatever its label.
    assert (cleaned.duplicates, cleaned.contradictory, cleaned.leaked) == (3, 2, 1)
    assert cleaned.splits["train"][0].target == (1,)


def test_texts_that_differ_in_normal_form_or_white_space_are_the_same():
    decomposed = "\u1112\u116a\u11ab\u110c\u1161"
    cleaned = drop_leaks("multilabel", {"train": reports("환자", f" {decomposed} "), "test": reports("x  y", "x y")})
    assert [len(rows) for rows in cleaned.splits.values()] == [1, 1]


def test_a_pair_equals_its_reverse():
    train, test = [Example("1", ("a", "b"), 1.0)], [Example("2", ("b", "a"), 2.0)]
    assert drop_leaks("sts", {"train": train, "test": test}).leaked == 1
    assert drop_leaks("ner", {"train": train, "test": test}).leaked == 0


def test_hash_splits_keep_equal_texts_together_and_added_rows_move_no_other_row():
    few = reports(*(f"text {i}" for i in range(300)))
    more = few + reports(*(f"more {i}" for i in range(300)), *(f"text {i}" for i in range(300)))
    first = hash_split("multilabel", few, {"dev": 0.1, "test": 0.2}, rest="train")
    second = hash_split("multilabel", more, {"dev": 0.1, "test": 0.2}, rest="train")
    sizes = {name: len(rows) for name, rows in first.items()}
    assert sizes["dev"] + sizes["test"] + sizes["train"] == 300
    assert 15 < sizes["dev"] < 45
    assert 40 < sizes["test"] < 80
    for name, rows in first.items():
        assert {e.texts for e in rows} <= {e.texts for e in second[name]}
    everywhere = [{e.texts for e in rows} for rows in second.values()]
    assert not everywhere[0] & everywhere[1] and not everywhere[0] & everywhere[2] and not everywhere[1] & everywhere[2]


def test_limited_rows_keep_their_order_and_are_a_subset_of_a_larger_limit():
    rows = reports(*(f"text {i}" for i in range(50)))
    ten, twenty = limit_rows("multilabel", rows, 10), limit_rows("multilabel", rows, 20)
    assert len(ten) == 10
    assert set(ten) < set(twenty)
    assert [rows.index(e) for e in ten] == sorted(rows.index(e) for e in ten)
    assert limit_rows("multilabel", rows, None) == tuple(rows)
