"""Lexicon of imaging: sites, observations and their descriptors in Korean, English and as Korean doctors mix them."""

from dataclasses import dataclass

from bimed_dist.synthetic.tables import rows, variants


@dataclass(frozen=True)
class Site:
    key: str
    region: str
    sides: tuple[str, ...]
    """Sides it may have; empty where it is single or its name says the side."""
    en: str
    en_plural: str
    ko: tuple[str, ...]
    short: dict[str, tuple[str, ...]]
    """Abbreviations by side ("" where there is none)."""


@dataclass(frozen=True)
class Observation:
    key: str
    group: str
    countable: bool
    en: tuple[str, ...]
    ko: tuple[str, ...]
    mixed: tuple[str, ...]
    regions: tuple[str, ...]
    size_mm: tuple[int, int] | None
    qualities: tuple[str, ...]


_SIDES = {"R": "right", "L": "left", "B": "both"}

# key | region | sides | English | plural | Korean | abbreviations of right / left / both (or of the site itself)
_SITES = """
upper lobe | lung | RLB | upper lobe | upper lobes | 폐 상엽 | RUL / LUL / BULs
middle lobe | lung | R | middle lobe | middle lobes | 폐 중엽 | RML
lower lobe | lung | RLB | lower lobe | lower lobes | 폐 하엽 | RLL / LLL / BLLs
lung | lung | RLB | lung | lungs | 폐 | Rt. lung / Lt. lung / both lungs
lung apex | lung | RLB | lung apex | lung apices | 폐첨부 | Rt. apex / Lt. apex / both apices
lung base | lung | RLB | lung base | lung bases | 폐 기저부,폐저부 | Rt. lung base / Lt. lung base / BLLs basal portion
RUL apical segment | lung | - | apical segment of the right upper lobe | - | 우상엽 첨분절 | RUL apical segment
RUL posterior segment | lung | - | posterior segment of the right upper lobe | - | 우상엽 후분절 | RUL posterior segment
RUL anterior segment | lung | - | anterior segment of the right upper lobe | - | 우상엽 전분절 | RUL anterior segment
RML medial segment | lung | - | medial segment of the right middle lobe | - | 우중엽 내측분절 | RML medial segment
RML lateral segment | lung | - | lateral segment of the right middle lobe | - | 우중엽 외측분절 | RML lateral segment
RLL superior segment | lung | - | superior segment of the right lower lobe | - | 우하엽 상분절 | RLL superior segment
RLL lateral basal segment | lung | - | lateral basal segment of the right lower lobe | - | 우하엽 외측기저분절 | RLL lateral basal segment
RLL posterior basal segment | lung | - | posterior basal segment of the right lower lobe | - | 우하엽 후기저분절 | RLL posterobasal segment
LUL apicoposterior segment | lung | - | apicoposterior segment of the left upper lobe | - | 좌상엽 첨후분절 | LUL apicoposterior segment
LUL anterior segment | lung | - | anterior segment of the left upper lobe | - | 좌상엽 전분절 | LUL anterior segment
lingula | lung | - | lingular segment of the left upper lobe | - | 좌상엽 설상분절,설상분절 | LUL lingular segment,lingular division
LLL superior segment | lung | - | superior segment of the left lower lobe | - | 좌하엽 상분절 | LLL superior segment
LLL anteromedial basal segment | lung | - | anteromedial basal segment of the left lower lobe | - | 좌하엽 전내측기저분절 | LLL anteromedial basal segment
LLL posterior basal segment | lung | - | posterior basal segment of the left lower lobe | - | 좌하엽 후기저분절 | LLL posterobasal segment
pleural cavity | pleura | RLB | pleural cavity | pleural cavities | 흉막강 | Rt. pleural cavity / Lt. pleural cavity / both pleural cavities
hemithorax | pleura | RLB | hemithorax | hemithoraces | 흉강 | Rt. hemithorax / Lt. hemithorax / both hemithoraces
mediastinum | nodes | - | mediastinum | - | 종격동 | mediastinum
hilum | nodes | RLB | hilum | hila | 폐문부 | Rt. hilum / Lt. hilum / both hila
lower paratracheal station | nodes | RL | lower paratracheal area | - | 하부 기관주위 | 4R / 4L
subcarinal station | nodes | - | subcarinal area | - | 기관분기부 하부 | subcarinal area,station 7
axilla | nodes | RLB | axilla | axillae | 액와부,겨드랑이 | Rt. axilla / Lt. axilla / both axillae
supraclavicular fossa | nodes | RL | supraclavicular fossa | - | 쇄골상부 | Rt. SCN area / Lt. SCN area
main pulmonary artery | pulmonary artery | RLB | main pulmonary artery | main pulmonary arteries | 주폐동맥 | Rt. main PA / Lt. main PA / both main PAs
lower lobar pulmonary artery | pulmonary artery | RLB | lower lobar pulmonary artery | lower lobar pulmonary arteries | 폐동맥 하엽 분지,하엽 폐동맥 | RLL PA / LLL PA / both lower lobar PAs
interlobar pulmonary artery | pulmonary artery | RL | interlobar pulmonary artery | - | 엽간 폐동맥 | Rt. interlobar PA / Lt. interlobar PA
segmental pulmonary arteries of RUL | pulmonary artery | - | segmental branches of the right upper lobar pulmonary artery | - | 우상엽 폐동맥 분절 분지 | RUL segmental PA branches
segmental pulmonary arteries of LLL | pulmonary artery | - | segmental branches of the left lower lobar pulmonary artery | - | 좌하엽 폐동맥 분절 분지 | LLL segmental PA branches
liver segment 4 | liver | - | segment 4 of the liver | - | 간 제4분절,간 S4 | liver S4
liver segment 6 | liver | - | segment 6 of the liver | - | 간 제6분절,간 S6 | liver S6
liver segment 8 | liver | - | segment 8 of the liver | - | 간 제8분절,간 S8 | liver S8
hepatic dome | liver | - | hepatic dome | - | 간 돔 부위 | hepatic dome
left lateral section | liver | - | left lateral section of the liver | - | 간 좌외측 구역 | liver LLS
kidney | kidney | RLB | kidney | kidneys | 신장 | Rt. kidney / Lt. kidney / both kidneys
renal pelvis | ureter | RL | renal pelvis | - | 신우 | Rt. renal pelvis / Lt. renal pelvis
distal ureter | ureter | RL | distal ureter | - | 원위부 요관 | Rt. distal ureter / Lt. distal ureter
adrenal gland | adrenal | RLB | adrenal gland | adrenal glands | 부신 | Rt. adrenal gland / Lt. adrenal gland / both adrenals
gallbladder | gallbladder | - | gallbladder | - | 담낭 | GB
common bile duct | bile duct | - | common bile duct | - | 총담관 | CBD
pancreatic head | pancreas | - | pancreatic head | - | 췌장 두부 | pancreas head
pancreatic tail | pancreas | - | pancreatic tail | - | 췌장 미부 | pancreas tail
spleen | spleen | - | spleen | - | 비장 | spleen
thyroid lobe | thyroid | RLB | thyroid lobe | thyroid lobes | 갑상선엽 | Rt. thyroid lobe / Lt. thyroid lobe / both thyroid lobes
breast | breast | RLB | breast | breasts | 유방 | Rt. breast / Lt. breast / both breasts
rib | bone | RLB | lateral ribs | lateral ribs | 늑골 외측 | Rt. ribs / Lt. ribs / both ribs
L1 vertebral body | bone | - | L1 vertebral body | - | 제1요추체 | L1 body
T12 vertebral body | bone | - | T12 vertebral body | - | 제12흉추체 | T12 body
iliac bone | bone | RL | iliac bone | - | 장골 | Rt. iliac bone / Lt. iliac bone
sternum | bone | - | sternum | - | 흉골 | sternum
frontal lobe | brain | RLB | frontal lobe | frontal lobes | 전두엽 | Rt. frontal lobe / Lt. frontal lobe / both frontal lobes
basal ganglia | brain | RLB | basal ganglia | basal ganglia | 기저핵 | Rt. BG / Lt. BG / both BG
MCA territory | brain | RL | MCA territory | - | 중대뇌동맥 영역 | Rt. MCA territory / Lt. MCA territory
cerebellar hemisphere | brain | RLB | cerebellar hemisphere | cerebellar hemispheres | 소뇌반구 | Rt. cerebellum / Lt. cerebellum / both cerebellar hemispheres
prostate | prostate | - | prostate gland | - | 전립선 | prostate
sigmoid colon | bowel | - | sigmoid colon | - | S상결장 | S-colon
ascending colon | bowel | - | ascending colon | - | 상행결장 | A-colon
gastric antrum | stomach | - | gastric antrum | - | 위 전정부 | antrum
"""

# key | group | c(ountable) or u | English | Korean | mixed | regions | size in mm | qualities
_OBSERVATIONS = """
nodule | focal | c | nodule,nodular lesion | 결절,결절성 병변 | nodule,nodular lesion | lung | 4-29 | solid,part-solid,calcified,spiculated,well-defined
mass | focal | c | mass,mass-like lesion | 종괴,종괴성 병변 | mass,mass-like lesion | lung | 31-92 | spiculated,lobulated,enhancing,necrotic
cavity | focal | c | cavity,cavitary lesion | 공동,공동성 병변 | cavity,cavitary lesion | lung | 12-55 | thick-walled,thin-walled
consolidation | airspace | u | consolidation,airspace consolidation | 경화,폐경화,경화 병변 | consolidation,airspace consolidation | lung | - | patchy,segmental,peribronchial,multifocal
ground-glass opacity | airspace | u | ground-glass opacity,GGO,ground glass opacification | 간유리음영,간유리 음영 | GGO,ground-glass opacity,GGO lesion | lung | - | patchy,diffuse,ill-defined,multifocal
tree-in-bud opacity | airspace | u | tree-in-bud opacity,centrilobular nodularity | 소엽중심성 결절 음영,나무싹 모양 음영 | tree-in-bud appearance,centrilobular nodular opacity | lung | - | multifocal,clustered
atelectasis | volume | u | atelectasis,volume loss | 무기폐,허탈 | atelectasis,subsegmental atelectasis | lung | - | linear,passive
reticulation | interstitial | u | reticulation,reticular opacity | 망상 음영,그물 음영 | reticular opacity,reticulation | lung | - | subpleural,peripheral
emphysema | airway | u | emphysema,emphysematous change | 폐기종,폐기종성 변화 | emphysema,emphysematous change | lung | - | centrilobular,paraseptal
bronchiectasis | airway | u | bronchiectasis,bronchial dilatation | 기관지확장증,기관지 확장 | bronchiectasis,bronchiectatic change | lung | - | cylindrical,traction
fibrotic scar | interstitial | u | fibrotic scar,fibrotic change | 섬유화 반흔,섬유성 변화 | fibrotic scar,fibrotic change | lung | - | linear,old
pleural effusion | pleural | u | pleural effusion,effusion | 흉수,흉막삼출 | pleural effusion,effusion | pleura | - | small,moderate,large,loculated
pneumothorax | pleural | u | pneumothorax | 기흉 | pneumothorax,PTX | pleura | - | small,large
pleural thickening | pleural | u | pleural thickening,thickening of the pleura | 흉막 비후 | pleural thickening | pleura | - | focal,diffuse
lymph node enlargement | nodal | u | lymph node enlargement,lymphadenopathy,LN enlargement | 림프절 비대,림프절 종대,임파절 종대 | LN enlargement,lymphadenopathy,LN 종대 | nodes | 11-38 | calcified,conglomerated,necrotic
filling defect | vascular | c | filling defect,intraluminal filling defect | 충만 결손,혈관내 충만결손 | filling defect,intraluminal filling defect | pulmonary artery | - | eccentric,central
hepatic cyst | cystic | c | cyst,hepatic cyst | 낭종,물혹,간낭종 | cyst,hepatic cyst | liver | 5-48 | simple,well-defined
hemangioma | focal | c | hemangioma | 혈관종 | hemangioma | liver | 8-45 | well-defined
hepatic mass | focal | c | arterial enhancing mass,hypervascular mass | 조영증강 종괴,과혈관성 종괴 | arterial enhancing mass,hypervascular mass | liver | 15-85 | lobulated,ill-defined,necrotic
renal cyst | cystic | c | cyst,renal cyst | 낭종,신낭종 | cyst,renal cyst | kidney | 6-60 | simple,complicated
renal stone | stone | c | stone,calculus | 결석,신장 결석 | stone,renal stone | kidney | 2-14 | -
ureter stone | stone | c | stone,calculus | 결석,요로결석 | stone,ureter stone | ureter | 3-12 | obstructing
hydronephrosis | dilatation | u | hydronephrosis,dilatation of the collecting system | 수신증 | hydronephrosis,PCS dilatation | kidney | - | mild,severe
adrenal nodule | focal | c | nodule,adrenal nodule | 결절,부신 결절 | nodule,adrenal nodule | adrenal | 9-36 | low-attenuating
gallstone | stone | c | stone,gallstone | 결석,담석 | stone,gallstone | gallbladder | 3-22 | calcified
wall thickening | wall | u | wall thickening | 벽 비후 | wall thickening | gallbladder,sigmoid colon,gastric antrum | - | diffuse,focal
CBD stone | stone | c | stone,choledocholithiasis | 결석,총담관 결석 | stone,CBD stone | bile duct | 4-15 | -
pancreatic cyst | cystic | c | cyst,cystic lesion | 낭종,낭성 병변 | cyst,cystic lesion | pancreas | 6-40 | unilocular,septated
pancreatic mass | focal | c | low-attenuating mass,hypovascular mass | 저음영 종괴 | low-attenuating mass,hypovascular mass | pancreas | 18-60 | ill-defined
splenic infarct | infarct | u | infarction,infarct | 경색 | infarct,infarction | spleen | - | wedge-shaped
thyroid nodule | focal | c | nodule,thyroid nodule | 결절,갑상선 결절 | nodule,thyroid nodule | thyroid | 4-38 | solid,cystic,calcified
breast mass | focal | c | mass,irregular mass | 종괴,유방 종괴 | mass,irregular mass | breast | 8-50 | spiculated,well-defined
microcalcification | calcific | u | microcalcification,fine calcification | 미세석회화,미세 석회화 | microcalcification | breast | - | pleomorphic,clustered
fracture | fracture | c | fracture | 골절 | fracture,Fx. | bone | - | old,acute,healing
osteoblastic lesion | focal | c | osteoblastic lesion,sclerotic lesion | 골형성 병변,경화성 골병변 | osteoblastic lesion,sclerotic lesion | bone | 6-34 | ill-defined
acute infarction | infarct | u | acute infarction,diffusion restriction | 급성 뇌경색,확산 제한 병변 | acute infarction,diffusion restriction | brain | - | focal,multifocal
hemorrhage | bleeding | u | hemorrhage,intracerebral hemorrhage | 출혈,뇌실질내 출혈 | hemorrhage,ICH | brain | 9-55 | acute,subacute
brain metastasis | focal | c | enhancing mass,ring-enhancing lesion | 조영증강 종괴,고리형 조영증강 병변 | enhancing mass,ring-enhancing lesion | brain | 5-42 | necrotic
prostatic enlargement | size | u | enlargement,hyperplasia | 비대 | enlargement,hyperplasia | prostate | - | mild,severe
diverticulitis | inflammation | u | diverticulitis | 게실염 | diverticulitis | bowel | - | acute
colonic mass | focal | c | mass,polypoid mass | 종괴,용종성 종괴 | mass,polypoid mass | bowel | 12-65 | enhancing,ulcerating
gastric ulcer | focal | c | ulcer,gastric ulcer | 궤양,위궤양 | ulcer,gastric ulcer | stomach | 5-30 | active,healing
"""

# key | Korean attribute
_QUALITIES = """
solid | 고형
part-solid | 부분 고형
calcified | 석회화된
spiculated | 침상 경계의
well-defined | 경계가 좋은
ill-defined | 경계가 불분명한
lobulated | 분엽상의
enhancing | 조영증강되는
necrotic | 괴사를 동반한
thick-walled | 벽이 두꺼운
thin-walled | 벽이 얇은
patchy | 반점형
segmental | 분절성
peribronchial | 기관지 주위
multifocal | 다발성
diffuse | 미만성
clustered | 군집된
linear | 선상
passive | 수동성
subpleural | 흉막하
peripheral | 말초성
centrilobular | 소엽중심성
paraseptal | 중격주위
cylindrical | 원통형
traction | 견인성
old | 오래된
small | 소량의
moderate | 중등도의
large | 다량의
loculated | 국소화된
focal | 국소
conglomerated | 뭉쳐진
eccentric | 편심성
central | 중심성
simple | 단순
complicated | 복합
obstructing | 폐쇄성
mild | 경도의
severe | 심한
low-attenuating | 저음영
unilocular | 단방성
septated | 격막이 있는
wedge-shaped | 쐐기 모양의
cystic | 낭성
pleomorphic | 다형성
acute | 급성
subacute | 아급성
healing | 치유 중인
active | 활동성
ulcerating | 궤양을 동반한
"""


def _site(cells: list[str]) -> Site:
    key, region, letters, en, plural, ko, short = cells
    sides = tuple(_SIDES[letter] for letter in letters.strip("-"))
    abbreviations = [variants(part) for part in short.split("/")]
    named = dict(zip(sides or ("",), abbreviations, strict=True))
    return Site(key, region, sides, en, en if plural == "-" else plural, variants(ko), named)


def _observation(cells: list[str]) -> Observation:
    key, group, count, en, ko, mixed, regions, size, qualities = cells
    low, _, high = size.partition("-")
    return Observation(
        key,
        group,
        count == "c",
        variants(en),
        variants(ko),
        variants(mixed),
        variants(regions),
        (int(low), int(high)) if low else None,
        variants(qualities.strip("-")),
    )


SITES = {cells[0]: _site(cells) for cells in rows(_SITES, 7)}
OBSERVATIONS = {cells[0]: _observation(cells) for cells in rows(_OBSERVATIONS, 9)}
QUALITIES = dict(rows(_QUALITIES, 2))
LOBE_KO = {
    ("upper lobe", "right"): "우상엽",
    ("upper lobe", "left"): "좌상엽",
    ("middle lobe", "right"): "우중엽",
    ("lower lobe", "right"): "우하엽",
    ("lower lobe", "left"): "좌하엽",
}


def sites_of(observation: Observation) -> tuple[Site, ...]:
    """Where it can be: sites of its regions, or sites it names themselves."""
    return tuple(s for s in SITES.values() if s.region in observation.regions or s.key in observation.regions)
