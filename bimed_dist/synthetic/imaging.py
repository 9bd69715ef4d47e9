"""Imaging findings to clauses without full stop, in Korean, English or mixed as Korean radiologists write."""

import random

from bimed_dist.synthetic.findings import Finding
from bimed_dist.synthetic.lexicon.tables import OBSERVATIONS, QUALITIES, SENTENCES, SITES
from bimed_dist.synthetic.templates import capitalize, choose

_PLURALS = {"calculus": "calculi", "choledocholithiasis": "CBD stones", "mass": "masses", "cavity": "cavities"}
_LOBES = ("upper lobe", "middle lobe", "lower lobe")


def with_article(noun: str) -> str:
    """Return `noun` after a or an, by the pronunciation of its first word or number."""
    first = noun.split()[0].lower()
    number = first.split(".")[0].rstrip("cm")
    spelled = first.isupper() or noun.split()[0] in ("LN",)
    vowel = (
        number in ("8", "11", "18") or number.startswith("8") or (first[0] in "aeiou" and not spelled) or first == "ln"
    )
    return f"{'an' if vowel else 'a'} {noun}"


def plural(noun: str) -> str:
    *first, last = noun.split()
    if noun in _PLURALS:
        return _PLURALS[noun]
    return " ".join([*first, _PLURALS.get(last, last + ("es" if last.endswith("s") else "s"))])


def clause(finding: Finding, language: str, rng: random.Random) -> str:
    return {"en": _finding_en, "ko": _finding_ko, "mixed": _finding_mixed}[language](finding, rng)


def site_text(finding: Finding, language: str, rng: random.Random) -> str:
    site, side = SITES[finding.site], finding.side
    short = site.short[side]
    if language == "ko":
        if side in site.ko_short and rng.random() < 0.6:
            return site.ko_short[side]
        name = rng.choice(site.ko)
        return f"{rng.choice(SENTENCES['sides']['ko'][side])} {name}" if side else name
    if language == "mixed":
        if rng.random() < 0.55:
            return rng.choice(short)
        # Korean nouns have no plural: "both lung에" is what radiologists write.
        return f"{rng.choice(SENTENCES['sides']['mixed'][side])} {site.en}" if side else rng.choice(short)
    if site.key in _LOBES and side != "both" and rng.random() < 0.3:
        return f"the {short[0]}"
    if side == "both":
        return rng.choice((f"both {site.en_plural}", f"the bilateral {site.en_plural}"))
    if site.en.startswith("segment "):
        return site.en
    return f"the {side} {site.en}" if side else f"the {site.en}"


def noun_text(finding: Finding, language: str, rng: random.Random) -> str:
    """Return the observation with its quality; a plural if it is on both sides."""
    entry = OBSERVATIONS[finding.observation]
    is_plural = entry.countable and finding.side == "both" and finding.status != "absent"
    name = rng.choice(getattr(entry, language))
    if language == "ko":
        quality = f"{QUALITIES[finding.quality]} " if finding.quality else ""
        return ("다발성 " if is_plural and finding.quality != "multifocal" else "") + quality + name
    quality = f"{finding.quality} " if finding.quality else ""
    if not is_plural:
        return quality + name
    name = f"multiple {quality}{plural(name) if language == 'en' else name}"
    return name + ("s" if language == "mixed" and rng.random() < 0.5 and name[-1] in "ent" else "")


def size_text(size_mm: tuple[int, ...], language: str, rng: random.Random) -> str:
    """Return a size such as `1.2 x 0.8 cm` or `12mm`; empty if there is none."""
    if not size_mm:
        return ""
    space = " " if language == "en" or rng.random() < 0.5 else ""
    if size_mm[0] >= 10 and rng.random() < 0.6:
        return f"{rng.choice(('x', ' x ')).join(f'{mm / 10:.1f}' for mm in size_mm)}{space}cm"
    return f"{rng.choice(('x', ' x ')).join(map(str, size_mm))}{space}mm"


def _change(finding: Finding, language: str, rng: random.Random) -> str:
    phrases = SENTENCES["change"][language]
    entry = OBSERVATIONS[finding.observation]
    changing = SENTENCES["changing"]["pleural" if entry.group == "pleural" else "sized" if entry.size_mm else "other"]
    what = changing["en" if language == "en" else "ko"]
    prior = "" if language == "en" else rng.choice(phrases["prior"])
    return choose(rng, phrases[finding.change], what=what, what_en=changing["en"], prior=prior)


def _brackets(size: str) -> str:
    return f" ({size})" if size else ""


def _is_several(site: str) -> bool:
    return site.startswith(("both", "the bilateral")) or "ribs" in site or "branches" in site


def _finding_en(finding: Finding, rng: random.Random) -> str:
    phrases = SENTENCES["finding"]["en"]
    site, noun = site_text(finding, "en", rng), noun_text(finding, "en", rng)
    show, be = ("show", "are") if _is_several(site) else ("shows", "is")
    if finding.status == "absent":
        return choose(rng, phrases["absent"], site=site, noun=noun, show=show, be=be)
    is_plural = noun.startswith("multiple")
    is_single = OBSERVATIONS[finding.observation].countable and not is_plural
    size = size_text(finding.size_mm, "en", rng)
    about = rng.choice(phrases["about"]) if size else ""
    named = with_article(noun) if is_single else noun
    slots = {"site": site, "noun": noun, "named": named, "brackets": _brackets(size)}
    slots["be"] = "are" if is_plural else "is"
    if finding.status == "uncertain":
        return choose(rng, phrases["uncertain"], tail=f", {about}{size}" if size else "", **slots)
    measured = f", measuring {about}{size}" if size else ""
    change = f", {_change(finding, 'en', rng)}" if finding.change else ""
    sized = with_article(f"{size} {noun}") if size and is_single else f"{named}{measured}"
    first, rest = (sized, "") if size and is_single else (named, measured)
    noted = rng.choice(phrases["noted"])
    slots |= {"measured": measured, "change": change, "sized": sized, "first": first, "rest": rest, "noted": noted}
    return choose(rng, phrases["present"], show=show, **slots)


def _finding_ko(finding: Finding, rng: random.Random) -> str:
    phrases = SENTENCES["finding"]["ko"]
    site, noun = site_text(finding, "ko", rng), noun_text(finding, "ko", rng)
    if finding.status == "absent":
        return choose(rng, phrases["absent"], site=site, noun=noun)
    size = size_text(finding.size_mm, "ko", rng)
    sized = f"{rng.choice(phrases['about'])}{size}{rng.choice(phrases['sized'])} {noun}" if size else noun
    slots = {"site": site, "noun": noun, "sized": sized, "brackets": _brackets(size).strip()}
    if finding.status == "uncertain":
        return choose(rng, phrases["uncertain"], **slots)
    if finding.change:
        change, joined = _change(finding, "ko", rng), rng.choice(phrases["joined"])
        return choose(rng, phrases["changed"], change=change, joined=joined, **slots)
    slots |= {"verb": rng.choice(phrases["verbs"]), "noted": rng.choice(phrases["noted"])}
    return choose(rng, phrases["present"], confirmed=rng.choice(phrases["confirmed"]), **slots)


def _finding_mixed(finding: Finding, rng: random.Random) -> str:
    phrases = SENTENCES["finding"]["mixed"]
    site, noun = site_text(finding, "mixed", rng), noun_text(finding, "mixed", rng)
    if finding.status == "absent":
        form = phrases["no_finding"][0 if noun.islower() and site.islower() else 1]
        return choose(rng, phrases["absent"], site=site, noun=noun, no_finding=form.format(site=site, noun=noun))
    size = size_text(finding.size_mm, "mixed", rng)
    sized = f"{size}{rng.choice(phrases['sized'])} {noun}" if size else noun
    slots = {"site": site, "noun": noun, "sized": sized, "brackets": _brackets(size)}
    if finding.status == "uncertain":
        return choose(rng, phrases["uncertain"], **slots)
    change = f", {_change(finding, 'mixed', rng)}" if finding.change else ""
    slots |= {"change": change, "of": phrases["of"][0 if change else 1], "first": capitalize(sized)}
    slots |= {"verb": rng.choice(phrases["verbs"]), "noted": rng.choice(phrases["noted"])}
    return choose(rng, phrases["present"], confirmed=rng.choice(phrases["confirmed"]), **slots)
