"""Clinical notes in Korean, English or mixed: admission, progress, discharge, letter; each about one patient's stay."""

import random

from bimed_dist.synthetic.cases import Case, draw_case
from bimed_dist.synthetic.findings import Prescription
from bimed_dist.synthetic.imaging import with_article
from bimed_dist.synthetic.lexicon.tables import CLINICS, DRUGS, FREQUENCIES, NOTES, SYMPTOMS, TESTS, TREATMENTS
from bimed_dist.synthetic.templates import Slots, list_words, sentence_from
from bimed_dist.synthetic.wording import amount, corpus_sentence, onset_text, word

_KINDS = {
    "admission": ("pi", "pmh", "pe", "lab", "imp"),
    "discharge": ("pi", "pmh", "lab", "course", "plan"),
    "progress": ("course", "lab", "plan"),
    "letter": ("pi", "lab", "imp", "plan"),
}
"""Sections by kind of note."""
_SEXES = {"en": ("man", "woman"), "ko": ("남자", "여자"), "mixed": ("남환", "여환")}


def note(rng: random.Random, language: str) -> tuple[str, ...]:
    """Write a note, as paragraphs."""
    case = draw_case(rng)
    kind = rng.choice(list(_KINDS))
    has_headings = rng.random() < 0.5
    paragraphs = []
    for section in _KINDS[kind]:
        text = " ".join(_sentences(section, case, language, rng))
        if text:
            paragraphs.append(f"{NOTES[language]['headings'][section]}: {text}" if has_headings else text)
    return tuple(paragraphs)


def _sentences(section: str, case: Case, language: str, rng: random.Random) -> list[str]:
    slots = draw_slots(case, language, rng)

    def say(step: str) -> str:
        return sentence_from(rng, NOTES[language][step], slots)

    if section == "pi":
        return [say("opening"), say("story"), *[say("denial")] * (rng.random() < 0.6)]
    if section == "pmh":
        return [say("history" if case.comorbidities else "no history"), say("habits")]
    if section == "pe":
        return [say("vitals"), say("exam")]
    if section == "lab":
        texts = [corpus_sentence(lab, language, rng) for lab in case.labs]
        texts += [say("test")] * bool(case.images)
        return texts + [corpus_sentence(image, language, rng) for image in case.images]
    if section == "course":
        return [say("treatment"), say("response"), *[say("improved")] * (case.improved is not None)]
    if section == "imp":
        return [say("impression"), say("intended")]
    return [say("discharge drugs"), say("follow-up")]


def draw_slots(case: Case, language: str, rng: random.Random) -> Slots:
    """Return the words of the case for every slot of notes.yaml."""
    symptoms = [word(SYMPTOMS[c.symptom], language, rng) for c in case.complaints]
    first = case.complaints[0]
    names = {"en": rng.choice(case.disease.en), "ko": rng.choice(case.disease.ko), "mixed": case.disease.short}
    comorbid = {"en": [d.en[0] for d in case.comorbidities], "ko": [d.ko[0] for d in case.comorbidities]}
    comorbid["mixed"] = [d.short for d in case.comorbidities]
    treatments = [word(TREATMENTS[key], language, rng) for key in case.treatments]
    denied = [word(SYMPTOMS[key], language, rng) for key in case.denied]

    def listed(words: list[str]) -> str:
        return list_words(words, language, rng)

    improved = case.improved
    return Slots(
        {
            "age": lambda: str(case.age),
            "aged": lambda: with_article(f"{case.age}-year-old"),
            "sex": lambda: _SEXES[language][case.woman],
            "he": lambda: "she" if case.woman else "he",
            "his": lambda: "her" if case.woman else "his",
            "symptom": lambda: symptoms[0],
            "symptoms": lambda: listed(symptoms),
            "others": lambda: listed(symptoms[1:]),
            "onset": lambda: onset_text(first.onset, language, rng) if first.onset else "",
            "denied": lambda: " or ".join(denied) if language == "en" else listed(denied),
            "disease": lambda: names[language],
            "comorbid": lambda: listed(comorbid[language]) if case.comorbidities else "",
            "years": lambda: str(rng.randint(2, 22)),
            "year": lambda: str(case.year),
            "bp": lambda: case.pressure,
            "hr": lambda: str(case.pulse),
            "rr": lambda: str(case.breaths),
            "bt": lambda: f"{case.temperature:.1f}",
            "test": lambda: word(TESTS[case.test], language, rng),
            "treatments": lambda: listed(treatments),
            "drugs": lambda: listed([_drug(p, language, rng) for p in case.drugs]),
            "days": lambda: str(case.days),
            "start": lambda: str(rng.randint(1, 3)),
            "day": lambda: str(rng.randint(4, max(case.days - 1, 5))),
            "ago": lambda: str(rng.randint(2, first.onset[0] if first.onset else 2)),
            "weeks": lambda: str(case.weeks),
            "clinic": lambda: getattr(CLINICS[case.disease.clinic], language),
            "improved": lambda: f"{improved.lab} {amount(improved.lab, improved.value)}" if improved else "",
            "packs": lambda: str(rng.choice((5, 10, 15, 20, 30, 40, 50))),
        }
    )


def _drug(prescription: Prescription, language: str, rng: random.Random) -> str:
    frequency = FREQUENCIES[prescription.frequency]
    if language == "en":
        return f"{prescription.drug} {prescription.dose} {rng.choice(frequency.en)}"
    if language == "ko":
        return f"{DRUGS[prescription.drug].ko} {prescription.dose} {rng.choice(frequency.ko)}"
    return f"{prescription.drug} {prescription.dose} {prescription.frequency}"
