"""Labels of chest CT reports: a hospital's own reports in the format of Jo et al. 2025, and CT-CLIP's open ones."""

from functools import partial

from bimed_dist.evaluation.preparation.splitting import hash_split
from bimed_dist.evaluation.readers.rows import read_labelled_texts
from bimed_dist.evaluation.readers.tables import read_multilabel
from bimed_dist.evaluation.task import Task, TaskData, TaskInputs
from bimed_dist.recipe.evaluation import TableSettings

REPORT_LAYOUT = TableSettings(
    files={"all": "chest_ct_labeled_data.csv"},
    text_columns=("report",),
    label_columns=("pn", "em", "ca"),
    split_column="dataset",
)

# Format of NIHxAI/Chest_ct_report. The column `dataset` is train, val (or dev), test (or internal), or external for
# reports of another hospital.
CHEST_CT_REPORT = Task(
    name="chest_ct_report",
    kind="multilabel",
    title="Chest CT reports: pneumonia, pulmonary embolism, cancer",
    language="mixed",
    citation="Jo et al. 2025, BMC Med Inform Decis Mak 25:428, doi 10.1186/s12911-025-03262-7; format of their code",
    licence="the hospital's own data",
    labels_from="diagnosis codes within a month, joined with or replaced by keyword rules on the text itself",
    labels_by="rules",
    source="path",
    load=partial(read_multilabel, table=REPORT_LAYOUT),
    keywords={
        "pn": ("pneumonia", "bronchopneumonia", "pneumonitis", "폐렴"),
        "em": ("embolism", "thromboembolism", "embolus", "emboli", "PTE", "PE", "색전"),
        "ca": (
            *("cancer", "carcinoma", "malignancy", "malignant", "metastasis", "metastases", "metastatic", "mets"),
            *("lymphoma", "tumor", "lung mass", "large mass", "폐암", "암종", "전이", "악성"),
        ),
    },
)

CTCLIP_LABELS = (
    "Medical material",
    "Arterial wall calcification",
    "Cardiomegaly",
    "Pericardial effusion",
    "Coronary artery wall calcification",
    "Hiatal hernia",
    "Lymphadenopathy",
    "Emphysema",
    "Atelectasis",
    "Lung nodule",
    "Lung opacity",
    "Pulmonary fibrotic sequela",
    "Pleural effusion",
    "Mosaic attenuation pattern",
    "Peribronchial thickening",
    "Consolidation",
    "Bronchiectasis",
    "Interlobular septal thickening",
)
DEV_SHARE = 0.15
CTCLIP_KEYWORDS = {
    "Medical material": ("catheter", "stent", "pacemaker", "prosthesis", "port", "suture", "tube", "cannula", "clip"),
    "Arterial wall calcification": ("atherosclerotic", "atheroma", "calcific plaque", "calcified plaque"),
    "Cardiomegaly": ("cardiomegaly", "heart size increased", "heart size is increased", "enlarged heart"),
    "Pericardial effusion": ("pericardial effusion",),
    "Coronary artery wall calcification": ("coronary",),
    "Hiatal hernia": ("hiatal hernia", "hiatus hernia"),
    "Lymphadenopathy": ("lymphadenopathy", "enlarged lymph node", "pathological lymph node"),
    "Emphysema": ("emphysema", "emphysematous"),
    "Atelectasis": ("atelectasis", "atelectatic"),
    "Lung nodule": ("nodule", "nodular"),
    "Lung opacity": ("opacity", "opacities", "ground glass", "infiltration", "consolidation"),
    "Pulmonary fibrotic sequela": ("sequela", "sequelae", "sequel", "fibrotic", "fibrosis"),
    "Pleural effusion": ("pleural effusion",),
    "Mosaic attenuation pattern": ("mosaic",),
    "Peribronchial thickening": ("peribronchial thickening", "bronchial wall thickening"),
    "Consolidation": ("consolidation", "consolidative"),
    "Bronchiectasis": ("bronchiectasis", "bronchiectatic"),
    "Interlobular septal thickening": ("interlobular septal", "septal thickening"),
}


def load_ctclip(inputs: TaskInputs) -> TaskData:
    """Read train.csv and val.csv; dev is taken out of train by hash."""
    train = read_labelled_texts(inputs.folder / "train.csv", "report_text", CTCLIP_LABELS, inputs.problems)
    test = read_labelled_texts(inputs.folder / "val.csv", "report_text", CTCLIP_LABELS, inputs.problems)
    splits = hash_split("multilabel", train, {"dev": DEV_SHARE}, rest="train")
    return TaskData(
        {"train": splits["train"], "dev": splits["dev"], "test": test},
        CTCLIP_LABELS,
        (f"the published val.csv is the test split; dev is {DEV_SHARE:.0%} of train.csv, chosen by hash",),
    )


# 18 findings; 800 reports for training, and 200 (`val`) that are the test split here.
CTCLIP = Task(
    name="ctclip",
    kind="multilabel",
    title="CT-CLIP: 18 findings of chest CT reports",
    language="en",
    citation="Hamamci et al. 2024, CT-RATE and CT-CLIP, arXiv:2403.17834",
    licence="CC BY-NC-SA 4.0",
    labels_from="annotations of the reports, published for training CT-RATE's text classifier",
    labels_by="people",
    source="path",
    load=load_ctclip,
    keywords=CTCLIP_KEYWORDS,
    published={
        "train.csv": "fe566345685777c5",
        "val.csv": "aeabb1369c1fc18d",
    },
)
