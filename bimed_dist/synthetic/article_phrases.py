"""Phrases of articles, by language, style and part: first sentences, and sentences that may follow."""

_KO_TEXTBOOK = {
    "definition": (
        (
            "{disease}[은/는] {definition}이다.",
            "{disease}[이란/란] {definition}[을/를] 말한다.",
            "{definition}[을/를] {disease}[이라고/라고] 한다.",
            "{clinic}에서 흔히 접하는 {disease}[은/는] {definition}[으로/로] 정의된다.",
        ),
        (
            "임상적으로 {symptom}[이/가] 특징이다.",
            "{risk}[과/와] 밀접한 관련이 있다.",
            "{age}세 이후에 진단되는 예가 전체의 {share}%를 차지한다.",
        ),
    ),
    "frequency": (
        (
            "인구 10만 명당 연간 약 {rate}명이 새로 진단된다.",
            "최근 {years}년 사이 {disease} 환자는 {share}% 증가하였다.",
            "{age}세 이상에서 유병률이 {share}%에 이른다는 보고가 있다.",
        ),
        ("{disease} 환자의 {share}%에서 {symptom}[이/가] 관찰된다.",),
    ),
    "causes": (
        (
            "원인과 위험 인자로는 {risks} 등이 알려져 있다.",
            "{risks}[은/는] {disease}의 주요 위험 인자이다.",
            "{disease}의 발생에는 {risks}[이/가] 관여한다.",
        ),
        (
            "특히 {risk}[이/가] 있으면 발생 위험이 약 {some}배 높다.",
            "{share}%에서는 {risk} 외에 뚜렷한 원인을 찾기 어렵다.",
        ),
    ),
    "symptoms": (
        (
            "주요 증상은 {symptoms}이다.",
            "환자는 {symptoms} 등의 증상을 호소한다.",
            "{symptoms}[이/가] 대표적인 임상 양상이며 병의 정도에 따라 다르다.",
        ),
        ("{symptom}[은/는] 환자의 약 {share}%에서 나타난다.", "초기에는 {symptom} 외에 별다른 증상이 없을 수 있다."),
    ),
    "diagnosis": (
        (
            "진단을 위하여 {tests} 등을 시행한다.",
            "{disease}[은/는] {tests}[을/를] 종합하여 진단한다.",
            "{symptom}[이/가] 있는 환자에서는 먼저 {test}[을/를] 시행한다.",
        ),
        ("{test}의 민감도는 {share}% 정도로 보고된다.", "감별이 어려우면 {weeks}주 후 {test}[을/를] 반복한다."),
    ),
    "treatment": (
        (
            "치료는 {treatments}[을/를] 기본으로 한다.",
            "{disease}의 치료로 {treatments} 등이 있다.",
            "중증도에 따라 {treatments}[을/를] 시행한다.",
        ),
        ("{treatment} 후 {weeks}주가 지나면 반응을 평가한다.", "{treatment}에 반응하는 환자는 약 {share}%이다."),
    ),
    "complications": (
        (
            "합병증으로 {complications}[이/가] 발생할 수 있다.",
            "치료가 늦어지면 {complications}[으로/로] 진행할 수 있다.",
            "{complication}[은/는] 예후를 나쁘게 하는 합병증이다.",
        ),
        ("{complication}[이/가] 동반된 경우 {years}년 생존율이 감소한다.",),
    ),
    "prevention": (
        (
            "예방을 위해서는 {risk}[을/를] 관리하는 것이 중요하다.",
            "{risks}[이/가] 있는 사람은 {years}년마다 {test}[을/를] 받는 것이 권고된다.",
            "재발을 막기 위해 {weeks}주 간격으로 추적 관찰한다.",
        ),
        (),
    ),
}
_KO_POPULAR = {
    "definition": (
        (
            "{symptom} 때문에 병원을 찾는 분 가운데 {disease} 진단을 받는 경우가 있습니다.",
            "{disease}[은/는] {definition}입니다.",
            "요즘 {disease}[을/를] 걱정하는 {age}대 분들이 많습니다.".replace("{age}대", "{age}세 전후의"),
            "흔히 듣는 {disease}, 정확히는 {definition}을 뜻합니다.",
        ),
        ("{symptoms}[이/가] 있다면 한 번쯤 의심해 보아야 합니다.", "{risk}[과/와] 관련이 깊습니다."),
    ),
    "frequency": (
        (
            "국내 {disease} 환자는 최근 {years}년 동안 {share}% 늘었습니다.",
            "{age}세 이상에서는 {some}명 중 1명꼴로 {disease} 위험이 있다고 합니다.",
        ),
        (),
    ),
    "causes": (
        (
            "{risks} 등이 {disease}의 원인이 됩니다.",
            "왜 생길까요? {risks}[이/가] 영향을 줍니다.",
            "전문의들은 {risks}[을/를] 주된 원인으로 꼽습니다.",
        ),
        ("{risk}[이/가] 있는 분은 그렇지 않은 분보다 {some}배 더 잘 걸립니다.",),
    ),
    "symptoms": (
        (
            "{symptoms} 같은 증상이 나타나면 주의해야 합니다.",
            "{symptom}[이/가] {weeks}주 이상 계속되면 진료를 받는 것이 좋습니다.",
            "대표적인 증상은 {symptoms}입니다.",
        ),
        (
            "{symptom}[을/를] 단순한 피곤 탓으로 여기기 쉽습니다.",
            "환자 {share}%는 초기에 {symptom}[을/를] 느끼지 못합니다.",
        ),
    ),
    "diagnosis": (
        (
            "병원에서는 {tests}[으로/로] {disease} 여부를 확인합니다.",
            "{test}[을/를] 받으면 비교적 쉽게 알 수 있습니다.",
            "{clinic}에서 {tests}[을/를] 받아 보시기 바랍니다.",
        ),
        ("{test}[은/는] 보통 {minutes}분 정도 걸립니다.",),
    ),
    "treatment": (
        (
            "치료에는 {treatments} 등이 있습니다.",
            "{disease}[은/는] {treatment}[으로/로] 좋아질 수 있습니다.",
            "환자의 상태에 맞추어 {treatments}[을/를] 하게 됩니다.",
        ),
        (
            "{treatment}[을/를] 시작한 뒤 {weeks}주 정도면 효과를 느낄 수 있습니다.",
            "임의로 치료를 중단하면 {symptom}[이/가] 다시 나타날 수 있습니다.",
        ),
    ),
    "complications": (
        (
            "방치하면 {complications}[으로/로] 이어질 수 있습니다.",
            "{complication} 같은 합병증을 조심해야 합니다.",
        ),
        ("{disease} 환자의 {share}% 정도가 {complication}[을/를] 경험합니다.",),
    ),
    "prevention": (
        (
            "하루 {minutes}분씩 걷고 {risk}[을/를] 멀리하는 생활이 도움이 됩니다.",
            "{age}세가 넘으면 {years}년에 한 번 {test}[을/를] 받으세요.",
            "{risks}[을/를] 줄이는 것이 {disease} 예방의 첫걸음입니다.",
        ),
        (),
    ),
}
_EN_TEXTBOOK = {
    "definition": (
        (
            "{disease} is {definition}.",
            "{disease} is defined as {definition}.",
            "the term {disease} refers to {definition}.",
            "seen often in {clinic}, {disease} is {definition}.",
        ),
        (
            "its hallmark is {symptom}.",
            "it is closely linked to {risk}.",
            "about {share}% of cases are diagnosed after the age of {age}.",
        ),
    ),
    "frequency": (
        (
            "each year about {rate} new cases per 100,000 people are diagnosed.",
            "over the last {years} years the number of patients with {disease} has risen by {share}%.",
            "the prevalence reaches {share}% above the age of {age}.",
        ),
        ("{symptom} is observed in {share}% of patients with {disease}.",),
    ),
    "causes": (
        (
            "known risk factors include {risks}.",
            "{risks} contribute to the development of {disease}.",
            "the pathogenesis of {disease} involves {risks}.",
        ),
        (
            "in the presence of {risk} the risk is about {some} times higher.",
            "no cause other than {risk} is found in {share}% of patients.",
        ),
    ),
    "symptoms": (
        (
            "the main symptoms are {symptoms}.",
            "patients complain of {symptoms}.",
            "typical manifestations include {symptoms}, depending on severity.",
        ),
        ("{symptom} occurs in about {share}% of patients.", "early disease may cause nothing but {symptom}."),
    ),
    "diagnosis": (
        (
            "the diagnosis rests on {tests}.",
            "{disease} is diagnosed by {tests}.",
            "in patients with {symptom}, {test} is performed first.",
        ),
        (
            "the sensitivity of {test} is about {share}%.",
            "where doubt remains, {test} is repeated after {weeks} weeks.",
        ),
    ),
    "treatment": (
        (
            "treatment consists of {treatments}.",
            "options for {disease} include {treatments}.",
            "depending on severity, patients receive {treatments}.",
        ),
        (
            "the response to {treatment} is assessed after {weeks} weeks.",
            "about {share}% of patients respond to {treatment}.",
        ),
    ),
    "complications": (
        (
            "complications include {complications}.",
            "delayed treatment may lead to {complications}.",
            "{complication} is a complication that worsens the prognosis.",
        ),
        ("with {complication}, the {years}-year survival is reduced.",),
    ),
    "prevention": (
        (
            "prevention aims at {risk}.",
            "people with {risks} should undergo {test} every {years} years.",
            "follow-up at intervals of {weeks} weeks helps to detect recurrence of {disease}.",
        ),
        (),
    ),
}
_EN_POPULAR = {
    "definition": (
        (
            "many people who see a doctor for {symptom} learn that they have {disease}.",
            "{disease} is {definition}.",
            "what is {disease}? It is {definition}.",
            "doctors use the name {disease} for {definition}.",
        ),
        ("if you notice {symptoms}, think of it.", "it has much to do with {risk}."),
    ),
    "frequency": (
        (
            "cases of {disease} have gone up by {share}% in the past {years} years.",
            "about 1 in {some} people over {age} is at risk of {disease}.",
        ),
        (),
    ),
    "causes": (
        (
            "you are more likely to get {disease} if there is {risks}.",
            "why does it happen? Doctors point to {risks}.",
            "{disease} often goes back to {risks}.",
        ),
        ("with {risk}, the chance is {some} times greater.",),
    ),
    "symptoms": (
        (
            "watch out for {symptoms}.",
            "see a doctor if you have {symptom} for more than {weeks} weeks.",
            "common signs are {symptoms}.",
        ),
        (
            "it is easy to mistake {symptom} for simple tiredness.",
            "in the beginning, {share}% of patients do not notice {symptom}.",
        ),
    ),
    "diagnosis": (
        (
            "to find out, your doctor may order {tests}.",
            "with {test}, {disease} can be recognized quite easily.",
            "at the {clinic} clinic you may be offered {tests}.",
        ),
        ("{test} usually takes about {minutes} minutes.",),
    ),
    "treatment": (
        (
            "you may be offered {treatments}.",
            "{disease} can get better with {treatment}.",
            "depending on your condition, the doctor will suggest {treatments}.",
        ),
        (
            "most people feel better {weeks} weeks after starting {treatment}.",
            "if you stop treatment on your own, {symptom} may come back.",
        ),
    ),
    "complications": (
        ("left untreated, it can lead to {complications}.", "beware of complications such as {complications}."),
        ("about {share}% of people with {disease} go on to have {complication}.",),
    ),
    "prevention": (
        (
            "walking {minutes} minutes a day lowers the risk of {disease}.",
            "if you are over {age}, have {test} every {years} years.",
            "to prevent {disease}, keep an eye on {risks}.",
        ),
        (),
    ),
}
_MIXED = {
    "definition": (
        (
            "{disease}[은/는] {definition}임.",
            "{disease}의 definition: {definition}.",
            "{disease}[이란/란] {definition}[으로/로], {clinic} 영역에서 흔한 disease임.",
        ),
        ("{risk}[과/와] association이 있음.", "{symptom}[이/가] cardinal symptom임."),
    ),
    "frequency": (
        (
            "Incidence는 인구 10만 명당 {rate}명 정도임.",
            "{age}세 이상에서 prevalence가 {share}%까지 보고됨.",
            "최근 {years}년간 {disease} case가 {share}% 증가함.",
        ),
        ("{symptom}[은/는] 환자의 {share}%에서 보임.",),
    ),
    "causes": (
        ("Risk factor: {risks}.", "Etiology로는 {risks} 등이 있음.", "{risks}[이/가] {disease}의 major risk factor임."),
        ("{risk} 있는 경우 relative risk가 {some}배 증가함.",),
    ),
    "symptoms": (
        (
            "Typical Sx.[은/는] {symptoms} 등임.",
            "환자는 주로 {symptoms}[을/를] 호소함.",
            "Clinical manifestation: {symptoms}.",
        ),
        ("{symptom}[은/는] 약 {share}%에서 동반됨.", "Early stage에는 {symptom}[만/만] 있을 수 있음."),
    ),
    "diagnosis": (
        (
            "Dx.[을/를] 위해 {tests} 시행함.",
            "{disease} 의심 시 {tests} check 필요함.",
            "{test}[이/가] diagnostic test로 가장 유용함.",
        ),
        ("{test}의 sensitivity는 {share}% 정도임.", "Equivocal하면 {weeks}주 후 {test} f/u함."),
    ),
    "treatment": (
        (
            "Tx.: {treatments}.",
            "{disease}의 Tx.[은/는] {treatments}[이/가] 기본임.",
            "Severity에 따라 {treatments} 고려함.",
        ),
        ("{treatment} 후 {weeks}주 뒤 response 평가함.", "{treatment}에 대한 response rate는 {share}% 정도임."),
    ),
    "complications": (
        ("Complication으로 {complications} 발생 가능함.", "{complications} 발생 시 prognosis 불량함."),
        ("{complication} 동반 시 {years}-year survival이 감소함.",),
    ),
    "prevention": (
        (
            "Prevention 위해 {risk} control이 중요함.",
            "{risks} 있는 경우 {years}년마다 {test} screening 권유함.",
            "{disease} recur 방지 위해 {weeks}주 간격으로 f/u함.",
        ),
        (),
    ),
}

ARTICLE = {
    "ko": {"textbook": _KO_TEXTBOOK, "popular": _KO_POPULAR},
    "en": {"textbook": _EN_TEXTBOOK, "popular": _EN_POPULAR},
    "mixed": {"textbook": _MIXED, "popular": _MIXED},
}
