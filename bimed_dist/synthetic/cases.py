"""A patient's stay as facts, so that all sentences of a note agree on person, disease and course."""

import random
from dataclasses import dataclass, replace

from bimed_dist.synthetic.findings import (
    Complaint,
    Finding,
    LabValue,
    Prescription,
    draw_finding,
    draw_lab,
    draw_prescription,
)
from bimed_dist.synthetic.lexicon.tables import DISEASES, DRUGS, SYMPTOMS, Disease, groups
from bimed_dist.synthetic.sampling import sample_between


@dataclass(frozen=True)
class Case:
    disease: Disease
    age: int
    woman: bool
    comorbidities: tuple[Disease, ...]
    complaints: tuple[Complaint, ...]
    denied: tuple[str, ...]
    """Keys of symptoms that the patient does not have."""
    pressure: str
    pulse: int
    breaths: int
    temperature: float
    labs: tuple[LabValue, ...]
    images: tuple[Finding, ...]
    test: str
    treatments: tuple[str, ...]
    drugs: tuple[Prescription, ...]
    days: int
    """Length of the stay in days."""
    weeks: int
    """Weeks until the next visit."""
    year: int
    improved: LabValue | None
    """The first abnormal laboratory value, normal again at discharge; None if no value was abnormal."""


def draw_case(rng: random.Random) -> Case:
    disease = DISEASES[rng.choice(list(DISEASES))]
    woman = disease.sex == "women" or (disease.sex != "men" and rng.random() < 0.5)
    possible = [DISEASES[key] for key in groups().comorbidities if key != disease.key]
    comorbidities = [entry for entry in possible if not (woman and entry.sex == "men")]
    onset = (rng.randint(3, 9), rng.choice(("day", "week", "month")))
    complaints = tuple(Complaint(key, onset=onset) for key in sample_between(rng, disease.symptoms, 2, 4))
    absent = [key for key in SYMPTOMS if key not in disease.symptoms and (woman or key != "breast lump")]
    labs = tuple(_abnormal(rng, name) for name in sample_between(rng, disease.labs, 1, 3))
    fever = "fever" in disease.symptoms
    return Case(
        disease,
        rng.randint(*disease.ages),
        woman,
        tuple(sample_between(rng, comorbidities, 0, 3)),
        complaints,
        tuple(rng.sample(absent, 2)),
        f"{rng.randint(96, 172)}/{rng.randint(54, 94)}",
        rng.randint(58, 124),
        rng.randint(14, 28),
        round(rng.uniform(37.4, 39.6) if fever else rng.uniform(36.1, 37.2), 1),
        labs,
        _images(rng, disease),
        rng.choice(disease.tests),
        tuple(sample_between(rng, disease.treatments, 1, 2)),
        _prescribed(rng, disease),
        rng.randint(6, 24),
        rng.choice((2, 3, 4, 6, 8, 12)),
        rng.randint(2003, 2022),
        _normalised(rng, labs),
    )


def _abnormal(rng: random.Random, name: str) -> LabValue:
    return replace(draw_lab(rng, name[:-1], "high" if name.endswith("+") else "low"), before=None)


def _prescribed(rng: random.Random, disease: Disease) -> tuple[Prescription, ...]:
    """Draw one to three drugs, never two of a class, and one anticoagulant at most."""
    classes: set[str] = set()
    chosen = []
    for key in sample_between(rng, disease.drugs, 1, 3):
        kind = DRUGS[key].kind
        kind = "anticoagulant" if "anticoagulant" in kind or "heparin" in kind else kind
        if kind not in classes:
            classes.add(kind)
            chosen.append(replace(draw_prescription(rng, key), action="take"))
    return tuple(chosen)


def _normalised(rng: random.Random, labs: tuple[LabValue, ...]) -> LabValue | None:
    if not labs:
        return None
    return replace(draw_lab(rng, labs[0].lab, "normal"), before=None)


def _images(rng: random.Random, disease: Disease) -> tuple[Finding, ...]:
    keys = sample_between(rng, disease.observations, 1, 2)
    return tuple(draw_finding(rng, key, {"present": 1.0}, prior=False) for key in keys)
