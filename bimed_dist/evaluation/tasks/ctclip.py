"""CT-CLIP: chest CT reports with 18 findings; 800 for training, and 200 (`val`) that are the test split here."""

from bimed_dist.evaluation.preparation.splitting import hash_split
from bimed_dist.evaluation.readers.rows import read_labelled_texts
from bimed_dist.evaluation.task import Task, TaskData, TaskInputs

LABELS = (
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
KEYWORDS = {
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


def load(inputs: TaskInputs) -> TaskData:
    """Read train.csv and val.csv; dev is taken out of train by hash."""
    train = read_labelled_texts(inputs.folder / "train.csv", "report_text", LABELS, inputs.problems)
    test = read_labelled_texts(inputs.folder / "val.csv", "report_text", LABELS, inputs.problems)
    splits = hash_split("multilabel", train, {"dev": DEV_SHARE}, rest="train")
    return TaskData(
        {"train": splits["train"], "dev": splits["dev"], "test": test},
        LABELS,
        (f"the published val.csv is the test split; dev is {DEV_SHARE:.0%} of train.csv, chosen by hash",),
    )


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
    load=load,
    keywords=KEYWORDS,
    published={
        "train.csv": "fe566345685777c5",
        "val.csv": "aeabb1369c1fc18d",
    },
)
