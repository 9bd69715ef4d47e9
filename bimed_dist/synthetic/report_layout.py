"""How a hospital lays out its reports: headings, technique, order, numbering."""

import random

from bimed_dist.synthetic.chance import pick
from bimed_dist.synthetic.report_draft import Report

_TITLES = {
    "internal": {
        "contrast": ("CHEST CT (CE)", "Chest CT with contrast", "Chest CT, enhanced"),
        "native": ("Low dose chest CT", "HRCT, chest", "Chest CT (NE)"),
        "angio": ("Chest CT (PTE protocol)", "CT pulmonary angiography", "Chest CT angiography & CT venography"),
    },
    "external": {
        "contrast": ("흉부 전산화단층촬영(조영증강)", "CT Thorax with IV contrast", "Thoracic CT, enhanced"),
        "native": ("흉부 CT(비조영)", "CT Thorax without contrast", "저선량 흉부 CT"),
        "angio": ("폐동맥 CT 혈관조영", "CTPA", "Pulmonary CT angiogram"),
    },
}
# Without contrast, with contrast.
_TECHNIQUES = {
    "en": (
        ("Axial scan with {n} mm slice thickness.", "Axial scan with {n} mm slice thickness after IV contrast."),
        ("{n} mm axial and coronal reformatted images.", "{n} mm axial and coronal images after contrast injection."),
    ),
    "ko": (
        ("조영제 없이 {n} mm 두께로 촬영함.", "조영제 정맥 주입 후 {n} mm 두께로 촬영함."),
        ("{n} mm 간격의 횡단면과 관상면 영상으로 판독함.", "{n} mm 간격의 조영증강 횡단면 및 관상면 영상임."),
    ),
    "mixed": (
        ("Technique: {n} mm axial scan, non-enhanced.", "Technique: {n} mm axial scan, contrast enhancement 시행함."),
        ("{n}mm axial & coronal image로 판독함.", "{n}mm axial & coronal CE image로 판독함."),
    ),
}
_HEADINGS = {
    "internal": (
        ("[Findings]", "[Conclusion]"),
        ("Findings:", "Conclusion:"),
        ("<Finding>", "<Conclusion>"),
        ("", "Conclusion)"),
    ),
    "external": (
        ("판독소견", "결론"),
        ("DESCRIPTION", "IMPRESSION"),
        ("■ 영상 소견", "■ 판독 결론"),
        ("소견 :", "진단 의견 :"),
    ),
}


def _date(rng: random.Random, hospital: str) -> str:
    year, month, day = rng.randint(2012, 2023), rng.randint(1, 12), rng.randint(1, 28)
    return f"{year}-{month:02d}-{day:02d}" if hospital == "internal" else f"{year}.{month}.{day}"


def lay_out(report: Report) -> str:
    """The text: headers, then description and conclusion in the hospital's order."""
    rng, internal = report.rng, report.hospital == "internal"
    top = _header(report)
    before, after = rng.choice(_HEADINGS[report.hospital])
    body = _body(report, before)
    conclusion = _conclusion(report, after)
    first_conclusion = not internal and rng.random() < 0.6
    parts = [*top, *conclusion, *body] if first_conclusion else [*top, *body, *conclusion]
    return "\n".join(part for part in parts if part)


def _header(report: Report) -> list[str]:
    rng, hospital, language = report.rng, report.hospital, report.language
    lines = []
    # Emboli are not seen without contrast.
    vessels = report.states["embolism"] != "unmentioned"
    kind = pick(rng, {"angio": 0.6, "contrast": 0.4} if vessels else {"contrast": 0.6, "native": 0.4})
    if rng.random() < 0.7:
        lines.append(rng.choice(_TITLES[hospital][kind]))
    if rng.random() < 0.5:
        label = {"internal": ("C.I.", "Clinical info"), "external": ("임상 정보", "Indication", "의뢰 사유")}[hospital]
        lines.append(f"{rng.choice(label)}: {report.question}")
    if rng.random() < 0.4:
        lines.append(rng.choice(_TECHNIQUES[language])[kind != "native"].format(n=rng.choice((1, 2, 3, 5))))
    if report.prior and rng.random() < 0.75:
        label = {"internal": ("Comparison", "Compared with"), "external": ("비교 검사", "Prior", "비교")}[hospital]
        lines.append(f"{rng.choice(label)}: {_date(rng, hospital)} {'chest CT' if _in_english(report) else '흉부 CT'}")
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
