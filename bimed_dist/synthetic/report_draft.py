"""A chest CT report while it is being written: what was said, what was seen where, and how the next line is worded."""

import random
from dataclasses import dataclass, field

from bimed_dist.synthetic import report_phrases as phrases
from bimed_dist.synthetic.findings import Finding, draw_finding
from bimed_dist.synthetic.imaging import capital, site_text, size_text
from bimed_dist.synthetic.particles import resolve
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
    lost: str = ""
    """The lobe that was resected."""
    for_corpus: bool = False
    question: str = ""
    """Why the examination was asked for."""
    used: set[str] = field(default_factory=set)
    """Observations already reported: none is said twice, and none is first seen and then denied."""
    taken: set[str] = field(default_factory=set)
    """Sites in the lung that a disease already has."""
    description: list[str] = field(default_factory=list)
    conclusions: list[str] = field(default_factory=list)

    def spoken(self) -> str:
        """The language of the next sentence: a mixed report has some whole English ones."""
        return "en" if self.language == "mixed" and self.rng.random() < 0.15 else self.language

    def describe(self, finding: Finding) -> None:
        self.used.add(finding.observation)
        self.taken.add(finding.site)
        say = corpus_sentence if self.for_corpus else sentence
        self.description.append(say(finding, self.spoken(), self.rng))

    def conclude(self, forms: dict[str, tuple[str, ...]], finding: Finding | None = None, **slots: str) -> None:
        said = {"s": site_text(finding, self.language, self.rng) if finding else "", **slots}
        if finding is not None and finding.size_mm:
            said["z"] = size_text(finding.size_mm, self.language, self.rng)
        options = [form for form in forms[self.language] if "{z}" not in form or "z" in said]
        self.conclusions.append(capital(resolve(self.rng.choice(options).format(**said))).rstrip("."))

    def name(self, label: str) -> str:
        return self.rng.choice(phrases.NAMES[self.hospital][label][self.language])

    def find(self, observation: str, status: str = "present", single: bool = False) -> Finding:
        """A finding at a site that is there and not yet taken."""
        while True:
            finding = draw_finding(self.rng, observation, {status: 1.0}, prior=self.prior)
            if self._is_lost(finding) or finding.site in self.taken or (single and finding.side == "both"):
                continue
            if finding.site == "axilla" or (single and finding.site in ("lung", "lung base")):
                continue
            return finding

    def _is_lost(self, finding: Finding) -> bool:
        if not self.lost:
            return False
        lobe, side = LOBES[self.lost]
        same_lobe = finding.site == lobe and finding.side in (side, "both")
        apex = finding.site in ("lung apex", "lung base") and finding.side in (side, "both")
        lingula = finding.site == "lingula" and self.lost == "LUL"
        artery = finding.site == f"{lobe.split()[0]} lobar pulmonary artery" and finding.side in (side, "both")
        return same_lobe or apex or lingula or artery or self.lost in finding.site
