"""Facts to sentences, in Korean, English, or mixed as Korean doctors write: chance chooses words, never content."""

import random

from bimed_dist.synthetic.chance import CORPUS, owned
from bimed_dist.synthetic.findings import Complaint, Fact, Finding, LabValue, Prescription, flag_of
from bimed_dist.synthetic.imaging import capital, clause
from bimed_dist.synthetic.medicine import DRUGS, FREQUENCIES, LABS, SYMPTOMS, Term
from bimed_dist.synthetic.particles import resolve

_UNITS_KO = {"day": ("일",), "week": ("주",), "month": ("개월", "달")}


def word(term: Term, language: str, rng: random.Random) -> str:
    """One of the term's wordings in `language`."""
    return rng.choice({"en": term.en, "ko": term.ko, "mixed": term.mixed}[language])


def corpus_sentence(fact: Fact, language: str, rng: random.Random) -> str:
    """A sentence for the corpus, so worded that it is in no task's split."""
    return owned(rng, CORPUS, lambda r: sentence(fact, language, r)) or sentence(fact, language, rng)


def sentence(fact: Fact, language: str, rng: random.Random) -> str:
    """One sentence (with its full stop) that says `fact` and no more."""
    if isinstance(fact, Finding):
        text = clause(fact, language, rng)
    elif isinstance(fact, Complaint):
        text = {"en": _complaint_en, "ko": _complaint_ko, "mixed": _complaint_mixed}[language](fact, rng)
    elif isinstance(fact, Prescription):
        text = {"en": _prescription_en, "ko": _prescription_ko, "mixed": _prescription_mixed}[language](fact, rng)
    else:
        text = {"en": _lab_en, "ko": _lab_ko, "mixed": _lab_mixed}[language](fact, rng)
    text = resolve(text).rstrip(".") + "."
    return capital(text) if language == "en" else text


# ---------------------------------------------------------------------------------------------------------- complaints


def onset_text(onset: tuple[int, str], language: str, rng: random.Random) -> str:
    """`for 3 days`, or `3일 전부터`."""
    number, unit = onset
    if language == "en":
        return f"for {number} {unit}{'s' if number > 1 else ''}"
    if unit == "day" and number in (1, 2, 3) and language == "ko" and rng.random() < 0.4:
        return f"{ {1: '하루', 2: '이틀', 3: '사흘'}[number] } 전부터"
    if unit == "month" and number in (1, 2) and rng.random() < 0.4:
        return f"{ {1: '한', 2: '두'}[number] } 달 전부터"
    return f"{number}{rng.choice(_UNITS_KO[unit]) if unit != 'month' else '개월'} 전부터"


def _complaint_en(fact: Complaint, rng: random.Random) -> str:
    name = word(SYMPTOMS[fact.symptom], "en", rng)
    who = "the patient"
    if fact.status == "absent":
        return rng.choice(
            (
                f"{who} denies {name}",
                f"there is no {name}",
                f"no {name} was reported",
                f"{who} has no {name}",
                f"no {name}",
            )
        )
    since = onset_text(fact.onset, "en", rng) if fact.onset else ""
    ago = f"{since.removeprefix('for ')} ago" if since else ""
    course = rng.choice(
        {
            "": ("",),
            "worse": (", getting worse", ", which is worsening"),
            "better": (", now improving", ", which has improved"),
        }[fact.course]
    )
    choices = [
        f"{who} complains of {name} {since}{course}",
        f"{who} has had {name} {since}{course}",
        f"{name} {since}{course}",
    ]
    if ago:
        choices += [f"{name} began {ago}{course}", f"{who} presented with {name} that started {ago}{course}"]
    return rng.choice(choices).replace("  ", " ").replace(" ,", ",").strip()


def _complaint_ko(fact: Complaint, rng: random.Random) -> str:
    name = word(SYMPTOMS[fact.symptom], "ko", rng)
    if fact.status == "absent":
        return rng.choice(
            (f"{name}[은/는] 없음", f"{name}[은/는] 호소하지 않음", f"{name} 증상은 없다고 함", f"{name}[을/를] 부인함")
        )
    since = onset_text(fact.onset, "ko", rng) + " " if fact.onset else ""
    if fact.course:
        ends = {
            "worse": ("점차 심해짐", "악화되는 양상임", "점점 악화됨"),
            "better": ("호전되는 양상임", "점차 좋아짐", "호전됨"),
        }
        return rng.choice(
            (f"{since}{name}[이/가] 있었으며 ", f"{since}시작된 {name}[이/가] " if since else f"{name}[이/가] ")
        ) + rng.choice(ends[fact.course])
    return rng.choice(
        (
            f"{since}{name}[이/가] 있음",
            f"{since}{name}[을/를] 호소함",
            f"환자는 {since}{name}[이/가] 있다고 함",
            f"{since}발생한 {name}[으로/로] 내원함",
        )
    )


def _complaint_mixed(fact: Complaint, rng: random.Random) -> str:
    name = word(SYMPTOMS[fact.symptom], "mixed", rng)
    if fact.status == "absent":
        return rng.choice(
            (f"{name} (-)", f"{name}[은/는] 호소하지 않음", f"{name} 없음", f"{name} denial함", f"no {name}")
        )
    since = onset_text(fact.onset, "mixed", rng) + " " if fact.onset else ""
    if fact.course:
        ends = {
            "worse": ("aggravation됨", "점점 심해짐", "worsening 양상임"),
            "better": ("호전 중임", "improving state임", "많이 좋아짐"),
        }
        return (
            f"{since}{name} "
            + rng.choice(("있었으며 ", "발생하여 " if since else "있다가 "))
            + rng.choice(ends[fact.course])
        )
    return rng.choice(
        (
            f"{since}{name} 있음",
            f"{since}{name} 호소함",
            f"{since}{name}[으로/로] 내원함",
            f"{since}{name} (+)",
            f"{since}{name} develop함",
        )
    )


# ------------------------------------------------------------------------------------------------ drugs and laboratory


def _prescription_en(fact: Prescription, rng: random.Random) -> str:
    often = rng.choice(FREQUENCIES[fact.frequency][0])
    taken = f"{fact.drug} {fact.dose} {often}"
    return rng.choice(
        {
            "take": (
                f"continue {taken}",
                f"the patient takes {taken}",
                f"currently on {taken}",
                f"{taken} is maintained",
            ),
            "start": (f"{taken} was started", f"start {taken}", f"treatment with {taken} was initiated"),
            "stop": (f"{taken} was discontinued", f"stop {taken}", f"the patient no longer takes {taken}"),
            "increase": (
                f"{fact.drug} was increased to {fact.dose} {often}",
                f"increase {fact.drug} to {fact.dose} {often}",
            ),
            "decrease": (
                f"{fact.drug} was reduced to {fact.dose} {often}",
                f"reduce {fact.drug} to {fact.dose} {often}",
            ),
        }[fact.action]
    )


_ROUTES_KO = {
    "po": ("복용", "투약"),
    "iv": ("정맥 투여", "정주"),
    "sc": ("피하주사", "피하 투여"),
    "inh": ("흡입", "흡입 투여"),
}


def _prescription_ko(fact: Prescription, rng: random.Random) -> str:
    drug, often = DRUGS[fact.drug], rng.choice(FREQUENCIES[fact.frequency][1])
    way = rng.choice(_ROUTES_KO[drug.route])
    taken = f"{drug.ko} {fact.dose}[을/를] {often}"
    return rng.choice(
        {
            "take": (f"{taken} {way} 중임", f"{taken} {way}함", f"{drug.ko} {fact.dose} {often} {way} 유지함"),
            "start": (f"{taken} {way} 시작함", f"{drug.ko} {fact.dose} {often} {way}[을/를] 새로 시작함"),
            "stop": (
                f"{often} {way}하던 {drug.ko} {fact.dose}[을/를] 중단함",
                f"{drug.ko} {fact.dose} {often} {way} 중지함",
            ),
            "increase": (
                f"{drug.ko}[을/를] {often} {fact.dose}[으로/로] 증량함",
                f"{drug.ko} 용량을 {often} {fact.dose}[으로/로] 늘림",
            ),
            "decrease": (
                f"{drug.ko}[을/를] {often} {fact.dose}[으로/로] 감량함",
                f"{drug.ko} 용량을 {often} {fact.dose}[으로/로] 줄임",
            ),
        }[fact.action]
    )


def _prescription_mixed(fact: Prescription, rng: random.Random) -> str:
    drug = DRUGS[fact.drug]
    often = rng.choice((fact.frequency, rng.choice(FREQUENCIES[fact.frequency][1])))
    dose = fact.dose.replace(" ", rng.choice(("", " ")))
    taken = f"{fact.drug} {dose} {often}{rng.choice(('', ' ' + drug.route)) if often == fact.frequency else ''}"
    return rng.choice(
        {
            "take": (
                f"{taken} 유지",
                f"{taken} 복용 중" if drug.route == "po" else f"{taken} 투여 중",
                f"현재 {taken} keep함",
            ),
            "start": (f"{taken} 시작함", f"{taken} start", f"{taken} 추가함"),
            "stop": (f"{taken} 중단함", f"{taken} stop", f"{taken} d/c함"),
            "increase": (f"{fact.drug} {dose} {often}[으로/로] 증량", f"{fact.drug} {dose} {often}[으로/로] dose up함"),
            "decrease": (
                f"{fact.drug} {dose} {often}[으로/로] 감량",
                f"{fact.drug} {dose} {often}[으로/로] dose down함",
            ),
        }[fact.action]
    )


def amount(lab: str, value: float) -> str:
    """The value with its unit."""
    entry = LABS[lab]
    number = f"{value:,.{max(entry.decimals, 0)}f}"
    return f"{number}{entry.unit}" if entry.unit[0] in "/%" else f"{number} {entry.unit}"


def _lab_en(fact: LabValue, rng: random.Random) -> str:
    said = amount(fact.lab, fact.value)
    flag = {
        "high": ("elevated", "above the normal range", "high"),
        "low": ("below the normal range", "low", "decreased"),
    }
    judged = rng.choice(flag.get(flag_of(fact), ("within the normal range", "normal")))
    before = f", compared with {amount(fact.lab, fact.before)} before" if fact.before is not None else ""
    return rng.choice(
        (
            f"the {fact.lab} level was {said}, {judged}{before}",
            f"laboratory tests showed {fact.lab} {said} ({judged}){before}",
            f"{fact.lab} was {judged} at {said}{before}"
            if "range" not in judged
            else f"{fact.lab} {said} is {judged}{before}",
        )
    )


def _lab_ko(fact: LabValue, rng: random.Random) -> str:
    name, said = rng.choice(LABS[fact.lab].ko), amount(fact.lab, fact.value)
    opening = rng.choice((f"{name}[은/는]", f"혈액검사에서 {name}[이/가]", f"검사 결과 {name}"))
    if fact.before is not None:
        level = {"high": ("높은 수치임", "정상보다 높음"), "low": ("낮은 수치임", "정상보다 낮음")}
        judged = rng.choice(level.get(flag_of(fact), ("정상 범위임", "정상임")))
        moved = (
            rng.choice(("상승하였고", "올랐으며"))
            if fact.value > fact.before
            else rng.choice(("감소하였고", "떨어졌으며"))
        )
        return f"{opening} 이전 {amount(fact.lab, fact.before)}에서 {said}[으로/로] {moved} {judged}"
    flag = {
        "high": ("상승되어 있음", "증가 소견 보임", "정상보다 높음"),
        "low": ("감소되어 있음", "감소 소견 보임", "정상보다 낮음"),
    }
    return f"{opening} {said}[으로/로] {rng.choice(flag.get(flag_of(fact), ('정상 범위임', '정상임')))}"


def _lab_mixed(fact: LabValue, rng: random.Random) -> str:
    said = amount(fact.lab, fact.value)
    flag = {"high": ("상승 소견", "elevation 보임", "증가됨"), "low": ("감소 소견", "저하됨", "low level임")}
    judged = rng.choice(flag.get(flag_of(fact), ("WNL", "정상 범위")))
    if fact.before is not None:
        arrow = rng.choice((f"{amount(fact.lab, fact.before)} → {said}", f"{amount(fact.lab, fact.before)}에서 {said}"))
        return rng.choice((f"Lab상 {fact.lab} {arrow}[으로/로] {judged}", f"{fact.lab} {arrow}, {judged}"))
    return rng.choice(
        (
            f"Lab상 {fact.lab} {said}[으로/로] {judged}",
            f"{fact.lab} {said}[으로/로] {judged}",
            f"{fact.lab} {said}, {judged}",
            f"f/u lab에서 {fact.lab} {said}, {judged}",
        )
    )
