"""What a radiologist concludes, by label, certainty and language. Slots: {d} disease, {s} site, {alt} another cause,
{z} size, {op} operation, {p} primary tumour, {c} change."""

# Words in which a disease is named, by hospital, label and language.
NAMES = {
    "internal": {
        "pneumonia": {
            "mixed": ("pneumonia", "bronchopneumonia", "pneumonia", "infectious pneumonia", "infectious lesion"),
            "en": ("pneumonia", "bronchopneumonia", "infectious pneumonia", "lower respiratory tract infection"),
            "ko": ("폐렴", "감염성 폐렴", "기관지폐렴"),
        },
        "embolism": {
            "mixed": ("PTE", "acute PTE", "pulmonary thromboembolism", "PTE"),
            "en": ("pulmonary thromboembolism", "PTE", "acute pulmonary embolism"),
            "ko": ("폐혈전색전증", "폐색전증"),
        },
        "cancer": {
            "mixed": ("lung cancer", "lung ca.", "primary lung cancer", "NSCLC", "adenocarcinoma", "malignancy"),
            "en": ("lung cancer", "primary lung cancer", "primary lung malignancy", "bronchogenic adenocarcinoma"),
            "ko": ("폐암", "원발성 폐암"),
        },
    },
    "external": {
        "pneumonia": {
            "mixed": ("pneumonic infiltration", "폐렴", "pneumonia", "infection"),
            "en": ("pneumonic infiltration", "airspace pneumonia", "infectious infiltrate", "pneumonia"),
            "ko": ("폐렴", "폐렴성 침윤", "감염성 병변", "세균성 폐렴"),
        },
        "embolism": {
            "mixed": ("PE", "pul. embolism", "폐색전증"),
            "en": ("PE", "pulmonary embolism", "pulmonary arterial thrombosis"),
            "ko": ("폐색전증", "폐동맥 색전증", "폐동맥 혈전"),
        },
        "cancer": {
            "mixed": ("폐암", "lung malignancy", "bronchogenic ca.", "lung cancer"),
            "en": ("bronchogenic carcinoma", "lung malignancy", "lung carcinoma"),
            "ko": ("폐암", "폐의 악성 종양", "원발성 폐암", "기관지원성 암"),
        },
    },
}

PROBABLE = {
    "mixed": (
        "{s} lesion, {d} 의심됨",
        "C/W {d}, {s}",
        "Suggestive of {d} in {s}",
        "{s}의 {d}에 합당한 소견",
        "{s} 병변, {d} more likely",
    ),
    "en": (
        "Findings suggestive of {d} in {s}",
        "Probable {d}, {s}",
        "Lesion in {s}, most likely {d}",
        "Compatible with {d} in {s}",
        "Consistent with {d} involving {s}",
    ),
    "ko": (
        "{s} 병변은 {d}에 합당한 소견임",
        "{s}의 {d}[이/가] 의심됨",
        "{s} 병변으로 {d}[을/를] 시사하는 소견임",
        "{s}의 병변은 {d}일 가능성이 높음",
    ),
}

POSSIBLE = {
    "mixed": (
        "{s} lesion, {alt} favored, {d} 배제할 수 없음",
        "{s} lesion, r/o {d}, DDx) {alt}",
        "{alt}, {s}. {d} 가능성은 낮아 보임",
        "{s} 병변, {alt} > {d}, clinical correlation 요함",
    ),
    "en": (
        "Lesion in {s}, probably {alt}; {d} cannot be excluded",
        "{alt} in {s}, less likely {d}",
        "Rule out {d} in {s}; DDx: {alt}",
        "Indeterminate lesion in {s}, {alt} favored over {d}",
    ),
    "ko": (
        "{s} 병변은 {alt}[을/를] 우선 고려하나 {d}[을/를] 배제할 수 없음",
        "{s} 병변, {d}의 감별이 필요함({alt} 가능성이 더 높음)",
        "{s}의 {alt} 가능성이 높고 {d}의 가능성은 낮음",
    ),
}

PRESENT = {
    "pneumonia": {
        "mixed": ("{d} in {s}", "{s}의 {d}", "{d}, {s}", "{s}에 {d} 소견", "Active {d} in {s}, f/u 요망"),
        "en": ("{d} in {s}", "{d}, {s}", "Active {d} involving {s}", "Multifocal {d}, predominantly in {s}"),
        "ko": ("{s}의 {d}", "{s} {d} 소견", "{s}에 활동성 {d} 있음", "{s}에 {d} 소견이 있어 추적 검사 요함"),
    },
    "embolism": {
        "mixed": (
            "{d} in {s}",
            "{d}, {s}",
            "{s}의 {d}",
            "{s}에 {d} 소견, RV strain 동반",
            "Intraluminal thrombus in {s}",
            "{s}의 thrombotic occlusion",
        ),
        "en": (
            "{d} in {s}",
            "{d} involving {s}",
            "{d} with right heart strain, {s}",
            "Thrombotic occlusion of {s}",
            "Intraluminal thrombus in {s}",
        ),
        "ko": ("{s}의 {d}", "{s}에 {d} 소견", "{s} 내 {d}, 우심부하 동반", "{s} 내강에 혈전이 있어 혈관이 막힌 소견"),
    },
    "cancer": {
        "mixed": (
            "{d}, {s}",
            "{d} in {s} ({z})",
            "{s}의 {d}, tissue confirm 요함",
            "{s} mass, 조직검사로 확진된 {d}",
            "{d} in {s} with mediastinal invasion",
        ),
        "en": (
            "{d} in {s}",
            "{d} in {s}, {z}",
            "Biopsy-proven {d} in {s}",
            "{d} in {s}; PET-CT is recommended for staging",
        ),
        "ko": ("{s}의 {d}", "{s} {d} ({z})", "{s}에 조직검사로 확인된 {d}", "{s}의 {d}, 병기 결정을 위한 검사 요함"),
    },
}

METASTASIS = {
    "mixed": (
        "Multiple metastatic nodules, {s}",
        "Lung metastases from {p}",
        "{p}의 both lung metastasis",
        "{p} 환자, 다발성 폐전이",
    ),
    "en": ("Multiple pulmonary metastases from {p}", "Metastatic nodules in {s}", "{p} with lung metastases"),
    "ko": ("{p}의 다발성 폐전이", "{s}의 다발성 전이 결절", "{p}의 폐전이 소견"),
}

ACTIVE = {
    "mixed": ("Known {d} in {s}, {c}", "{s}의 {d}, s/p CTx., {c}", "{d} on CTx., {c}"),
    "en": ("Known {d} in {s}, {c}", "{d} in {s} under chemotherapy, {c}"),
    "ko": ("기존 {s}의 {d}, {c}", "항암치료 중인 {s} {d}, {c}"),
}

COURSE = {
    "increased": {
        "mixed": ("interval progression (PD)", "interval increase in size"),
        "en": ("increased in size, progressive disease", "with interval progression"),
        "ko": ("이전보다 크기 증가", "진행 소견"),
    },
    "decreased": {
        "mixed": ("interval decrease (PR)", "partial response 소견"),
        "en": ("decreased in size, partial response", "with interval improvement"),
        "ko": ("이전보다 크기 감소", "부분 관해 소견"),
    },
    "stable": {
        "mixed": ("no interval change (SD)", "이전과 비슷함"),
        "en": ("without interval change", "stable disease"),
        "ko": ("이전과 변화 없음", "이전과 비슷한 상태"),
    },
}

NEGATED = {
    "pneumonia": {
        "mixed": ("No evidence of {d}", "{d}[을/를] 시사하는 소견 없음", "Definite {d} 소견은 보이지 않음"),
        "en": ("No evidence of {d}", "No findings to suggest {d}", "No definite {d}"),
        "ko": ("{d}[을/를] 시사하는 소견 없음", "{d} 소견은 관찰되지 않음", "{d}[은/는] 보이지 않음"),
    },
    "embolism": {
        "mixed": ("No evidence of {d}", "{d} 없음", "Main to segmental PA에 filling defect 없음, no {d}"),
        "en": ("No evidence of {d}", "No filling defect to suggest {d}", "Negative for {d}"),
        "ko": ("{d}[을/를] 시사하는 충만 결손 없음", "{d} 소견은 관찰되지 않음", "{d} 없음"),
    },
    "cancer": {
        "mixed": (
            "No evidence of metastasis in chest",
            "Lung metastasis 소견 없음",
            "{d}[을/를] 의심할 만한 병변 없음",
        ),
        "en": (
            "No evidence of intrathoracic metastasis",
            "No evidence of malignancy in the chest",
            "No lesion suspicious for {d}",
        ),
        "ko": ("폐전이 소견 없음", "{d}[을/를] 의심할 만한 병변은 없음", "흉부에 전이를 시사하는 소견 없음"),
    },
}

RESOLVED = {
    "pneumonia": {
        "mixed": (
            "Resolved {d}, {s}",
            "Previously noted {d} in {s}, complete resolution",
            "이전 {s} {d}[은/는] 호전되어 소실됨",
        ),
        "en": ("Complete resolution of the previous {d} in {s}", "Previously noted {d} in {s} has resolved"),
        "ko": ("이전 검사의 {s} {d}[은/는] 완전히 소실됨", "{s}의 {d}[은/는] 치료 후 호전되어 남은 병변 없음"),
    },
    "embolism": {
        "mixed": (
            "이전 {s}의 {d}[은/는] disappeared",
            "Resolution of {d} in {s}",
            "Previous {d} in {s}, 현재 남아 있는 thrombus 없음",
        ),
        "en": ("Previous {d} in {s} is no longer seen", "Complete resolution of {d} in {s}"),
        "ko": ("이전 {s}의 {d}[은/는] 현재 보이지 않음", "{s}의 {d}[은/는] 항응고 치료 후 소실됨"),
    },
    "cancer": {
        "mixed": ("{op} d/t {d}, no evidence of recurrence", "{op} ({d}), 재발 소견 없음", "{op} for {d}, NED state"),
        "en": ("{op} for {d}, no evidence of recurrence", "{op} for {d} without local recurrence or metastasis"),
        "ko": ("{d}[으로/로] {op} 후 상태, 재발 소견 없음", "{op} 후 상태({d}), 국소 재발이나 전이 소견 없음"),
    },
}

ALTERNATIVES = {
    "pneumonia": {
        "mixed": (
            "focal hemorrhage",
            "passive atelectasis",
            "aspiration bronchiolitis",
            "old Tbc sequelae",
            "drug-induced lung disease",
        ),
        "en": ("focal hemorrhage", "passive atelectasis", "old granulomatous sequelae", "drug-induced lung disease"),
        "ko": ("국소 폐출혈", "수동성 무기폐", "오래된 결핵 후유증", "약물 유발 폐질환"),
    },
    "embolism": {
        "mixed": ("flow artifact", "motion artifact", "beam hardening artifact"),
        "en": ("flow artifact", "motion artifact", "partial volume effect"),
        "ko": ("혈류 인공물", "움직임에 의한 인공물", "부분 용적 효과"),
    },
    "cancer": {
        "mixed": ("granuloma", "hamartoma", "intrapulmonary LN", "focal fibrosis", "tuberculoma"),
        "en": ("granuloma", "hamartoma", "intrapulmonary lymph node", "focal fibrosis"),
        "ko": ("육아종", "과오종", "폐내 림프절", "국소 섬유화"),
    },
}

# Look-alikes that are not the label's disease: (observation, conclusions by language).
MIMICS = {
    "pneumonia": (
        (
            "ground-glass opacity",
            {"mixed": "Pulmonary edema, {s}", "en": "Pulmonary edema in {s}", "ko": "{s}의 폐부종"},
        ),
        (
            "consolidation",
            {
                "mixed": "Pulmonary edema with alveolar consolidation, {s}",
                "en": "Alveolar edema in {s}",
                "ko": "{s}의 폐포성 부종",
            },
        ),
        (
            "ground-glass opacity",
            {"mixed": "Radiation pneumonitis, {s}", "en": "Radiation pneumonitis in {s}", "ko": "{s}의 방사선 폐렴"},
        ),
        (
            "ground-glass opacity",
            {
                "mixed": "ILD (NSIP pattern), {s}",
                "en": "Interstitial lung disease, NSIP pattern, in {s}",
                "ko": "{s}의 간질성 폐질환",
            },
        ),
    ),
    "cancer": (
        (
            "nodule",
            {"mixed": "Calcified granuloma, {s}", "en": "Calcified granuloma in {s}", "ko": "{s}의 석회화 육아종"},
        ),
        (
            "nodule",
            {
                "mixed": "Benign nodule, {s}, 1년 후 f/u",
                "en": "Benign-looking nodule in {s}",
                "ko": "{s}의 양성 결절, 추적 검사 권유",
            },
        ),
        ("nodule", {"mixed": "Tuberculoma, {s}", "en": "Tuberculoma in {s}", "ko": "{s}의 결핵종"}),
    ),
}

PRIMARIES = {
    "mixed": ("colon ca.", "breast ca.", "HCC", "RCC", "thyroid ca.", "AGC", "rectal ca."),
    "en": (
        "colon cancer",
        "breast cancer",
        "hepatocellular carcinoma",
        "renal cell carcinoma",
        "gastric cancer",
        "rectal cancer",
    ),
    "ko": ("대장암", "유방암", "간세포암", "신세포암", "위암", "직장암", "갑상선암"),
}

NORMALS = {
    "heart": {
        "mixed": ("Heart size 정상", "심장 크기 정상, pericardial effusion 없음", "No cardiomegaly"),
        "en": ("The heart is normal in size", "No cardiomegaly or pericardial effusion"),
        "ko": ("심장 크기는 정상임", "심비대나 심낭삼출은 없음", "심장 및 심낭에 이상 소견 없음"),
    },
    "airway": {
        "mixed": ("Central airway patent함", "Trachea와 main bronchus에 특이 소견 없음", "No endobronchial lesion"),
        "en": ("The central airways are patent", "The trachea and both main bronchi are patent"),
        "ko": ("기관 및 주기관지는 열려 있음", "중심 기도에 이상 소견 없음"),
    },
    "aorta": {
        "mixed": (
            "Aorta에 atherosclerotic calcification 보임",
            "Thoracic aorta 정상 caliber",
            "Coronary artery calcification 있음",
        ),
        "en": ("Atherosclerotic calcification of the thoracic aorta", "The thoracic aorta is normal in caliber"),
        "ko": ("흉부 대동맥에 죽상경화성 석회화가 있음", "흉부 대동맥 직경은 정상임", "관상동맥 석회화가 관찰됨"),
    },
    "pneumothorax": {
        "mixed": ("No pneumothorax", "Pneumothorax 없음"),
        "en": ("No pneumothorax", "There is no pneumothorax"),
        "ko": ("기흉은 보이지 않음", "기흉 없음"),
    },
    "pleural effusion": {
        "mixed": ("No pleural effusion", "양측 pleural effusion 없음", "Pleural effusion 관찰되지 않음"),
        "en": ("No pleural effusion", "There is no pleural effusion on either side", "No evidence of pleural effusion"),
        "ko": ("양측 흉수 없음", "흉수는 관찰되지 않음", "흉막삼출 소견은 보이지 않음"),
    },
    "lymph node enlargement": {
        "mixed": (
            "No significant LN enlargement in mediastinum",
            "Mediastinum과 both hilar area에 의미 있는 LN 없음",
            "LN 종대 없음",
        ),
        "en": ("No significant mediastinal or hilar lymphadenopathy", "No enlarged lymph nodes in the mediastinum"),
        "ko": ("종격동과 폐문부에 의미 있는 림프절 비대 없음", "종격동 림프절 종대는 보이지 않음"),
    },
    "abdomen": {
        "mixed": ("Scan에 포함된 upper abdomen: unremarkable", "Visible upper abdominal organ에 특이 소견 없음"),
        "en": (
            "The visualized upper abdomen is unremarkable",
            "Upper abdominal organs within the scan range are normal",
        ),
        "ko": ("포함된 상복부 장기에 특이 소견 없음", "상복부에 이상 소견은 보이지 않음"),
    },
    "bone": {
        "mixed": ("Bony thorax: unremarkable", "Bony thorax에 특이 소견 없음"),
        "en": ("No suspicious bone lesion", "The bony thorax is unremarkable"),
        "ko": ("흉곽 골격에 이상 소견 없음", "골 병변은 보이지 않음"),
    },
    "veins": {
        "mixed": ("LE DVT (CTV) 소견 없음", "Lt. femoral vein에 DVT 있음", "RV/LV ratio 정상"),
        "en": ("The main pulmonary artery is normal in caliber", "Deep vein thrombosis in the left femoral vein"),
        "ko": ("주폐동맥 직경은 정상임", "왼쪽 대퇴정맥에 심부정맥혈전이 있음"),
    },
}
