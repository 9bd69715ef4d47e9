"""Textbook pages, health articles and drug instructions in Korean, English or mixed, each about one disease or drug."""

import random

from bimed_dist.synthetic.article_phrases import ARTICLE
from bimed_dist.synthetic.chance import some
from bimed_dist.synthetic.diseases import CLINICS, DISEASES, Disease
from bimed_dist.synthetic.joining import Slots, filled, listed_en, listed_ko
from bimed_dist.synthetic.leaflet_phrases import LEAFLET
from bimed_dist.synthetic.medicine import COMPLICATIONS, DRUGS, FREQUENCIES, RISKS, SYMPTOMS, TESTS, TREATMENTS, Term
from bimed_dist.synthetic.wording import word

_INVASIVE = ("biopsy", "egd", "colon", "cag", "bronch", "culture", "skin")
_PARTS = ("definition", "frequency", "causes", "symptoms", "diagnosis", "treatment", "complications", "prevention")


def article(rng: random.Random, language: str) -> tuple[str, ...]:
    """A disease explained: what it is, why it comes, how it shows, is found, treated and prevented."""
    disease = DISEASES[rng.choice(list(DISEASES))]
    style = "popular" if rng.random() < 0.5 else "textbook"
    parts = [part for part in _PARTS if part == "definition" or rng.random() < 0.75]
    told = []
    for part in parts:
        first, second = ARTICLE[language][style][part]
        text = filled(rng, first, _slots(disease, language, rng))
        if second and rng.random() < 0.7:
            text += " " + filled(rng, second, _slots(disease, language, rng))
        told.append(text)
    return _paragraphs(rng, told)


def leaflet(rng: random.Random, language: str) -> tuple[str, ...]:
    """A drug explained to who takes it."""
    disease = DISEASES[rng.choice(list(DISEASES))]
    drug = DRUGS[rng.choice(disease.drugs)]
    often = rng.choice(drug.frequencies)
    korean, english = rng.choice(FREQUENCIES[often][1]), rng.choice(FREQUENCIES[often][0])
    adverse = [word(SYMPTOMS[key], language, rng) for key in some(rng, drug.adverse, 2, 3)]
    slots = _slots(disease, language, rng)
    slots |= {
        "drug": drug.ko if language == "ko" else drug.key,
        "kind": drug.kind_ko if language == "ko" else drug.kind,
        "dose": rng.choice(drug.doses),
        "often": english if language == "en" else korean,
        "adverse": listed_en(adverse) if language == "en" else listed_ko(adverse, rng),
        "first": adverse[0],
        "test": word(
            TESTS[rng.choice([key for key in disease.tests if key not in _INVASIVE] or ["blood"])], language, rng
        ),
        "way": {"po": "복용", "iv": "정맥 투여", "sc": "피하주사", "inh": "흡입"}[drug.route],
        "taken": {
            "po": "taken by mouth",
            "iv": "given intravenously",
            "sc": "injected under the skin",
            "inh": "inhaled",
        }[drug.route],
    }
    parts = [part for part in LEAFLET[language] if part == "use" or rng.random() < 0.8]
    return _paragraphs(rng, [filled(rng, LEAFLET[language][part], slots) for part in parts])


def _paragraphs(rng: random.Random, sentences: list[str]) -> tuple[str, ...]:
    """The sentences in one to three paragraphs."""
    size = rng.choice((2, 3, len(sentences)))
    return tuple(" ".join(sentences[start : start + size]) for start in range(0, len(sentences), size))


def _slots(disease: Disease, language: str, rng: random.Random) -> Slots:
    def terms(table: dict[str, Term], keys: tuple[str, ...], least: int, most: int) -> str:
        words = [word(table[key], language, rng) for key in some(rng, keys, least, most)]
        return listed_en(words) if language == "en" else listed_ko(words, rng)

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
            "clinic": lambda: clinic[0] if language == "en" else clinic[1],
            "share": lambda: str(rng.randint(2, 18) * 5),
            "some": lambda: str(rng.randint(2, 9)),
            "age": lambda: str(rng.choice((30, 40, 50, 60, 65, 70))),
            "years": lambda: str(rng.randint(2, 10)),
            "weeks": lambda: str(rng.choice((2, 3, 4, 6, 8, 12))),
            "minutes": lambda: str(rng.choice((20, 30, 40, 50))),
            "rate": lambda: str(rng.randint(11, 980)),
        }
    )
