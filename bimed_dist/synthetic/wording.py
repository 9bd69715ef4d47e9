"""Facts to sentences in Korean, English or mixed. The wording is random, the content never is."""

import random

from bimed_dist.synthetic.findings import Complaint, Fact, Finding, LabValue, Prescription, flag_of
from bimed_dist.synthetic.imaging import clause
from bimed_dist.synthetic.lexicon.tables import DRUGS, FREQUENCIES, LABS, ROUTES, SENTENCES, SYMPTOMS, Term
from bimed_dist.synthetic.particles import resolve
from bimed_dist.synthetic.sampling import CORPUS, draw_owned
from bimed_dist.synthetic.templates import capitalize, choose

_UNITS_KO = {"day": ("일",), "week": ("주",)}
_DAYS_KO = {1: "하루", 2: "이틀", 3: "사흘"}


def word(term: Term, language: str, rng: random.Random) -> str:
    """Return one of the term's wordings in `language`."""
    return rng.choice(getattr(term, language))


def corpus_sentence(fact: Fact, language: str, rng: random.Random) -> str:
    """Return a sentence for the corpus, worded so that it belongs to no task split if possible."""
    return draw_owned(rng, CORPUS, lambda r: sentence(fact, language, r)) or sentence(fact, language, rng)


def sentence(fact: Fact, language: str, rng: random.Random) -> str:
    """Return one sentence, with its full stop, that states `fact` and nothing else."""
    if isinstance(fact, Finding):
        text = clause(fact, language, rng)
    elif isinstance(fact, Complaint):
        text = _complaint_en(fact, rng) if language == "en" else _complaint_ko(fact, language, rng)
    elif isinstance(fact, Prescription):
        text = _prescription(fact, language, rng)
    else:
        text = {"en": _lab_en, "ko": _lab_ko, "mixed": _lab_mixed}[language](fact, rng)
    text = resolve(text).rstrip(".") + "."
    return capitalize(text) if language == "en" else text


def onset_text(onset: tuple[int, str], language: str, rng: random.Random) -> str:
    """Return a text such as `for 3 days` or `3일 전부터`."""
    number, unit = onset
    if language == "en":
        return f"for {number} {unit}{'s' if number > 1 else ''}"
    if unit == "day" and number in _DAYS_KO and language == "ko" and rng.random() < 0.4:
        return f"{_DAYS_KO[number]} 전부터"
    if unit == "month" and number in (1, 2) and rng.random() < 0.4:
        return f"{ {1: '한', 2: '두'}[number] } 달 전부터"
    return f"{number}{'개월' if unit == 'month' else rng.choice(_UNITS_KO[unit])} 전부터"


def _complaint_en(fact: Complaint, rng: random.Random) -> str:
    phrases = SENTENCES["complaint"]["en"]
    name = word(SYMPTOMS[fact.symptom], "en", rng)
    if fact.status == "absent":
        return choose(rng, phrases["absent"], name=name)
    since = onset_text(fact.onset, "en", rng) if fact.onset else ""
    ago = f"{since.removeprefix('for ')} ago" if since else ""
    course = rng.choice(phrases["course"].get(fact.course, ("",)))
    options = phrases["present"] + (phrases["dated"] if ago else ())
    text = choose(rng, options, name=name, since=since, ago=ago, course=course)
    return text.replace("  ", " ").replace(" ,", ",").strip()


def _complaint_ko(fact: Complaint, language: str, rng: random.Random) -> str:
    phrases = SENTENCES["complaint"][language]
    name = word(SYMPTOMS[fact.symptom], language, rng)
    if fact.status == "absent":
        return choose(rng, phrases["absent"], name=name)
    since = onset_text(fact.onset, language, rng) + " " if fact.onset else ""
    if not fact.course:
        return choose(rng, phrases["present"], name=name, since=since)
    begun = phrases["begun"][0 if since else 1]
    opening = choose(rng, phrases["opening"], name=name, since=since, begun=begun)
    return opening + rng.choice(phrases["course"][fact.course])


def _prescription(fact: Prescription, language: str, rng: random.Random) -> str:
    phrases = SENTENCES["prescription"][language]
    entry, frequency = DRUGS[fact.drug], FREQUENCIES[fact.frequency]
    drug, dose, way, taking = fact.drug, fact.dose, "", "복용" if entry.route == "po" else "투여"
    if language == "en":
        often = rng.choice(frequency.en)
    elif language == "ko":
        often, way = rng.choice(frequency.ko), rng.choice(ROUTES[entry.route].ko)
        drug = entry.ko
    else:
        often = rng.choice((fact.frequency, rng.choice(frequency.ko)))
        dose = dose.replace(" ", rng.choice(("", " ")))
        way = rng.choice(("", f" {entry.route}")) if often == fact.frequency else ""
    slots = {"drug": drug, "dose": dose, "often": often, "way": way, "taking": taking}
    return choose(rng, phrases[fact.action], taken=phrases["taken"].format_map(slots), **slots)


def amount(lab: str, value: float) -> str:
    """Return the value with its unit."""
    entry = LABS[lab]
    number = f"{value:,.{max(entry.decimals, 0)}f}"
    return f"{number}{entry.unit}" if entry.unit[0] in "/%" else f"{number} {entry.unit}"


def _lab_en(fact: LabValue, rng: random.Random) -> str:
    phrases, value = SENTENCES["lab"]["en"], amount(fact.lab, fact.value)
    judged = rng.choice(phrases["judged"][flag_of(fact)])
    compared = ""
    if fact.before is not None:
        compared = phrases["compared"].format(previous=amount(fact.lab, fact.before))
    options = phrases["value"] + phrases["by_range" if "range" in judged else "by_level"]
    return choose(rng, options, lab=fact.lab, value=value, judged=judged, compared=compared)


def _lab_ko(fact: LabValue, rng: random.Random) -> str:
    phrases, value = SENTENCES["lab"]["ko"], amount(fact.lab, fact.value)
    name = rng.choice(LABS[fact.lab].ko)
    opening = choose(rng, phrases["opening"], name=name)
    if fact.before is None:
        judged = rng.choice(phrases["judged"][flag_of(fact)])
        return phrases["value"].format(opening=opening, value=value, judged=judged)
    judged = rng.choice(phrases["level"][flag_of(fact)])
    moved = rng.choice(phrases["moved"]["up" if fact.value > fact.before else "down"])
    previous = amount(fact.lab, fact.before)
    return phrases["changed"].format(opening=opening, previous=previous, value=value, moved=moved, judged=judged)


def _lab_mixed(fact: LabValue, rng: random.Random) -> str:
    phrases, value = SENTENCES["lab"]["mixed"], amount(fact.lab, fact.value)
    judged = rng.choice(phrases["judged"][flag_of(fact)])
    if fact.before is None:
        return choose(rng, phrases["value"], lab=fact.lab, value=value, judged=judged)
    arrow = choose(rng, phrases["arrow"], previous=amount(fact.lab, fact.before), value=value)
    return choose(rng, phrases["changed"], lab=fact.lab, arrow=arrow, judged=judged)
