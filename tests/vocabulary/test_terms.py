from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import BertPreTokenizer

from bimed_dist.files.terms import Term, read_terms
from bimed_dist.vocabulary.terms import (
    FATES,
    choose,
    counts_of,
    new_pieces,
    prefix_counter,
    problems_of,
    write_candidates,
)
from bimed_dist.vocabulary.words import cut_chunks

WORDS = {"폐렴": 4, "폐렴이": 3, "폐암": 5, "담낭염": 2, "결핵": 3, "lung": 9, "lungs": 1, "acute": 6}


def entries(*texts: str) -> list[Term]:
    return [Term("list.tsv", row, "ko", text) for row, text in enumerate(texts, start=2)]


def chosen(terms: list[Term], always: list[Term] = (), known: set[str] = frozenset(), top: int = 100) -> list:
    return choose(terms, always, str.split, known, WORDS, min_count=3, top=top)


def fates(candidates: list) -> list[tuple[str, str]]:
    return [(candidate.word, candidate.fate) for candidate in candidates]


def test_a_word_counts_wherever_a_word_of_the_corpus_begins_with_it():
    counts = {c.word: c.count for c in chosen(entries("폐렴", "lung", "폐", "renal"))}
    assert counts == {"폐렴": 7, "lung": 10, "폐": 12, "renal": 0}


@given(st.dictionaries(st.text(max_size=4), st.integers(1, 9)), st.text(max_size=3))
def test_counting_by_prefix_is_the_sum_over_words_that_begin_with_it(words, prefix):
    assert prefix_counter(words)(prefix) == sum(n for word, n in words.items() if word.startswith(prefix))


def test_rare_words_are_dropped_and_the_most_frequent_are_taken():
    candidates = chosen(entries("폐렴", "담낭염", "결핵", "폐암", "lung"), top=3)
    assert fates(candidates) == [
        ("폐렴", "added"),
        ("담낭염", "rare"),
        ("결핵", "below the top"),
        ("폐암", "added"),
        ("lung", "added"),
    ]
    assert new_pieces(candidates) == ["lung", "폐렴", "폐암"]


def test_words_of_the_base_vocabulary_take_part_in_the_ranking_and_are_left_out_after_it():
    candidates = chosen(entries("폐렴", "폐암", "lung"), known={"lung"}, top=2)
    assert fates(candidates) == [("폐렴", "added"), ("폐암", "below the top"), ("lung", "in the base vocabulary")]


def test_a_list_that_is_always_taken_needs_no_occurrences_but_adds_no_word_twice():
    candidates = chosen(entries("폐렴", "담낭염"), entries("담낭염", "폐렴", "없는병", "lung"), known={"lung"})
    assert fates(candidates)[2:] == [
        ("담낭염", "added"),
        ("폐렴", "repeated"),
        ("없는병", "added"),
        ("lung", "in the base vocabulary"),
    ]
    assert new_pieces(candidates) == ["폐렴", "담낭염", "없는병"]


def test_words_of_a_term_are_taken_one_by_one():
    candidates = chosen(entries("acute 폐렴", "acute 폐암 (2)"))
    assert fates(candidates) == [("acute", "added"), ("폐렴", "added"), ("acute", "repeated"), ("폐암", "added")]


def test_useless_rows_are_counted_and_named_by_row():
    candidates = chosen(entries("폐렴", "", "폐렴", "12 / 3", "가" * 101, "   "))
    assert counts_of(candidates) == dict.fromkeys(FATES, 0) | {
        "added": 1, "empty": 2, "duplicate": 1, "without a letter": 1, "too long": 1,
    }  # fmt: skip
    assert problems_of(candidates) == [
        "list.tsv: 2 row(s) empty: 3, 7",
        "list.tsv: 1 row(s) duplicate: 4",
        "list.tsv: 1 row(s) without a letter: 5",
        "list.tsv: 1 row(s) too long: 6",
    ]


def test_a_message_names_the_first_twenty_rows():
    (line,) = problems_of(chosen(entries(*[""] * 30)))
    assert line.endswith(": " + ", ".join(map(str, range(2, 22))) + ", ...")


def test_every_word_and_its_fate_can_be_looked_up(tmp_path):
    write_candidates(chosen(entries("폐렴", "")), tmp_path / "terms.csv")
    lines = (tmp_path / "terms.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["list,row,column,word,count,fate", "list.tsv,2,ko,폐렴,7,added", "list.tsv,3,ko,,0,empty"]


@pytest.mark.data
@pytest.mark.parametrize(("name", "rows", "duplicates"), [("diseases_ko_en", 2065, 0), ("procedures_en_ko", 5009, 964)])
def test_open_term_lists_give_words_that_occur_in_open_text(open_data, name, rows, duplicates):
    texts = [path.read_text(encoding="utf-8") for path in sorted((open_data / "corpus/ohdsi_book_ko").glob("*.txt"))]
    words = cut_chunks(Counter(chunk for text in texts for chunk in text.split()), None, BertPreTokenizer())

    def cut(term: str) -> list[str]:
        return [word for word, _ in BertPreTokenizer().pre_tokenize_str(term)]

    terms = read_terms(open_data / "terms" / f"{name}.tsv", ("ko", "en"), name)
    candidates = choose(terms, [], cut, (), words, min_count=3, top=100)
    assert len(terms) == 2 * rows and {entry.row for entry in terms} == set(range(2, rows + 2))
    assert counts_of(candidates)["duplicate"] == duplicates
    added = new_pieces(candidates)
    assert len(added) == 100 and {"환자", "사용", "가"} & set(added)
    assert all(sum(n for word, n in words.items() if word.startswith(piece)) >= 3 for piece in added)
