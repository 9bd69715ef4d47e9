"""Synthetic mixed-language chest CT reports with three labels; `external` is a second hospital that writes differently.

The shape of Jo et al. 2025 (pneumonia, pulmonary embolism, cancer; an internal and an external test set).
"""

from bimed_dist.evaluation.readers.synthetic import CT_LABELS, generate_reports
from bimed_dist.evaluation.task import Task

TASK = Task(
    kind="multilabel",
    title=f"Synthetic chest CT reports: {', '.join(CT_LABELS)}",
    language="mixed",
    citation="made by bimed_dist.synthetic",
    licence="Apache-2.0, as this package",
    labels_from="the generated findings, never the text",
    labels_by="generator",
    source="synthetic",
    load=generate_reports,
    keywords={
        "pneumonia": ("pneumonia", "bronchopneumonia", "폐렴"),
        "embolism": ("embolism", "thromboembolism", "PTE", "filling defect", "색전", "충만결손"),
        "cancer": ("cancer", "carcinoma", "malignancy", "malignant", "metastasis", "metastatic", "암", "전이", "악성"),
    },
)
