"""Facts to sentences, in Korean, English, or mixed as Korean doctors write. The wording is chance, the content is not."""

import random

from bimed_dist.corpus.synthetic.anatomy import LOBE_KO, OBSERVATIONS, QUALITIES, SITES
from bimed_dist.corpus.synthetic.findings import Complaint, Fact, Finding, LabValue, Prescription, flag_of
from bimed_dist.corpus.synthetic.medicine import DRUGS, FREQUENCIES, LABS, SYMPTOMS, Term
from bimed_dist.corpus.synthetic.particles import resolve

_SIDES_KO = {"right": ("우측", "오른쪽"), "left": ("좌측", "왼쪽"), "both": ("양측", "양쪽")}
_SIDES_MIXED = {"right": ("Rt.", "right", "우측"), "left": ("Lt.", "left", "좌측"), "both": ("both", "bilateral", "양측")}
_UNITS_KO = {"day": ("일",), "week": ("주",), "month": ("개월", "달")}


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def article(noun: str) -> str:
    """`noun` after a or an, by how its first word or number is read."""
    first = noun.split()[0].lower()
    number = first.split(".")[0].rstrip("cm")
    spelled = first.isupper() or noun.split()[0] in ("LN",)
    vowel = number in ("8", "11", "18") or number.startswith("8") or (first[0] in "aeiou" and not spelled) or first == "ln"
    return f"{'an' if vowel else 'a'} {noun}"


def plural(noun: str) -> str:
    irregular = {"calculus": "calculi", "choledocholithiasis": "CBD stones", "mass": "masses", "cavity": "cavities"}
    *before, last = noun.split()
    if noun in irregular:
        return irregular[noun]
    return " ".join([*before, irregular.get(last, last + ("es" if last.endswith("s") else "s"))])


def word(term: Term, language: str, rng: random.Random) -> str:
    """One of the term's wordings in `language`."""
    return rng.choice({"en": term.en, "ko": term.ko, "mixed": term.mixed}[language])


def sentence(fact: Fact, language: str, rng: random.Random) -> str:
    """One sentence (with its full stop) that says `fact` and no more."""
    if isinstance(fact, Finding):
        text = {"en": _finding_en, "ko": _finding_ko, "mixed": _finding_mixed}[language](fact, rng)
    elif isinstance(fact, Complaint):
        text = {"en": _complaint_en, "ko": _complaint_ko, "mixed": _complaint_mixed}[language](fact, rng)
    elif isinstance(fact, Prescription):
        text = {"en": _prescription_en, "ko": _prescription_ko, "mixed": _prescription_mixed}[language](fact, rng)
    else:
        text = {"en": _lab_en, "ko": _lab_ko, "mixed": _lab_mixed}[language](fact, rng)
    return capital(resolve(text)) + "." if language == "en" else resolve(text) + "."


# ------------------------------------------------------------------------------------------------ sites, nouns, sizes


def site_text(finding: Finding, language: str, rng: random.Random) -> str:
    site, side = SITES[finding.site], finding.side
    short = site.short[side]
    if language == "ko":
        lobe = LOBE_KO.get((site.key, side))
        if lobe and rng.random() < 0.6:
            return lobe
        name = rng.choice(site.ko)
        return f"{rng.choice(_SIDES_KO[side])} {name}" if side else name
    if language == "mixed":
        if rng.random() < 0.55:
            return rng.choice(short)
        # Korean has no plural to agree with: "both lung에" is how it is written.
        return f"{rng.choice(_SIDES_MIXED[side])} {site.en}" if side else rng.choice(short)
    if site.key in ("upper lobe", "middle lobe", "lower lobe") and side != "both" and rng.random() < 0.3:
        return f"the {short[0]}"
    if side == "both":
        return rng.choice((f"both {site.en_plural}", f"the bilateral {site.en_plural}"))
    return f"the {side} {site.en}" if side else f"the {site.en}"


def noun_text(finding: Finding, language: str, rng: random.Random) -> str:
    """The observation with its quality; several where both sides are meant."""
    seen = OBSERVATIONS[finding.observation]
    many = seen.countable and finding.side == "both" and finding.status != "absent"
    if language == "ko":
        name = rng.choice(seen.ko)
        quality = f"{QUALITIES[finding.quality]} " if finding.quality else ""
        return ("다발성 " if many and finding.quality != "multifocal" else "") + quality + name
    name = rng.choice(seen.en if language == "en" else seen.mixed)
    if many:
        name = f"multiple {finding.quality + ' ' if finding.quality else ''}{plural(name) if language == 'en' else name}"
        return name + ("s" if language == "mixed" and rng.random() < 0.5 and name[-1] in "ent" else "")
    return f"{finding.quality} {name}" if finding.quality else name


def size_text(size_mm: tuple[int, ...], language: str, rng: random.Random) -> str:
    if not size_mm:
        return ""
    space = " " if language == "en" or rng.random() < 0.5 else ""
    if size_mm[0] >= 10 and rng.random() < 0.6:
        return f"{rng.choice(('x', ' x ')).join(f'{mm / 10:.1f}' for mm in size_mm)}{space}cm"
    return f"{rng.choice(('x', ' x ')).join(map(str, size_mm))}{space}mm"


def _what_changes(finding: Finding) -> tuple[str, str]:
    seen = OBSERVATIONS[finding.observation]
    if seen.group == "pleural":
        return "amount", "양"
    return ("size", "크기") if seen.size_mm else ("extent", "범위")


def _change_en(finding: Finding, rng: random.Random) -> str:
    what, _ = _what_changes(finding)
    return rng.choice(
        {
            "new": ("newly seen since the prior study", "not present on the previous examination", "new finding"),
            "increased": (
                f"increased in {what} compared with the prior study",
                f"with interval increase in {what}",
                f"greater in {what} than before",
            ),
            "decreased": (
                f"decreased in {what} since the prior study",
                f"with interval decrease in {what}",
                f"reduced in {what} compared with the previous examination",
            ),
            "stable": ("without interval change", "unchanged from the prior study", "stable since the previous examination"),
        }[finding.change]
    )


def _change_ko(finding: Finding, rng: random.Random) -> str:
    _, what = _what_changes(finding)
    prior = rng.choice(("이전 검사와 비교하여", "이전 검사에 비해", "지난 검사 대비", "과거 영상과 비교 시"))
    return rng.choice(
        {
            "new": ("이전 검사에서는 없던 소견임", "새로 생긴 병변임", "지난 검사에 비해 새로 발생함"),
            "increased": (f"{prior} {what}[이/가] 증가함", f"{prior} {what} 증가 소견임", f"{what}[이/가] 전보다 커짐"),
            "decreased": (f"{prior} {what}[이/가] 감소함", f"{prior} {what} 감소 소견임", f"{what}[이/가] 전보다 줄어듦"),
            "stable": (f"{prior} 변화 없음", f"{prior} 큰 차이 없음", "이전과 비슷한 정도임"),
        }[finding.change]
    ).replace("양이 전보다 커짐", "양이 전보다 늘어남")


def _change_mixed(finding: Finding, rng: random.Random) -> str:
    what_en, what = _what_changes(finding)
    prior = rng.choice(("previous CT와 비교하여", "이전 검사에 비해", "prior study 대비", "지난 f/u 검사와 비교하여"))
    return rng.choice(
        {
            "new": ("newly developed", "새로 생긴 소견임", "new lesion임", "이전에 없던 소견임"),
            "increased": (f"interval increase in {what_en}", f"{prior} {what} 증가함", f"{prior} increased {what_en}"),
            "decreased": (f"interval decrease in {what_en}", f"{prior} {what} 감소함", f"{prior} decreased {what_en}"),
            "stable": ("no interval change", f"{prior} no significant change", f"{prior} 변화 없음", "이전과 비슷함"),
        }[finding.change]
    )


# ------------------------------------------------------------------------------------------------------------ findings


def _finding_en(finding: Finding, rng: random.Random) -> str:
    site, noun = site_text(finding, "en", rng), noun_text(finding, "en", rng)
    if finding.status == "absent":
        return rng.choice(
            (
                f"no {noun} in {site}",
                f"no evidence of {noun} in {site}",
                f"there is no {noun} in {site}",
                f"{site} shows no {noun}",
                f"{site} is free of {noun}" if not site.startswith("both") and "ribs" not in site else f"no {noun} in {site}",
            )
        ).replace("bilateral ", "bilateral ")
    seen = OBSERVATIONS[finding.observation]
    single = seen.countable and not noun.startswith("multiple")
    size = size_text(finding.size_mm, "en", rng)
    be, named = ("is", article(noun) if single else noun) if not noun.startswith("multiple") else ("are", noun)
    if finding.status == "uncertain":
        tail = f", {rng.choice(('about ', ''))}{size}" if size else ""
        return rng.choice(
            (
                f"{named} in {site} {be} suspected{f' ({size})' if size else ''}",
                f"suspicious {noun} in {site}{tail}",
                f"possible {noun} in {site}{tail}",
                f"{named} in {site} cannot be excluded{f' ({size})' if size else ''}",
                f"findings suggest {named} in {site}{tail}",
            )
        )
    measured = f", measuring {rng.choice(('about ', ''))}{size}" if size else ""
    change = f", {_change_en(finding, rng)}" if finding.change else ""
    sized = article(f"{size} {noun}") if size and single else f"{named}{measured}"
    return rng.choice(
        (
            f"there {be} {sized if size and single else named} in {site}{'' if size and single else measured}{change}",
            f"{named} {be} {rng.choice(('noted', 'seen', 'observed', 'identified'))} in {site}{measured}{change}",
            f"{noun} in {site}{f' ({size})' if size else ''}{change}",
            f"{site} {'show' if finding.side == 'both' or 'ribs' in site else 'shows'} {sized}{change}",
        )
    )


def _finding_ko(finding: Finding, rng: random.Random) -> str:
    site, noun = site_text(finding, "ko", rng), noun_text(finding, "ko", rng)
    if finding.status == "absent":
        return rng.choice(
            (
                f"{site}에 {noun} 없음",
                f"{site}에 {noun}[은/는] 관찰되지 않음",
                f"{site}에서 {noun} 소견은 보이지 않음",
                f"{site}에 {noun}[을/를] 시사하는 소견 없음",
                f"{noun}[은/는] {site}에서 확인되지 않음",
            )
        )
    size = size_text(finding.size_mm, "ko", rng)
    sized = f"{rng.choice(('', '약 '))}{size}{rng.choice((' 크기의', ' 크기', ''))} {noun}" if size else noun
    if finding.status == "uncertain":
        return rng.choice(
            (
                f"{site}에 {sized}[이/가] 의심됨",
                f"{site}에 {sized} 가능성 있음",
                f"{site}에 {sized}[이/가] 있을 가능성을 배제할 수 없음",
                f"{sized}[이/가] {site}에 의심되는 소견임",
            )
        )
    if finding.change:
        change = _change_ko(finding, rng)
        joined = rng.choice(("관찰되며", "보이며", "있으며", "확인되고"))
        return rng.choice(
            (
                f"{site}에 {sized}[이/가] {joined} {change}",
                f"{site}의 {noun}{f'({size})' if size else ''}[은/는] {change}",
                f"{site} {sized}, {change}",
            )
        )
    return rng.choice(
        (
            f"{site}에 {sized}[이/가] {rng.choice(('관찰됨', '보임', '있음', '확인됨'))}",
            f"{site}에서 {sized} 소견{rng.choice(('이 보임', ' 관찰됨', '임'))}",
            f"{sized}[이/가] {site}에서 {rng.choice(('관찰됨', '확인됨', '보임'))}",
        )
    )


def _finding_mixed(finding: Finding, rng: random.Random) -> str:
    site, noun = site_text(finding, "mixed", rng), noun_text(finding, "mixed", rng)
    if finding.status == "absent":
        return rng.choice(
            (
                f"{site}에 {noun} 없음",
                f"{site}에 {noun}[은/는] 관찰되지 않음",
                f"no evidence of {noun} in {site}".capitalize() if noun.islower() and site.islower() else f"No {noun}, {site}",
                f"{site}에 definite {noun} 보이지 않음",
                f"{site}에 {noun} 소견 없음",
            )
        )
    size = size_text(finding.size_mm, "mixed", rng)
    sized = f"{size}{rng.choice((' sized', ' 크기의', ''))} {noun}" if size else noun
    if finding.status == "uncertain":
        return rng.choice(
            (
                f"{site}에 {sized} 의심됨",
                f"r/o {noun}{f' ({size})' if size else ''}, {site}",
                f"{site}에 {sized} 가능성 있음",
                f"{site}에 suspicious {noun}{f' ({size})' if size else ''}",
                f"{site}의 {sized}, cannot be excluded",
            )
        )
    change = f", {_change_mixed(finding, rng)}" if finding.change else ""
    return rng.choice(
        (
            f"{site}에 {sized} {rng.choice(('보임', '관찰됨', '있음'))}{change}",
            f"{site}에 {sized} 소견 {rng.choice(('보임', '있음', '관찰됨'))}{change}",
            f"{site}에 {noun}[이/가] {rng.choice(('관찰됨', '보임'))}{f' ({size})' if size else ''}{change}",
            f"{capital(sized)} in {site}{change}",
            f"{site}의 {noun}{f' ({size})' if size else ''}{change}" if change else f"{site}에 {noun}{f' ({size})' if size else ''}",
        )
    )


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
    who = rng.choice(("the patient", "the patient", "he or she"))
    who = "the patient" if who == "he or she" else who
    if fact.status == "absent":
        return rng.choice(
            (f"{who} denies {name}", f"there is no {name}", f"no {name} was reported", f"{who} has no {name}", f"no {name}")
        )
    since = onset_text(fact.onset, "en", rng) if fact.onset else ""
    ago = f"{since.removeprefix('for ')} ago" if since else ""
    course = rng.choice({"": ("",), "worse": (", getting worse", ", which is worsening"), "better": (", now improving", ", which has improved")}[fact.course])
    choices = [f"{who} complains of {name} {since}{course}", f"{who} has had {name} {since}{course}", f"{name} {since}{course}"]
    if ago:
        choices += [f"{name} began {ago}{course}", f"{who} presented with {name} that started {ago}{course}"]
    return rng.choice(choices).replace("  ", " ").replace(" ,", ",").strip()


def _complaint_ko(fact: Complaint, rng: random.Random) -> str:
    name = word(SYMPTOMS[fact.symptom], "ko", rng)
    if fact.status == "absent":
        return rng.choice((f"{name}[은/는] 없음", f"{name}[은/는] 호소하지 않음", f"{name} 증상은 없다고 함", f"{name}[을/를] 부인함"))
    since = onset_text(fact.onset, "ko", rng) + " " if fact.onset else ""
    if fact.course:
        ends = {"worse": ("점차 심해짐", "악화되는 양상임", "점점 악화됨"), "better": ("호전되는 양상임", "점차 좋아짐", "호전됨")}
        return rng.choice((f"{since}{name}[이/가] 있었으며 ", f"{since}시작된 {name}[이/가] " if since else f"{name}[이/가] ")) + rng.choice(ends[fact.course])
    return rng.choice(
        (f"{since}{name}[이/가] 있음", f"{since}{name}[을/를] 호소함", f"환자는 {since}{name}[이/가] 있다고 함", f"{since}발생한 {name}[으로/로] 내원함")
    )


def _complaint_mixed(fact: Complaint, rng: random.Random) -> str:
    name = word(SYMPTOMS[fact.symptom], "mixed", rng)
    if fact.status == "absent":
        return rng.choice((f"{name} (-)", f"{name}[은/는] 호소하지 않음", f"{name} 없음", f"{name} denial함", f"no {name}"))
    since = onset_text(fact.onset, "mixed", rng) + " " if fact.onset else ""
    if fact.course:
        ends = {"worse": ("aggravation됨", "점점 심해짐", "worsening 양상임"), "better": ("호전 중임", "improving state임", "많이 좋아짐")}
        return f"{since}{name} " + rng.choice(("있었으며 ", "발생하여 " if since else "있다가 ")) + rng.choice(ends[fact.course])
    return rng.choice((f"{since}{name} 있음", f"{since}{name} 호소함", f"{since}{name}[으로/로] 내원함", f"{since}{name} (+)", f"{since}{name} develop함"))


# ------------------------------------------------------------------------------------------------ drugs and laboratory


def _prescription_en(fact: Prescription, rng: random.Random) -> str:
    often = rng.choice(FREQUENCIES[fact.frequency][0])
    taken = f"{fact.drug} {fact.dose} {often}"
    return rng.choice(
        {
            "take": (f"continue {taken}", f"the patient takes {taken}", f"currently on {taken}", f"{taken} is maintained"),
            "start": (f"{taken} was started", f"start {taken}", f"treatment with {taken} was initiated"),
            "stop": (f"{taken} was discontinued", f"stop {taken}", f"the patient no longer takes {taken}"),
            "increase": (f"{fact.drug} was increased to {fact.dose} {often}", f"increase {fact.drug} to {fact.dose} {often}"),
            "decrease": (f"{fact.drug} was reduced to {fact.dose} {often}", f"reduce {fact.drug} to {fact.dose} {often}"),
        }[fact.action]
    )


_ROUTES_KO = {"po": ("복용", "투약"), "iv": ("정맥 투여", "정주"), "sc": ("피하주사", "피하 투여"), "inh": ("흡입", "흡입 투여")}


def _prescription_ko(fact: Prescription, rng: random.Random) -> str:
    drug, often = DRUGS[fact.drug], rng.choice(FREQUENCIES[fact.frequency][1])
    way = rng.choice(_ROUTES_KO[drug.route])
    taken = f"{drug.ko} {fact.dose}[을/를] {often}"
    return rng.choice(
        {
            "take": (f"{taken} {way} 중임", f"{taken} {way}함", f"{drug.ko} {fact.dose} {often} {way} 유지함"),
            "start": (f"{taken} {way} 시작함", f"{drug.ko} {fact.dose} {often} {way}[을/를] 새로 시작함"),
            "stop": (f"{often} {way}하던 {drug.ko} {fact.dose}[을/를] 중단함", f"{drug.ko} {fact.dose} {often} {way} 중지함"),
            "increase": (f"{drug.ko}[을/를] {often} {fact.dose}[으로/로] 증량함", f"{drug.ko} 용량을 {often} {fact.dose}[으로/로] 늘림"),
            "decrease": (f"{drug.ko}[을/를] {often} {fact.dose}[으로/로] 감량함", f"{drug.ko} 용량을 {often} {fact.dose}[으로/로] 줄임"),
        }[fact.action]
    )


def _prescription_mixed(fact: Prescription, rng: random.Random) -> str:
    drug = DRUGS[fact.drug]
    often = rng.choice((fact.frequency, rng.choice(FREQUENCIES[fact.frequency][1])))
    dose = fact.dose.replace(" ", rng.choice(("", " ")))
    taken = f"{fact.drug} {dose} {often}{rng.choice(('', ' ' + drug.route)) if often == fact.frequency else ''}"
    return rng.choice(
        {
            "take": (f"{taken} 유지", f"{taken} 복용 중" if drug.route == "po" else f"{taken} 투여 중", f"현재 {taken} keep함"),
            "start": (f"{taken} 시작함", f"{taken} start", f"{taken} 추가함"),
            "stop": (f"{taken} 중단함", f"{taken} stop", f"{taken} d/c함"),
            "increase": (f"{fact.drug} {dose} {often}[으로/로] 증량", f"{fact.drug} {dose} {often}[으로/로] dose up함"),
            "decrease": (f"{fact.drug} {dose} {often}[으로/로] 감량", f"{fact.drug} {dose} {often}[으로/로] dose down함"),
        }[fact.action]
    )


def amount(lab: str, value: float) -> str:
    """The value with its unit."""
    entry = LABS[lab]
    number = f"{value:,.{max(entry.decimals, 0)}f}"
    return f"{number}{entry.unit}" if entry.unit[0] in "/%" else f"{number} {entry.unit}"


def _lab_en(fact: LabValue, rng: random.Random) -> str:
    said = amount(fact.lab, fact.value)
    flag = {"high": ("elevated", "above the normal range", "high"), "low": ("below the normal range", "low", "decreased")}
    judged = rng.choice(flag.get(flag_of(fact), ("within the normal range", "normal")))
    before = f", compared with {amount(fact.lab, fact.before)} before" if fact.before is not None else ""
    return rng.choice(
        (
            f"the {fact.lab} level was {said}, {judged}{before}",
            f"laboratory tests showed {fact.lab} {said} ({judged}){before}",
            f"{fact.lab} was {judged} at {said}{before}" if "range" not in judged else f"{fact.lab} {said} is {judged}{before}",
        )
    )


def _lab_ko(fact: LabValue, rng: random.Random) -> str:
    name, said = rng.choice(LABS[fact.lab].ko), amount(fact.lab, fact.value)
    opening = rng.choice((f"{name}[은/는]", f"혈액검사에서 {name}[이/가]", f"검사 결과 {name}"))
    if fact.before is not None:
        level = {"high": ("높은 수치임", "정상보다 높음"), "low": ("낮은 수치임", "정상보다 낮음")}
        judged = rng.choice(level.get(flag_of(fact), ("정상 범위임", "정상임")))
        moved = rng.choice(("상승하였고", "올랐으며")) if fact.value > fact.before else rng.choice(("감소하였고", "떨어졌으며"))
        return f"{opening} 이전 {amount(fact.lab, fact.before)}에서 {said}[으로/로] {moved} {judged}"
    flag = {"high": ("상승되어 있음", "증가 소견 보임", "정상보다 높음"), "low": ("감소되어 있음", "감소 소견 보임", "정상보다 낮음")}
    return f"{opening} {said}[으로/로] {rng.choice(flag.get(flag_of(fact), ('정상 범위임', '정상임')))}"


def _lab_mixed(fact: LabValue, rng: random.Random) -> str:
    said = amount(fact.lab, fact.value)
    flag = {"high": ("상승 소견", "elevation 보임", "증가됨"), "low": ("감소 소견", "저하됨", "low level임")}
    judged = rng.choice(flag.get(flag_of(fact), ("WNL", "정상 범위")))
    if fact.before is not None:
        arrow = rng.choice((f"{amount(fact.lab, fact.before)} → {said}", f"{amount(fact.lab, fact.before)}에서 {said}"))
        return rng.choice((f"Lab상 {fact.lab} {arrow}[으로/로] {judged}", f"{fact.lab} {arrow}, {judged}"))
    return rng.choice((f"Lab상 {fact.lab} {said}[으로/로] {judged}", f"{fact.lab} {said}[으로/로] {judged}", f"{fact.lab} {said}, {judged}", f"f/u lab에서 {fact.lab} {said}, {judged}"))
