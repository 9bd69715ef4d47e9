"""Sentences with named entities: BD body part, DS disease, ST symptom, as BIO tags over words parted by blanks.

Tags come from the slots that were filled, never from a search in the text. A Korean particle or a bracket glued to an
entity belongs to the tagged word (an eojeol is one word). A symptom keeps the body part in its name (`우상복부 통증`
is one ST). Imaging signs that are not diseases (nodule, opacity) are not tagged.
"""

import random
import re
from dataclasses import dataclass

from bimed_dist.synthetic.anatomy import SITES
from bimed_dist.synthetic.chance import checked_split, distinct, owner_of, pick
from bimed_dist.synthetic.diseases import COMORBIDITIES, DISEASES, Disease
from bimed_dist.synthetic.findings import Finding, draw_finding, draw_lab, draw_prescription
from bimed_dist.synthetic.imaging import noun_text, site_text, size_text
from bimed_dist.synthetic.joining import Slots
from bimed_dist.synthetic.medicine import DRUGS, SYMPTOMS, TESTS, TREATMENTS
from bimed_dist.synthetic.particles import resolve
from bimed_dist.synthetic.wording import amount, onset_text, word

TYPES = ("BD", "DS", "ST")

_SLOT = re.compile(r"\{(\w+)\}")
_TYPE_OF_SLOT = {"bd": "BD", "part": "BD", "ds": "DS", "ds2": "DS", "sign": "DS", "st": "ST", "st2": "ST", "st3": "ST"}
_DISEASE_SIGNS = ("emphysema", "bronchiectasis", "pneumothorax", "hemangioma", "hydronephrosis", "fracture")
_DISEASE_SIGNS += ("acute infarction", "diverticulitis", "gastric ulcer", "atelectasis", "renal stone")
_PARTS = {
    "pulm": ("폐", "기관지", "흉막", "lung", "both lung", "bronchus", "양쪽 폐"),
    "cardio": ("심장", "관상동맥", "좌심실", "LV", "heart", "LAD", "심근"),
    "endo": ("갑상선", "thyroid", "췌장", "thyroid gland"),
    "gi": ("간", "위", "대장", "담낭", "liver", "stomach", "S-colon", "GB", "복부"),
    "neuro": ("뇌", "brain", "대뇌", "왼쪽 팔", "오른쪽 다리", "Rt. arm"),
    "nephro": ("신장", "콩팥", "방광", "both kidney", "전립선", "Lt. kidney"),
    "surg": ("유방", "오른쪽 유방", "Lt. breast", "겨드랑이"),
    "rheum": ("무릎 관절", "손목", "척추", "both knee", "엄지발가락", "고관절"),
    "hema": ("골수", "비장", "spleen", "잇몸"),
}

_IMAGING = (
    "{bd}에 {size} {seen} 관찰됨.",
    "{bd}에 {sign}[이/가] 관찰됨.",
    "{scan}상 {bd}에 {sign} 소견 보임.",
    "{scan}에서 {bd}에 {sign}[이/가] 확인되어 경과 관찰하기로 함.",
    "{bd}에 {size} {seen}[이/가] 있어 추적 검사를 권유함.",
    "{bd}의 {sign}[은/는] 이전과 비교하여 큰 변화 없음.",
    "{bd}에 {seen}[은/는] 보이지 않음.",
    "No evidence of {sign} in {bd}.",
    "{size} {seen} in {bd}.",
    "{scan}상 {bd}의 {seen}[으로/로] {ds} 의심됨.",
    "{bd}의 {size} {seen}[은/는] {ds}에 합당한 소견임.",
    "{st} 있어 시행한 {scan}에서 {bd}에 {seen} 보여 {ds} 진단됨.",
)
_BIOPSIED = (
    "{bd}의 {size} {seen}[이/가] 커져 조직검사 시행하였고 {ds} 진단됨.",
    "{bd} {seen}에 대해 시행한 조직검사에서 {ds} 확진됨.",
    "{ds}[으로/로] {treatment} 후 f/u {scan}에서 {bd}에 {seen} 새로 보임.",
)
_TUMOURS = (
    *_BIOPSIED,
    "{part}에 생긴 {ds}[은/는] 조기에 발견하면 치료 결과가 좋다.",
    "{part}[을/를] 침범한 {ds}[으로/로] {treatment} 시행함.",
)
_CLINICAL = (
    "{onset} {st}, {st2} 있어 {test} 시행하였고 {ds} 진단됨.",
    "{onset} {st} 발생하여 내원한 {age}세 {sex} 환자로 {ds} 의심됨.",
    "{ds}[으로/로] {drug} 복용 중인 환자로 {st}[을/를] 주소로 내원함.",
    "{st}[은/는] 호전되었으나 {st2}[은/는] 지속됨.",
    "{st} (+), {st2} (-), {st3} (-)",
    "Hx. of {ds}, {st} 있어 f/u 중.",
    "{ds} s/p {treatment}, {st} 호전됨.",
    "r/o {ds}, {test} 시행 예정.",
    "{ds}에 의한 {st}[으로/로] 판단되어 {drug} 투여함.",
    "{ds}[은/는] {st}, {st2}, {st3} 등의 증상을 일으킬 수 있다.",
    "{ds} 환자의 상당수에서 {st}[이/가] 나타난다.",
    "과거력상 {ds}, {ds2} 있으며 {drug} 복용 중임.",
    "{age}세 {sex}, {ds2} 과거력 있는 분으로 {onset} {st} 호소함.",
    "{st} 심해져 응급실 내원하였으며 {lab}[으로/로] {ds} 의심하에 입원함.",
    "{ds2}[은/는] 없으며 {ds} 가족력이 있음.",
    "{part} 진찰에서 특이 소견 없고 {st}[도/도] 없음.",
    "{drug} 투여 후 {st} 발생하여 중단함.",
    "{ds} 악화되어 {onset} {st} 심함.",
    "{test}상 {ds}에 합당하며 {part} 기능은 보존되어 있음.",
    "상기 환자 {ds}[으로/로] {treatment} 후 {st}[이/가] 남아 있어 외래에서 경과 관찰 중임.",
    "{part} 통증은 없으나 {st} 때문에 잠을 이루지 못함.",
    "{st2} 동반된 {st}[으로/로] 본원 {clinic} 외래 방문함.",
    "{ds} 배제 위해 {test} 의뢰함.",
    "{ds}[이/가] 의심되어 {test} 시행하였으나 특이 소견 없었음.",
    "치료 {days}일째 {st}[은/는] 소실되었고 {ds}[은/는] 안정적임.",
    "C/C: {st} (onset: {days}일 전)",
    "Imp: {ds}, {ds2}",
    "Dx. {ds} with {ds2}",
)
_PLAIN = (
    "{days}일 후 {clinic} 외래에서 경과 확인하기로 하고 퇴원함.",
    "{drug} 하루 {few}회 복용하도록 설명함.",
    "활력징후는 혈압 {bp} mmHg, 맥박 {hr}회/분, 체온 {bt}도로 안정적임.",
    "보호자에게 검사 결과와 치료 계획을 설명하고 동의서를 받음.",
    "{clinic} 협진 의뢰 후 {test} 일정 조율 중임.",
    "{test} 및 {lab} 결과 확인 예정.",
    "V/S: BP {bp}, HR {hr}, BT {bt}.",
    "금일 {lab}[으로/로] 어제와 비슷함.",
    "식사는 {few}분의 1 정도 하였고 밤사이 특이 사항 없었음.",
    "{drug} {days}일분 처방하고 {days}일 뒤 재진 예약함.",
    "알레르기 없음, 흡연력 {days}갑년, 음주력 없음.",
    "{age}세 {sex} 환자로 의식은 명료함.",
)

_GROUPS = {
    "all": tuple(DISEASES),
    "imaged": tuple(key for key, disease in DISEASES.items() if disease.observations),
    "tumour": ("lung cancer", "thyroid cancer", "colon cancer", "HCC", "breast cancer"),
}
_SCANS = {"brain": "MRI", "thyroid": "thyroid us", "breast": "mammo", "bone": "xray", "stomach": "egd", "liver": "CTA"}
_SCANS |= dict.fromkeys(("lung", "pleura", "nodes"), "CTC") | {"pulmonary artery": "CTPA"}
_SCANS |= dict.fromkeys(
    ("kidney", "ureter", "adrenal", "gallbladder", "bile duct", "pancreas", "spleen", "bowel"), "CTA"
)
_SCANS |= {"prostate": "CTA"}


@dataclass(frozen=True)
class NerSentence:
    id: str
    words: tuple[str, ...]
    tags: tuple[str, ...]


def generate_ner_sentences(seed: int, split: str, count: int) -> list[NerSentence]:
    """`count` Korean and mixed sentences of one split; no split shares a sentence with another."""
    checked_split(split)

    def draw(rng: random.Random) -> tuple[str, tuple[tuple[str, ...], tuple[str, ...]]] | None:
        kind = pick(rng, {"imaging": 0.33, "clinical": 0.55, "plain": 0.12})
        template = rng.choice({"imaging": _IMAGING + _TUMOURS, "clinical": _CLINICAL, "plain": _PLAIN}[kind])
        words, tags = tagged_words(template, _fillings(rng, template))
        text = " ".join(words)
        return (text, (words, tags)) if owner_of(text) == split else None

    drawn = distinct(("ner", seed, split), count, draw)
    return [NerSentence(f"ner-{split}-{i:06d}", words, tags) for i, (words, tags) in enumerate(drawn)]


def tagged_words(template: str, fillings: dict[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words of the filled template with a BIO tag each."""
    text = ""
    marks: list[str] = []
    for i, piece in enumerate(_SLOT.split(template)):
        slot = piece if i % 2 else ""
        before = len(text)
        # Where nothing fills a slot, its blank goes as well.
        if not slot and (not text or text[-1] == " "):
            piece = piece.removeprefix(" ")
        text = text + fillings[slot] if slot else resolve(text + piece)
        kind = _TYPE_OF_SLOT.get(slot)
        marks += [(kind and (f"B-{kind}" if at == 0 else f"I-{kind}")) or "O" for at in range(len(text) - before)]
    words, tags = [], []
    for match in re.finditer(r"\S+", text):
        words.append(match.group())
        tags.append(next((mark for mark in marks[match.start() : match.end()] if mark != "O"), "O"))
    return tuple(words), tuple(tags)


def _fillings(rng: random.Random, template: str) -> Slots:
    """Every slot, filled for one patient: symptoms, tests and drugs are those of the disease."""
    language = "mixed" if " in {bd}" in template or " with " in template else rng.choice(("ko", "mixed", "mixed"))
    disease = DISEASES[
        rng.choice(_GROUPS["tumour" if template in _TUMOURS else "imaged" if "{bd}" in template else "all"])
    ]
    other = DISEASES[rng.choice([key for key in COMORBIDITIES if key != disease.key])]
    symptoms = [word(SYMPTOMS[key], language, rng) for key in rng.sample(disease.symptoms, 3)]
    prescription = draw_prescription(rng, rng.choice(disease.drugs))
    abnormal = rng.choice(disease.labs or ("CRP+",))
    lab = draw_lab(rng, abnormal[:-1], "high" if abnormal.endswith("+") else "low")
    finding = _imaged(rng, disease, "{sign}" in template)
    region = SITES[finding.site].region
    return Slots(
        {
            "bd": lambda: site_text(finding, language, rng),
            "part": lambda: rng.choice(_PARTS[disease.clinic]),
            "seen": lambda: noun_text(finding, language, rng),
            "sign": lambda: noun_text(finding, language, rng),
            "size": lambda: size_text(finding.size_mm, language, rng),
            "scan": lambda: word(TESTS[_SCANS[region]], language, rng),
            "ds": lambda: _name(rng, disease, language),
            "ds2": lambda: _name(rng, other, language),
            "st": lambda: symptoms[0],
            "st2": lambda: symptoms[1],
            "st3": lambda: symptoms[2],
            "test": lambda: word(TESTS[rng.choice(disease.tests)], language, rng),
            "treatment": lambda: word(TREATMENTS[rng.choice(disease.treatments)], language, rng),
            "drug": lambda: (
                f"{DRUGS[prescription.drug].ko if language == 'ko' else prescription.drug} {prescription.dose}"
            ),
            "lab": lambda: f"{lab.lab} {amount(lab.lab, lab.value)}",
            "onset": lambda: onset_text((rng.randint(1, 9), rng.choice(("day", "week", "month"))), language, rng),
            "age": lambda: str(rng.randint(22, 89)),
            "sex": lambda: rng.choice(("남자", "여자", "남성", "여성")),
            "days": lambda: str(rng.choice((1, 2, 3, 5, 7, 10, 14, 20, 28, 30))),
            "few": lambda: str(rng.randint(2, 4)),
            "bp": lambda: f"{rng.randint(90, 168)}/{rng.randint(52, 98)}",
            "hr": lambda: str(rng.randint(54, 124)),
            "bt": lambda: f"{rng.uniform(36.1, 38.9):.1f}",
            "clinic": lambda: {"ko": "내과", "mixed": rng.choice(("내과", "OPD", "외과"))}[language],
        }
    )


def _name(rng: random.Random, disease: Disease, language: str) -> str:
    return rng.choice(disease.ko) if language == "ko" else rng.choice((disease.short, *disease.en, *disease.ko[:1]))


def _imaged(rng: random.Random, disease: Disease, sign: bool) -> Finding:
    """What imaging shows: a sign that is itself a disease, or something that speaks for `disease`."""
    names = _DISEASE_SIGNS if sign else disease.observations or ("nodule",)
    return draw_finding(rng, rng.choice(names), {"present": 1.0}, prior=False)
