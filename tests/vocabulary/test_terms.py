from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import BertPreTokenizer

from bimed_dist.files.terms import Term, read_terms
from bimed_dist.vocabulary.terms import (
    OUTCOMES,
    added_words,
    count_outcomes,
    describe_useless_rows,
    prefix_counter,
    select_words,
    write_candidates,
)
from bimed_dist.vocabulary.words import split_chunks

WORDS = {"폐렴": 4, "폐렴이": 3, "폐암": 5, "담낭염": 2, "결핵": 3, "lung": 9, "lungs": 1, "acute": 6}


def terms_of(*texts: str) -> list[Term]:
    return [Term("list.tsv", row, "ko", text) for row, text in enumerate(texts, start=2)]


def select(terms: list[Term], forced: list[Term] = (), known: set[str] = frozenset(), max_words: int = 100) -> list:
    return select_words(terms, forced, str.split, known, WORDS, min_frequency=3, max_words=max_words)


def outcomes(candidates: list) -> list[tuple[str, str]]:
    return [(candidate.word, candidate.outcome) for candidate in candidates]


def test_every_corpus_word_that_begins_with_a_word_is_an_occurrence():
    counts = {c.word: c.count for c in select(terms_of("폐렴", "lung", "폐", "renal"))}
    assert counts == {"폐렴": 7, "lung": 10, "폐": 12, "renal": 0}


@given(st.dictionaries(st.text(max_size=4), st.integers(1, 9)), st.text(max_size=3))
def test_counting_by_prefix_is_the_sum_over_words_that_begin_with_it(words, prefix):
    assert prefix_counter(words)(prefix) == sum(n for word, n in words.items() if word.startswith(prefix))


def test_rare_words_are_dropped_and_the_most_frequent_are_added():
    candidates = select(terms_of("폐렴", "담낭염", "결핵", "폐암", "lung"), max_words=3)
    assert outcomes(candidates) == [
        ("폐렴", "added"),
        ("담낭염", "too rare"),
        ("결핵", "beyond max_words"),
        ("폐암", "added"),
        ("lung", "added"),
    ]
    assert added_words(candidates) == ["lung", "폐렴", "폐암"]


def test_words_of_the_base_vocabulary_count_towards_max_words_and_are_left_out_afterwards():
    candidates = select(terms_of("폐렴", "폐암", "lung"), known={"lung"}, max_words=2)
    assert outcomes(candidates) == [("폐렴", "added"), ("폐암", "beyond max_words"), ("lung", "in base vocabulary")]


def test_a_forced_list_needs_no_occurrences_but_adds_no_word_twice():
    candidates = select(terms_of("폐렴", "담낭염"), terms_of("담낭염", "폐렴", "없는병", "lung"), known={"lung"})
    assert outcomes(candidates)[2:] == [
        ("담낭염", "added"),
        ("폐렴", "repeated word"),
        ("없는병", "added"),
        ("lung", "in base vocabulary"),
    ]
    assert added_words(candidates) == ["폐렴", "담낭염", "없는병"]


def test_words_of_a_term_are_taken_one_by_one():
    candidates = select(terms_of("acute 폐렴", "acute 폐암 (2)"))
    assert outcomes(candidates) == [
        ("acute", "added"),
        ("폐렴", "added"),
        ("acute", "repeated word"),
        ("폐암", "added"),
    ]


def test_useless_rows_are_counted_and_reported_by_row():
    candidates = select(terms_of("폐렴", "", "폐렴", "12 / 3", "가" * 101, "   "))
    assert count_outcomes(candidates) == dict.fromkeys(OUTCOMES, 0) | {
        "added": 1, "empty": 2, "duplicate term": 1, "no letter": 1, "too long": 1,
    }  # fmt: skip
    assert describe_useless_rows(candidates) == [
        "list.tsv: 2 row(s) empty: 3, 7",
        "list.tsv: 1 row(s) duplicate term: 4",
        "list.tsv: 1 row(s) no letter: 5",
        "list.tsv: 1 row(s) too long: 6",
    ]


def test_a_message_names_the_first_twenty_rows():
    (line,) = describe_useless_rows(select(terms_of(*[""] * 30)))
    assert line.endswith(": " + ", ".join(map(str, range(2, 22))) + ", ...")


def test_terms_csv_lists_every_word_with_its_outcome(tmp_path):
    write_candidates(select(terms_of("폐렴", "")), tmp_path / "terms.csv")
    lines = (tmp_path / "terms.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["list,row,column,word,count,outcome", "list.tsv,2,ko,폐렴,7,added", "list.tsv,3,ko,,0,empty"]


@pytest.mark.data
@pytest.mark.parametrize(("name", "rows", "duplicates"), [("diseases_ko_en", 2065, 0), ("procedures_en_ko", 5009, 964)])
def test_open_term_lists_give_words_that_occur_in_open_text(open_data, name, rows, duplicates):
    texts = [path.read_text(encoding="utf-8") for path in sorted((open_data / "corpus/ohdsi_book_ko").glob("*.txt"))]
    words = split_chunks(Counter(chunk for text in texts for chunk in text.split()), None, BertPreTokenizer())

    def split(term: str) -> list[str]:
        return [word for word, _ in BertPreTokenizer().pre_tokenize_str(term)]

    terms = read_terms(open_data / "terms" / f"{name}.tsv", ("ko", "en"), name)
    candidates = select_words(terms, [], split, (), words, min_frequency=3, max_words=100)
    assert len(terms) == 2 * rows and {term.row for term in terms} == set(range(2, rows + 2))
    assert count_outcomes(candidates)["duplicate term"] == duplicates
    added = added_words(candidates)
    assert len(added) == 100 and {"환자", "사용", "가"} & set(added)
    assert all(sum(n for word, n in words.items() if word.startswith(token)) >= 3 for token in added)
