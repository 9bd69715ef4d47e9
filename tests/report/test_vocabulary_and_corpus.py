"""The sections on vocabulary, embeddings and corpus: the numbers of the stages, as tables."""

import fake_work


def test_composition_has_the_form_of_the_published_table(work, page_html):
    rows = fake_work.read_table(work, "vocabulary-bilingual")
    assert [row["Item"] for row in rows][:3] == ["Vocabulary size", "Korean subwords", "English subwords"]
    assert "24,497 (54.44 %)" in page_html


def test_vocabularies_and_the_tokenizers_they_are_compared_with_are_measured_by_language(work, page_html):
    rows = [row for row in fake_work.read_table(work, "fit") if row["Vocabulary"] == "bilingual"]
    assert [(r["Tokenizer"], r["Language"], r["Tokens per word"], r["[UNK] share"]) for r in rows] == [
        ("vocabulary/bilingual", "Korean", "1.83", "0.0"),
        ("vocabulary/bilingual", "English", "1.31", "0.0"),
        ("vocabulary/bilingual", "all", "1.83", "0.0"),
        ("models/m-bert", "Korean", "4.06", "0.021"),
        ("models/m-bert", "English", "1.22", "0.0"),
        ("models/m-bert", "all", "4.06", "0.021"),
    ]
    assert fake_work.read_table(work, "sources-bilingual")[0]["models/m-bert"] == "4.06"
    assert "[UNK] 2.100 %" in page_html


def test_terms_and_frequent_words_are_shown_as_tokens(work, page_html):
    assert fake_work.read_table(work, "examples-bilingual") == [
        {"Term": "전신경화증", "vocabulary/bilingual": "전신 ##경화증", "models/m-bert": "[UNK]"}
    ]
    split = fake_work.read_table(work, "split-bilingual")
    assert len(split) == 10
    assert (split[0]["Korean word"], split[0]["Korean tokens"]) == ("이부프로펜0", "이부 ##프로펜 ##0")
    assert (split[0]["English word"], split[1]["English word"]) == ("ibuprofen", "")
    assert "이부 ##프로펜 ##0" in page_html


def test_embeddings_are_counted_by_their_origin(work, page_html):
    rows = {row["Model"]: row for row in fake_work.read_table(work, "embeddings")}
    assert [rows["bi-ko-mini"][c] for c in ("Copied", "Mean", "Normal", "Random", "Tokens")] == [
        "6204", "31811", "6985", "0", "45000",
    ]  # fmt: skip
    assert "copied from the foundation, whose vocabulary has the token too" in page_html


def test_the_corpus_section_shows_changes_to_the_text_and_how_mixed_it_is(work, page_html):
    changes = {(row["Step"], row["Rule or kind"]): row["Count"] for row in fake_work.read_table(work, "corpus-changes")}
    assert changes["cleaning: documents changed", "whitespace"] == "1204"
    assert changes["privacy: matches", "phone"] == "2"
    assert changes["evaluation tasks: rows found in documents", "korsts"] == "7"
    assert changes["encodings: files", "cp949"] == "1" and not any(rule == "full_width" for _, rule in changes)
    documents, sentences = fake_work.read_table(work, "corpus-minority_share")
    assert (documents["Unit"], documents["<20 %"], sentences[">=20 %"]) == ("documents", "100", "1000")
    assert "dropped documents: 41 duplicates; 3 documents changed by Unicode normalization (NFC)" in page_html
