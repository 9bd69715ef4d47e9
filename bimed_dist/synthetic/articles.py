"""Articles about a disease and leaflets of a drug, in Korean, English or mixed."""

import random
from collections.abc import Mapping, Sequence

from bimed_dist.synthetic.lexicon.tables import (
    ARTICLES,
    CLINICS,
    COMPLICATIONS,
    DISEASES,
    DRUGS,
    FREQUENCIES,
    LEAFLETS,
    RISKS,
    ROUTES,
    SYMPTOMS,
    TESTS,
    TREATMENTS,
    Disease,
    Term,
)
from bimed_dist.synthetic.sampling import sample_between
from bimed_dist.synthetic.templates import Slots, list_words, sentence_from
from bimed_dist.synthetic.wording import word

_PARTS = ("definition", "frequency", "causes", "symptoms", "diagnosis", "treatment", "complications", "prevention")


def article(rng: random.Random, language: str) -> tuple[str, ...]:
    """Write paragraphs about a disease, as in a textbook or a popular article."""
    disease = DISEASES[rng.choice(list(DISEASES))]
    style = "popular" if rng.random() < 0.5 else "textbook"
    parts = [part for part in _PARTS if part == "definition" or rng.random() < 0.75]
    texts = []
    for part in parts:
        phrases = ARTICLES[language][style][part]
        text = sentence_from(rng, phrases["first"], _slots(disease, language, rng))
        if phrases["second"] and rng.random() < 0.7:
            text += " " + sentence_from(rng, phrases["second"], _slots(disease, language, rng))
        texts.append(text)
    return _paragraphs(rng, texts)


def leaflet(rng: random.Random, language: str) -> tuple[str, ...]:
    """Write paragraphs that instruct the patient about a drug."""
    disease = DISEASES[rng.choice(list(DISEASES))]
    drug = DRUGS[rng.choice(disease.drugs)]
    frequency = FREQUENCIES[rng.choice(drug.frequencies)]
    korean, english = rng.choice(frequency.ko), rng.choice(frequency.en)
    adverse = [word(SYMPTOMS[key], language, rng) for key in sample_between(rng, drug.adverse, 2, 3)]
    slots = _slots(disease, language, rng)
    slots |= {
        "drug": drug.ko if language == "ko" else drug.key,
        "kind": drug.kind_ko if language == "ko" else drug.kind,
        "dose": rng.choice(drug.doses),
        "often": english if language == "en" else korean,
        "adverse": list_words(adverse, language, rng),
        "first": adverse[0],
        "test": word(
            TESTS[rng.choice([key for key in disease.tests if not TESTS[key].invasive] or ["blood"])], language, rng
        ),
        "way": ROUTES[drug.route].ko[0],
        "taken": ROUTES[drug.route].en[0],
    }
    parts = [part for part in LEAFLETS[language] if part == "use" or rng.random() < 0.8]
    return _paragraphs(rng, [sentence_from(rng, LEAFLETS[language][part], slots) for part in parts])


def _paragraphs(rng: random.Random, sentences: list[str]) -> tuple[str, ...]:
    """Group the sentences into paragraphs of two, of three, or into one."""
    size = rng.choice((2, 3, len(sentences)))
    return tuple(" ".join(sentences[start : start + size]) for start in range(0, len(sentences), size))


def _slots(disease: Disease, language: str, rng: random.Random) -> Slots:
    def terms(table: Mapping[str, Term], keys: Sequence[str], least: int, most: int) -> str:
        words = [word(table[key], language, rng) for key in sample_between(rng, keys, least, most)]
        return list_words(words, language, rng)

    noun = "종양" if disease.definition_ko.endswith("악성") else "질환"
    names = {"en": disease.en, "ko": disease.ko, "mixed": (disease.short, disease.ko[0], disease.en[0])}[language]
    clinic = CLINICS[disease.clinic]
    return Slots(
        {
            "disease": lambda: rng.choice(names),
            "definition": lambda: disease.definition_en if language == "en" else f"{disease.definition_ko} {noun}",
            "symptoms": lambda: terms(SYMPTOMS, disease.symptoms, 2, 4),
            "symptom": lambda: terms(SYMPTOMS, disease.symptoms, 1, 1),
            "risks": lambda: terms(RISKS, disease.risks, 2, 3),
            "risk": lambda: terms(RISKS, disease.risks, 1, 1),
            "tests": lambda: terms(TESTS, disease.tests, 2, 3),
            "test": lambda: terms(TESTS, disease.tests, 1, 1),
            "treatments": lambda: terms(TREATMENTS, disease.treatments, 2, 3),
            "treatment": lambda: terms(TREATMENTS, disease.treatments, 1, 1),
            "complications": lambda: terms(COMPLICATIONS, disease.complications, 2, 3),
            "complication": lambda: terms(COMPLICATIONS, disease.complications, 1, 1),
            "clinic": lambda: clinic.en if language == "en" else clinic.ko,
            "share": lambda: str(rng.randint(2, 18) * 5),
            "some": lambda: str(rng.randint(2, 9)),
            "age": lambda: str(rng.choice((30, 40, 50, 60, 65, 70))),
            "years": lambda: str(rng.randint(2, 10)),
            "weeks": lambda: str(rng.choice((2, 3, 4, 6, 8, 12))),
            "minutes": lambda: str(rng.choice((20, 30, 40, 50))),
            "rate": lambda: str(rng.randint(11, 980)),
        }
    )
