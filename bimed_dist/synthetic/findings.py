"""Structured clinical facts, from which every text, label and score of the synthetic data is made.

There are four kinds: imaging findings, complaints, prescriptions, laboratory values. `similarity` grades two lists of
facts from 0 (unrelated) to 5 (equal) by the differences between the facts alone.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations

from bimed_dist.synthetic.lexicon.tables import DRUGS, LABS, OBSERVATIONS, SITES, SYMPTOMS, sites_of
from bimed_dist.synthetic.sampling import weighted_choice


@dataclass(frozen=True)
class Finding:
    observation: str
    site: str
    side: str = ""
    size_mm: tuple[int, ...] = ()
    """One or two diameters; empty if not measured."""
    quality: str = ""
    status: str = "present"
    """present, uncertain or absent."""
    change: str = ""
    """Since the last examination: new, increased, decreased, stable; empty if not mentioned."""


@dataclass(frozen=True)
class Complaint:
    symptom: str
    status: str = "present"
    onset: tuple[int, str] | None = None
    """A number and day, week or month; None if not mentioned."""
    course: str = ""
    """better, worse; empty if not mentioned."""


@dataclass(frozen=True)
class Prescription:
    drug: str
    dose: str
    frequency: str
    action: str = "take"
    """take, start, stop, increase or decrease."""


@dataclass(frozen=True)
class LabValue:
    lab: str
    value: float
    before: float | None = None


Fact = Finding | Complaint | Prescription | LabValue

_CHANGES = ("new", "increased", "decreased", "stable")
_CHANGES_OF_GROUP = {
    # Emphysema does not improve, a fracture does not grow.
    "fracture": ("new", "stable"),
    "airway": ("increased", "stable"),
    "calcific": ("new", "increased", "stable"),
    "size": ("increased", "stable"),
}
_ONSETS = {"day": (1, 2, 3, 4, 5, 10), "week": (1, 2, 3, 6), "month": (1, 2, 3, 6, 8)}
_ONSET_DAYS = {"day": 1, "week": 7, "month": 30}


def draw_size(rng: random.Random, span: tuple[int, int], two: float = 0.3) -> tuple[int, ...]:
    longest = rng.randint(*span)
    if longest >= 10 and rng.random() < two:
        return (longest, max(4, round(longest * rng.uniform(0.55, 0.9))))
    return (longest,)


def changes_of(finding: Finding) -> tuple[str, ...]:
    """Return the changes that are plausible for a finding."""
    if finding.observation == "fibrotic scar":
        return ("stable",)
    if finding.quality in ("old", "healing"):
        return ("stable",)
    return _CHANGES_OF_GROUP.get(OBSERVATIONS[finding.observation].group, _CHANGES)


def draw_finding(
    rng: random.Random,
    observation: str | None = None,
    statuses: dict[str, float] | None = None,
    prior: bool = True,
) -> Finding:
    """Draw a finding at a possible site; `prior`: there is an earlier examination to compare with."""
    entry = OBSERVATIONS[observation or rng.choice(list(OBSERVATIONS))]
    site = rng.choice(sites_of(entry.key))
    side = rng.choice(site.sides) if site.sides else ""
    status = weighted_choice(rng, statuses or {"present": 0.7, "uncertain": 0.12, "absent": 0.18})
    finding = Finding(entry.key, site.key, side, status=status)
    if status == "absent":
        return finding
    if entry.qualities and rng.random() < 0.35:
        finding = replace(finding, quality=rng.choice(entry.qualities))
    if entry.size_mm and side != "both" and rng.random() < 0.7:
        finding = replace(finding, size_mm=draw_size(rng, entry.size_mm))
    if prior and status == "present" and rng.random() < 0.35:
        finding = replace(finding, change=rng.choice(changes_of(finding)))
    return finding


def draw_complaint(rng: random.Random, symptom: str | None = None) -> Complaint:
    status = weighted_choice(rng, {"present": 0.8, "absent": 0.2})
    complaint = Complaint(symptom or rng.choice(list(SYMPTOMS)), status)
    if status == "absent":
        return complaint
    unit = rng.choice(list(_ONSETS))
    onset = (rng.choice(_ONSETS[unit]), unit) if rng.random() < 0.7 else None
    return replace(complaint, onset=onset, course=weighted_choice(rng, {"": 0.5, "worse": 0.25, "better": 0.25}))


def draw_prescription(rng: random.Random, drug: str | None = None) -> Prescription:
    drug = drug or rng.choice(list(DRUGS))
    entry = DRUGS[drug]
    dose = rng.choice(entry.doses)
    actions = {action: {"take": 0.5, "start": 0.25, "stop": 0.15}.get(action, 0.2) for action in actions_of(drug, dose)}
    return Prescription(drug, dose, rng.choice(entry.frequencies), weighted_choice(rng, actions))


def actions_of(drug: str, dose: str) -> tuple[str, ...]:
    """Return the actions that can lead to `dose`: no increase to the lowest, no decrease to the highest."""
    doses = DRUGS[drug].doses
    up = ("increase",) if dose != doses[0] else ()
    down = ("decrease",) if dose != doses[-1] else ()
    return ("take", "start", "stop", *up, *down)


def draw_lab(rng: random.Random, lab: str | None = None, flag: str | None = None) -> LabValue:
    entry = LABS[lab or rng.choice(list(LABS))]
    low, high = entry.normal
    least, most = entry.span
    flag = flag or weighted_choice(rng, {"high": 0.5, "low": 0.2, "normal": 0.3})
    if flag == "low" and least >= low * 0.95:
        flag = "high"
    if flag == "high" and most <= high * 1.05:
        flag = "low" if least < low * 0.95 else "normal"
    spans = {
        "high": (high * 1.05, high + (most - high) * rng.random()),
        "low": (least, low * 0.95),
        "normal": (low, high),
    }
    first, last = sorted(spans[flag])
    value = round(min(max(rng.uniform(first, last), least), most), entry.decimals)
    before = None
    if rng.random() < 0.3:
        before = round(min(max(value * rng.choice((0.45, 0.6, 1.5, 1.9)), least), most), entry.decimals)
    return LabValue(entry.key, value, before if before != value else None)


def flag_of(value: LabValue) -> str:
    low, high = LABS[value.lab].normal
    return "low" if value.value < low else "high" if value.value > high else "normal"


# ------------------------------------------------------------------------------------------------------- similarity


def similarity(first: Sequence[Fact], second: Sequence[Fact]) -> float:
    """Return the mean grade of the best matching, 0 to 5 in quarters; an unmatched fact counts 0.4 of that mean."""
    few, many = sorted((list(first), list(second)), key=len)
    best = max(sum(graded(a, b) for a, b in zip(few, order, strict=True)) for order in permutations(many, len(few)))
    mean = best / len(few)
    total = best + (len(many) - len(few)) * 0.4 * mean
    return round(4 * total / len(many)) / 4


def graded(a: Fact, b: Fact) -> float:
    """Return 5 for equal facts, less for every part that differs, 0 for unrelated facts."""
    if isinstance(a, Finding) and isinstance(b, Finding):
        return _graded_findings(a, b)
    if isinstance(a, Complaint) and isinstance(b, Complaint):
        return _graded_complaints(a, b)
    if isinstance(a, Prescription) and isinstance(b, Prescription):
        return _graded_prescriptions(a, b)
    if isinstance(a, LabValue) and isinstance(b, LabValue):
        return _graded_labs(a, b)
    return 0.0


def _graded_findings(a: Finding, b: Finding) -> float:
    same_region = SITES[a.site].region == SITES[b.site].region
    if a.observation != b.observation:
        if a.site == b.site and a.side == b.side:
            return 1.5
        same_group = OBSERVATIONS[a.observation].group == OBSERVATIONS[b.observation].group
        return (0.75 if same_region else 0.0) + (0.25 if same_group else 0.0)
    loss = 0.0
    if a.site != b.site:
        loss += 1.25 if same_region else 2.0
    elif a.side != b.side:
        loss += 1.0
    loss += _status_loss(a.status, b.status)
    if "absent" not in (a.status, b.status):
        loss += _size_loss(a.size_mm, b.size_mm)
        loss += 0.5 if a.quality != b.quality else 0.0
        loss += _change_loss(a.change, b.change)
    return max(5.0 - loss, 1.0)


def _status_loss(a: str, b: str) -> float:
    if a == b:
        return 0.0
    if "absent" not in (a, b):
        return 1.0
    return 2.0 if "uncertain" in (a, b) else 3.0


def _size_loss(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    if a == b:
        return 0.0
    if not a or not b:
        return 0.5
    return 0.75 if max(a[0], b[0]) < 1.5 * min(a[0], b[0]) else 1.25


def _change_loss(a: str, b: str) -> float:
    if a == b:
        return 0.0
    if not a or not b:
        return 0.5
    return 1.5 if "decreased" in (a, b) else 1.0


def _graded_complaints(a: Complaint, b: Complaint) -> float:
    if a.symptom != b.symptom:
        return 0.75 if a.status == b.status == "present" and a.onset == b.onset and a.onset else 0.25
    loss = 3.0 if a.status != b.status else 0.0
    if a.status == b.status == "present":
        loss += _onset_loss(a.onset, b.onset)
        loss += 0.0 if a.course == b.course else (1.5 if a.course and b.course else 0.75)
    return 5.0 - loss


def _onset_loss(a: tuple[int, str] | None, b: tuple[int, str] | None) -> float:
    if a == b:
        return 0.0
    if not a or not b:
        return 0.5
    first, last = sorted(number * _ONSET_DAYS[unit] for number, unit in (a, b))
    return 0.75 if last < 4 * first else 1.25


def _graded_prescriptions(a: Prescription, b: Prescription) -> float:
    if a.drug != b.drug:
        return 1.25 if DRUGS[a.drug].kind == DRUGS[b.drug].kind else 0.5
    loss = 0.75 if a.dose != b.dose else 0.0
    loss += 0.75 if a.frequency != b.frequency else 0.0
    if a.action != b.action:
        loss += 2.5 if "stop" in (a.action, b.action) else 1.0
    return 5.0 - loss


def _graded_labs(a: LabValue, b: LabValue) -> float:
    if a.lab != b.lab:
        return 0.5
    loss = 0.0 if flag_of(a) == flag_of(b) else 2.0
    if a.value != b.value:
        loss += 0.75 if max(a.value, b.value) < 1.5 * min(a.value, b.value) else 1.25
    if a.before != b.before:
        loss += 0.5
    return 5.0 - loss
