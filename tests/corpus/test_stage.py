import csv
import json
import unicodedata
from pathlib import Path

import pytest

from bimed_dist.corpus.deduplication import held_out_position, text_digest
from bimed_dist.corpus.stage import run
from bimed_dist.errors import ConfigError, DataError
from bimed_dist.manifest import verified
from bimed_dist.recipe.loading import parse_recipe
from bimed_dist.recipe.recipe import Recipe


def recipe(data: Path, sources: list[dict], *, seed: int = 1, share: float = 0.25, **settings) -> Recipe:
    corpus = {"sources": sources, "held_out_share": share, **settings}
    return parse_recipe({"name": "r", "seed": seed, "data": str(data), "corpus": {"c": corpus}}, where="test")


def lines_source(name: str) -> dict:
    return {"kind": "text", "name": name, "path": f"{name}.txt", "document": "line"}


def write_lines(folder: Path, name: str, lines: list[str]) -> dict:
    (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return lines_source(name)


def records(folder: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").split("\n") if line]


def texts(folder: Path, name: str) -> set[str]:
    return {record["paragraphs"][0][0] for record in records(folder, name)}


@pytest.fixture
def sources(tmp_path) -> list[dict]:
    a = write_lines(tmp_path, "a", [f"환자 {i}번은 정상이다." for i in range(20)])
    b = write_lines(tmp_path, "b", [f"Patient {i} has pneumonia." for i in range(20)])
    return [a, b]


def test_a_record_holds_sentences_and_their_languages_by_paragraph(tmp_path):
    text = "환자는 정상이다. No PE was seen.\n\nBoth lung clear.\n"
    (tmp_path / "note.txt").write_text(text, encoding="utf-8")
    outcome = run(recipe(tmp_path, [{"kind": "text", "name": "a", "path": "note.txt"}]), "c", tmp_path / "work")
    assert (outcome.folder / "train.jsonl").read_text(encoding="utf-8") == (
        '{"id": "note.txt", "source": "a", "language": "mixed", '
        '"paragraphs": [["환자는 정상이다.", "No PE was seen."], ["Both lung clear."]], '
        '"languages": [["ko", "en"], ["en"]]}\n'
    )
    assert (outcome.folder / "held_out.jsonl").read_text(encoding="utf-8") == ""


def test_latin_script_is_counted_and_recorded_as_the_language_of_its_source(tmp_path):
    dutch = write_lines(tmp_path, "nl", ["De patiënt heeft koorts.", "Geen longembolie."]) | {"latin_language": "nl"}
    english = write_lines(tmp_path, "en", ["No pulmonary embolism."])
    outcome = run(recipe(tmp_path, [dutch, english], share=0.0), "c", tmp_path / "work")
    train = records(outcome.folder, "train.jsonl")
    languages = {record["source"]: (record["language"], record["languages"]) for record in train}
    assert languages == {"nl": ("nl", [["nl"]]), "en": ("en", [["en"]])}
    by_language = outcome.manifest.counts["by_language"]
    assert {code: counts["sentences"] for code, counts in by_language.items()} == {
        "ko": 0, "nl": 2, "en": 1, "mixed": 0, "other": 0,
    }  # fmt: skip


def test_counts_agree_with_the_files(tmp_path, sources):
    outcome = run(recipe(tmp_path, sources), "c", tmp_path / "work")
    counts = outcome.manifest.counts
    train, held_out = records(outcome.folder, "train.jsonl"), records(outcome.folder, "held_out.jsonl")
    assert counts["documents"] == counts["sentences"] == len(train) + len(held_out) == 40
    assert counts["held_out_documents"] == counts["held_out_sentences"] == len(held_out) > 0
    characters = sum(len(sentence) for r in train + held_out for p in r["paragraphs"] for sentence in p)
    assert counts["characters"] == characters
    for name in ("by_source", "by_language"):
        assert sum(group["characters"] for group in counts[name].values()) == characters
        assert sum(group["sentences"] for group in counts[name].values()) == 40
    assert counts["by_source"]["a"]["documents"] == counts["by_language"]["ko"]["sentences"] == 20


def test_the_first_of_equal_texts_is_kept_over_all_sources_ignoring_case_and_whitespace(tmp_path):
    first = write_lines(tmp_path, "first", ["No PE seen.", "폐렴이다.", "no  pe SEEN."])
    second = write_lines(tmp_path, "second", [unicodedata.normalize("NFD", "폐렴이다."), "폐렴 이다.", "No PE."])
    outcome = run(recipe(tmp_path, [first, second], near_duplicates=None), "c", tmp_path / "work")
    assert outcome.manifest.counts["duplicates_dropped"] == 2
    assert outcome.manifest.counts["nfc_changed"] == 1
    with (outcome.folder / "duplicates.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["dropped_id", "dropped_source", "kept_id", "kept_source", "kind"],
            ["first.txt:3", "first", "first.txt:1", "first", "equal"],
            ["second.txt:1", "second", "first.txt:2", "first", "equal"],
        ]
    kept = records(outcome.folder, "train.jsonl") + records(outcome.folder, "held_out.jsonl")
    assert {record["id"] for record in kept} == {"first.txt:1", "first.txt:2", "second.txt:2", "second.txt:3"}


def test_the_held_out_split_does_not_depend_on_the_order_or_names_of_sources(tmp_path, sources):
    forward = run(recipe(tmp_path, sources), "c", tmp_path / "1").folder
    backward = run(recipe(tmp_path, sources[::-1]), "c", tmp_path / "2").folder
    assert texts(forward, "held_out.jsonl") == texts(backward, "held_out.jsonl")
    assert texts(forward, "train.jsonl") == texts(backward, "train.jsonl")
    everything = [line for name in "ba" for line in (tmp_path / f"{name}.txt").read_text(encoding="utf-8").splitlines()]
    one_file = run(recipe(tmp_path, [write_lines(tmp_path, "all", everything[::-1])]), "c", tmp_path / "3").folder
    assert texts(forward, "held_out.jsonl") == texts(one_file, "held_out.jsonl")


def test_another_seed_holds_out_other_documents(tmp_path, sources):
    one, two = (run(recipe(tmp_path, sources, seed=s), "c", tmp_path / str(s)).folder for s in (1, 2))
    assert texts(one, "held_out.jsonl") != texts(two, "held_out.jsonl")


def test_about_the_share_is_held_out(tmp_path):
    source = write_lines(tmp_path, "a", [f"line {i}" for i in range(2000)])
    held_out = run(recipe(tmp_path, [source], share=0.1), "c", tmp_path / "work").manifest.counts["held_out_documents"]
    assert abs(held_out - 200) < 4 * (2000 * 0.1 * 0.9) ** 0.5


@pytest.mark.parametrize("share", [0.000001, 0.999999])
def test_each_side_gets_a_document_where_there_are_two(tmp_path, share):
    source = write_lines(tmp_path, "a", ["one\u2028line", "two", "three"])
    outcome = run(recipe(tmp_path, [source], share=share), "c", tmp_path / "work")
    train, held_out = texts(outcome.folder, "train.jsonl"), texts(outcome.folder, "held_out.jsonl")
    assert sorted(train | held_out) == ["one line", "three", "two"]
    assert len(held_out) == outcome.manifest.counts["held_out_documents"] == (1 if share < 0.5 else 2)
    assert outcome.manifest.counts["held_out_sentences"] == len(held_out)


def test_the_document_that_fills_an_empty_side_is_chosen_by_its_text_alone(tmp_path):
    chosen = set()
    for number in range(3):
        lines = ["one", "two", "three"][number:] + ["one", "two", "three"][:number]
        source = write_lines(tmp_path, "a", lines)
        chosen |= texts(
            run(recipe(tmp_path, [source], share=1e-6), "c", tmp_path / f"w{number}").folder, "held_out.jsonl"
        )
    lowest = min(["one", "two", "three"], key=lambda text: held_out_position(1, text_digest([text])))
    assert chosen == {lowest}


def test_a_single_document_and_a_share_of_nothing_leave_the_held_out_side_empty(tmp_path, sources):
    alone = run(recipe(tmp_path, [write_lines(tmp_path, "one", ["one"])], share=0.999), "c", tmp_path / "1")
    assert (alone.manifest.counts["train_documents"], alone.manifest.counts["held_out_documents"]) == (1, 0)
    none = run(recipe(tmp_path, sources, share=0.0), "c", tmp_path / "2")
    assert none.manifest.counts["held_out_documents"] == 0


def test_long_text_without_full_stops_is_cut_and_counted(tmp_path):
    source = write_lines(tmp_path, "a", ["".join(f"w{number:03d} " for number in range(1000))])
    outcome = run(recipe(tmp_path, [source]), "c", tmp_path / "work")
    assert outcome.manifest.counts["sentences_cut"] == 1
    assert [len(s) for s in records(outcome.folder, "train.jsonl")[0]["paragraphs"][0]] == [1999, 1999, 999]


def test_text_without_anything_visible_is_dropped_and_a_corpus_of_it_is_refused(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"t": "\\u200b"}\n{"t": ""}\n', encoding="utf-8")
    source = {"kind": "jsonl", "name": "a", "path": "a.jsonl", "text": ["t"]}
    with pytest.raises(DataError, match=r"no sentences: 2 document\(s\) without text"):
        run(recipe(tmp_path, [source]), "c", tmp_path / "work")
    outcome = run(recipe(tmp_path, [source, write_lines(tmp_path, "b", ["text"])]), "c", tmp_path / "work")
    assert outcome.manifest.counts["empty_dropped"] == 2


def test_all_missing_sources_are_named_at_once(tmp_path):
    with pytest.raises(DataError) as caught:
        run(recipe(tmp_path, [lines_source("x"), lines_source("y")]), "c", tmp_path / "work")
    assert "x.txt" in str(caught.value) and "y.txt" in str(caught.value)
    assert not (tmp_path / "work").exists()


def test_a_damaged_source_leaves_nothing_that_looks_finished(tmp_path, sources):
    (tmp_path / "b.txt").write_bytes(b"fine\n\xff\n")
    with pytest.raises(DataError, match=r"b\.txt line 2"):
        run(recipe(tmp_path, sources), "c", tmp_path / "work")
    assert not (tmp_path / "work" / "corpus" / "c").exists()


def test_a_finished_corpus_is_left_alone_and_built_the_same_again(tmp_path, sources):
    first = run(recipe(tmp_path, sources), "c", tmp_path / "1")
    again = run(recipe(tmp_path, sources), "c", tmp_path / "1")
    assert not first.was_done and again.was_done
    assert verified(again.folder).digest == run(recipe(tmp_path, sources), "c", tmp_path / "2").manifest.digest


def test_changed_text_under_a_finished_corpus_is_refused(tmp_path, sources):
    run(recipe(tmp_path, sources), "c", tmp_path / "work")
    write_lines(tmp_path, "b", ["other text"])
    with pytest.raises(ConfigError, match="source/b"):
        run(recipe(tmp_path, sources), "c", tmp_path / "work")


def test_the_synthetic_source_needs_no_files(tmp_path):
    source = {"kind": "synthetic", "name": "s", "documents": 30}
    one, two = (run(recipe(tmp_path, [source]), "c", tmp_path / folder) for folder in "12")
    assert one.manifest.digest == two.manifest.digest
    assert one.manifest.inputs == {}
    assert one.manifest.counts["documents"] + one.manifest.counts["duplicates_dropped"] == 30
    assert all(one.manifest.counts["by_language"][language]["sentences"] for language in ("ko", "en", "mixed"))
