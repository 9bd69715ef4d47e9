"""Sentences with named entities: BD body part, DS disease, ST symptom, as BIO tags of words separated by spaces.

Tags come from the filled slots, never from a search in the text. A Korean particle or a bracket attached to an entity
belongs to the tagged word (an eojeol is one word). A symptom includes the body part in its name (`우상복부 통증`
is one ST). Imaging findings that are not diseases (nodule, opacity) are not tagged.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass

from bimed_dist.synthetic.findings import Finding, draw_finding, draw_lab, draw_prescription
from bimed_dist.synthetic.imaging import noun_text, site_text, size_text
from bimed_dist.synthetic.lexicon.tables import (
    CLINICS,
    DISEASES,
    DRUGS,
    ENTITIES,
    SITES,
    SYMPTOMS,
    TESTS,
    TREATMENTS,
    Disease,
    groups,
)
from bimed_dist.synthetic.particles import resolve
from bimed_dist.synthetic.sampling import draw_distinct, owner_of, require_split, weighted_choice
from bimed_dist.synthetic.templates import Slots
from bimed_dist.synthetic.wording import amount, onset_text, word

TYPES = ("BD", "DS", "ST")

_SLOT = re.compile(r"\{(\w+)\}")
_TYPE_OF_SLOT = {"bd": "BD", "part": "BD", "ds": "DS", "ds2": "DS", "sign": "DS", "st": "ST", "st2": "ST", "st3": "ST"}


@dataclass(frozen=True)
class NerSentence:
    id: str
    words: tuple[str, ...]
    tags: tuple[str, ...]


def generate_ner_sentences(seed: int, split: str, count: int) -> list[NerSentence]:
    """Return `count` Korean and mixed sentences of one split; splits share no sentence.

    Raises ConfigError for an unknown split.
    """
    require_split(split)

    def draw(rng: random.Random) -> tuple[str, tuple[tuple[str, ...], tuple[str, ...]]] | None:
        kind = weighted_choice(rng, {"imaging": 0.33, "clinical": 0.55, "plain": 0.12})
        template = rng.choice(ENTITIES[kind] + (ENTITIES["tumours"] if kind == "imaging" else ()))
        words, tags = tagged_words(template, _slots(rng, template))
        text = " ".join(words)
        return (text, (words, tags)) if owner_of(text) == split else None

    drawn = draw_distinct(("ner", seed, split), count, draw)
    return [NerSentence(f"ner-{split}-{i:06d}", words, tags) for i, (words, tags) in enumerate(drawn)]


def tagged_words(template: str, slots: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the words of the filled template and a BIO tag for each."""
    text = ""
    tags_of_characters: list[str] = []
    for i, part in enumerate(_SLOT.split(template)):
        slot = part if i % 2 else ""
        start = len(text)
        # An empty slot takes its space with it.
        if not slot and (not text or text[-1] == " "):
            part = part.removeprefix(" ")
        text = text + slots[slot] if slot else resolve(text + part)
        kind = _TYPE_OF_SLOT.get(slot)
        first, following = (f"B-{kind}", f"I-{kind}") if kind else ("O", "O")
        tags_of_characters += [first if position == start else following for position in range(start, len(text))]
    words, tags = [], []
    for match in re.finditer(r"\S+", text):
        words.append(match.group())
        tags.append(next((tag for tag in tags_of_characters[match.start() : match.end()] if tag != "O"), "O"))
    return tuple(words), tuple(tags)


def _draw_disease(rng: random.Random, template: str) -> Disease:
    if template in ENTITIES["tumours"]:
        return DISEASES[rng.choice(groups().biopsied_tumours)]
    needs_image = "{bd}" in template
    return rng.choice([disease for disease in DISEASES.values() if disease.observations or not needs_image])


def _slots(rng: random.Random, template: str) -> Slots:
    """Return the words for every slot, of one patient: symptoms, tests and drugs are those of the disease."""
    language = "mixed" if " in {bd}" in template or " with " in template else rng.choice(("ko", "mixed", "mixed"))
    disease = _draw_disease(rng, template)
    other = DISEASES[rng.choice([key for key in groups().comorbidities if key != disease.key])]
    symptoms = [word(SYMPTOMS[key], language, rng) for key in rng.sample(disease.symptoms, 3)]
    prescription = draw_prescription(rng, rng.choice(disease.drugs))
    abnormal = rng.choice(disease.labs or ("CRP+",))
    lab = draw_lab(rng, abnormal[:-1], "high" if abnormal.endswith("+") else "low")
    finding = _draw_image(rng, disease, "{sign}" in template)
    region = SITES[finding.site].region
    drug = DRUGS[prescription.drug].ko if language == "ko" else prescription.drug
    return Slots(
        {
            "bd": lambda: site_text(finding, language, rng),
            "part": lambda: rng.choice(CLINICS[disease.clinic].parts),
            "seen": lambda: noun_text(finding, language, rng),
            "sign": lambda: noun_text(finding, language, rng),
            "size": lambda: size_text(finding.size_mm, language, rng),
            "scan": lambda: word(TESTS[groups().scans[region]], language, rng),
            "ds": lambda: _name(rng, disease, language),
            "ds2": lambda: _name(rng, other, language),
            "st": lambda: symptoms[0],
            "st2": lambda: symptoms[1],
            "st3": lambda: symptoms[2],
            "test": lambda: word(TESTS[rng.choice(disease.tests)], language, rng),
            "treatment": lambda: word(TREATMENTS[rng.choice(disease.treatments)], language, rng),
            "drug": lambda: f"{drug} {prescription.dose}",
            "lab": lambda: f"{lab.lab} {amount(lab.lab, lab.value)}",
            "onset": lambda: onset_text((rng.randint(1, 9), rng.choice(("day", "week", "month"))), language, rng),
            "age": lambda: str(rng.randint(22, 89)),
            "sex": lambda: rng.choice(("남자", "여자", "남성", "여성")),
            "days": lambda: str(rng.choice((1, 2, 3, 5, 7, 10, 14, 20, 28, 30))),
            "few": lambda: str(rng.randint(2, 4)),
            "bp": lambda: f"{rng.randint(90, 168)}/{rng.randint(52, 98)}",
            "hr": lambda: str(rng.randint(54, 124)),
            "bt": lambda: f"{rng.uniform(36.1, 38.9):.1f}",
            "clinic": lambda: {"ko": "내과", "mixed": rng.choice(("내과", "OPD", "외과"))}[language],
        }
    )


def _name(rng: random.Random, disease: Disease, language: str) -> str:
    return rng.choice(disease.ko) if language == "ko" else rng.choice((disease.short, *disease.en, *disease.ko[:1]))


def _draw_image(rng: random.Random, disease: Disease, is_sign: bool) -> Finding:
    """Draw what imaging shows: a sign that is a disease itself, or a finding of `disease`."""
    names = groups().disease_signs if is_sign else disease.observations or ("nodule",)
    return draw_finding(rng, rng.choice(names), {"present": 1.0}, prior=False)
