"""Lexicon of symptoms, drugs, laboratory values, tests, treatments, risks and complications in Korean and English."""

from dataclasses import dataclass

from bimed_dist.synthetic.tables import rows, variants


@dataclass(frozen=True)
class Term:
    key: str
    en: tuple[str, ...]
    ko: tuple[str, ...]
    mixed: tuple[str, ...]


@dataclass(frozen=True)
class Drug:
    key: str
    ko: str
    kind: str
    kind_ko: str
    doses: tuple[str, ...]
    frequencies: tuple[str, ...]
    route: str
    adverse: tuple[str, ...]
    """Symptoms it may cause."""


@dataclass(frozen=True)
class Lab:
    key: str
    ko: tuple[str, ...]
    unit: str
    normal: tuple[float, float]
    span: tuple[float, float]
    decimals: int


# key | English | Korean | mixed
_SYMPTOMS = """
fever | fever,febrile sensation | 발열,열감,고열 | fever,febrile sense
chills | chills,rigors | 오한 | chilling,chill
cough | cough,coughing | 기침 | cough
sputum | sputum production,productive sputum | 가래,객담 | sputum
hemoptysis | hemoptysis,blood-tinged sputum | 객혈,피 섞인 가래 | hemoptysis
dyspnea | shortness of breath,dyspnea | 호흡곤란,숨참 | dyspnea,SOB,DOE
chest pain | chest pain,chest discomfort | 흉통,가슴 통증 | chest pain,chest discomfort
palpitation | palpitations | 두근거림,심계항진 | palpitation
syncope | syncope,fainting | 실신 | syncope
leg edema | leg swelling,pitting edema of both legs | 하지 부종,다리 부종 | pitting edema,leg edema
orthopnea | orthopnea | 기좌호흡 | orthopnea
weight loss | weight loss | 체중 감소 | weight loss
fatigue | fatigue,tiredness | 피로감,피로 | fatigue,general weakness
anorexia | loss of appetite,poor oral intake | 식욕 부진,식욕 저하 | poor oral intake,anorexia
nausea | nausea | 오심,구역 | nausea,N/V
vomiting | vomiting | 구토 | vomiting
abdominal pain | abdominal pain | 복통,배의 통증 | abd. pain,abdominal pain
epigastric pain | epigastric pain,epigastric soreness | 명치 통증,상복부 통증 | epigastric pain,epigastric soreness
RUQ pain | right upper quadrant pain | 우상복부 통증 | RUQ pain
flank pain | flank pain | 옆구리 통증,측복부 통증 | flank pain
diarrhea | diarrhea,loose stools | 설사 | diarrhea
constipation | constipation | 변비 | constipation
hematochezia | hematochezia,bloody stools | 혈변 | hematochezia
melena | melena,black stools | 흑색변 | melena
jaundice | jaundice,yellow discoloration of the skin | 황달 | jaundice
heartburn | heartburn,acid regurgitation | 속쓰림,가슴쓰림 | heartburn
dysphagia | dysphagia,difficulty swallowing | 연하곤란,삼킴 곤란 | dysphagia
headache | headache | 두통 | headache,HA
dizziness | dizziness,lightheadedness | 어지럼증,어지러움 | dizziness
vertigo | vertigo,spinning sensation | 현훈,빙빙 도는 어지럼 | vertigo
hemiparesis | weakness on one side of the body,hemiparesis | 편마비,한쪽 팔다리의 위약 | hemiparesis,one-sided weakness
dysarthria | slurred speech,dysarthria | 구음장애,어눌한 발음 | dysarthria
facial palsy | facial droop,facial palsy | 안면마비 | facial palsy
seizure | seizure | 경련,발작 | seizure
numbness | numbness,tingling sensation | 저림,감각 저하 | numbness,tingling sense
tremor | resting tremor,tremor of the hands | 손떨림,안정 시 떨림 | resting tremor
memory loss | memory loss,forgetfulness | 기억력 저하,건망증 | memory impairment
insomnia | insomnia,poor sleep | 불면,수면 장애 | insomnia
back pain | low back pain | 요통,허리 통증 | LBP,back pain
knee pain | knee pain | 무릎 통증 | knee pain
joint swelling | joint swelling | 관절 부종,관절의 붓기 | joint swelling
morning stiffness | morning stiffness | 조조강직,아침 뻣뻣함 | morning stiffness
rash | skin rash | 발진,피부 발진 | skin rash
itching | itching,pruritus | 가려움증,소양감 | itching
polyuria | polyuria,frequent urination | 다뇨,소변량 증가 | polyuria
thirst | excessive thirst,polydipsia | 갈증,심한 갈증 | polydipsia
dysuria | dysuria,painful urination | 배뇨통 | dysuria
urinary frequency | urinary frequency | 빈뇨 | frequency
hematuria | hematuria,blood in the urine | 혈뇨 | hematuria
nocturia | nocturia | 야간뇨,야뇨 | nocturia
weak stream | weak urinary stream | 세뇨,약한 소변 줄기 | weak stream
cold intolerance | cold intolerance | 추위 불내성,추위 민감 | cold intolerance
heat intolerance | heat intolerance,excessive sweating | 더위 불내성,발한 과다 | heat intolerance
neck mass | neck mass,palpable lump in the neck | 목의 멍울,경부 종괴 | neck mass
breast lump | breast lump,palpable breast mass | 유방 멍울 | palpable breast mass
sore throat | sore throat | 인후통,목의 통증 | sore throat
rhinorrhea | runny nose,rhinorrhea | 콧물 | rhinorrhea
wheezing | wheezing | 쌕쌕거림,천명 | wheezing
bruising | easy bruising,gum bleeding | 반상출혈,잇몸 출혈 | easy bruising
pallor | pallor | 창백 | pallor
"""

# key | Korean | class | class in Korean | doses | times a day | route | may cause
_DRUGS = """
aspirin | 아스피린 | antiplatelet agent | 항혈소판제 | 100 mg | qd | po | epigastric pain,bruising,melena
clopidogrel | 클로피도그렐 | antiplatelet agent | 항혈소판제 | 75 mg | qd | po | bruising,diarrhea,rash
warfarin | 와파린 | anticoagulant | 항응고제 | 2 mg,3 mg,5 mg | qd | po | bruising,hematuria,melena
apixaban | 아픽사반 | direct oral anticoagulant | 직접작용 경구 항응고제 | 2.5 mg,5 mg | bid | po | bruising,hematuria,nausea
rivaroxaban | 리바록사반 | direct oral anticoagulant | 직접작용 경구 항응고제 | 15 mg,20 mg | qd | po | bruising,melena,dizziness
enoxaparin | 에녹사파린 | low molecular weight heparin | 저분자량 헤파린 | 40 mg,60 mg,80 mg | q12h | sc | bruising,itching,hematuria
amlodipine | 암로디핀 | calcium channel blocker | 칼슘채널차단제 | 5 mg,10 mg | qd | po | leg edema,headache,dizziness
losartan | 로사르탄 | angiotensin receptor blocker | 안지오텐신수용체차단제 | 50 mg,100 mg | qd | po | dizziness,fatigue,cough
bisoprolol | 비소프롤롤 | beta blocker | 베타차단제 | 1.25 mg,2.5 mg,5 mg | qd | po | fatigue,dizziness,insomnia
furosemide | 푸로세미드 | loop diuretic | 루프이뇨제 | 20 mg,40 mg | qd,bid | po | dizziness,polyuria,thirst
spironolactone | 스피로노락톤 | potassium-sparing diuretic | 칼륨보존이뇨제 | 25 mg,50 mg | qd | po | nausea,dizziness,fatigue
atorvastatin | 아토르바스타틴 | statin | 스타틴 | 10 mg,20 mg,40 mg | qd | po | fatigue,constipation,abdominal pain
metformin | 메트포르민 | biguanide | 비구아니드계 혈당강하제 | 500 mg,850 mg,1000 mg | bid | po | diarrhea,nausea,anorexia
empagliflozin | 엠파글리플로진 | SGLT2 inhibitor | SGLT2 억제제 | 10 mg,25 mg | qd | po | urinary frequency,thirst,dysuria
insulin glargine | 인슐린 글라진 | long-acting insulin | 지속형 인슐린 | 10 U,16 U,24 U | hs | sc | tremor,palpitation,dizziness
levothyroxine | 레보티록신 | thyroid hormone | 갑상선호르몬제 | 50 mcg,75 mcg,100 mcg | qd | po | palpitation,insomnia,weight loss
methimazole | 메티마졸 | antithyroid drug | 항갑상선제 | 5 mg,10 mg,20 mg | qd,bid | po | rash,itching,sore throat
omeprazole | 오메프라졸 | proton pump inhibitor | 양성자펌프억제제 | 20 mg,40 mg | qd | po | headache,diarrhea,constipation
rebamipide | 레바미피드 | mucosal protective agent | 위점막보호제 | 100 mg | tid | po | constipation,nausea,itching
ursodeoxycholic acid | 우르소데옥시콜산 | bile acid | 담즙산 제제 | 200 mg,300 mg | bid,tid | po | diarrhea,itching,nausea
entecavir | 엔테카비르 | antiviral agent | 항바이러스제 | 0.5 mg,1 mg | qd | po | headache,fatigue,dizziness
ceftriaxone | 세프트리악손 | third-generation cephalosporin | 3세대 세팔로스포린 | 1 g,2 g | qd | iv | rash,diarrhea,itching
piperacillin/tazobactam | 피페라실린/타조박탐 | broad-spectrum penicillin | 광범위 페니실린계 항생제 | 4.5 g | q8h | iv | rash,diarrhea,nausea
levofloxacin | 레보플록사신 | fluoroquinolone | 퀴놀론계 항생제 | 500 mg,750 mg | qd | po | nausea,insomnia,dizziness
azithromycin | 아지트로마이신 | macrolide | 마크로라이드계 항생제 | 250 mg,500 mg | qd | po | abdominal pain,diarrhea,nausea
ciprofloxacin | 시프로플록사신 | fluoroquinolone | 퀴놀론계 항생제 | 250 mg,500 mg | bid | po | nausea,rash,insomnia
isoniazid | 이소니아지드 | antituberculous drug | 항결핵제 | 300 mg,400 mg | qd | po | numbness,rash,jaundice
rifampicin | 리팜피신 | antituberculous drug | 항결핵제 | 450 mg,600 mg | qd | po | nausea,rash,jaundice
tiotropium | 티오트로피움 | inhaled anticholinergic | 흡입용 항콜린제 | 18 mcg | qd | inh | thirst,constipation,cough
budesonide/formoterol | 부데소니드/포르모테롤 | inhaled steroid and bronchodilator | 흡입용 스테로이드·기관지확장제 복합제 | 160/4.5 mcg | bid | inh | sore throat,tremor,palpitation
prednisolone | 프레드니솔론 | corticosteroid | 부신피질호르몬제 | 5 mg,10 mg,30 mg | qd | po | insomnia,heartburn,leg edema
methotrexate | 메토트렉세이트 | antirheumatic drug | 항류마티스제 | 7.5 mg,10 mg,15 mg | weekly | po | nausea,fatigue,anorexia
celecoxib | 세레콕시브 | COX-2 inhibitor | COX-2 억제제 | 100 mg,200 mg | qd,bid | po | heartburn,leg edema,abdominal pain
acetaminophen | 아세트아미노펜 | analgesic and antipyretic | 해열진통제 | 325 mg,500 mg,650 mg | tid,prn | po | nausea,rash,jaundice
tramadol | 트라마돌 | opioid analgesic | 마약성 진통제 | 50 mg | bid,prn | po | nausea,dizziness,constipation
levodopa/carbidopa | 레보도파/카르비도파 | dopamine precursor | 도파민 전구체 | 100/25 mg | tid | po | nausea,dizziness,insomnia
donepezil | 도네페질 | cholinesterase inhibitor | 콜린에스테라제 억제제 | 5 mg,10 mg | hs | po | nausea,diarrhea,insomnia
levetiracetam | 레비티라세탐 | antiepileptic drug | 항경련제 | 500 mg,1000 mg | bid | po | fatigue,dizziness,headache
tamsulosin | 탐스로신 | alpha blocker | 알파차단제 | 0.2 mg,0.4 mg | qd | po | dizziness,fatigue,headache
allopurinol | 알로푸리놀 | xanthine oxidase inhibitor | 요산생성억제제 | 100 mg,300 mg | qd | po | rash,nausea,diarrhea
colchicine | 콜히친 | anti-gout drug | 통풍 발작 치료제 | 0.6 mg | bid | po | diarrhea,nausea,abdominal pain
alendronate | 알렌드로네이트 | bisphosphonate | 비스포스포네이트 | 70 mg | weekly | po | heartburn,dysphagia,abdominal pain
ferrous sulfate | 황산철 | iron supplement | 철분제 | 256 mg | qd,bid | po | constipation,nausea,epigastric pain
osimertinib | 오시머티닙 | EGFR inhibitor | EGFR 표적치료제 | 80 mg | qd | po | rash,diarrhea,anorexia
cetirizine | 세티리진 | antihistamine | 항히스타민제 | 10 mg | qd | po | fatigue,thirst,dizziness
"""

# key | Korean | unit | normal | span of values | decimals
_LABS = """
WBC | 백혈구,백혈구 수 | /μL | 4000-10000 | 1800-24500 | -2
Hb | 혈색소,헤모글로빈 | g/dL | 12.5-16.5 | 6.2-18.4 | 1
platelet | 혈소판,혈소판 수 | /μL | 150000-400000 | 24000-720000 | -3
CRP | C-반응단백,CRP 수치 | mg/L | 0.1-5.0 | 0.1-240.0 | 1
procalcitonin | 프로칼시토닌 | ng/mL | 0.02-0.05 | 0.02-18.5 | 2
BUN | 혈액요소질소,BUN 수치 | mg/dL | 5.0-20.0 | 5.0-92.0 | 1
creatinine | 크레아티닌,혈청 크레아티닌 | mg/dL | 0.50-1.20 | 0.50-7.80 | 2
AST | AST 수치,간효소 AST | U/L | 8-40 | 8-1250 | 0
ALT | ALT 수치,간효소 ALT | U/L | 6-40 | 6-1480 | 0
total bilirubin | 총빌리루빈 | mg/dL | 0.2-1.2 | 0.2-18.6 | 1
albumin | 알부민,혈청 알부민 | g/dL | 3.5-5.2 | 1.6-5.4 | 1
sodium | 나트륨,혈청 나트륨 | mmol/L | 135-145 | 112-158 | 0
potassium | 칼륨,혈청 칼륨 | mmol/L | 3.5-5.1 | 2.1-7.2 | 1
HbA1c | 당화혈색소 | % | 4.5-5.6 | 4.2-13.8 | 1
fasting glucose | 공복 혈당 | mg/dL | 70-99 | 52-412 | 0
LDL cholesterol | LDL 콜레스테롤 | mg/dL | 50-129 | 50-226 | 0
D-dimer | D-이합체,D-dimer 수치 | μg/mL | 0.10-0.50 | 0.10-19.80 | 2
NT-proBNP | NT-proBNP 수치 | pg/mL | 18-125 | 18-18400 | 0
troponin I | 트로포닌 I | ng/mL | 0.001-0.040 | 0.001-9.800 | 3
TSH | 갑상선자극호르몬 | mIU/L | 0.40-4.20 | 0.01-62.50 | 2
free T4 | 유리 T4,유리 티록신 | ng/dL | 0.80-1.80 | 0.18-6.40 | 2
uric acid | 요산,혈청 요산 | mg/dL | 2.1-7.0 | 2.1-12.8 | 1
amylase | 아밀라아제 | U/L | 24-110 | 24-1860 | 0
ESR | 적혈구침강속도 | mm/hr | 2-20 | 2-118 | 0
ferritin | 페리틴 | ng/mL | 20-250 | 3-1450 | 0
CEA | 암배아항원,CEA 수치 | ng/mL | 0.4-5.0 | 0.4-186.0 | 1
AFP | 알파태아단백 | ng/mL | 0.9-8.0 | 0.9-2480.0 | 1
PSA | 전립선특이항원 | ng/mL | 0.2-4.0 | 0.2-88.0 | 1
SpO2 | 산소포화도 | % | 95-100 | 78-100 | 0
"""

# key | English | Korean | mixed
_TESTS = """
CXR | chest radiograph,chest X-ray | 흉부 X선 검사,흉부 단순촬영 | CXR,chest PA
CTC | chest CT | 흉부 CT,흉부 전산화단층촬영 | chest CT
CTPA | CT pulmonary angiography | CT 폐혈관조영술 | chest CT (PTE protocol),CTPA
CTA | abdominal CT | 복부 CT,복부 전산화단층촬영 | abd. CT,APCT
US | abdominal ultrasonography | 복부 초음파 | abd. USG
MRI | brain MRI | 뇌 MRI,뇌 자기공명영상 | brain MRI
CTB | brain CT | 뇌 CT,뇌 전산화단층촬영 | brain CT
echo | echocardiography | 심장초음파 | TTE,echo
ECG | electrocardiography | 심전도 검사 | EKG,ECG
cag | coronary angiography | 관상동맥조영술 | CAG
blood | blood work,laboratory testing | 혈액검사 | lab
culture | blood and sputum culture | 혈액 및 객담 배양검사 | blood & sputum Cx.
urine | urinalysis | 소변검사 | U/A
afb | sputum AFB smear and culture | 객담 항산균 도말 및 배양검사 | sputum AFB smear/Cx.
pft | pulmonary function test | 폐기능검사 | PFT
egd | upper gastrointestinal endoscopy | 위내시경,상부위장관내시경 | EGD
colon | colonoscopy | 대장내시경 | CFS,colonoscopy
biopsy | tissue biopsy | 조직검사 | Bx.
bronch | bronchoscopy | 기관지내시경 | BFS,bronchoscopy
pet | PET-CT | PET-CT 검사 | PET-CT
thyroid us | thyroid ultrasonography | 갑상선 초음파 | thyroid USG
dxa | bone densitometry | 골밀도검사 | BMD
eeg | electroencephalography | 뇌파검사 | EEG
xray | plain radiography | 단순 방사선 촬영 | simple X-ray
duplex | Doppler ultrasonography of the legs | 하지 도플러 초음파 | LE doppler USG
cog | neurocognitive testing | 신경인지검사 | MMSE & 신경심리검사
mammo | mammography | 유방촬영술 | MMG
skin | skin prick test | 피부단자시험 | skin prick test
"""

# key | English | Korean | mixed
_TREATMENTS = """
antibiotics | intravenous antibiotics | 정맥 항생제 투여,항생제 치료 | IV antibiotics
oxygen | oxygen therapy | 산소 치료,산소 공급 | O2 supply via nasal prong
fluids | intravenous fluids | 수액 치료 | hydration
anticoagulation | anticoagulation | 항응고 치료 | anticoagulation
thrombolysis | intravenous thrombolysis | 혈전용해술 | IV tPA
diuretics | diuretic therapy | 이뇨제 치료 | diuretics
pci | percutaneous coronary intervention | 관상동맥 중재시술 | PCI with stent
surgery | surgical resection | 수술적 절제,절제 수술 | op.
chemo | chemotherapy | 항암화학요법 | CTx.
radio | radiotherapy | 방사선 치료 | RTx.
targeted | targeted therapy | 표적 치료 | target therapy
bronchodilator | inhaled bronchodilators | 흡입 기관지확장제 | inhaled bronchodilator
steroid | systemic steroids | 전신 스테로이드 | systemic steroid
drainage | percutaneous drainage | 경피적 배액술 | PCD
chole | laparoscopic cholecystectomy | 복강경 담낭절제술 | lap. cholecystectomy
ercp | endoscopic stone removal | 내시경적 담석 제거 | ERCP with stone removal
insulin | insulin therapy | 인슐린 치료 | insulin
diet | dietary therapy | 식이요법 | diet control
exercise | regular exercise | 규칙적인 운동,운동요법 | exercise
ppi | acid suppression with a proton pump inhibitor | 양성자펌프억제제 투여,위산억제 치료 | PPI
eswl | shock wave lithotripsy | 체외충격파쇄석술 | ESWL
rehab | rehabilitation | 재활 치료 | rehabilitation
antitb | combination antituberculous therapy | 항결핵제 병합요법 | HERZ medication
antiviral | antiviral therapy | 항바이러스 치료 | antiviral agent
hormone | hormone replacement | 호르몬 보충요법 | hormone replacement
physio | physiotherapy | 물리치료 | PT
nsaid | anti-inflammatory analgesics | 소염진통제 | NSAIDs
transfusion | blood transfusion | 수혈 | transfusion
smoke stop | smoking cessation | 금연 | smoking cessation
ablation | radiofrequency ablation | 고주파 열치료 | RFA
tace | transarterial chemoembolization | 경동맥화학색전술 | TACE
pressure | blood pressure control | 혈압 조절 | BP control
rai | radioactive iodine therapy | 방사성 요오드 치료 | RAI
endo stop | endoscopic hemostasis | 내시경 지혈술 | endoscopic hemostasis
"""

# key | English | Korean
_RISKS = """
age | advanced age | 고령
smoking | smoking | 흡연
alcohol | heavy drinking | 과도한 음주
obesity | obesity | 비만
htn | high blood pressure | 고혈압
dm | diabetes | 당뇨병
lipid | high cholesterol | 고콜레스테롤혈증
family | a family history | 가족력
immune | weakened immunity | 면역력 저하
immobility | prolonged immobility | 장기간의 부동 상태
op | recent surgery | 최근의 수술
cancer | underlying malignancy | 기저 악성 종양
aspiration | aspiration | 흡인
dust | occupational exposure to dust | 분진에 대한 직업적 노출
virus | viral infection | 바이러스 감염
bacteria | bacterial infection | 세균 감염
hbv | chronic hepatitis B | 만성 B형 간염
hp | Helicobacter pylori infection | 헬리코박터 파일로리 감염
nsaids | long-term use of painkillers | 진통제의 장기 복용
salt | a salty diet | 짜게 먹는 식습관
inactive | lack of physical activity | 신체 활동 부족
stress | chronic stress | 만성 스트레스
allergy | an allergic constitution | 알레르기 체질
menopause | menopause | 폐경
autoimmune | autoimmune mechanisms | 자가면역 기전
fluid low | insufficient fluid intake | 수분 섭취 부족
meat | a diet rich in red meat | 붉은 고기 위주의 식사
pollution | air pollution | 대기 오염
af | atrial fibrillation | 심방세동
gene | genetic predisposition | 유전적 소인
blood loss | chronic blood loss | 만성 출혈
poor diet | poor nutrition | 영양 불균형
crowd | close contact with an infected person | 감염자와의 밀접한 접촉
"""

# key | English | Korean
_COMPLICATIONS = """
resp | respiratory failure | 호흡부전
sepsis | sepsis | 패혈증
effusion | pleural effusion | 흉수
abscess | abscess formation | 농양 형성
shock | shock | 쇼크
hf | heart failure | 심부전
stroke | stroke | 뇌졸중
mi | myocardial infarction | 심근경색
ckd | chronic kidney disease | 만성 콩팥병
retina | retinopathy | 망막병증
neuro | neuropathy | 신경병증
bleeding | gastrointestinal bleeding | 위장관 출혈
perforation | perforation | 천공
varix | variceal bleeding | 정맥류 출혈
ascites | ascites | 복수
meta | distant metastasis | 원격 전이
brainmeta | brain metastasis | 뇌 전이
cholangitis | cholangitis | 담관염
pyelo | pyelonephritis | 신우신염
disability | permanent disability | 영구적인 장애
fall | falls | 낙상
fx | hip fracture | 고관절 골절
arrhythmia | arrhythmia | 부정맥
pht | pulmonary hypertension | 폐고혈압
pneumo | pneumothorax | 기흉
deform | joint deformity | 관절 변형
aspi | aspiration pneumonia | 흡인성 폐렴
coma | coma | 혼수
obstruct | obstruction | 폐색
"""


def _drug(cells: list[str]) -> Drug:
    key, ko, kind, kind_ko, doses, frequencies, route, adverse = cells
    return Drug(key, ko, kind, kind_ko, variants(doses), variants(frequencies), route, variants(adverse))


def _lab(cells: list[str]) -> Lab:
    key, ko, unit, normal, span, decimals = cells
    low, high = (float(value) for value in normal.split("-"))
    least, most = (float(value) for value in span.split("-"))
    return Lab(key, variants(ko), unit, (low, high), (least, most), int(decimals))


def _terms(table: str, columns: int) -> dict[str, Term]:
    entries = {}
    for key, en, ko, *mixed in rows(table, columns):
        entries[key] = Term(key, variants(en), variants(ko), variants(mixed[0] if mixed else en))
    return entries


SYMPTOMS = _terms(_SYMPTOMS, 4)
TESTS = _terms(_TESTS, 4)
TREATMENTS = _terms(_TREATMENTS, 4)
RISKS = _terms(_RISKS, 3)
COMPLICATIONS = _terms(_COMPLICATIONS, 3)
DRUGS = {cells[0]: _drug(cells) for cells in rows(_DRUGS, 8)}
LABS = {cells[0]: _lab(cells) for cells in rows(_LABS, 6)}
FREQUENCIES = {
    "qd": (("once daily", "once a day"), ("1일 1회", "하루 한 번")),
    "bid": (("twice daily", "twice a day"), ("1일 2회", "하루 두 번")),
    "tid": (("three times daily", "three times a day"), ("1일 3회", "하루 세 번")),
    "q8h": (("every 8 hours",), ("8시간마다",)),
    "q12h": (("every 12 hours",), ("12시간마다",)),
    "hs": (("at bedtime",), ("취침 전", "자기 전")),
    "weekly": (("once weekly", "once a week"), ("주 1회", "일주일에 한 번")),
    "prn": (("as needed",), ("필요 시",)),
}
