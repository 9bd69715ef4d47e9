"""Sentence pairs with similarity scores from 0 to 5, computed from the facts behind them (`findings.similarity`).

A pair starts from one or two facts; its second side has the same facts, changed facts or other facts. Both sides are
worded independently, so equal facts may share few words and unequal facts many.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from bimed_dist.errors import ConfigError
from bimed_dist.synthetic.findings import (
    Complaint,
    Fact,
    Finding,
    Prescription,
    actions_of,
    changes_of,
    draw_complaint,
    draw_finding,
    draw_lab,
    draw_prescription,
    draw_size,
    similarity,
)
from bimed_dist.synthetic.lexicon.tables import DRUGS, OBSERVATIONS, SITES, sites_of
from bimed_dist.synthetic.sampling import draw_distinct, draw_owned, require_split, weighted_choice
from bimed_dist.synthetic.wording import sentence


@dataclass(frozen=True)
class SentencePair:
    id: str
    first: str
    second: str
    score: float


@dataclass(frozen=True)
class GradedFacts:
    """The facts of a pair and their score."""

    first: tuple[Fact, ...]
    second: tuple[Fact, ...]
    score: float


_KINDS = {"finding": 0.55, "complaint": 0.17, "prescription": 0.15, "lab": 0.13}
# How the second fact is made from the first, with probabilities.
_PARTNERS = {"same": 0.18, "one change": 0.17, "two changes": 0.17, "denied": 0.12, "same kind": 0.14, "other": 0.22}
_DRAWS: dict[str, Callable[[random.Random], Fact]] = {
    "finding": draw_finding,
    "complaint": draw_complaint,
    "prescription": draw_prescription,
    "lab": draw_lab,
}


def generate_sentence_pairs(seed: int, split: str, count: int, language: str) -> list[SentencePair]:
    """Return `count` graded pairs in ko, en or mixed; splits share no sentence with each other or the corpus.

    Raises ConfigError for another language or an unknown split.
    """
    require_split(split)
    if language not in ("ko", "en", "mixed"):
        raise ConfigError(f"synthetic sentence pairs have no language {language!r}; use ko, en or mixed")

    def draw(rng: random.Random) -> tuple[str, tuple[str, str, float]] | None:
        facts = draw_facts(rng)
        # Mixed pairs also have whole Korean or English sentences, so that equal facts may share no word at all.
        weights = {"mixed": 0.6, "ko": 0.2, "en": 0.2} if language == "mixed" else {language: 1.0}

        def statement(side: tuple[Fact, ...]) -> str | None:
            return draw_owned(rng, split, lambda r: worded(side, weighted_choice(r, weights), r))

        first = statement(facts.first)
        second = statement(facts.second) if first else None
        if first is None or second is None or first == second:
            return None
        return first + "\t" + second, (first, second, facts.score)

    drawn = draw_distinct(("pairs", seed, split, language), count, draw)
    return [SentencePair(f"pair-{language}-{split}-{i:06d}", *parts) for i, parts in enumerate(drawn)]


def worded(facts: tuple[Fact, ...], language: str, rng: random.Random) -> str:
    """Word the facts in random order, one sentence each."""
    return " ".join(sentence(fact, language, rng) for fact in rng.sample(facts, len(facts)))


def draw_facts(rng: random.Random) -> GradedFacts:
    kind = weighted_choice(rng, _KINDS)
    first = _DRAWS[kind](rng)
    second = partner(rng, first, weighted_choice(rng, _PARTNERS))
    left, right = (first,), (second,)
    if rng.random() < 0.2:
        left, right = _widened(rng, kind, first, second)
    return GradedFacts(left, right, similarity(left, right))


def _widened(rng: random.Random, kind: str, first: Fact, second: Fact) -> tuple[tuple[Fact, ...], tuple[Fact, ...]]:
    """Return both sides with a second fact, in both or in the first only."""
    more = _DRAWS[kind](rng)
    while _subject(more) in (_subject(first), _subject(second)):
        more = _DRAWS[kind](rng)
    if rng.random() < 0.5:
        return (first, more), (second,)
    return (first, more), (second, partner(rng, more, weighted_choice(rng, {"same": 0.5, "one change": 0.5})))


def _subject(fact: Fact) -> str:
    if isinstance(fact, Finding):
        return fact.observation
    return fact.symptom if isinstance(fact, Complaint) else fact.drug if isinstance(fact, Prescription) else fact.lab


def partner(rng: random.Random, fact: Fact, relation: str) -> Fact:
    """Return the fact of the second side, in a relation of _PARTNERS to that of the first."""
    if relation == "same":
        return fact
    if relation == "other":
        kind = weighted_choice(rng, _KINDS)
        return _DRAWS[kind](rng)
    if relation == "same kind":
        return _of_same_kind(rng, fact)
    if relation == "denied":
        return _denied(rng, fact)
    changed = altered(rng, fact)
    return altered(rng, changed) if relation == "two changes" else changed


def _of_same_kind(rng: random.Random, fact: Fact) -> Fact:
    """Draw a different fact of the same kind; a finding at the same site or in the same region."""
    if isinstance(fact, Finding):
        region = SITES[fact.site].region
        names = [o.key for o in OBSERVATIONS.values() if fact.site in {s.key for s in sites_of(o.key)}]
        other = draw_finding(rng, rng.choice(names))
        if rng.random() < 0.6:
            return replace(other, site=fact.site, side=fact.side, size_mm=() if fact.side == "both" else other.size_mm)
        return (
            other if SITES[other.site].region == region else replace(other, site=fact.site, side=fact.side, size_mm=())
        )
    if isinstance(fact, Complaint):
        return draw_complaint(rng)
    if isinstance(fact, Prescription):
        same_kind = [key for key, drug in DRUGS.items() if drug.kind == DRUGS[fact.drug].kind and key != fact.drug]
        return draw_prescription(rng, rng.choice(same_kind) if same_kind else None)
    return draw_lab(rng)


def _denied(rng: random.Random, fact: Fact) -> Fact:
    """Return the opposite: absent for present, stopped for taken, a normal value for an abnormal one."""
    if isinstance(fact, Finding):
        if fact.status == "absent":
            return draw_like(rng, fact)
        return Finding(fact.observation, fact.site, fact.side, status="absent")
    if isinstance(fact, Complaint):
        return Complaint(fact.symptom, "present" if fact.status == "absent" else "absent")
    if isinstance(fact, Prescription):
        return replace(fact, action="start" if fact.action == "stop" else "stop")
    return draw_lab(rng, fact.lab, "normal")


def draw_like(rng: random.Random, fact: Finding) -> Finding:
    """Draw the same observation at the same site, present."""
    drawn = draw_finding(rng, fact.observation, {"present": 1.0})
    size = () if fact.side == "both" else drawn.size_mm
    return replace(drawn, site=fact.site, side=fact.side, size_mm=size)


def altered(rng: random.Random, fact: Fact) -> Fact:
    """Return the fact with one part changed."""
    if isinstance(fact, Finding):
        return _altered_finding(rng, fact)
    if isinstance(fact, Complaint):
        if fact.status == "absent":
            return draw_complaint(rng, fact.symptom)
        other = draw_complaint(rng, fact.symptom)
        part = rng.choice(("onset", "course"))
        return replace(fact, **{part: getattr(other, part)})
    if isinstance(fact, Prescription):
        part = rng.choice(("dose", "frequency", "action"))
        if part == "dose":
            dose = rng.choice(DRUGS[fact.drug].doses)
            action = fact.action if fact.action in actions_of(fact.drug, dose) else "take"
            return replace(fact, dose=dose, action=action)
        if part == "frequency":
            return replace(fact, frequency=rng.choice(DRUGS[fact.drug].frequencies))
        return replace(fact, action=rng.choice(actions_of(fact.drug, fact.dose)))
    return draw_lab(rng, fact.lab, rng.choice(("high", "low", "normal")))


def _altered_finding(rng: random.Random, fact: Finding) -> Finding:
    entry, site = OBSERVATIONS[fact.observation], SITES[fact.site]
    parts = ["site"] if len(sites_of(entry.key)) > 1 else []
    parts += ["side", "side"] if len(site.sides) > 1 else []
    if fact.status != "absent":
        parts += ["status", "quality"] if entry.qualities else ["status"]
        parts += ["size", "size"] if entry.size_mm and fact.side != "both" else []
    if fact.status == "present":
        parts.append("change")
    if not parts:
        return draw_like(rng, fact)
    part = rng.choice(parts)
    if part == "site":
        other = rng.choice([s for s in sites_of(entry.key) if s.key != fact.site])
        side = (
            rng.choice(other.sides)
            if other.sides and fact.side not in other.sides
            else fact.side
            if other.sides
            else ""
        )
        return replace(fact, site=other.key, side=side, size_mm=() if side == "both" else fact.size_mm)
    if part == "side":
        side = rng.choice([s for s in site.sides if s != fact.side])
        return replace(fact, side=side, size_mm=() if side == "both" else fact.size_mm)
    if part == "size" and entry.size_mm:
        return replace(fact, size_mm=draw_size(rng, entry.size_mm))
    if part == "quality":
        return replace(fact, quality=rng.choice([q for q in ("", *entry.qualities) if q != fact.quality]), change="")
    if part == "change":
        return replace(fact, change=rng.choice([c for c in ("", *changes_of(fact)) if c != fact.change]))
    return replace(fact, status="uncertain" if fact.status == "present" else "present", change="")
