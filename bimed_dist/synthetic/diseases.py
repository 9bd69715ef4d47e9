"""Lexicon of diseases: names, definitions and what belongs to them, by the keys of `medicine`."""

from dataclasses import dataclass

from bimed_dist.synthetic.tables import rows, variants


@dataclass(frozen=True)
class Disease:
    key: str
    en: tuple[str, ...]
    ko: tuple[str, ...]
    short: str
    """As Korean doctors write it in a note."""
    clinic: str
    symptoms: tuple[str, ...]
    risks: tuple[str, ...]
    tests: tuple[str, ...]
    treatments: tuple[str, ...]
    complications: tuple[str, ...]
    drugs: tuple[str, ...]
    labs: tuple[str, ...]
    """Laboratory values that are abnormal in it: `CRP+` is high, `Hb-` is low."""
    observations: tuple[str, ...]
    """Imaging findings it shows, by the keys of `anatomy`."""
    definition_en: str
    definition_ko: str


# key | English | Korean | note | clinic | symptoms | risks | tests | treatments | complications | drugs | labs | imaging
_DISEASES = """
pneumonia | pneumonia,community-acquired pneumonia | 폐렴,지역사회획득 폐렴 | pneumonia | pulm | fever,chills,cough,sputum,dyspnea,chest pain | age,smoking,immune,aspiration,bacteria,virus | CXR,CTC,blood,culture | antibiotics,oxygen,fluids | resp,sepsis,effusion,abscess | ceftriaxone,azithromycin,levofloxacin,acetaminophen | WBC+,CRP+,procalcitonin+,SpO2- | consolidation,ground-glass opacity,tree-in-bud opacity,pleural effusion
PTE | pulmonary embolism,pulmonary thromboembolism | 폐색전증,폐혈전색전증 | PTE | pulm | dyspnea,chest pain,hemoptysis,syncope,palpitation,leg edema | immobility,op,cancer,obesity,gene | CTPA,echo,blood,duplex,ECG | anticoagulation,oxygen,thrombolysis | shock,pht,resp | enoxaparin,apixaban,rivaroxaban,warfarin | D-dimer+,NT-proBNP+,SpO2-,troponin I+ | filling defect,pleural effusion,atelectasis
lung cancer | lung cancer,non-small cell lung cancer | 폐암,비소세포폐암 | lung ca. | pulm | cough,hemoptysis,weight loss,chest pain,dyspnea,fatigue | smoking,age,dust,pollution,family | CTC,bronch,biopsy,pet,MRI | surgery,chemo,radio,targeted | effusion,brainmeta,meta,resp | osimertinib,tramadol | CEA+,albumin-,Hb- | mass,nodule,lymph node enlargement,pleural effusion
tuberculosis | pulmonary tuberculosis,tuberculosis | 폐결핵,결핵 | pul. Tbc | pulm | cough,sputum,fever,weight loss,hemoptysis,fatigue | immune,dm,alcohol,crowd | CXR,CTC,afb,bronch | antitb,diet | effusion,pneumo,resp | isoniazid,rifampicin | ESR+,CRP+,albumin- | tree-in-bud opacity,cavity,nodule,consolidation
COPD | chronic obstructive pulmonary disease,COPD | 만성폐쇄성폐질환,만성폐쇄폐질환 | COPD | pulm | dyspnea,cough,sputum,wheezing,weight loss | smoking,dust,pollution,age | pft,CXR,CTC,blood | bronchodilator,smoke stop,oxygen,steroid | resp,pht,pneumo | tiotropium,budesonide/formoterol,prednisolone | SpO2-,CRP+ | emphysema,bronchiectasis
asthma | asthma,bronchial asthma | 천식,기관지천식 | BA | pulm | wheezing,dyspnea,cough,sputum | allergy,family,pollution,virus | pft,CXR,skin,blood | bronchodilator,steroid | resp,pneumo | budesonide/formoterol,prednisolone,tiotropium | SpO2-,WBC+ | bronchiectasis,atelectasis
heart failure | heart failure,congestive heart failure | 심부전,울혈성 심부전 | CHF | cardio | dyspnea,orthopnea,leg edema,fatigue | htn,dm,age,alcohol | echo,CXR,ECG,blood | diuretics,oxygen,pressure | arrhythmia,ckd,shock,stroke | furosemide,bisoprolol,spironolactone,losartan,empagliflozin | NT-proBNP+,sodium-,creatinine+ | pleural effusion,ground-glass opacity
angina | unstable angina,angina pectoris | 협심증,불안정 협심증 | UA | cardio | chest pain,dyspnea,palpitation,epigastric pain | smoking,htn,dm,lipid,family | ECG,cag,echo,blood | pci,exercise,smoke stop | mi,arrhythmia,hf | aspirin,clopidogrel,atorvastatin,bisoprolol | LDL cholesterol+,fasting glucose+ | -
myocardial infarction | acute myocardial infarction,myocardial infarction | 급성 심근경색,심근경색증 | AMI | cardio | chest pain,dyspnea,nausea,syncope | smoking,htn,dm,lipid,stress | ECG,cag,echo,blood | pci,oxygen,rehab | hf,arrhythmia,shock | aspirin,clopidogrel,atorvastatin,bisoprolol,losartan | troponin I+,LDL cholesterol+,WBC+ | -
atrial fibrillation | atrial fibrillation | 심방세동 | Af | cardio | palpitation,dyspnea,dizziness,fatigue | age,htn,alcohol,obesity | ECG,echo,blood | anticoagulation,pressure | stroke,hf | apixaban,bisoprolol,warfarin,rivaroxaban | NT-proBNP+,TSH- | -
hypertension | hypertension,high blood pressure | 고혈압,본태성 고혈압 | HTN | cardio | headache,dizziness,fatigue | salt,obesity,age,family,alcohol,inactive | blood,ECG,urine,echo | diet,exercise,pressure | stroke,mi,ckd,retina,hf | amlodipine,losartan,bisoprolol | creatinine+,LDL cholesterol+ | -
diabetes | type 2 diabetes mellitus,diabetes mellitus | 당뇨병,제2형 당뇨병 | DM | endo | thirst,polyuria,weight loss,fatigue,numbness | obesity,family,inactive,age | blood,urine | diet,exercise,insulin | retina,neuro,ckd,mi,coma | metformin,empagliflozin,insulin glargine,atorvastatin | HbA1c+,fasting glucose+,LDL cholesterol+ | -
hypothyroidism | hypothyroidism | 갑상선기능저하증 | hypothyroidism | endo | fatigue,cold intolerance,constipation,leg edema | autoimmune,age,family | blood,thyroid us | hormone | hf,coma | levothyroxine | TSH+,free T4-,LDL cholesterol+ | thyroid nodule
hyperthyroidism | hyperthyroidism,Graves disease | 갑상선기능항진증,그레이브스병 | hyperthyroidism | endo | palpitation,weight loss,heat intolerance,tremor,insomnia | autoimmune,stress,family | blood,thyroid us | rai,surgery | arrhythmia,hf | methimazole,bisoprolol | free T4+,TSH- | thyroid nodule
thyroid cancer | thyroid cancer,papillary thyroid carcinoma | 갑상선암,갑상선 유두암 | thyroid ca. | endo | neck mass,dysphagia,sore throat | family,gene,obesity | thyroid us,biopsy,CTC | surgery,hormone | meta | levothyroxine | - | thyroid nodule,lymph node enlargement
peptic ulcer | gastric ulcer,peptic ulcer disease | 위궤양,소화성 궤양 | gastric ulcer | gi | epigastric pain,heartburn,melena,nausea | hp,nsaids,smoking,stress | egd,biopsy,blood | ppi,endo stop,transfusion | bleeding,perforation,obstruct | omeprazole,rebamipide | Hb-,BUN+ | gastric ulcer,wall thickening
GERD | gastroesophageal reflux disease,reflux esophagitis | 위식도역류질환,역류성 식도염 | GERD | gi | heartburn,chest pain,cough,dysphagia | obesity,alcohol,smoking,stress | egd,blood | ppi,diet | bleeding,obstruct | omeprazole,rebamipide | - | -
gastric cancer | gastric cancer,stomach cancer | 위암,조기 위암 | AGC | gi | epigastric pain,weight loss,anorexia,melena,vomiting | hp,salt,smoking,family | egd,biopsy,CTA,blood | surgery,chemo | meta,obstruct,bleeding,ascites | omeprazole,ferrous sulfate | Hb-,CEA+,albumin- | wall thickening,hepatic mass
colon cancer | colon cancer,colorectal cancer | 대장암,결장암 | colon ca. | gi | hematochezia,constipation,weight loss,abdominal pain,fatigue | meat,obesity,family,alcohol,age | colon,biopsy,CTA,blood | surgery,chemo | obstruct,meta,perforation | ferrous sulfate,tramadol | CEA+,Hb- | colonic mass,hepatic mass
diverticulitis | acute diverticulitis,colonic diverticulitis | 급성 게실염,대장 게실염 | diverticulitis | gi | abdominal pain,fever,nausea,constipation | obesity,meat,age,inactive | CTA,blood,colon | antibiotics,fluids,diet | abscess,perforation | ciprofloxacin,acetaminophen | WBC+,CRP+ | diverticulitis
liver cirrhosis | liver cirrhosis | 간경변증,간경화 | LC | gi | fatigue,jaundice,leg edema,anorexia,bruising | hbv,alcohol,obesity | US,CTA,egd,blood | diuretics,diet,antiviral | varix,ascites,coma | spironolactone,furosemide,entecavir,ursodeoxycholic acid | albumin-,platelet-,total bilirubin+ | hepatic cyst
HCC | hepatocellular carcinoma,liver cancer | 간세포암,간암 | HCC | gi | RUQ pain,weight loss,jaundice,fatigue | hbv,alcohol,family | CTA,US,blood,biopsy | surgery,tace,ablation | ascites,meta,varix | entecavir,ursodeoxycholic acid | AFP+,AST+,ALT+ | hepatic mass
cholecystitis | acute cholecystitis,calculous cholecystitis | 급성 담낭염,담석성 담낭염 | acute cholecystitis | gi | RUQ pain,fever,nausea,vomiting | obesity,age,lipid | US,CTA,blood | chole,antibiotics,drainage | perforation,sepsis,cholangitis | ceftriaxone,acetaminophen,ursodeoxycholic acid | WBC+,CRP+,ALT+ | gallstone,wall thickening
cholangitis | acute cholangitis,cholangitis due to CBD stone | 급성 담관염,담관결석에 의한 담관염 | cholangitis | gi | RUQ pain,fever,jaundice,chills | age,bacteria,obesity | CTA,US,blood,culture | ercp,antibiotics,fluids | sepsis,abscess,shock | piperacillin/tazobactam,ursodeoxycholic acid | total bilirubin+,AST+,CRP+ | CBD stone
pancreatitis | acute pancreatitis | 급성 췌장염 | acute pancreatitis | gi | epigastric pain,back pain,vomiting,fever | alcohol,lipid,gene | CTA,US,blood | fluids,nsaid,ercp | abscess,shock,resp | acetaminophen,tramadol | amylase+,WBC+,CRP+ | pancreatic cyst
stroke | acute ischemic stroke,cerebral infarction | 급성 뇌경색,허혈성 뇌졸중 | acute infarction | neuro | hemiparesis,dysarthria,facial palsy,dizziness,numbness | htn,af,dm,smoking,lipid,age | MRI,CTB,echo,ECG | thrombolysis,rehab,pressure | disability,aspi,fall | aspirin,clopidogrel,atorvastatin,apixaban | LDL cholesterol+,HbA1c+ | acute infarction
ICH | intracerebral hemorrhage,hemorrhagic stroke | 뇌출혈,뇌실질내출혈 | ICH | neuro | headache,hemiparesis,vomiting,dysarthria | htn,alcohol,age | CTB,MRI,blood | pressure,surgery,rehab | coma,disability,aspi | amlodipine,losartan,levetiracetam | platelet-,WBC+ | hemorrhage
Parkinson disease | Parkinson disease | 파킨슨병 | PD | neuro | tremor,fatigue,constipation,insomnia | age,gene,family | MRI,cog,blood | rehab,exercise | fall,aspi,fx | levodopa/carbidopa | - | -
dementia | Alzheimer dementia,Alzheimer disease | 알츠하이머 치매,알츠하이머병 | AD | neuro | memory loss,insomnia,anorexia | age,family,inactive,htn | MRI,cog,blood | rehab,exercise | fall,aspi,fx | donepezil | - | -
epilepsy | epilepsy | 뇌전증,간질 | epilepsy | neuro | seizure,headache,fatigue | gene,alcohol,stress | eeg,MRI,blood | surgery,diet | fall,aspi | levetiracetam | sodium- | -
pyelonephritis | acute pyelonephritis,upper urinary tract infection | 급성 신우신염,상부 요로감염 | APN | nephro | fever,chills,flank pain,dysuria,urinary frequency | dm,bacteria,fluid low,immune | urine,CTA,culture,blood | antibiotics,fluids | sepsis,abscess | ceftriaxone,ciprofloxacin,acetaminophen | WBC+,CRP+,creatinine+ | hydronephrosis,renal cyst
urinary stone | ureteral stone,urinary stone disease | 요관결석,요로결석증 | ureter stone | nephro | flank pain,hematuria,nausea,vomiting | fluid low,meat,family,obesity | CTA,urine,US | eswl,fluids,nsaid | pyelo,ckd | tamsulosin,tramadol,celecoxib | creatinine+,uric acid+ | ureter stone,hydronephrosis,renal stone
CKD | chronic kidney disease | 만성 콩팥병,만성 신부전 | CKD | nephro | fatigue,leg edema,itching,nocturia,anorexia | dm,htn,age,nsaids | blood,urine,US | diet,pressure,diuretics | hf,arrhythmia,mi | losartan,furosemide,amlodipine | creatinine+,BUN+,potassium+,Hb- | renal cyst
BPH | benign prostatic hyperplasia | 전립선비대증,양성 전립선비대증 | BPH | nephro | weak stream,nocturia,urinary frequency | age,obesity,family | urine,blood,US | surgery,diet | ckd,pyelo | tamsulosin | PSA+ | prostatic enlargement
breast cancer | breast cancer,invasive ductal carcinoma | 유방암,침윤성 유관암 | breast ca. | surg | breast lump,weight loss,back pain | family,gene,obesity,alcohol | mammo,biopsy,CTC,pet | surgery,chemo,radio,targeted | meta,effusion | tramadol,celecoxib | CEA+,Hb- | breast mass,lymph node enlargement,microcalcification
rheumatoid arthritis | rheumatoid arthritis | 류마티스 관절염 | RA | rheum | morning stiffness,joint swelling,fatigue,knee pain | autoimmune,family,smoking | blood,xray,urine | nsaid,steroid,physio | deform,fx | methotrexate,prednisolone,celecoxib | ESR+,CRP+,Hb- | -
gout | gout,acute gouty arthritis | 통풍,급성 통풍성 관절염 | gout | rheum | joint swelling,knee pain,fever | alcohol,meat,obesity,htn | blood,xray,urine | nsaid,diet,steroid | deform,ckd | colchicine,allopurinol,celecoxib | uric acid+,CRP+ | renal stone
osteoporosis | osteoporosis,compression fracture due to osteoporosis | 골다공증,골다공증성 압박골절 | osteoporosis | rheum | back pain,numbness,fatigue | menopause,age,smoking,inactive,family | dxa,xray,blood | exercise,diet,hormone | fx,fall,disability | alendronate,celecoxib | - | fracture
anemia | iron deficiency anemia | 철결핍성 빈혈,빈혈 | IDA | hema | fatigue,dizziness,pallor,palpitation,dyspnea | blood loss,poor diet,hp,nsaids | blood,egd,colon | transfusion,diet | hf | ferrous sulfate | Hb-,ferritin- | -
influenza | influenza,seasonal influenza | 독감,인플루엔자 | influenza | pulm | fever,cough,sore throat,rhinorrhea,headache,fatigue | virus,immune,crowd,age | blood,CXR | antiviral,fluids | resp,sepsis | acetaminophen,cetirizine | CRP+,WBC- | ground-glass opacity
"""

# key | English definition, after "NAME is" | Korean definition, before "질환이다" and the like
_DEFINITIONS = """
pneumonia | an infection that inflames the air sacs of one or both lungs | 세균이나 바이러스 등의 감염으로 폐포와 말초 기관지에 염증이 생기는
PTE | a condition in which a blood clot blocks one or more arteries of the lungs | 주로 하지 정맥에서 생긴 혈전이 떨어져 나와 폐동맥을 막는
lung cancer | a malignant tumor that arises from the bronchi or the lung tissue | 기관지나 폐 조직에서 악성 세포가 자라나는
tuberculosis | a chronic infection caused by Mycobacterium tuberculosis | 결핵균이 공기를 통해 폐에 들어와 만성 염증을 일으키는
COPD | a progressive disease in which airflow is persistently limited | 만성적인 기도 염증으로 기류 제한이 서서히 진행하는
asthma | a chronic inflammatory disease of the airways with variable narrowing | 기관지가 예민해져 기도가 반복적으로 좁아지는
heart failure | a state in which the heart cannot pump enough blood for the needs of the body | 심장의 펌프 기능이 떨어져 몸에 필요한 혈액을 충분히 내보내지 못하는
angina | chest pain caused by reduced blood flow to the heart muscle | 관상동맥이 좁아져 심장근육에 혈액 공급이 부족해지는
myocardial infarction | the death of heart muscle after a coronary artery is suddenly occluded | 관상동맥이 갑자기 막혀 심장근육이 괴사하는
atrial fibrillation | an irregular rhythm in which the atria quiver instead of contracting | 심방이 규칙적으로 수축하지 못하고 불규칙하게 떨리는
hypertension | a chronic condition in which the pressure in the arteries stays too high | 동맥의 압력이 지속적으로 높게 유지되는
diabetes | a metabolic disease in which insulin works poorly and blood glucose stays high | 인슐린의 분비나 작용이 부족하여 혈당이 높게 유지되는
hypothyroidism | a state in which the thyroid gland makes too little hormone | 갑상선에서 호르몬이 부족하게 만들어져 대사가 느려지는
hyperthyroidism | a state in which the thyroid gland makes too much hormone | 갑상선호르몬이 과다하게 분비되어 대사가 빨라지는
thyroid cancer | a malignant tumor of the thyroid gland that usually grows slowly | 갑상선에 생긴 결절 중 비교적 천천히 자라는 악성
peptic ulcer | a break in the lining of the stomach that extends into deeper layers | 위 점막이 깊게 패여 점막하층까지 손상된
GERD | a disorder in which stomach contents flow back into the esophagus | 위의 내용물이 식도로 거꾸로 올라와 불편을 일으키는
gastric cancer | a malignant tumor that starts in the lining of the stomach | 위 점막에서 시작하여 위벽 깊이 퍼져 나가는 악성
colon cancer | a malignant tumor of the large bowel that often develops from a polyp | 대장 점막의 용종에서 주로 발생하는 악성
diverticulitis | an inflammation of small pouches in the wall of the colon | 대장벽이 꽈리처럼 튀어나온 게실에 염증이 생긴
liver cirrhosis | the late stage of scarring of the liver | 오랜 염증으로 간 조직이 딱딱한 섬유 조직으로 바뀌는
HCC | a malignant tumor of liver cells that mostly arises in a damaged liver | 만성 간질환이 있는 간에서 주로 생기는 악성
cholecystitis | an acute inflammation of the gallbladder, mostly due to a stone in the cystic duct | 담석이 담낭관을 막아 담낭에 급성 염증이 생긴
cholangitis | an infection of the bile ducts that follows their obstruction | 담관이 막히면서 담즙에 세균 감염이 생긴
pancreatitis | a sudden inflammation of the pancreas by its own enzymes | 췌장 효소가 췌장 자체를 자극하여 갑자기 염증이 생기는
stroke | a loss of brain function after an artery of the brain is blocked | 뇌혈관이 막혀 뇌 조직이 손상되는
ICH | a bleeding into the brain tissue from a ruptured vessel | 뇌혈관이 터져 뇌 안에 피가 고이는
Parkinson disease | a degenerative disease in which dopamine-producing neurons are lost | 도파민을 만드는 신경세포가 점차 소실되는 퇴행성
dementia | a degenerative brain disease with slowly progressive loss of memory | 기억력을 비롯한 인지 기능이 서서히 나빠지는 퇴행성 뇌
epilepsy | a disease of the brain with recurrent unprovoked seizures | 뇌 신경세포의 과도한 흥분으로 발작이 반복되는
pyelonephritis | a bacterial infection of the kidney and the renal pelvis | 세균이 요로를 타고 올라가 신장과 신우에 염증을 일으키는
urinary stone | the formation of hard crystals in the urinary tract | 소변 속 성분이 뭉쳐 요로에 돌이 생기는
CKD | a loss of kidney function that lasts for more than three months | 3개월 이상 콩팥 기능이 떨어지거나 손상이 지속되는
BPH | a benign enlargement of the prostate that narrows the urethra | 전립선이 커지면서 요도를 눌러 배뇨가 어려워지는
breast cancer | a malignant tumor that develops in the ducts or lobules of the breast | 유방의 유관이나 소엽에서 발생하는 악성
rheumatoid arthritis | an autoimmune disease that attacks the lining of the joints | 면역체계가 관절의 활막을 공격하여 만성 염증을 일으키는
gout | an arthritis caused by the deposition of urate crystals | 요산 결정이 관절에 쌓여 심한 염증을 일으키는
osteoporosis | a disease in which bone mass falls and bones break easily | 뼈의 양이 줄고 구조가 약해져 쉽게 부러지는
anemia | a shortage of red blood cells caused by lack of iron | 철분이 부족하여 적혈구가 충분히 만들어지지 못하는
influenza | an acute respiratory infection caused by the influenza virus | 인플루엔자 바이러스에 의해 생기는 급성 호흡기
"""

_DEFINED = {key: (en, ko) for key, en, ko in rows(_DEFINITIONS, 3)}


def _disease(cells: list[str]) -> Disease:
    key, en, ko, short, clinic, *lists = cells
    filled = [variants(cell) if cell != "-" else () for cell in lists]
    return Disease(key, variants(en), variants(ko), short, clinic, *filled, *_DEFINED[key])


DISEASES = {cells[0]: _disease(cells) for cells in rows(_DISEASES, 13)}
CLINICS = {
    "pulm": ("Pulmonology", "호흡기내과", "PULM"),
    "cardio": ("Cardiology", "심장내과", "CARDIO"),
    "endo": ("Endocrinology", "내분비내과", "ENDO"),
    "gi": ("Gastroenterology", "소화기내과", "GI"),
    "neuro": ("Neurology", "신경과", "NR"),
    "nephro": ("Nephrology and Urology", "신장비뇨의학과", "NEPH"),
    "surg": ("Surgery", "외과", "GS"),
    "rheum": ("Rheumatology", "류마티스내과", "RHEU"),
    "hema": ("Hematology", "혈액내과", "HEMA"),
}
COMORBIDITIES = (
    "hypertension",
    "diabetes",
    "COPD",
    "asthma",
    "CKD",
    "atrial fibrillation",
    "BPH",
    "hypothyroidism",
    "GERD",
)
