"""Patterns of the privacy scan, for text that `privacy` has folded.

Folded text has ASCII digits, `-` for every dash and a space for all whitespace except line feeds. The group `v` of a
pattern is the identity without its cue. Every repetition has an upper bound and starts only at the first character of a
run, so the time is linear in the length of any text.
"""

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

Type = Literal["resident_number", "email", "phone", "birth_date", "chart_number", "name"]
TYPES: tuple[Type, ...] = ("resident_number", "email", "phone", "birth_date", "chart_number", "name")
"""If two matches overlap, the type that comes first here is taken."""


class Pattern(NamedTuple):
    type: Type
    regex: re.Pattern[str]
    needs: tuple[str, ...] = ()
    """Every text that matches contains one of these, in lower case; empty: the pattern is always tried."""
    accepts: Callable[[str], bool] | None = None
    """Further test of the group `v`."""


def _words(*alternatives: str) -> str:
    # Longest first: a shorter alternative must not match the beginning of a longer one.
    return "(?:" + "|".join(sorted(alternatives, key=len, reverse=True)) + ")"


# ------------------------------------------------------------------------------------------------------------- numbers

_GAP = r"[^0-9A-Za-z가-힣\n]"
"""Characters between a cue and its value."""
_NOT_IN_NUMBER = r"(?<![0-9])(?<![0-9][.,])"
_ALONE = r"(?<![0-9])(?<![0-9][ .,-])"
"""Digits separated by spaces are taken as one number only if no other digits are next to them."""
_MONTH_DAY = "(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_MONTH_DAY_SPACED = "(?:0 ?[1-9]|1 ?[0-2]) ?(?:0 ?[1-9]|[12] ?[0-9]|3 ?[01])"

# The last six digits are random since October 2020, so the check digit is not tested. Foreigners' numbers have the same
# form with 5 to 8 after the hyphen. Half-masked numbers still contain the birth date.
_RESIDENT = re.compile(
    rf"{_NOT_IN_NUMBER}(?P<v>[0-9]{{2}}{_MONTH_DAY} ?(?:-{{1,2}}|[/.~])? ?[0-9](?:[0-9]{{6}}(?![0-9])|[*xX●○#]{{6}}))"
)
_RESIDENT_SPACED = re.compile(
    rf"{_ALONE}(?P<v>[0-9] ?[0-9] ?{_MONTH_DAY_SPACED}\s{{0,2}}-?\s{{0,2}}[0-9](?: ?[0-9]){{6}})(?![0-9]| [0-9])"
)

_EMAIL = re.compile(
    r"(?<![A-Za-zÀ-ɏ0-9._%+-])(?P<v>[A-Za-zÀ-ɏ0-9._%+-]{1,64} ?(?:@|\[at\]|\(at\)) ?"
    r"(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24})(?![A-Za-z0-9])"
)

_AREA = "(?:2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|70|50[2-8]|80)"
_MOBILE = re.compile(
    rf"{_NOT_IN_NUMBER}(?P<v>(?:\+? ?82[-. )]{{0,3}}(?:\(0\))?0?|\(?0)1[016-9]\)?[-. ]{{0,3}}[0-9]{{3,4}}[-. ]{{0,3}}"
    r"[0-9]{4})(?![0-9])"
)
_MOBILE_SPACED = re.compile(rf"{_ALONE}(?P<v>0 1 [016-9](?:[ -]{{1,3}}[0-9]){{7,8}})(?![0-9]| [0-9])")
_LANDLINE = re.compile(
    rf"{_NOT_IN_NUMBER}(?P<v>(?:\+? ?82[-. )]{{1,3}}0?|\(?0){_AREA}[-. )]{{1,3}}[0-9]{{3,4}}[-. ]{{1,2}}[0-9]{{4}})"
    "(?![0-9])"
)
_LANDLINE_CLOSED = re.compile(rf"{_NOT_IN_NUMBER}(?<![A-Za-z.-])(?P<v>0{_AREA}[0-9]{{7,8}})(?![0-9A-Za-z])")
_INTERNATIONAL = re.compile(r"(?<![0-9+])(?P<v>\+[1-9](?:[-. ()]{0,3}[0-9]){7,14})(?![0-9]|[.,][0-9])")
_NORTH_AMERICAN = re.compile(
    r"(?<![0-9])(?<![0-9][-.,])(?P<v>(?:1[-. ])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[-.])[0-9]{3}[-.][0-9]{4})(?![0-9])"
)
_PHONE_CUE = _words(
    "전화", "전화번호", "연락처", "휴대폰", "휴대전화", "핸드폰", "핸드폰번호", "휴대폰번호", "비상연락망", "팩스",
    "tel", "telephone", "phone", "mobile", "fax", r"h\.p\.", "hp", "tel[ée]fono", "telf", "tfno", "m[óo]vil",
)  # fmt: skip
_PHONE_CUED = re.compile(
    rf"(?i:(?<![a-z]){_PHONE_CUE}(?![a-z]))[^0-9A-Za-z가-힣\n+(]{{0,6}}"
    r"(?i:no|number|번호|는|은)?[^0-9A-Za-z가-힣\n+(]{0,4}(?P<v>[+(]?[0-9](?:[-. ()]{0,3}[0-9]){6,14})(?![0-9])"
)

_MONTH = (
    "(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|ene|abr|ago|dic|enero|febrero|marzo|abril|mayo|junio|julio|"
    "agosto|septiembre|octubre|noviembre|diciembre)[a-z]{0,9}"
)
_YEAR, _TWO = "[0-9](?: ?[0-9]){1,3}", "[0-9](?: ?[0-9])?"
_DATE = (
    rf"(?:{_YEAR} ?[-./년,] ?{_TWO} ?[-./월,] ?{_YEAR}(?: ?일)?|{_YEAR} ?[-./년,] ?{_TWO} ?[-./월,] ?{_TWO}(?: ?일)?"
    rf"|[0-9]{{8}}|[0-9]{{6}}|[0-9]{{1,2}}(?:st|nd|rd|th)?[-. ](?:of |de )?{_MONTH}[-., ]{{1,2}}(?:del? )?[0-9]{{2,4}}"
    rf"|{_MONTH}[. ]{{1,2}}[0-9]{{1,2}}(?:st|nd|rd|th)?,? {{0,2}}[0-9]{{2,4}})(?![0-9])"
)
_BIRTH_CUE = _words(
    "생년월일", "생년 월일", "출생일", "출생일자", "출생년월일", "생일", "출생", "dob", r"d\.o\.b\.?",
    "date of birth", "birth date", "birthdate", "birthday", "born", "born on", "fecha de nacimiento", "nacid[oa] el",
    "geboortedatum", "data na[sșş]terii",
)  # fmt: skip
_BIRTH = re.compile(rf"(?i:(?<![a-z]){_BIRTH_CUE})(?:은|는|이)?{_GAP}{{0,8}}(?:[양음]력?{_GAP}{{1,3}})?(?P<v>{_DATE})")
# `생` alone means born; 생검 (biopsy), 생존 (survival) and 생후 (age) do not.
_BIRTH_AFTER = re.compile(
    rf"(?<![0-9])(?P<v>{_YEAR} ?[-./년] ?{_TWO} ?[-./월] ?{_TWO}(?: ?일)?)"
    r" ?(?:출생|생(?![가-힣])|생(?=으로|이며|인|의|남|여))"
)

_NUMBERED = _words(
    "patient", r"pt\.?", "hospital", "unit", "medical record", "accession", "registration", r"reg\.?", "encounter",
    "account", "specimen", "case", "visit", "study",
)  # fmt: skip
_CHART_CUE = _words(
    "등록 ?번호", "차트 ?번호", "챠트 ?번호", "환자 ?번호", "환자 ?id", "환자 ?등록 ?번호", "병록 ?번호",
    "진료 ?번호", "병원 ?번호", "의무기록 ?번호", "접수 ?번호", "검체 ?번호", "병리 ?번호", "수진자 ?번호", "mrn",
    r"m\.r\.n\.?", r"chart (?:no\.?|number|#)", rf"{_NUMBERED} ?(?:no\.?|number|id|#)", "nhc", "cipa",
    "historia cl[íi]nica", "episodio", "nass", "(?<![a-z] )id",
)  # fmt: skip
_CHART_CUED = re.compile(
    rf"(?i:(?<![a-z]){_CHART_CUE}(?![a-z]))(?:은|는|이)?{_GAP}{{0,6}}(?P<v>[A-Za-z]{{0,3}}-?"
    r"(?:[0-9]{2} [0-9]{8} [0-9]{2}|(?=(?:-?[0-9]){4})[0-9]{1,12}(?:-[0-9]{1,8}){0,2}|[0-9](?: [0-9]){3,13}))(?![0-9])"
)
# Pathology and imaging numbers contain the year: S20-12345.
_CHART_YEAR = re.compile(r"(?<![A-Za-z0-9-])(?P<v>[A-Z]{1,2}[0-9]{2}-[0-9]{4,7})(?![0-9A-Za-z-])")

# --------------------------------------------------------------------------------------------------------------- names

_SURNAMES = (
    "김이박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노하곽성차주우구나민진지엄채원천방공현함변염여추"
    "도소석선설마길연위표명기반왕금옥육인맹제모탁국은편용"
)
_DOUBLE_SURNAMES = "(?:남궁|황보|제갈|선우|독고|사공|서문|동방)"
_FULL_NAME = f"(?:{_DOUBLE_SURNAMES}[가-힣]{{1,2}}|[{_SURNAMES}][가-힣]{{2}})"
_ANY_NAME = (
    f"(?:{_FULL_NAME}|[{_SURNAMES}] [가-힣]{{2}}(?![가-힣])|[{_SURNAMES}] [가-힣] [가-힣](?![가-힣])|[가-힣]{{2,5}})"
)
_HONORIFIC = "(?:님|씨|교수|과장|선생|간호사|박사|원장|전공의|전문의|환자|보호자)"
_NAME_ENDS = rf"(?=$|[^가-힣]|{_HONORIFIC}|은|는|이|가|을|를|의|와|과|께|에게|에|으로|로|도|만|임|입)"
# Words that follow a cue and begin with a surname, but are not names.
# fmt: off
_NOT_NAMES = frozenset((
    "이야기", "조부모", "시부모", "구분자", "여성이", "남성이", "이용자", "이상은", "이하여", "이외에", "이러한",
    "이전에", "이후에", "이미지", "이름은", "이름을", "이름이", "신청자", "구매자", "지원자", "전공의", "전문의",
    "주치의", "배우자", "보호자", "환자분", "환자와", "안내문", "안내를", "설명을", "설명후", "동의서", "동의를",
    "동의후", "면담후", "면담을", "상담후", "상담을", "유무를", "주치의가", "주소를", "주소는", "연락처", "연락을",
    "전화를", "전화로", "전화번호", "성별은", "성별을", "정보를", "정보는", "정보가", "여부를", "여부는", "요청에",
    "요청으로", "서명을", "서명이", "서명란", "임의로", "고객님", "선생님", "하였음", "하였다", "하지만", "한다고",
    "하에서", "강하게", "심하게", "지시에", "지시로", "지시를", "처방한", "처방을", "진료를", "진료시", "소견을",
    "소견서", "의견을", "원하여", "원하지", "원해서", "문의함", "문의를", "문진상", "도움을", "모시고", "반응이",
    "반대로", "전원을", "입원을", "오심과", "고혈압", "당뇨병", "신경과", "소아과", "안과의", "내과의", "외과의",
    "산부인과", "비뇨의학과", "유방외과", "성형외과", "정형외과", "기관지", "심장내", "한국인", "외국인", "도착시",
    "도착후", "간병인", "변경됨", "변경을", "우려로", "인지함", "인지하", "없음을",
))
# fmt: on
_NOT_NAME_ENDINGS = ("의", "된", "적", "는", "던", "과", "함", "됨", "시", "후")


def _could_be_name(name: str) -> bool:
    return name not in _NOT_NAMES and not name.endswith(_NOT_NAME_ENDINGS)


def _is_not_known_word(name: str) -> bool:
    return name not in _NOT_NAMES


_PERSON_CUE = _words(
    "환자 ?명", "환자 ?성명", "환자 ?이름", "성 ?명", "성 ?함", "보호자 ?성명", "보호자 ?명", "보호자 ?이름",
    "수진자 ?명", "수진자", "수검자", "수검자 ?명", "피검자", "대상자 ?명", "예금주", "주치의 ?명", "의사 ?명",
    "담당의 ?명", "판독의 ?명", "모친 ?성명", "부친 ?성명", "배우자 ?성명",
)  # fmt: skip
_ROLE_CUE = _words(
    "환자", "보호자", "주치의", "담당의", "담당의사", "담당 ?교수", "집도의", "판독의", "판독의사", "판독자",
    "의뢰의", "의뢰의사", "지정의", "전공의", "전문의", "수련의", "간호사", "담당간호사", "작성자", "기록자", "서명",
    "서명자", "시술자", "시술의", "검사자", "보고자", "확인자", "동의자", "설명의사", "설명의", "마취의", "당직의",
    "회진의", "대리인", "배우자", "모친", "부친",
)  # fmt: skip
_COLON = r" {0,3}(?:\([^()\n]{0,12}\) {0,2})?[:=] {0,3}"
_KOREAN_PERSON = re.compile(rf"(?<![가-힣])(?:{_PERSON_CUE}|이름){_COLON}(?P<v>{_ANY_NAME})")
_KOREAN_ROLE = re.compile(
    rf"(?<![가-힣]){_ROLE_CUE}{_COLON}(?P<v>{_FULL_NAME}|[{_SURNAMES}][가-힣](?![가-힣])){_NAME_ENDS}"
)
_KOREAN_BARE = re.compile(
    rf"(?<![가-힣])(?:{_PERSON_CUE}(?:은|이|는)?|보호자|주치의|담당의|집도의|판독의|의뢰의|담당 ?교수|지정의)"
    rf"(?: {{1,3}}| ?\( ?)(?P<v>{_FULL_NAME}){_NAME_ENDS}"
)
_KOREAN_PATIENT = re.compile(rf"(?<![가-힣])환자 {{1,3}}(?P<v>{_FULL_NAME})(?= ?(?:님|씨|\(? ?[MF남여0-9]))")
_KOREAN_HONORIFIC = re.compile(
    rf"(?<![가-힣])(?P<v>{_FULL_NAME})(?: ?(?:님|씨)(?![가-힣])|(?: ?님|씨)(?=은|는|이|가|을|를|의|와|과|께|에게)|"
    r" (?:교수|과장|선생|간호사|박사|원장|전공의|전문의)(?:님)?(?:[은는이가을를의와과께]|에게|으?로)?(?![가-힣]))"
)

_NAME_WORD = "[A-ZÀ-ÖØ-Þ](?:[A-Za-zÀ-ɏ'-]{1,24}|\\.)"
_LINK = "(?:(?:de|del|la|las|los|van|der|den|von|y|bin) ){0,2}"
_LATIN_NAME = rf"{_NAME_WORD}(?:(?:,? |(?<=\.)){_LINK}{_NAME_WORD}){{0,3}}"
_LATIN_NAME_LONG = rf"{_NAME_WORD}(?:(?:,? |(?<=\.)){_LINK}{_NAME_WORD}){{1,3}}"
_ENGLISH_CUE = _words(
    "patient name", "patient's name", r"pt\.? name", "name of patient", "full name", "first name", "last name",
    "given name", "family name", "surname", "attending", "attending physician",
    "(?:referring|ordering|consulting|primary care|admitting|" "treating|responsible) (?:physician|doctor)",
    "physician", "surgeon", "doctor", "radiologist", "pathologist", "dictated by", "signed by",
    "electronically signed by", "reported by", "read by", "performed by", "guardian", "next of kin",
    "emergency contact", "mother", "father", "spouse", "pcp", "nombre", "nombre y apellidos", "apellidos?",
    "m[ée]dico", "remitido por", "responsable cl[íi]nico", "환자 ?명", "환자 ?성명", "성명", "성함", "환자 ?이름",
    "이름", "주치의", "담당의", "판독의", "집도의", "보호자",
)  # fmt: skip
_TITLE = r"(?:(?:Dr|Mr|Mrs|Ms|Prof|D|Dra|Sr|Sra)\.? )?"
_ENGLISH_CUED = re.compile(rf"(?i:(?<![a-z가-힣]){_ENGLISH_CUE}){_COLON}{_TITLE}(?P<v>{_LATIN_NAME})")
_ENGLISH_BY = re.compile(rf"(?i:(?<![a-z])(?:dictated|signed|reported|verified) by) {_TITLE}(?P<v>{_LATIN_NAME_LONG})")
_ENGLISH_NAME = re.compile(rf"(?<![A-Za-z가-힣])(?<![A-Za-z가-힣] )(?i:name){_COLON}{_TITLE}(?P<v>{_LATIN_NAME_LONG})")
_ENGLISH_PATIENT = re.compile(rf"(?i:(?<![a-z])(?:patient|pt|paciente)){_COLON}{_TITLE}(?P<v>{_LATIN_NAME_LONG})")
_ENGLISH_TITLE = re.compile(
    r"(?<![A-Za-z])(?:Mr|Mrs|Ms|Miss|Dr|Drs|Prof|Professor|Sr|Sra|Dra)(?:[.:] {0,2}| {1,2})(?:Dr\. {0,2})?"
    rf"(?P<v>{_LINK}{_LATIN_NAME}|{_FULL_NAME})"
)
_ENGLISH_DEGREE = re.compile(
    rf"(?<![A-Za-z'-])(?P<v>{_LATIN_NAME_LONG}),? (?:M\.D\.|MD|R\.N\.|RN|Ph\.D\.|D\.O\.)(?![A-Za-z]| [0-9])"
)

PATTERNS: tuple[Pattern, ...] = (
    Pattern("resident_number", _RESIDENT),
    Pattern("resident_number", _RESIDENT_SPACED),
    Pattern("email", _EMAIL, ("@", "[at]", "(at)")),
    Pattern("phone", _MOBILE, ("01", "82")),
    Pattern("phone", _MOBILE_SPACED, ("0 1 ",)),
    Pattern("phone", _LANDLINE),
    Pattern("phone", _LANDLINE_CLOSED),
    Pattern("phone", _INTERNATIONAL, ("+",)),
    Pattern("phone", _NORTH_AMERICAN),
    Pattern(
        "phone",
        _PHONE_CUED,
        ("전화", "연락", "휴대", "핸드폰", "팩스", "tel", "phone", "mobile", "fax", "h", "tfno", "vil"),
    ),
    Pattern("birth_date", _BIRTH, ("생", "birth", "born", "dob", "d.o.b", "nacim", "nacid", "geboorte", "data na")),
    Pattern("birth_date", _BIRTH_AFTER, ("생",)),
    Pattern(
        "chart_number",
        _CHART_CUED,
        ("번호", "id", "no", "number", "#", "mrn", "m.r.n", "nhc", "cipa", "historia", "epis", "nass"),
    ),
    Pattern("chart_number", _CHART_YEAR, ("-",)),
    Pattern("name", _KOREAN_PERSON, (":", "="), _is_not_known_word),
    Pattern("name", _KOREAN_ROLE, (":", "="), _could_be_name),
    Pattern("name", _KOREAN_BARE, ("명", "성함", "이름", "보호자", "의 ", "교수", "자 "), _could_be_name),
    Pattern("name", _KOREAN_PATIENT, ("환자",), _could_be_name),
    Pattern(
        "name", _KOREAN_HONORIFIC, ("님", "씨", "교수", "과장", "선생", "간호사", "박사", "원장", "의"), _could_be_name
    ),
    Pattern("name", _ENGLISH_CUED, (":", "=")),
    Pattern("name", _ENGLISH_BY, (" by ",)),
    Pattern("name", _ENGLISH_NAME, ("name",)),
    Pattern("name", _ENGLISH_PATIENT, ("patient", "pt", "paciente")),
    Pattern("name", _ENGLISH_TITLE, ("mr", "ms", "miss", "dr", "prof", "sr")),
    Pattern("name", _ENGLISH_DEGREE, ("md", "m.d", "rn", "r.n", "ph.d", "d.o")),
)
