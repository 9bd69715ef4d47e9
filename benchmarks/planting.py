"""Clinical text with invented identities planted at known offsets.

Every form is a way to write an identity (cue and spelling), chosen independently of the privacy scan: some forms have
no cue and are expected to be missed. Names, numbers and addresses are drawn at random; resident numbers have random
last digits, and e-mail domains are reserved ones.
"""

import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bimed_dist.synthetic.documents import generate_documents
from bimed_dist.synthetic.sampling import stream

_FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
# fmt: off
_GIVEN = (
    "민준", "서연", "도윤", "지우", "예준", "하은", "지호", "수아", "영수", "순자", "영자", "정희", "미숙", "현우",
    "은주", "상철", "경희", "동현", "유진", "성민", "지은", "태영", "말순",
)
_SURNAMES = tuple("김이박최정강조윤장임한오서신권황안송류홍전고문손양배백허남심노하곽")
_ENGLISH_FIRST = (
    "John", "Mary", "Robert", "Linda", "David", "Susan", "Minsu", "Jiwoo", "Hyun-Woo", "Carlos", "Anne-Marie", "Wei",
)
_ENGLISH_LAST = (
    "Smith", "Johnson", "Brown", "O'Brien", "Kim", "Park", "Lee", "Garcia", "McDonald", "Nguyen", "Vandenberg", "Choi",
)
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)
# fmt: on


class Planted(NamedTuple):
    type: str
    form: str
    start: int
    end: int
    """Offsets into the paragraph."""


class Paragraph(NamedTuple):
    text: str
    planted: tuple[Planted, ...]


class Form(NamedTuple):
    type: str
    name: str
    language: str
    """`ko` or `en`: language of the sentence around the identity."""
    sentence: str
    """The sentence, with `{}` for the identity."""
    draw: Callable[[random.Random], str]


def full_width(text: str) -> str:
    return text.translate(_FULL_WIDTH)


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def _birth(rng: random.Random) -> tuple[int, int, int]:
    return rng.randint(1925, 2019), rng.randint(1, 12), rng.randint(1, 28)


def _resident(hyphen: str, genders: str = "1234") -> Callable[[random.Random], str]:
    def draw(rng: random.Random) -> str:
        year, month, day = _birth(rng)
        return f"{year % 100:02}{month:02}{day:02}{hyphen}{rng.choice(genders)}{_digits(rng, 6)}"

    return draw


def _spaced(draw: Callable[[random.Random], str]) -> Callable[[random.Random], str]:
    return lambda rng: " ".join(draw(rng))


def _wide(draw: Callable[[random.Random], str]) -> Callable[[random.Random], str]:
    return lambda rng: full_width(draw(rng))


def _number(pattern: str) -> Callable[[random.Random], str]:
    """Replace each `#` by a digit and each `*` by a digit from 2 to 9."""
    return lambda rng: "".join({"#": _digits(rng, 1), "*": rng.choice("23456789")}.get(c, c) for c in pattern)


def _date(pattern: str) -> Callable[[random.Random], str]:
    def draw(rng: random.Random) -> str:
        year, month, day = _birth(rng)
        return pattern.format(
            y=year, yy=year % 100, m=month, d=day, month=_MONTHS[month - 1], mon=_MONTHS[month - 1][:3]
        )

    return draw


def _korean(rng: random.Random) -> str:
    return rng.choice(_SURNAMES) + rng.choice(_GIVEN)


def _korean_short(rng: random.Random) -> str:
    return rng.choice(_SURNAMES) + rng.choice(("준", "민", "숙", "훈", "철"))


def _english(rng: random.Random) -> str:
    return f"{rng.choice(_ENGLISH_FIRST)} {rng.choice(_ENGLISH_LAST)}"


def _email(rng: random.Random) -> str:
    name = rng.choice(("minsu.kim", "hong1978", "j_smith", "LEE-YH", "doc+icu")) + _digits(rng, 2)
    return f"{name}@{rng.choice(('example.com', 'hospital.example', 'mail.example.co.kr'))}"


def _spoken_email(rng: random.Random) -> str:
    return _email(rng).replace("@", " at ").replace(".", " dot ")


def _last_first(rng: random.Random) -> str:
    return f"{rng.choice(_ENGLISH_LAST)}, {rng.choice(_ENGLISH_FIRST)}".upper()


_MOBILE = _number("010-*###-####")
FORMS: tuple[Form, ...] = (
    Form("resident_number", "hyphen", "ko", "주민등록번호 {}.", _resident("-")),
    Form("resident_number", "no cue", "ko", "접수 시 {}로 확인됨.", _resident("-")),
    Form("resident_number", "no hyphen", "ko", "주민번호:{} 확인.", _resident("")),
    Form("resident_number", "blanks around the hyphen", "ko", "주민번호 {} 임.", _resident(" - ")),
    Form("resident_number", "blank instead of a hyphen", "ko", "주민번호 {} 임.", _resident(" ")),
    Form("resident_number", "full-width", "ko", "주민번호：{}", _wide(_resident("-"))),
    Form("resident_number", "en dash", "ko", "주민번호 {}입니다.", _resident("–")),
    Form("resident_number", "every digit apart", "ko", "주민번호 {} 임.", _spaced(_resident("-"))),
    Form("resident_number", "zero-width blank", "ko", "주민번호 {} 임.", _resident("-\u200b")),
    Form("resident_number", "foreigner", "en", "Alien registration {} was shown.", _resident("-", "5678")),
    Form("resident_number", "half masked", "ko", "주민번호 {} 임.", lambda rng: _resident("-")(rng)[:8] + "******"),
    Form("resident_number", "slash", "ko", "주민번호 {} 임.", _resident("/")),
    Form("phone", "mobile, hyphens", "ko", "연락처 {} 로 안내함.", _MOBILE),
    Form("phone", "mobile, no cue", "ko", "{}로 통화하여 설명함.", _MOBILE),
    Form("phone", "mobile, dots", "ko", "H.P. {}", _number("010.*###.####")),
    Form("phone", "mobile, blanks", "ko", "보호자 {} 부재중.", _number("010 *### ####")),
    Form("phone", "mobile, closed", "ko", "핸드폰 {}.", _number("010*#######")),
    Form("phone", "mobile, blanks and hyphens", "ko", "전화 {} .", _number("010 - *### - ####")),
    Form("phone", "mobile, full-width", "ko", "전화：{}", _wide(_MOBILE)),
    Form("phone", "mobile, old prefix", "ko", "전화 {}", _number("016-*##-####")),
    Form("phone", "mobile, international", "en", "He can be reached at {}.", _number("+82-10-*###-####")),
    Form("phone", "mobile, international with zero", "en", "Contact: {}.", _number("+82 (0)10-*###-####")),
    Form("phone", "landline", "ko", "자택 {}.", _number("02-*##-####")),
    Form("phone", "landline, parenthesis", "ko", "자택 전화 {}.", _number("031)*##-####")),
    Form("phone", "landline, two parentheses", "ko", "Tel. {}.", _number("(02) *###-####")),
    Form("phone", "internet phone", "ko", "전화 {}.", _number("070-*###-####")),
    Form("phone", "local number after a cue", "ko", "전화번호: {}", _number("*##-####")),
    Form("phone", "local number, no cue", "ko", "자택은 {} 임.", _number("*##-####")),
    Form("phone", "United States", "en", "Her daughter's number is {}.", _number("(*##) *##-####")),
    Form("phone", "United States, dots", "en", "Phone {}.", _number("*##.*##.####")),
    Form("phone", "Europe", "en", "Please call {} for results.", _number("+49 30 *######")),
    Form("email", "plain", "ko", "이메일 {} 로 발송.", _email),
    Form("email", "glued to a particle", "ko", "{}로 결과를 보냄.", _email),
    Form("email", "full-width", "ko", "메일：{}", _wide(_email)),
    Form("email", "[at]", "en", "Write to {}.", lambda rng: _email(rng).replace("@", "[at]")),
    Form("email", "blanks around @", "en", "Mail {} please.", lambda rng: _email(rng).replace("@", " @ ")),
    Form("email", "'at' and 'dot'", "en", "Mail {} please.", _spoken_email),
    Form("chart_number", "등록번호", "ko", "등록번호: {}", _number("########")),
    Form("chart_number", "병록번호, full-width", "ko", "병록번호 {}", _wide(_number("########"))),
    Form("chart_number", "차트번호, blanks", "ko", "차트번호 : {} .", _spaced(_number("########"))),
    Form("chart_number", "환자번호, hyphen", "ko", "환자번호는 {} 입니다.", _number("####-####")),
    Form("chart_number", "MRN", "en", "MRN {} was reviewed.", _number("#######")),
    Form("chart_number", "Chart No.", "en", "Chart No. {}", _number("#######")),
    Form("chart_number", "Patient ID, letter", "en", "Patient ID: {}", _number("H#######")),
    Form("chart_number", "pathology number", "ko", "병리결과 {} 참조.", _number("S2#-#####")),
    Form("chart_number", "in parentheses, no cue", "ko", "위 환자({})는 재진임.", _number("########")),
    Form("birth_date", "생년월일, dots", "ko", "생년월일: {}", _date("{y}.{m:02}.{d:02}")),
    Form("birth_date", "생년월일, hyphens", "ko", "생년월일 {} 확인", _date("{y}-{m:02}-{d:02}")),
    Form("birth_date", "생년월일, words", "ko", "생년월일은 {}이다.", _date("{y}년 {m}월 {d}일")),
    Form("birth_date", "생년월일, closed", "ko", "생년월일 {}", _date("{y}{m:02}{d:02}")),
    Form("birth_date", "생년월일, six digits", "ko", "생년월일({})", _date("{yy:02}{m:02}{d:02}")),
    Form("birth_date", "생년월일, two-digit year", "ko", "생년월일: {}", _date("{yy:02}.{m}.{d}")),
    Form("birth_date", "생년월일, full-width", "ko", "생년월일：{}", _wide(_date("{y}/{m:02}/{d:02}"))),
    Form("birth_date", "생 after it", "ko", "{}생 환자임.", _date("{y}년 {m}월 {d}일")),
    Form("birth_date", "생 after dots", "ko", "환자는 {} 생으로 확인됨.", _date("{y}.{m:02}.{d:02}")),
    Form("birth_date", "DOB, slashes", "en", "DOB: {}", _date("{m:02}/{d:02}/{y}")),
    Form("birth_date", "DOB, month name", "en", "DOB {}.", _date("{d:02}-{mon}-{y}")),
    Form("birth_date", "date of birth, words", "en", "Date of birth: {}", _date("{month} {d}, {y}")),
    Form("birth_date", "born", "en", "He was born on {} in Busan.", _date("{d} {month} {y}")),
    Form("birth_date", "no cue", "ko", "환자 정보 {} 남.", _date("{y}.{m:02}.{d:02}")),
    Form("name", "환자명:", "ko", "환자명: {} 성별: 남", _korean),
    Form("name", "성 명 :", "ko", "성 명 : {}", _korean),
    Form("name", "성명, no colon", "ko", "성명 {} 나이 65", _korean),
    Form("name", "성명: apart", "ko", "성명: {}", _spaced(_korean)),
    Form("name", "이름: two syllables", "ko", "이름: {}", _korean_short),
    Form("name", "환자명, full-width colon", "ko", "환자명：{}", _korean),
    Form("name", "님", "ko", "{} 님 내원함.", _korean),
    Form("name", "님, glued", "ko", "{}님은 어제 퇴원하였다.", _korean),
    Form("name", "씨", "ko", "{}씨가 동의서를 작성함.", _korean),
    Form("name", "보호자", "ko", "보호자 {} 에게 설명함.", _korean),
    Form("name", "보호자, parentheses", "ko", "보호자({})에게 설명함.", _korean),
    Form("name", "보호자:", "ko", "보호자: {} (배우자)", _korean),
    Form("name", "주치의", "ko", "주치의 {} 교수와 상의함.", _korean),
    Form("name", "주치의:", "ko", "주치의: {}", _korean),
    Form("name", "교수", "ko", "{} 교수님께 의뢰함.", _korean),
    Form("name", "판독의:", "ko", "판독의: {} / 전문의", _korean),
    Form("name", "간호사", "ko", "{} 간호사가 투약함.", _korean),
    Form("name", "환자, age behind", "ko", "환자 {}(65/M) 응급실 내원.", _korean),
    Form("name", "Dr., Korean", "ko", "Dr. {} 협진 의뢰함.", _korean),
    Form("name", "name before 환자", "ko", "{} 환자는 3일 전부터 발열이 있었다.", _korean),
    Form("name", "no cue, Korean", "ko", "{}은 3일 전부터 발열이 있었다.", _korean),
    Form("name", "성명:, romanised", "ko", "성명: {}", _english),
    Form("name", "Patient:", "en", "Patient: {}", _english),
    Form("name", "Patient Name:", "en", "Patient Name: {}", _english),
    Form("name", "Patient Name:, last first", "en", "Patient Name: {}", _last_first),
    Form("name", "Name:", "en", "Name: {}  Sex: M", _english),
    Form("name", "Mr.", "en", "Mr. {} was admitted.", lambda rng: rng.choice(_ENGLISH_LAST)),
    Form("name", "Mrs., first and last", "en", "We saw Mrs. {} today.", _english),
    Form("name", "Dr.", "en", "She was referred to Dr. {} for surgery.", _english),
    Form("name", "M.D.", "en", "{}, M.D.", _english),
    Form("name", "Attending:", "en", "Attending: {}", _english),
    Form("name", "signed by", "en", "Electronically signed by {}", _english),
    Form("name", "no cue, English", "en", "{} is a 65-year-old retired teacher.", _english),
)  # fmt: skip


def planted_paragraphs(seed: int, per_form: int) -> Iterator[Paragraph]:
    """Yield `per_form` paragraphs of synthetic clinical text per form, each with one identity, in a fixed order."""
    for language in ("ko", "en"):
        forms = [form for form in FORMS if form.language == language]
        documents = generate_documents(seed, per_form * len(forms), (language,), "planted")
        for number, document in enumerate(documents):
            form = forms[number % len(forms)]
            yield plant(stream(seed, "planted", form.name, number), form, document.paragraphs[0])


def plant(rng: random.Random, form: Form, paragraph: str) -> Paragraph:
    """Insert the form's sentence at the start, at the end or on its own line."""
    identity = form.draw(rng)
    before, after = form.sentence.split("{}")
    place = rng.choice(("start", "end", "line"))
    lead = "" if place == "start" else paragraph + (" " if place == "end" else "\n")
    tail = " " + paragraph if place == "start" else ""
    start = len(lead) + len(before)
    return Paragraph(
        f"{lead}{before}{identity}{after}{tail}", (Planted(form.type, form.name, start, start + len(identity)),)
    )


def clean_paragraphs(seed: int, documents: int) -> Iterator[str]:
    """Yield synthetic clinical text without identities: every match in it is false."""
    for document in generate_documents(seed, documents, ("ko", "en", "mixed"), "clean"):
        yield from document.paragraphs
