"""Admission notes, progress notes and discharge summaries in Korean, English or mixed, each from one patient's case."""

import random

from bimed_dist.synthetic.cases import Case, draw_case
from bimed_dist.synthetic.diseases import CLINICS
from bimed_dist.synthetic.findings import Prescription
from bimed_dist.synthetic.imaging import article
from bimed_dist.synthetic.joining import Slots, filled, listed_en, listed_ko
from bimed_dist.synthetic.medicine import DRUGS, FREQUENCIES, SYMPTOMS, TESTS, TREATMENTS
from bimed_dist.synthetic.note_phrases import PHRASES
from bimed_dist.synthetic.wording import amount, corpus_sentence, onset_text, word

_SECTIONS = {
    "en": {
        "cc": "Chief complaint",
        "pi": "Present illness",
        "pmh": "Past medical history",
        "pe": "Physical examination",
    }
    | {
        "lab": "Laboratory and imaging findings",
        "course": "Hospital course",
        "plan": "Discharge plan",
        "imp": "Assessment",
    },
    "ko": {"cc": "주호소", "pi": "현병력", "pmh": "과거력", "pe": "신체검진"}
    | {"lab": "검사 소견", "course": "입원 경과", "plan": "퇴원 계획", "imp": "진단 및 평가"},
    "mixed": {"cc": "C/C", "pi": "P/I", "pmh": "PMHx", "pe": "P/E"}
    | {"lab": "Lab & Image", "course": "Hospital course", "plan": "Plan", "imp": "Imp."},
}
_KINDS = {
    "admission": ("pi", "pmh", "pe", "lab", "imp"),
    "discharge": ("pi", "pmh", "lab", "course", "plan"),
    "progress": ("course", "lab", "plan"),
    "letter": ("pi", "lab", "imp", "plan"),
}


def note(rng: random.Random, language: str) -> tuple[str, ...]:
    """The paragraphs of a note."""
    case = draw_case(rng)
    kind = rng.choice(list(_KINDS))
    headed = rng.random() < 0.5
    paragraphs = []
    for section in _KINDS[kind]:
        text = " ".join(_sentences(section, case, language, rng))
        if text:
            paragraphs.append(f"{_SECTIONS[language][section]}: {text}" if headed else text)
    return tuple(paragraphs)


def _sentences(section: str, case: Case, language: str, rng: random.Random) -> list[str]:
    slots = slots_of(case, language, rng)
    phrases = PHRASES[language]
    if section == "pi":
        told = [filled(rng, phrases["opening"], slots), filled(rng, phrases["story"], slots)]
        return told + [filled(rng, phrases["denial"], slots)] * (rng.random() < 0.6)
    if section == "pmh":
        key = "history" if case.comorbidities else "no history"
        return [filled(rng, phrases[key], slots), filled(rng, phrases["habits"], slots)]
    if section == "pe":
        return [filled(rng, phrases["vitals"], slots), filled(rng, phrases["exam"], slots)]
    if section == "lab":
        told = [corpus_sentence(lab, language, rng) for lab in case.labs]
        told += [filled(rng, phrases["test"], slots)] * bool(case.images)
        return told + [corpus_sentence(image, language, rng) for image in case.images]
    if section == "course":
        told = [filled(rng, phrases["treatment"], slots), filled(rng, phrases["response"], slots)]
        return told + [filled(rng, phrases["improved"], slots)] * (case.improved is not None)
    if section == "imp":
        return [filled(rng, phrases["impression"], slots), filled(rng, phrases["intended"], slots)]
    told = [filled(rng, phrases["discharge drugs"], slots)]
    return [*told, filled(rng, phrases["follow-up"], slots)]


def slots_of(case: Case, language: str, rng: random.Random) -> Slots:
    """Words for everything a phrase may ask of the case."""
    korean = language != "en"
    symptoms = [word(SYMPTOMS[c.symptom], language, rng) for c in case.complaints]
    first = case.complaints[0]
    disease = {"en": rng.choice(case.disease.en), "ko": rng.choice(case.disease.ko), "mixed": case.disease.short}[
        language
    ]
    named = {"en": [d.en[0] for d in case.comorbidities], "ko": [d.ko[0] for d in case.comorbidities]}
    named["mixed"] = [d.short for d in case.comorbidities]
    treatments = [word(TREATMENTS[key], language, rng) for key in case.treatments]
    denied = [word(SYMPTOMS[key], language, rng) for key in case.denied]

    def listed(words: list[str]) -> str:
        return listed_ko(words, rng) if korean else listed_en(words)

    clinic = CLINICS[case.disease.clinic]
    improved = case.improved
    return Slots(
        {
            "age": lambda: str(case.age),
            "aged": lambda: article(f"{case.age}-year-old"),
            "sex": lambda: {"en": ("man", "woman"), "ko": ("남자", "여자"), "mixed": ("남환", "여환")}[language][
                case.woman
            ],
            "he": lambda: "she" if case.woman else "he",
            "his": lambda: "her" if case.woman else "his",
            "symptom": lambda: symptoms[0],
            "symptoms": lambda: listed(symptoms),
            "others": lambda: listed(symptoms[1:]),
            "onset": lambda: onset_text(first.onset, language, rng) if first.onset else "",
            "denied": lambda: listed(denied) if korean else " or ".join(denied),
            "disease": lambda: disease,
            "comorbid": lambda: listed(named[language]) if case.comorbidities else "",
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
            "ago": lambda: str(rng.randint(2, case.complaints[0].onset[0] if case.complaints[0].onset else 2)),
            "weeks": lambda: str(case.weeks),
            "clinic": lambda: {"en": clinic[0], "ko": clinic[1], "mixed": clinic[2]}[language],
            "improved": lambda: f"{improved.lab} {amount(improved.lab, improved.value)}" if improved else "",
            "packs": lambda: str(rng.choice((5, 10, 15, 20, 30, 40, 50))),
        }
    )


def _drug(prescription: Prescription, language: str, rng: random.Random) -> str:
    often = FREQUENCIES[prescription.frequency]
    if language == "en":
        return f"{prescription.drug} {prescription.dose} {rng.choice(often[0])}"
    if language == "ko":
        return f"{DRUGS[prescription.drug].ko} {prescription.dose} {rng.choice(often[1])}"
    return f"{prescription.drug} {prescription.dose} {prescription.frequency}"
