import json
from collections import Counter
from pathlib import Path

import pytest

from bimed_dist.corpus.sentences import cut_long, open_ends, split_paragraphs

KOREAN_AND_MIXED = [
    ["환자는 chest CT상 both lung에 multiple metastatic nodule 소견 보임."],
    ["3.5 cm 크기의 mass가 RUL에 보임.", "No. 3 LN 전이 의심됨.", "Dr. Kim 선생님 의뢰함."],
    ["Aspirin 100 mg q.d. 복용 중임.", "e.g. 고혈압, 당뇨 등의 병력 있음."],
    ["환자는 2019. 3. 5. 본원에 내원하였다.", "vs. 이전 CT와 비교하여 큰 변화 없음."],
    ["Pt. 는 C/C로 dyspnea 호소하여 내원.", "Fig. 2에 보이는 것처럼 정상이다."],
    ["Both lung clear.", "흉수 없음.", "No LN enlargement.", "심비대 소견."],
    ["RUL에 3 cm 크기의 mass.", "흉수 없음."],
    ["Op. 후 상태 양호.", "Adm. 후 chemo. 시행함."],
    ["특이 호소 없음", "식사 잘함"],
    ["임시 주소 (예. 호텔)."],
    ['"직업이 무엇입니까?"라고 그는 물었다.', "대답은 없었다."],
    ["값이 2.718282...인 상수입니다.", "끝."],
    ["FORECAST.ETS.ADD 함수를 씁니다.", "(자세한 설명은 아래에 있습니다.)"],
]
ENGLISH = [
    ["Dr. Smith saw the pt. today.", "He measured 3.5 cm.", "No. 3 node is enlarged."],
    ["Take 5 mg q.d. with food.", "See Fig. 2 for details, e.g. the mass."],
    ["The patient had a Hx. of HTN.", "Dx. was made at St. Jude.", "Approx. 4 cm mass."],
    ["Blood culture neg.", "Repeat tomorrow."],
    ["1. LLL pneumonia.", "2. Small pleural effusion."],
    ["Call svc.GetTexts(a) first.", "Then FORECAST.ETS of lung.", "It ends (so.)"],
    ["No change.", "- Old granuloma."],
    ["#1. Acute pulmonary embolism.", "#2. Lower respiratory tract infection."],
]


@pytest.mark.parametrize("sentences", KOREAN_AND_MIXED + ENGLISH, ids=lambda sentences: sentences[0])
def test_a_paragraph_is_split_into_its_sentences(sentences):
    assert split_paragraphs([" ".join(sentences)]) == [sentences]


def test_a_sentence_ends_also_if_the_space_after_it_was_forgotten():
    assert split_paragraphs(["It was normal.The rest was not.", "정상입니다.자세히 봅니다."]) == [
        ["It was normal.", "The rest was not."],
        ["정상입니다.", "자세히 봅니다."],
    ]


def test_paragraphs_keep_their_order_whatever_their_language():
    paragraphs = ["정상이다. 끝이다.", "Normal. Done.", "", "폐렴 의심.\nNo PE.", "\n"]
    assert split_paragraphs(paragraphs) == [
        ["정상이다.", "끝이다."],
        ["Normal.", "Done."],
        [],
        ["폐렴 의심.", "No PE."],
        [],
    ]


def test_a_line_break_ends_a_sentence():
    assert split_paragraphs(["제목\n본문이다", "Title\nBody"]) == [["제목", "본문이다"], ["Title", "Body"]]


def test_nothing_but_whitespace_is_lost():
    text = " ".join(sentence for sentences in KOREAN_AND_MIXED + ENGLISH for sentence in sentences) + " ... ) { } 끝 *"
    for paragraph in (text, text.replace(" ", "  ")):
        [sentences] = split_paragraphs([paragraph])
        assert "".join(sentences).replace(" ", "") == paragraph.replace(" ", "")


def test_marks_without_letters_are_no_sentences_of_their_own():
    assert split_paragraphs(["... Done. )", "}"]) == [["... Done. )"], ["}"]]


def test_a_long_sentence_is_cut_at_spaces():
    assert cut_long("aa bb cc", longest=5) == ["aa bb", "cc"]
    assert cut_long("aaaaaaa b", longest=5) == ["aaaaa", "aa b"]
    assert cut_long("aa bb", longest=5) == ["aa bb"]


def hand_checked() -> dict[str, list[list[str]]]:
    """Paragraphs as lists of their sentences, by language; written and split by hand."""
    by_language: dict[str, list[list[str]]] = {}
    path = Path(__file__).parent / "data" / "sentences.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        by_language.setdefault(row["language"], []).append(row["sentences"])
    return by_language


@pytest.mark.parametrize(
    ("language", "least"), [("ko", 0.95), ("mixed", 0.94), ("en", 0.98), ("nl", 0.95), ("ro", 0.95), ("es", 0.95)]
)
def test_the_hand_checked_sentences_are_found(language, least):
    paragraphs = hand_checked()[language]
    latin = language if language in ("nl", "ro", "es") else "en"
    split = split_paragraphs([" ".join(sentences) for sentences in paragraphs], latin)
    right = sum((Counter(got) & Counter(wanted)).total() for got, wanted in zip(split, paragraphs, strict=True))
    assert right / sum(map(len, paragraphs)) >= least  # recall
    assert right / sum(map(len, split)) >= least  # precision


def test_there_are_at_least_two_hundred_hand_checked_sentences():
    assert sum(len(sentences) for paragraphs in hand_checked().values() for sentences in paragraphs) >= 200


def test_only_sentences_that_punctuation_leaves_open_are_analysed():
    assert not any(map(open_ends, ["정상입니다.", "다음 검사는 3월입니다.", "폐렴 의심", "Normal. No PE."]))
    assert open_ends("특이 호소 없음 식사 잘함") == {8}
