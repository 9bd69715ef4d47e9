"""Chest CT reports with three labels in the format of NIHxAI/Chest_ct_report: columns report, pn, em, ca and dataset.

`dataset` is train, val (or dev), test (or internal), or external for reports of another hospital.
"""

from functools import partial

from bimed_dist.evaluation.readers.tables import read_multilabel
from bimed_dist.evaluation.task import Task
from bimed_dist.recipe.evaluation import TableSettings

FILE_NAME = "chest_ct_labeled_data.csv"
LAYOUT = TableSettings(
    files={"all": FILE_NAME}, text_columns=("report",), label_columns=("pn", "em", "ca"), split_column="dataset"
)

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
    load=partial(read_multilabel, table=LAYOUT),
    keywords={
        "pn": ("pneumonia", "bronchopneumonia", "pneumonitis", "폐렴"),
        "em": ("embolism", "thromboembolism", "embolus", "emboli", "PTE", "PE", "색전"),
        "ca": (
            *("cancer", "carcinoma", "malignancy", "malignant", "metastasis", "metastases", "metastatic", "mets"),
            *("lymphoma", "tumor", "lung mass", "large mass", "폐암", "암종", "전이", "악성"),
        ),
    },
)
