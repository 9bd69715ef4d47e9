"""Chest CT reports of two hospitals with three labels, made from structured facts.

A report has one state for each disease, which decides its label:

* present, probable, active -> true. `probable`: the radiologist commits to the diagnosis (consistent with, suggestive
  of, most likely, 의심됨, 합당한 소견). `active`: known disease under treatment, whatever its course.
* possible, negated, resolved, unmentioned -> false. `possible`: another cause is favoured (cannot be excluded, less
  likely, r/o, 배제할 수 없음). `resolved`: past disease without residue (a former pneumonia or embolus, a resected
  cancer without recurrence).

Pneumonia means infection, not radiation pneumonitis, oedema or interstitial disease. Cancer means malignancy in the
chest: lung cancer or metastasis. A disease named only in the request (r/o PTE) does not count.
"""

import random
from dataclasses import dataclass, replace

from bimed_dist.synthetic.findings import Finding, draw_size
from bimed_dist.synthetic.lexicon.tables import CT_REPORTS, OBSERVATIONS, SYMPTOMS, groups
from bimed_dist.synthetic.report_draft import LOBES, Report
from bimed_dist.synthetic.report_layout import lay_out
from bimed_dist.synthetic.sampling import draw_distinct, owner_of, require_split, sample_between, weighted_choice
from bimed_dist.synthetic.templates import capitalize, choose
from bimed_dist.synthetic.wording import word

LABELS = ("pneumonia", "embolism", "cancer")
POSITIVE = frozenset({"present", "probable", "active"})

_PREVALENCE = {
    "internal": {"pneumonia": 0.25, "embolism": 0.15, "cancer": 0.30},
    "external": {"pneumonia": 0.35, "embolism": 0.09, "cancer": 0.20},
}
_LANGUAGES = {"internal": {"mixed": 0.8, "en": 0.2}, "external": {"ko": 0.5, "en": 0.3, "mixed": 0.2}}
_IF_TRUE = {
    "pneumonia": {"present": 0.6, "probable": 0.4},
    "embolism": {"present": 0.7, "probable": 0.3},
    "cancer": {"present": 0.5, "probable": 0.25, "active": 0.25},
}
_IF_FALSE = {
    "pneumonia": {"unmentioned": 0.42, "negated": 0.26, "possible": 0.18, "resolved": 0.14},
    "embolism": {"unmentioned": 0.52, "negated": 0.32, "possible": 0.08, "resolved": 0.08},
    "cancer": {"unmentioned": 0.4, "negated": 0.2, "possible": 0.2, "resolved": 0.2},
}


@dataclass(frozen=True)
class CtReport:
    id: str
    text: str
    pneumonia: bool
    embolism: bool
    cancer: bool


def generate_ct_reports(seed: int, split: str, count: int) -> list[CtReport]:
    """Return `count` reports; `external` is another hospital. Splits share no text with each other or the corpus.

    Raises ConfigError for an unknown split.
    """
    require_split(split)
    hospital = "external" if split == "external" else "internal"

    def draw(rng: random.Random) -> tuple[str, tuple[str, dict[str, str]]] | None:
        text, states = write_report(rng, hospital)
        return (text, (text, states)) if owner_of(text) == split else None

    drawn = draw_distinct(("ct", seed, split), count, draw)
    return [
        CtReport(f"ct-{split}-{i:06d}", text, *(states[label] in POSITIVE for label in LABELS))
        for i, (text, states) in enumerate(drawn)
    ]


def write_report(
    rng: random.Random, hospital: str, language: str | None = None, for_corpus: bool = False
) -> tuple[str, dict[str, str]]:
    """Return the text of a report and the state of each disease."""
    states = draw_states(rng, hospital)
    needs_prior = any(state in ("resolved", "active") for state in states.values())
    report = Report(
        rng, hospital, language or weighted_choice(rng, _LANGUAGES[hospital]), needs_prior or rng.random() < 0.4, states
    )
    report.for_corpus = for_corpus
    if states["cancer"] == "resolved":
        report.resected = rng.choice(list(LOBES))
    for label in rng.sample(LABELS, len(LABELS)):
        _WRITERS[label](report, states[label])
    _incidentals(report)
    _normals(report)
    if not report.conclusions:
        report.conclude(CT_REPORTS["nothing"])
    report.request = draw_request(report)
    return lay_out(report), states


def draw_states(rng: random.Random, hospital: str) -> dict[str, str]:
    states = {}
    for label, share in _PREVALENCE[hospital].items():
        states[label] = weighted_choice(rng, (_IF_TRUE if rng.random() < share else _IF_FALSE)[label])
    return states


def _pneumonia(report: Report, state: str) -> None:
    rng, slots = report.rng, {"d": report.disease_name("pneumonia")}
    if state in POSITIVE or state == "possible":
        finding = report.draw_finding(rng.choice(groups().airspace))
        finding = replace(finding, change="" if finding.change == "stable" else finding.change)
        report.describe(finding)
        second = rng.choice([o for o in groups().airspace if o != finding.observation])
        if state != "possible" and rng.random() < 0.45:
            report.describe(report.draw_finding(second))
        _commit(report, "pneumonia", state, finding, slots)
    elif state == "resolved":
        report.conclude(CT_REPORTS["resolved"]["pneumonia"], report.draw_finding("consolidation"), **slots)
    elif state == "negated":
        report.conclude(CT_REPORTS["negated"]["pneumonia"], **slots)
    if state not in POSITIVE and state != "possible" and rng.random() < 0.3:
        _mimic(report, "pneumonia")


def _embolism(report: Report, state: str) -> None:
    rng, slots = report.rng, {"d": report.disease_name("embolism")}
    if state in POSITIVE or state == "possible":
        status = "present" if state == "present" else "uncertain"
        finding = replace(report.draw_finding("filling defect", status), change="", size_mm=())
        report.describe(finding)
        _commit(report, "embolism", state, finding, slots)
    elif state == "resolved":
        report.conclude(CT_REPORTS["resolved"]["embolism"], report.draw_finding("filling defect"), **slots)
    elif state == "negated":
        if rng.random() < 0.5:
            report.describe(report.draw_finding("filling defect", "absent"))
        report.conclude(CT_REPORTS["negated"]["embolism"], **slots)


def _cancer(report: Report, state: str) -> None:
    rng, slots = report.rng, {"d": report.disease_name("cancer")}
    may_have_look_alike = state in ("negated", "resolved", "unmentioned")
    metastasis = state in ("present", "active") and rng.random() < 0.35
    if metastasis:
        _metastasis(report)
    elif state in POSITIVE or state == "possible":
        finding = _tumour(report, state)
        report.describe(finding)
        if state != "possible" and rng.random() < 0.4:
            report.describe(report.draw_finding("lymph node enlargement"))
        if state == "active":
            slots["c"] = rng.choice(CT_REPORTS["course"][finding.change][report.language])
            report.conclude(CT_REPORTS["active"], finding, **slots)
        else:
            _commit(report, "cancer", state, finding, slots)
    elif state == "resolved":
        slots["op"] = CT_REPORTS["operations"][report.resected][report.language]
        if rng.random() < 0.5:
            may_have_look_alike = False
            report.description.append(CT_REPORTS["operated"][report.language].format(op=slots["op"]))
        report.conclude(CT_REPORTS["resolved"]["cancer"], **slots)
    elif state == "negated":
        report.conclude(CT_REPORTS["negated"]["cancer"], **slots)
    if may_have_look_alike and rng.random() < 0.3:
        _mimic(report, "cancer")


def _tumour(report: Report, state: str) -> Finding:
    """Draw a mass or nodule at one site, with a size that fits its certainty."""
    rng = report.rng
    observation = "nodule" if state == "possible" else rng.choice(("mass", "mass", "nodule"))
    finding = report.draw_finding(observation, single=True)
    span = OBSERVATIONS[observation].size_mm or (10, 20)
    least, most = (5, 14) if state == "possible" else (max(span[0], 12), span[1])
    quality = "" if finding.quality in ("calcified", "well-defined") else finding.quality
    change = finding.change
    if state == "active":
        change = rng.choice(("increased", "decreased", "stable"))
    elif change == "decreased":
        change = ""
    return replace(finding, size_mm=draw_size(rng, (least, most)), quality=quality, change=change)


def _metastasis(report: Report) -> None:
    site = report.rng.choice(("lung", "lower lobe", "lung"))
    finding = Finding(
        "nodule", site, "both", change=report.rng.choice(("new", "increased", "")) if report.prior else ""
    )
    if report.resected:
        finding = replace(finding, site="lung")
    report.describe(finding)
    report.reported.add("mass")
    report.conclude(CT_REPORTS["metastasis"], finding, p=report.rng.choice(CT_REPORTS["primaries"][report.language]))


def _commit(report: Report, label: str, state: str, finding: Finding, slots: dict[str, str]) -> None:
    """Add the conclusion with the certainty of `state`."""
    if state == "present":
        report.conclude(CT_REPORTS["present"][label], finding, **slots)
    elif state == "probable":
        report.conclude(CT_REPORTS["probable"], finding, **slots)
    else:
        cause = report.rng.choice(CT_REPORTS["alternatives"][label][report.language])
        report.conclude(CT_REPORTS["possible"], finding, alt=cause, **slots)


def _mimic(report: Report, label: str) -> None:
    mimic = report.rng.choice(CT_REPORTS["mimics"][label])
    observation = mimic["observation"]
    if observation in report.reported:
        return
    finding = report.draw_finding(observation, single=label == "cancer")
    if label == "cancer":
        finding = replace(finding, size_mm=draw_size(report.rng, (4, 12)), quality="calcified", change="")
    else:
        site = "lower lobe" if not report.resected and report.rng.random() < 0.5 else "lung"
        change = "" if finding.change == "new" else finding.change
        finding = replace(finding, site=site, side="both", quality="", change=change)
    report.describe(finding)
    report.conclude({report.language: (mimic[report.language],)}, finding)


_WRITERS = {"pneumonia": _pneumonia, "embolism": _embolism, "cancer": _cancer}


def _incidentals(report: Report) -> None:
    rng = report.rng
    for observation, share in groups().incidental.items():
        if observation in report.reported or rng.random() >= share:
            continue
        finding = report.draw_finding(observation)
        if observation == "lymph node enlargement":
            finding = replace(finding, quality="calcified", change="")
        report.describe(finding)
        if rng.random() < 0.45:
            repeated = replace(finding, change=finding.change if rng.random() < 0.5 else "")
            report.conclusions.append(capitalize(report.say(repeated, report.language).rstrip(".")))


def _normals(report: Report) -> None:
    """Add statements that organs are normal, except organs with a reported finding."""
    rng, used = report.rng, report.reported
    possible = ["heart", "airway", "aorta", "pneumothorax"]
    possible += [name for name in ("pleural effusion", "lymph node enlargement") if name not in used]
    possible += ["abdomen"] if not used.intersection(groups().abdominal) else []
    possible += ["bone"] if "fracture" not in used else []
    possible += ["veins"] if report.states["embolism"] != "unmentioned" else []
    names = sample_between(rng, possible, 1, 4)
    lines = [rng.choice(CT_REPORTS["normals"][name][report.language]) + "." for name in names]
    if rng.random() < 0.5:
        report.description.extend(lines)
    else:
        report.description = lines[:1] + report.description + lines[1:]


def draw_request(report: Report) -> str:
    """Return why the examination was requested: unrelated to the labels, except that a known tumour is mentioned."""
    rng, language = report.rng, report.language
    if report.states["cancer"] in ("active", "resolved") and rng.random() < 0.7:
        return CT_REPORTS["known"][language].format(d=report.disease_name("cancer"))
    disease = report.disease_name(rng.choice(LABELS))
    symptom = word(SYMPTOMS[rng.choice(groups().ct_symptoms)], language, rng)
    return choose(rng, CT_REPORTS["requests"][language], symptom=symptom, d=disease)
