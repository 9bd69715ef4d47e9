"""Chest CT reports of two hospitals, written from structured facts, with three labels.

What a label means. The report's facts hold one state for each disease:

* present, probable, active -> label true. `probable` is how a radiologist commits to a diagnosis: consistent with,
  suggestive of, most likely, 의심됨, 합당한 소견. `active` is known disease under treatment, whatever its course.
* possible, negated, resolved, unmentioned -> label false. `possible` is a differential that another cause leads:
  cannot be excluded, less likely, r/o beside a favoured cause, 배제할 수 없음. `resolved` is past disease of which
  nothing is left (a former pneumonia or embolus, a resected cancer without recurrence).

Pneumonia means infection: radiation pneumonitis, oedema and interstitial disease are not. Cancer means malignancy in
the chest: lung cancer or metastasis. A disease named only as clinical question (r/o PTE) doesn't count.
"""

import random
from dataclasses import dataclass, replace

from bimed_dist.synthetic import report_phrases as phrases
from bimed_dist.synthetic.anatomy import OBSERVATIONS
from bimed_dist.synthetic.chance import checked_split, distinct, owner_of, pick, some
from bimed_dist.synthetic.findings import Finding, draw_size
from bimed_dist.synthetic.imaging import capital
from bimed_dist.synthetic.medicine import SYMPTOMS
from bimed_dist.synthetic.report_draft import LOBES, Report
from bimed_dist.synthetic.report_layout import lay_out
from bimed_dist.synthetic.wording import corpus_sentence, sentence, word

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
_AIRSPACE = ("consolidation", "ground-glass opacity", "tree-in-bud opacity")
_INCIDENTAL = {
    "emphysema": 0.14,
    "bronchiectasis": 0.1,
    "fibrotic scar": 0.14,
    "atelectasis": 0.14,
    "reticulation": 0.05,
    "pleural effusion": 0.2,
    "pleural thickening": 0.06,
    "lymph node enlargement": 0.08,
    "renal cyst": 0.08,
    "hepatic cyst": 0.1,
    "gallstone": 0.06,
    "thyroid nodule": 0.06,
    "adrenal nodule": 0.04,
    "fracture": 0.07,
}
_ABDOMINAL = ("renal cyst", "hepatic cyst", "gallstone", "adrenal nodule")
_OPERATIONS = {
    "RUL": ("S/P RUL lobectomy", "S/P right upper lobectomy", "우상엽 절제술"),
    "RML": ("S/P RML lobectomy", "S/P right middle lobectomy", "우중엽 절제술"),
    "RLL": ("S/P RLL lobectomy", "S/P right lower lobectomy", "우하엽 절제술"),
    "LUL": ("S/P LUL lobectomy", "S/P left upper lobectomy", "좌상엽 절제술"),
    "LLL": ("S/P LLL lobectomy", "S/P left lower lobectomy", "좌하엽 절제술"),
}


@dataclass(frozen=True)
class CtReport:
    id: str
    text: str
    pneumonia: bool
    embolism: bool
    cancer: bool


def generate_ct_reports(seed: int, split: str, count: int) -> list[CtReport]:
    """`count` reports; `external` is the other hospital. No split shares a text with another or with the corpus."""
    hospital = "external" if checked_split(split) == "external" else "internal"

    def draw(rng: random.Random) -> tuple[str, tuple[str, dict[str, str]]] | None:
        text, states = write_report(rng, hospital)
        return (text, (text, states)) if owner_of(text) == split else None

    drawn = distinct(("ct", seed, split), count, draw)
    return [
        CtReport(f"ct-{split}-{i:06d}", text, *(states[label] in POSITIVE for label in LABELS))
        for i, (text, states) in enumerate(drawn)
    ]


def write_report(
    rng: random.Random, hospital: str, language: str | None = None, for_corpus: bool = False
) -> tuple[str, dict[str, str]]:
    """A report and the state of each of its three diseases."""
    states = draw_states(rng, hospital)
    needs_prior = any(state in ("resolved", "active") for state in states.values())
    report = Report(
        rng, hospital, language or pick(rng, _LANGUAGES[hospital]), needs_prior or rng.random() < 0.4, states
    )
    report.for_corpus = for_corpus
    if states["cancer"] == "resolved":
        report.lost = rng.choice(list(LOBES))
    for label in rng.sample(LABELS, len(LABELS)):
        _WRITERS[label](report, states[label])
    _incidentals(report)
    _normals(report)
    if not report.conclusions:
        report.conclude(_NOTHING)
    report.question = clinical_question(report)
    return lay_out(report), states


def draw_states(rng: random.Random, hospital: str) -> dict[str, str]:
    states = {}
    for label, share in _PREVALENCE[hospital].items():
        states[label] = pick(rng, (_IF_TRUE if rng.random() < share else _IF_FALSE)[label])
    return states


_NOTHING = {
    "mixed": ("No significant abnormality in chest", "특이 소견 없음", "No active lung lesion"),
    "en": ("No acute cardiopulmonary abnormality", "Unremarkable chest CT"),
    "ko": ("특이 소견 없음", "흉부 CT상 의미 있는 이상 소견 없음"),
}


def _pneumonia(report: Report, state: str) -> None:
    rng, slots = report.rng, {"d": report.name("pneumonia")}
    if state in POSITIVE or state == "possible":
        finding = report.find(rng.choice(_AIRSPACE))
        finding = replace(finding, change="" if finding.change == "stable" else finding.change)
        report.describe(finding)
        second = rng.choice([o for o in _AIRSPACE if o != finding.observation])
        if state != "possible" and rng.random() < 0.45:
            report.describe(report.find(second))
        _commit(report, "pneumonia", state, finding, slots)
    elif state == "resolved":
        report.conclude(phrases.RESOLVED["pneumonia"], report.find("consolidation"), **slots)
    elif state == "negated":
        report.conclude(phrases.NEGATED["pneumonia"], **slots)
    if state not in POSITIVE and state != "possible" and rng.random() < 0.3:
        _mimic(report, "pneumonia")


def _embolism(report: Report, state: str) -> None:
    rng, slots = report.rng, {"d": report.name("embolism")}
    if state in POSITIVE or state == "possible":
        status = "present" if state == "present" else "uncertain"
        finding = replace(report.find("filling defect", status), change="", size_mm=())
        report.describe(finding)
        _commit(report, "embolism", state, finding, slots)
    elif state == "resolved":
        report.conclude(phrases.RESOLVED["embolism"], report.find("filling defect"), **slots)
    elif state == "negated":
        if rng.random() < 0.5:
            report.describe(report.find("filling defect", "absent"))
        report.conclude(phrases.NEGATED["embolism"], **slots)


def _cancer(report: Report, state: str) -> None:
    rng, slots = report.rng, {"d": report.name("cancer")}
    metastasis = state in ("present", "active") and rng.random() < 0.35
    if metastasis:
        _metastasis(report)
    elif state in POSITIVE or state == "possible":
        finding = _tumour(report, state)
        report.describe(finding)
        if state != "possible" and rng.random() < 0.4:
            report.describe(report.find("lymph node enlargement"))
        if state == "active":
            slots["c"] = rng.choice(phrases.COURSE[finding.change][report.language])
            report.conclude(phrases.ACTIVE, finding, **slots)
        else:
            _commit(report, "cancer", state, finding, slots)
    elif state == "resolved":
        mixed, english, korean = _OPERATIONS[report.lost]
        slots["op"] = {"mixed": mixed, "en": english, "ko": korean}[report.language]
        if rng.random() < 0.5:
            state = {"mixed": f"{mixed} state", "en": f"{english} state", "ko": f"{korean} 후 상태임"}[report.language]
            report.description.append(state + ".")
        report.conclude(phrases.RESOLVED["cancer"], **slots)
    elif state == "negated":
        report.conclude(phrases.NEGATED["cancer"], **slots)
    if state in ("negated", "resolved", "unmentioned") and rng.random() < 0.3:
        _mimic(report, "cancer")


def _tumour(report: Report, state: str) -> Finding:
    """A mass or nodule at one place, with a size that fits its certainty."""
    rng = report.rng
    observation = "nodule" if state == "possible" else rng.choice(("mass", "mass", "nodule"))
    finding = report.find(observation, single=True)
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
    if report.lost:
        finding = replace(finding, site="lung")
    report.describe(finding)
    report.used.add("mass")
    report.conclude(phrases.METASTASIS, finding, p=report.rng.choice(phrases.PRIMARIES[report.language]))


def _commit(report: Report, label: str, state: str, finding: Finding, slots: dict[str, str]) -> None:
    """The conclusion that says how sure the radiologist is."""
    if state == "present":
        report.conclude(phrases.PRESENT[label], finding, **slots)
    elif state == "probable":
        report.conclude(phrases.PROBABLE, finding, **slots)
    else:
        cause = report.rng.choice(phrases.ALTERNATIVES[label][report.language])
        report.conclude(phrases.POSSIBLE, finding, alt=cause, **slots)


def _mimic(report: Report, label: str) -> None:
    observation, forms = report.rng.choice(phrases.MIMICS[label])
    if observation in report.used:
        return
    finding = report.find(observation, single=label == "cancer")
    if label == "cancer":
        finding = replace(finding, size_mm=draw_size(report.rng, (4, 12)), quality="calcified", change="")
    else:
        site = "lower lobe" if not report.lost and report.rng.random() < 0.5 else "lung"
        change = "" if finding.change == "new" else finding.change
        finding = replace(finding, site=site, side="both", quality="", change=change)
    report.describe(finding)
    report.conclude({language: (form,) for language, form in forms.items()}, finding)


_WRITERS = {"pneumonia": _pneumonia, "embolism": _embolism, "cancer": _cancer}


def _incidentals(report: Report) -> None:
    rng = report.rng
    for observation, share in _INCIDENTAL.items():
        if observation in report.used or rng.random() >= share:
            continue
        finding = report.find(observation)
        if observation == "lymph node enlargement":
            finding = replace(finding, quality="calcified", change="")
        report.describe(finding)
        if rng.random() < 0.45:
            say = corpus_sentence if report.for_corpus else sentence
            plain = say(replace(finding, change=finding.change if rng.random() < 0.5 else ""), report.language, rng)
            report.conclusions.append(capital(plain.rstrip(".")))


def _normals(report: Report) -> None:
    """What is said to be normal: never what was reported as seen."""
    rng, used = report.rng, report.used
    possible = ["heart", "airway", "aorta", "pneumothorax"]
    possible += [name for name in ("pleural effusion", "lymph node enlargement") if name not in used]
    possible += ["abdomen"] if not used.intersection(_ABDOMINAL) else []
    possible += ["bone"] if "fracture" not in used else []
    possible += ["veins"] if report.states["embolism"] != "unmentioned" else []
    lines = [rng.choice(phrases.NORMALS[name][report.language]) + "." for name in some(rng, possible, 1, 4)]
    if rng.random() < 0.5:
        report.description.extend(lines)
    else:
        report.description = lines[:1] + report.description + lines[1:]


def clinical_question(report: Report) -> str:
    """Why the examination was asked for; independent of the labels except that a known tumour is mentioned."""
    rng, language = report.rng, report.language
    if report.states["cancer"] in ("active", "resolved") and rng.random() < 0.7:
        known = report.name("cancer")
        return {"en": f"{known}, follow-up", "ko": f"{known} 추적 검사", "mixed": f"{known} f/u"}[language]
    asked = report.name(rng.choice(LABELS))
    symptom = word(
        SYMPTOMS[rng.choice(("dyspnea", "cough", "fever", "chest pain", "hemoptysis", "sputum"))], language, rng
    )
    return rng.choice(
        {
            "en": (f"{symptom}, rule out {asked}", symptom, f"{symptom} on admission", f"evaluation for {asked}"),
            "ko": (f"{symptom}, {asked} 의증", symptom, f"{symptom}의 원인 평가", f"{asked} 여부 확인"),
            "mixed": (f"{symptom}, r/o {asked}", symptom, f"r/o {asked}", f"{symptom} w/u"),
        }[language]
    )
