"""Phrases of clinical notes by language and step; slots are named in `notes.slots_of`."""

PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "opening": (
            "{aged} {sex} presented with {symptoms} {onset}.",
            "this {age}-year-old {sex} was admitted because of {symptom} {onset}.",
            "the patient is {aged} {sex} who came to the {clinic} clinic complaining of {symptoms}.",
            "{aged} {sex} visited the emergency department with {symptom} and {others}.",
            "{symptom} brought this {age}-year-old {sex} to our hospital.",
        ),
        "story": (
            "{he} had been well until {symptom} developed, followed by {others}.",
            "the {symptom} became worse over the last {ago} days despite medication from a local clinic.",
            "{he} was first seen at another hospital, where {disease} was suspected, and was referred for further evaluation.",
            "{test} performed at an outside clinic raised the suspicion of {disease}.",
            "{his} family noticed that the {symptom} had been getting worse for {ago} days.",
        ),
        "denial": ("{he} denied {denied}.", "there was no {denied}.", "no {denied} accompanied the symptoms."),
        "history": (
            "{his} past history includes {comorbid} for {years} years.",
            "{he} has been treated for {comorbid} since {year}.",
            "known comorbidity: {comorbid}.",
        ),
        "no history": (
            "{he} had no underlying disease other than an operation in {year}.",
            "past medical history was unremarkable until {year}.",
            "{he} took no regular medication at the age of {age}.",
        ),
        "habits": (
            "{he} has a {packs} pack-year smoking history and stopped in {year}.",
            "{he} does not smoke and drinks about {day} times a month.",
            "there was no known drug allergy at admission in {year}.",
        ),
        "vitals": (
            "on admission, blood pressure was {bp} mmHg, heart rate {hr} beats/min and body temperature {bt} °C.",
            "vital signs: BP {bp} mmHg, HR {hr}/min, RR {rr}/min, BT {bt} °C.",
            "{he} was alert, with a blood pressure of {bp} mmHg and a respiratory rate of {rr}/min.",
        ),
        "exam": (
            "on examination {he} looked ill because of the {symptom}, and the pulse was {hr}/min.",
            "physical findings were compatible with {disease}.",
            "examination revealed nothing remarkable except for {symptom}.",
        ),
        "test": (
            "{test} was performed for the evaluation of {symptom}.",
            "{test} was done on day {start} of admission.",
            "{test} supported the diagnosis of {disease}.",
        ),
        "treatment": (
            "under the diagnosis of {disease}, {he} received {treatments}.",
            "we started {treatments} on hospital day {start} for {disease}.",
            "the patient was treated with {drugs} and {treatments}.",
            "after admission to the {clinic} ward, {he} was given {treatments} for {disease}.",
        ),
        "response": (
            "the {symptom} improved within {day} days.",
            "with treatment the {symptoms} gradually subsided.",
            "{his} {symptom} resolved on hospital day {day}, and no complication occurred.",
            "after {day} days of treatment {he} no longer complained of {symptom}.",
        ),
        "improved": (
            "follow-up tests showed {improved}, which is within the normal range.",
            "on hospital day {day}, {improved} had returned to normal.",
            "the last laboratory result before discharge was {improved}.",
        ),
        "impression": (
            "the most likely diagnosis is {disease}, given {symptoms} and the results above.",
            "{disease} was diagnosed in this {age}-year-old {sex}.",
            "findings are consistent with {disease}; other causes of {symptom} seem less likely.",
        ),
        "intended": (
            "we plan {treatments} and will repeat the {test} in {weeks} weeks.",
            "{drugs} will be given, with close observation of the {symptom}.",
            "we plan {treatments} after discussion with the patient and {his} family.",
        ),
        "discharge drugs": (
            "discharge medication: {drugs}.",
            "{he} was discharged on hospital day {days} with {drugs}.",
            "{he} was prescribed {drugs} for {weeks} weeks.",
        ),
        "follow-up": (
            "a visit to the {clinic} clinic is scheduled in {weeks} weeks with {test}.",
            "{he} was told to return at once if {symptom} or {others} recurs.",
            "follow-up of {disease} at the {clinic} outpatient clinic after {weeks} weeks is recommended.",
        ),
    },
    "ko": {
        "opening": (
            "{age}세 {sex} 환자로 {onset} {symptoms}[이/가] 있어 내원하였다.",
            "상기 {age}세 {sex} 환자는 {onset} 발생한 {symptom}[을/를] 주소로 {clinic} 외래를 방문하였다.",
            "{age}세 {sex} 환자가 {symptoms}[으로/로] 응급실을 통해 입원하였다.",
            "평소 건강하던 {age}세 {sex} 환자로 {onset} {symptom} 증상이 시작되었다.",
            "환자는 {age}세 {sex}[으로/로] {onset} {symptoms} 증상을 호소하였다.",
        ),
        "story": (
            "처음에는 {symptom}[만/만] 있었으나 이후 {others}[이/가] 동반되었다.",
            "인근 의원에서 약물 치료를 받았으나 {symptom}[이/가] {ago}일 전부터 심해졌다.",
            "타 병원에서 {test}[을/를] 시행하였고 {disease}[이/가] 의심되어 본원으로 전원되었다.",
            "{symptom}[이/가] 호전과 악화를 반복하다가 {ago}일 전부터 {others}[도/도] 나타났다.",
            "보호자에 따르면 내원 {ago}일 전부터 {symptom} 때문에 식사를 잘 하지 못하였다.",
        ),
        "denial": (
            "{denied}[은/는] 없었다.",
            "{denied}[은/는] 동반되지 않았다.",
            "문진에서 {denied}[은/는] 호소하지 않았다.",
        ),
        "history": (
            "{comorbid}[으로/로] {years}년째 약물 복용 중이다.",
            "과거력으로 {year}년에 진단받은 {comorbid}[이/가] 있다.",
            "{comorbid}[으로/로] {clinic}에서 추적 관찰 중이었다.",
        ),
        "no history": (
            "특별한 기저 질환은 없으며 {year}년에 건강검진을 받았다.",
            "{year}년 수술력 외에 특이 병력은 없다.",
            "정기적으로 복용하는 약물은 없고 {age}세까지 건강하게 지냈다.",
        ),
        "habits": (
            "흡연력은 {packs}갑년이며 {year}년부터 금연 중이다.",
            "비흡연자이고 음주는 한 달에 {day}회 정도 한다.",
            "약물 알레르기는 없으며 흡연은 {packs}갑년이다.",
        ),
        "vitals": (
            "내원 당시 혈압 {bp} mmHg, 맥박 {hr}회/분, 호흡수 {rr}회/분, 체온 {bt}도였다.",
            "활력징후는 혈압 {bp} mmHg, 맥박수 분당 {hr}회, 체온 {bt}도로 측정되었다.",
            "의식은 명료하였고 혈압은 {bp} mmHg, 분당 호흡수는 {rr}회였다.",
        ),
        "exam": (
            "신체검진에서 {symptom} 외에 특이 소견은 없었다.",
            "진찰 소견은 {disease}에 합당하였고 맥박은 분당 {hr}회였다.",
            "환자는 {symptom} 때문에 급성 병색을 보였다.",
        ),
        "test": (
            "{symptom}의 원인을 확인하기 위해 {test}[을/를] 시행하였다.",
            "입원 {start}일째 {test}[을/를] 시행하였다.",
            "{test} 결과 {disease}[을/를] 시사하는 소견이 있었다.",
        ),
        "treatment": (
            "{disease} 진단하에 {treatments}[을/를] 시행하였다.",
            "입원 {start}일째부터 {disease}에 대하여 {treatments}[을/를] 시작하였다.",
            "{drugs}[을/를] 투여하면서 {treatments}[을/를] 병행하였다.",
            "{clinic} 병동 입원 후 {treatments}[을/를] 시행하며 경과를 관찰하였다.",
        ),
        "response": (
            "치료 {day}일째부터 {symptom}[이/가] 호전되었다.",
            "이후 {symptoms}[이/가] 점차 좋아졌다.",
            "{symptom}[은/는] 입원 {day}일째 소실되었고 합병증은 없었다.",
            "{day}일간 치료 후 {symptom}[을/를] 더 이상 호소하지 않았다.",
        ),
        "improved": (
            "추적 검사에서 {improved}[으로/로] 정상화되었다.",
            "입원 {day}일째 시행한 혈액검사에서 {improved}[으로/로] 정상 범위였다.",
            "퇴원 전 마지막 검사 결과는 {improved}였다.",
        ),
        "impression": (
            "{symptoms} 증상과 검사 결과를 종합하여 {disease}[으로/로] 진단하였다.",
            "{age}세 {sex} 환자에서 발생한 {disease}[으로/로] 판단된다.",
            "{disease}[이/가] 가장 의심되며 {symptom}의 다른 원인 가능성은 낮다.",
        ),
        "intended": (
            "{treatments}[을/를] 시행하고 {weeks}주 후 {test}[을/를] 다시 확인할 예정이다.",
            "{drugs} 투여하면서 {symptom}[을/를] 관찰하기로 하였다.",
            "환자와 보호자에게 설명 후 {treatments}[을/를] 계획하였다.",
        ),
        "discharge drugs": (
            "퇴원약으로 {drugs}[을/를] 처방하였다.",
            "입원 {days}일째 {drugs} 처방 후 퇴원하였다.",
            "{drugs} {weeks}주분을 처방하였다.",
        ),
        "follow-up": (
            "{weeks}주 후 {clinic} 외래에서 {test}[을/를] 시행할 예정이다.",
            "{symptom}[이/가] 다시 나타나면 즉시 내원하도록 교육하였다.",
            "{disease}의 경과 확인을 위해 {weeks}주 뒤 {clinic} 외래 예약을 하였다.",
        ),
    },
    "mixed": {
        "opening": (
            "{age}세 {sex}[으로/로] {onset} {symptoms} 있어 ER visit함.",
            "상기 {age}/{sex}, {onset} {symptom} develop하여 {clinic} OPD 통해 admission함.",
            "{age}세 {sex}, {symptoms}[을/를] C/C로 내원함.",
            "{onset} {symptom} 있던 {age}세 {sex}[으로/로] {disease} r/o 위해 입원함.",
            "Previously healthy한 {age}세 {sex}[으로/로] {onset} {symptoms} 발생함.",
        ),
        "story": (
            "local clinic에서 medication 하였으나 {symptom} aggravation되어 본원으로 transfer됨.",
            "내원 {ago}일 전부터 {others}[도/도] 동반됨.",
            "타병원 {test}상 {disease} 의심되어 further evaluation 위해 refer됨.",
            "{symptom} wax & wane하다가 {ago}일 전부터 악화됨.",
            "이후 {others} 동반되어 {test} 시행함.",
        ),
        "denial": ("{denied} 소견은 없음.", "{denied}[은/는] denial함.", "ROS상 {denied} (-)."),
        "history": (
            "{comorbid} on medication ({years}년).",
            "{comorbid}[으로/로] {year}년부터 po medication 중.",
            "{comorbid}[으로/로] 본원 f/u 중이던 분임.",
        ),
        "no history": (
            "{year}년 op. Hx. 외에 특이 병력 없음.",
            "Underlying disease 없음, {year}년 건강검진 WNL.",
            "DM/HTN/Tbc/hepatitis (-/-/-/-), {age}세까지 입원력 없음.",
        ),
        "habits": (
            "Smoking {packs} PY, {year}년 quit함.",
            "Social Hx: ex-smoker ({packs} PY), alcohol 주 {day}회.",
            "Drug allergy (-), smoking {packs} PY.",
        ),
        "vitals": (
            "V/S: BP {bp} - HR {hr} - RR {rr} - BT {bt}.",
            "내원 당시 BP {bp} mmHg, HR {hr}, BT {bt}도로 측정됨.",
            "Mental alert, BP {bp}, RR {rr}회, BT {bt}.",
        ),
        "exam": (
            "P/E상 {symptom} 외 특이 소견 없음.",
            "Acute ill-looking appearance, HR {hr}, {symptom} (+).",
            "P/E finding은 {disease}에 compatible함.",
        ),
        "test": (
            "{symptom} w/u 위해 {test} 시행함.",
            "HD #{start} {test} 시행하였고 결과는 다음과 같음.",
            "{test}상 {disease}에 compatible한 소견 보임.",
        ),
        "treatment": (
            "{disease} imp. 하에 {treatments} 시행함.",
            "HD #{start}부터 {treatments} start함.",
            "{drugs} 투여하면서 {treatments} 병행함.",
            "{clinic} part로 admission하여 {disease}에 대해 {treatments} 시행함.",
        ),
        "response": (
            "이후 {symptom} improving state로 conservative care 유지함.",
            "HD #{day}부터 {symptoms} subside됨.",
            "Tx. {day}일째 {symptom} 소실되었고 complication 없었음.",
            "{symptom} 호전되어 {day}일 뒤 일반 병실로 전실함.",
        ),
        "improved": (
            "f/u lab상 {improved}[으로/로] normalize됨.",
            "HD #{day} {improved}[으로/로] WNL.",
            "D/C 전 lab: {improved}.",
        ),
        "impression": (
            "{symptoms} 및 {test} 결과 종합할 때 {disease}[으로/로] 판단됨.",
            "Imp) {disease}, {age}/{sex}.",
            "{disease} most likely, {symptom}의 other cause는 less likely함.",
        ),
        "intended": (
            "{treatments} 시행 후 {weeks}주 뒤 {test} f/u 예정.",
            "{drugs} start하고 {symptom} close observation 하기로 함.",
            "보호자 설명 후 {treatments} plan.",
        ),
        "discharge drugs": (
            "D/C medication: {drugs}.",
            "HD #{days} {drugs} 처방 후 discharge함.",
            "{drugs} {weeks}주 처방함.",
        ),
        "follow-up": (
            "{weeks}주 후 {clinic} OPD f/u, {test} 예약함.",
            "{symptom} recur 시 ER visit 하도록 education함.",
            "{disease} f/u 위해 {weeks}주 뒤 {clinic} OPD 예정.",
        ),
    },
}
