"""Synthetic texts: the same on every machine, labels from facts, no text in two splits."""

import itertools
import os
import random
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from dataclasses import astuple, replace
from pathlib import Path
from typing import get_args

import pytest

from bimed_dist.errors import ConfigError
from bimed_dist.recipe.corpus import DocumentKind
from bimed_dist.synthetic.documents import KINDS, generate_documents
from bimed_dist.synthetic.entities import TYPES, generate_ner_sentences, tagged_words
from bimed_dist.synthetic.findings import (
    Complaint,
    Finding,
    LabValue,
    Prescription,
    draw_complaint,
    draw_finding,
    draw_lab,
    draw_prescription,
    graded,
    similarity,
)
from bimed_dist.synthetic.lexicon.tables import CT_REPORTS, OBSERVATIONS
from bimed_dist.synthetic.pairs import generate_sentence_pairs
from bimed_dist.synthetic.particles import resolve
from bimed_dist.synthetic.reports import LABELS, POSITIVE, generate_ct_reports, write_report
from bimed_dist.synthetic.sampling import CORPUS, SPLITS, owner_of, stream

LANGUAGES = ("ko", "en", "mixed")
DRAWS = (draw_finding, draw_complaint, draw_prescription, draw_lab)


def texts_of(kind: str, split: str, count: int) -> list[str]:
    if kind == "ct":
        return [report.text for report in generate_ct_reports(3, split, count)]
    if kind == "ner":
        return [" ".join(item.words) for item in generate_ner_sentences(3, split, count)]
    pairs = generate_sentence_pairs(3, split, count, kind)
    return [text for pair in pairs for text in (pair.first, pair.second)]


# ------------------------------------------------------------------------------------------------------------ particles


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("결절[이/가] 보임", "결절이 보임"),
        ("흉수[은/는] 없음", "흉수는 없음"),
        ("nodule[이/가] 보임", "nodule이 보임"),
        ("nodule[으로/로] 판단", "nodule로 판단"),
        ("GGO[을/를] 시사", "GGO를 시사"),
        ("mass[이/가] 관찰", "mass가 관찰"),
        ("consolidation[이/가] 보임", "consolidation이 보임"),
        ("RLL[으로/로] 진행", "RLL로 진행"),
        ("HTN[으로/로] 투약", "HTN으로 투약"),
        ("PTE[와/와] DM[은/는]", "PTE와 DM은"),
        ("12.5 mg[을/를] 투여", "12.5 mg을 투여"),
        ("3.2cm[으로/로] 증가", "3.2cm로 증가"),
        ("nodule (1.2 cm)[이/가] 보임", "nodule (1.2 cm)이 보임"),
        ("mass (3.2 cm)[은/는] 증가", "mass (3.2 cm)는 증가"),
        ("가래[과/와] 발열[이/가]", "가래와 발열이"),
        ("breast ca.[이/가] 의심", "breast ca.가 의심"),
        ("S6[으로/로] 진행", "S6으로 진행"),
    ],
)
def test_a_particle_agrees_with_the_sound_before_it(written: str, read: str) -> None:
    assert resolve(written) == read


# --------------------------------------------------------------------------------- the same text, always and everywhere

DIGEST = """
import hashlib
from bimed_dist.synthetic.documents import generate_documents
from bimed_dist.synthetic.entities import generate_ner_sentences
from bimed_dist.synthetic.pairs import generate_sentence_pairs
from bimed_dist.synthetic.reports import generate_ct_reports
everything = [list(generate_documents(1, 60, ("ko", "en", "mixed"), "synthetic"))]
for split in ("train", "dev", "test", "external"):
    everything += [generate_ct_reports(1, split, 20), generate_ner_sentences(1, split, 20)]
    everything += [generate_sentence_pairs(1, split, 20, language) for language in ("ko", "en", "mixed")]
print(hashlib.sha256(repr(everything).encode()).hexdigest())
"""


def test_two_processes_with_other_hash_seeds_write_the_same_bytes() -> None:
    root = Path(__file__).parents[2]
    digests = set()
    for hash_seed in ("0", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root)}
        done = subprocess.run(
            [sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout)
    assert len(digests) == 1


def test_another_seed_writes_other_texts() -> None:
    first, second = generate_ct_reports(1, "train", 40), generate_ct_reports(2, "train", 40)
    assert not {report.text for report in first} & {report.text for report in second}


def test_the_first_hundred_items_do_not_depend_on_the_number_of_items() -> None:
    assert generate_ct_reports(5, "dev", 150)[:100] == generate_ct_reports(5, "dev", 100)
    assert generate_ner_sentences(5, "test", 150)[:100] == generate_ner_sentences(5, "test", 100)
    assert generate_sentence_pairs(5, "train", 150, "mixed")[:100] == generate_sentence_pairs(5, "train", 100, "mixed")
    assert list(generate_documents(5, 300, LANGUAGES, "s"))[:100] == list(generate_documents(5, 100, LANGUAGES, "s"))


def test_all_text_is_nfc_without_stray_spaces_or_open_slots() -> None:
    texts = [text for d in generate_documents(2, 300, LANGUAGES, "s") for text in d.paragraphs]
    for split in SPLITS:
        for kind in ("ct", "ner", *LANGUAGES):
            texts += texts_of(kind, split, 60)
    for text in texts:
        assert unicodedata.normalize("NFC", text) == text
        assert not re.search(r"[{}]|  | \.|^\s|\s$|\[[가-힣]+/|\.\.|None|\(\)", text), text


# ------------------------------------------------------------------------------------------------ no text in two splits


@pytest.mark.parametrize("kind", ["ct", "ner", *LANGUAGES])
def test_no_text_is_in_two_splits_or_in_the_corpus(kind: str) -> None:
    seen: dict[str, str] = {}
    for split in SPLITS:
        texts = set(texts_of(kind, split, 200))
        assert all(owner_of(text) == split for text in texts)
        for text in texts:
            assert seen.setdefault(text, split) == split


def test_documents_belong_to_the_corpus_and_are_all_different() -> None:
    documents = list(generate_documents(1, 900, LANGUAGES, "synthetic"))
    texts = ["\n\n".join(document.paragraphs) for document in documents]
    assert len(set(texts)) == len(texts)
    assert {owner_of(text) for text in texts} == {CORPUS}
    assert documents[0].id == "synthetic-ko-000000"
    assert len({document.id for document in documents}) == 900
    assert Counter(document.id.split("-")[1] for document in documents) == {"ko": 300, "en": 300, "mixed": 300}


def test_a_source_has_documents_of_the_chosen_kinds_only() -> None:
    of_kind = {
        kind: {d.paragraphs for d in generate_documents(1, 200, LANGUAGES, "s", (kind,))}
        for kind in get_args(DocumentKind)
    }
    assert set(of_kind) == set(KINDS)
    assert all(len(paragraphs) == 200 for paragraphs in of_kind.values())
    assert all(len(paragraphs) == 1 for paragraphs in of_kind["report"])
    of_all = {d.paragraphs for d in generate_documents(1, 200, LANGUAGES, "s")}
    assert all(of_all & paragraphs for paragraphs in of_kind.values())


def test_few_sentences_of_the_corpus_occur_twice() -> None:
    split = re.compile(r"(?<=[.?!])\s+|\n")
    sentences = [
        s
        for d in generate_documents(1, 1500, LANGUAGES, "s")
        for p in d.paragraphs
        for s in split.split(p)
        if len(s) > 12
    ]
    assert 1 - len(set(sentences)) / len(sentences) < 0.2


def test_unknown_splits_and_languages_are_refused() -> None:
    with pytest.raises(ConfigError, match="no split 'validation'"):
        generate_ct_reports(1, "validation", 1)
    with pytest.raises(ConfigError, match="no language 'fr'"):
        generate_sentence_pairs(1, "train", 1, "fr")
    with pytest.raises(ConfigError, match="found \\['fr'\\]"):
        list(generate_documents(1, 1, ("fr",), "s"))


# ----------------------------------------------------------------------------------------------------------- CT reports


def test_report_labels_are_the_states_of_the_facts() -> None:
    known = {}
    for index in range(10):
        for attempt in range(400):
            text, states = write_report(stream("ct", 9, "train", index, attempt), "internal")
            known[text] = states
    for report in generate_ct_reports(9, "train", 10):
        states = known[report.text]
        assert astuple(report)[2:] == tuple(states[label] in POSITIVE for label in LABELS)


def test_labels_have_the_prevalence_of_their_hospital() -> None:
    for split, expected in (("train", (0.25, 0.15, 0.30)), ("external", (0.35, 0.09, 0.20))):
        reports = generate_ct_reports(4, split, 400)
        for label, share in zip(LABELS, expected, strict=True):
            # Four standard errors of 400 draws: 0.096 at most.
            assert abs(sum(getattr(report, label) for report in reports) / 400 - share) < 0.096


@pytest.mark.parametrize("observation", ["pleural effusion", "lymph node enlargement"])
def test_a_report_does_not_deny_a_finding_that_it_describes(observation: str) -> None:
    denials = {form for forms in CT_REPORTS["normals"][observation].values() for form in forms}
    entry = OBSERVATIONS[observation]
    names = [name for name in (*entry.en, *entry.ko, *entry.mixed) if name != "effusion"]
    denied = 0
    for index in range(900):
        text, _ = write_report(stream("contradiction", index), ("internal", "external")[index % 2])
        rest = text
        for denial in sorted(denials, key=len, reverse=True):
            rest = rest.replace(denial, "")
        if rest != text:
            denied += 1
            assert not any(name.lower() in rest.lower() for name in names), text
    assert denied > 100


def test_a_resected_lobe_has_no_finding() -> None:
    checked = 0
    for index in range(900):
        text, states = write_report(stream("resected", index), "internal", "mixed")
        if states["cancer"] == "resolved":
            lobe = re.search(r"S/P (R[UML]L|L[UL]L) lobectomy|S/P (left|right) (upper|middle|lower) lobectomy", text)
            if lobe and lobe.group(1):
                checked += 1
                assert not re.search(rf"{lobe.group(1)}(?! lobectomy)", text), text
    assert checked > 30


def test_a_keyword_does_not_reveal_the_label() -> None:
    words = {
        "pneumonia": "pneumoni|폐렴|infect|감염",
        "embolism": "PTE|embol|thromb|색전",
        "cancer": "cancer|ca\\.|malig|metas|암",
    }
    reports = generate_ct_reports(8, "test", 300)
    for label, pattern in words.items():
        said = [bool(re.search(pattern, report.text, re.IGNORECASE)) for report in reports]
        true = [getattr(report, label) for report in reports]
        both = sum(a and b for a, b in zip(said, true, strict=True))
        assert 2 * both / (sum(said) + sum(true)) < 0.75


# ------------------------------------------------------------------------------------------------------- sentence pairs

NODULE = Finding("nodule", "upper lobe", "right", (12,), "solid", "present", "increased")


def test_scores_of_known_pairs() -> None:
    assert graded(NODULE, NODULE) == 5
    assert graded(NODULE, replace(NODULE, side="left")) == 4
    assert graded(NODULE, replace(NODULE, size_mm=(14,))) == 4.25
    assert graded(NODULE, Finding("nodule", "upper lobe", "right", status="absent")) == 2
    assert graded(NODULE, Finding("emphysema", "upper lobe", "right")) == 1.5
    assert graded(NODULE, Finding("gallstone", "gallbladder")) == 0
    assert graded(NODULE, Complaint("cough")) == 0
    assert graded(Complaint("cough"), Complaint("cough", "absent")) == 2
    warfarin = Prescription("warfarin", "5 mg", "qd")
    assert graded(warfarin, replace(warfarin, action="stop")) == 2.5
    assert graded(LabValue("Hb", 9.1), LabValue("Hb", 14.0)) == 1.75


def test_the_score_falls_with_every_part_that_differs() -> None:
    steps = [
        NODULE,
        replace(NODULE, quality=""),
        replace(NODULE, quality="", change="decreased"),
        replace(NODULE, quality="", change="decreased", side="left"),
        replace(NODULE, quality="", change="decreased", side="left", size_mm=(29,)),
    ]
    scores = [graded(NODULE, step) for step in steps]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)


def test_similarity_is_symmetric_and_five_only_for_equal_facts() -> None:
    rng = random.Random(1)
    facts = [tuple(rng.choice(DRAWS)(rng) for _ in range(rng.randint(1, 2))) for _ in range(300)]
    for first, second in itertools.pairwise(facts):
        assert similarity(first, second) == similarity(second, first)
        assert similarity(first, first[::-1]) == 5
        assert (similarity(first, second) == 5) == (set(first) == set(second))


@pytest.mark.parametrize("language", LANGUAGES)
def test_scores_are_quarters_spread_over_the_whole_range(language: str) -> None:
    pairs = generate_sentence_pairs(6, "train", 500, language)
    bins = Counter(round(pair.score) for pair in pairs)
    assert all(0 <= pair.score <= 5 and pair.score * 4 == int(pair.score * 4) for pair in pairs)
    assert all(bins[score] >= 15 for score in range(6)), bins
    assert all(pair.first != pair.second for pair in pairs)


def test_word_overlap_does_not_reveal_the_score() -> None:
    pairs = generate_sentence_pairs(6, "train", 600, "mixed")
    best = [pair for pair in pairs if pair.score == 5]
    strangers = [p for p in best if len(set(p.first.lower().split()) & set(p.second.lower().split())) <= 1]
    assert len(strangers) > 0.2 * len(best)


# ------------------------------------------------------------------------------------------------------------- entities


def test_tags_come_from_the_slots_and_cover_glued_particles() -> None:
    words, tags = tagged_words(
        "{bd}에 {ds}[이/가] 의심되며 {st}[은/는] 없음.", {"bd": "RUL anterior segment", "ds": "폐암", "st": "가슴 통증"}
    )
    assert words == ("RUL", "anterior", "segment에", "폐암이", "의심되며", "가슴", "통증은", "없음.")
    assert tags == ("B-BD", "I-BD", "I-BD", "B-DS", "O", "B-ST", "I-ST", "O")


def test_bio_tags_are_well_formed_in_every_split() -> None:
    for split in SPLITS:
        sentences = generate_ner_sentences(7, split, 300)
        for item in sentences:
            assert len(item.words) == len(item.tags)
            assert all(word and not re.search(r"\s", word) for word in item.words)
            for before, tag in zip(("O", *item.tags), item.tags, strict=False):
                assert tag == "O" or tag[2:] in TYPES
                assert not tag.startswith("I-") or before[2:] == tag[2:]
        counts = Counter(tag for item in sentences for tag in item.tags)
        assert all(counts[f"{mark}-{kind}"] > 20 for mark in "BI" for kind in TYPES)
        assert 0.03 < sum(set(item.tags) == {"O"} for item in sentences) / 300 < 0.25
