"""Layout of a report by hospital: header lines, headings, order and numbering."""

import random

from bimed_dist.synthetic.lexicon.tables import CT_REPORTS
from bimed_dist.synthetic.report_draft import Report
from bimed_dist.synthetic.sampling import weighted_choice


def _date(rng: random.Random, hospital: str) -> str:
    year, month, day = rng.randint(2012, 2023), rng.randint(1, 12), rng.randint(1, 28)
    return f"{year}-{month:02d}-{day:02d}" if hospital == "internal" else f"{year}.{month}.{day}"


def lay_out(report: Report) -> str:
    """Return the text of the report: header lines, then description and conclusion in the hospital's order."""
    rng, internal = report.rng, report.hospital == "internal"
    top = _header(report)
    findings, conclusions = rng.choice(CT_REPORTS["headings"][report.hospital])
    body = _body(report, findings)
    conclusion = _conclusion(report, conclusions)
    first_conclusion = not internal and rng.random() < 0.6
    parts = [*top, *conclusion, *body] if first_conclusion else [*top, *body, *conclusion]
    return "\n".join(part for part in parts if part)


def _header(report: Report) -> list[str]:
    rng, hospital, language = report.rng, report.hospital, report.language
    lines = []
    # Emboli are not seen without contrast.
    vessels = report.states["embolism"] != "unmentioned"
    kind = weighted_choice(rng, {"angio": 0.6, "contrast": 0.4} if vessels else {"contrast": 0.6, "native": 0.4})
    if rng.random() < 0.7:
        lines.append(rng.choice(CT_REPORTS["titles"][hospital][kind]))
    if rng.random() < 0.5:
        lines.append(f"{rng.choice(CT_REPORTS['request_label'][hospital])}: {report.request}")
    if rng.random() < 0.4:
        technique = rng.choice(CT_REPORTS["techniques"][language])[kind != "native"]
        lines.append(technique.format(n=rng.choice((1, 2, 3, 5))))
    if report.prior and rng.random() < 0.75:
        label = rng.choice(CT_REPORTS["comparison_label"][hospital])
        lines.append(f"{label}: {_date(rng, hospital)} {'chest CT' if _in_english(report) else '흉부 CT'}")
    return lines


def _in_english(report: Report) -> bool:
    return report.hospital == "internal" or report.language == "en"


def _body(report: Report, heading: str) -> list[str]:
    rng = report.rng
    sentences = list(report.description)
    style = (
        rng.choice(("lines", "prose", "dashes"))
        if report.hospital == "internal"
        else rng.choice(("prose", "lines", "stars"))
    )
    if style == "prose":
        return [heading, " ".join(sentences)]
    mark = {"lines": "", "dashes": "- ", "stars": "* "}[style]
    return [heading, *(mark + text for text in sentences)]


def _conclusion(report: Report, heading: str) -> list[str]:
    rng = report.rng
    lines = list(dict.fromkeys(report.conclusions))
    rng.shuffle(lines)
    if len(lines) == 1:
        return [heading, lines[0] + "."]
    form = (
        rng.choice(("{}. ", "{}) ", "#{}. ")) if report.hospital == "internal" else rng.choice(("({}) ", "{}. ", "- "))
    )
    return [heading, *(form.format(i) + text + "." for i, text in enumerate(lines, 1))]
