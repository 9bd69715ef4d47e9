"""Imaging findings to clauses (without full stop), in Korean, English, or mixed as Korean radiologists write."""

import random

from bimed_dist.synthetic.anatomy import LOBE_KO, OBSERVATIONS, QUALITIES, SITES
from bimed_dist.synthetic.findings import Finding

_SIDES_KO = {"right": ("우측", "오른쪽"), "left": ("좌측", "왼쪽"), "both": ("양측", "양쪽")}
_SIDES_MIXED = {
    "right": ("Rt.", "right", "우측"),
    "left": ("Lt.", "left", "좌측"),
    "both": ("both", "bilateral", "양측"),
}


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def article(noun: str) -> str:
    """`noun` after a or an, by how its first word or number is read."""
    first = noun.split()[0].lower()
    number = first.split(".")[0].rstrip("cm")
    spelled = first.isupper() or noun.split()[0] in ("LN",)
    vowel = (
        number in ("8", "11", "18") or number.startswith("8") or (first[0] in "aeiou" and not spelled) or first == "ln"
    )
    return f"{'an' if vowel else 'a'} {noun}"


def plural(noun: str) -> str:
    irregular = {"calculus": "calculi", "choledocholithiasis": "CBD stones", "mass": "masses", "cavity": "cavities"}
    *before, last = noun.split()
    if noun in irregular:
        return irregular[noun]
    return " ".join([*before, irregular.get(last, last + ("es" if last.endswith("s") else "s"))])


def clause(finding: Finding, language: str, rng: random.Random) -> str:
    return {"en": _finding_en, "ko": _finding_ko, "mixed": _finding_mixed}[language](finding, rng)


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
    if site.en.startswith("segment "):
        return site.en
    return f"the {side} {site.en}" if side else f"the {site.en}"


def _is_many(site: str) -> bool:
    return site.startswith(("both", "the bilateral")) or "ribs" in site or "branches" in site


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
        name = (
            f"multiple {finding.quality + ' ' if finding.quality else ''}{plural(name) if language == 'en' else name}"
        )
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
            "stable": (
                "without interval change",
                "unchanged from the prior study",
                "stable since the previous examination",
            ),
        }[finding.change]
    )


def _change_ko(finding: Finding, rng: random.Random) -> str:
    _, what = _what_changes(finding)
    prior = rng.choice(("이전 검사와 비교하여", "이전 검사에 비해", "지난 검사 대비", "과거 영상과 비교 시"))
    return rng.choice(
        {
            "new": ("이전 검사에서는 없던 소견임", "새로 생긴 병변임", "지난 검사에 비해 새로 발생함"),
            "increased": (f"{prior} {what}[이/가] 증가함", f"{prior} {what} 증가 소견임", f"{what}[이/가] 전보다 커짐"),
            "decreased": (
                f"{prior} {what}[이/가] 감소함",
                f"{prior} {what} 감소 소견임",
                f"{what}[이/가] 전보다 줄어듦",
            ),
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
                f"{site} {'show' if _is_many(site) else 'shows'} no {noun}",
                f"{site} {'are' if _is_many(site) else 'is'} free of {noun}",
            )
        )
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
            f"{site} {'show' if _is_many(site) else 'shows'} {sized}{change}",
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
                f"no evidence of {noun} in {site}".capitalize()
                if noun.islower() and site.islower()
                else f"No {noun}, {site}",
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
            f"{site}의 {noun}{f' ({size})' if size else ''}{change}"
            if change
            else f"{site}에 {noun}{f' ({size})' if size else ''}",
        )
    )
