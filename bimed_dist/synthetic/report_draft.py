"""A chest CT report while it is written: findings so far, and the wording of the next line."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bimed_dist.synthetic.findings import Finding, draw_finding
from bimed_dist.synthetic.imaging import site_text, size_text
from bimed_dist.synthetic.lexicon.tables import CT_REPORTS
from bimed_dist.synthetic.particles import resolve
from bimed_dist.synthetic.templates import capitalize, choose
from bimed_dist.synthetic.wording import corpus_sentence, sentence

LOBES = {"RUL": ("upper lobe", "right"), "RML": ("middle lobe", "right"), "RLL": ("lower lobe", "right")}
LOBES |= {"LUL": ("upper lobe", "left"), "LLL": ("lower lobe", "left")}


@dataclass
class Report:
    rng: random.Random
    hospital: str
    language: str
    prior: bool
    """Whether there is an earlier examination to compare with."""
    states: dict[str, str]
    """State of each label's disease."""
    resected: str = ""
    """The lobe that was removed, if any."""
    for_corpus: bool = False
    request: str = ""
    """Why the examination was requested."""
    reported: set[str] = field(default_factory=set)
    """Observations already reported: each is reported once at most and not denied afterwards."""
    occupied: set[str] = field(default_factory=set)
    """Sites that a finding already has."""
    description: list[str] = field(default_factory=list)
    conclusions: list[str] = field(default_factory=list)

    def draw_language(self) -> str:
        """Draw the language of the next sentence: a mixed report has some whole English ones."""
        return "en" if self.language == "mixed" and self.rng.random() < 0.15 else self.language

    def say(self, finding: Finding, language: str) -> str:
        return (corpus_sentence if self.for_corpus else sentence)(finding, language, self.rng)

    def describe(self, finding: Finding) -> None:
        """Add a sentence on `finding` to the description."""
        self.reported.add(finding.observation)
        self.occupied.add(finding.site)
        self.description.append(self.say(finding, self.draw_language()))

    def conclude(self, phrases: Mapping[str, Sequence[str]], finding: Finding | None = None, **slots: str) -> None:
        """Add one of the phrases of the report's language to the conclusions; `{s}` and `{z}` come from `finding`."""
        slots = {"s": site_text(finding, self.language, self.rng) if finding else "", **slots}
        if finding is not None and finding.size_mm:
            slots["z"] = size_text(finding.size_mm, self.language, self.rng)
        options = [phrase for phrase in phrases[self.language] if "{z}" not in phrase or "z" in slots]
        self.conclusions.append(capitalize(resolve(choose(self.rng, options, **slots))).rstrip("."))

    def disease_name(self, label: str) -> str:
        return self.rng.choice(CT_REPORTS["names"][self.hospital][label][self.language])

    def draw_finding(self, observation: str, status: str = "present", single: bool = False) -> Finding:
        """Draw a finding at a site that was not resected and has none yet; `single`: at one place only."""
        while True:
            finding = draw_finding(self.rng, observation, {status: 1.0}, prior=self.prior)
            if self._is_resected(finding) or finding.site in self.occupied or (single and finding.side == "both"):
                continue
            if finding.site == "axilla" or (single and finding.site in ("lung", "lung base")):
                continue
            return finding

    def _is_resected(self, finding: Finding) -> bool:
        if not self.resected:
            return False
        lobe, side = LOBES[self.resected]
        same_lobe = finding.site == lobe and finding.side in (side, "both")
        apex = finding.site in ("lung apex", "lung base") and finding.side in (side, "both")
        lingula = finding.site == "lingula" and self.resected == "LUL"
        artery = finding.site == f"{lobe.split()[0]} lobar pulmonary artery" and finding.side in (side, "both")
        return same_lobe or apex or lingula or artery or self.resected in finding.site
