"""Tasks on any csv or tsv: the recipe's `table` names the files and their columns."""

from dataclasses import replace

from bimed_dist.evaluation.readers.tables import read_classification, read_multilabel, read_scored_pairs
from bimed_dist.evaluation.task import Task

SIMILARITY = Task(
    name="table_sts",
    kind="sts",
    title="Sentence similarity",
    language="any",
    citation="files named in the recipe",
    licence="not stated",
    labels_from="not stated",
    labels_by="people",
    source="path",
    load=read_scored_pairs,
    needs="table",
)
# As KM-BERT learns it: six classes, and the correlation of the predicted class with the score.
SIMILARITY_CLASSES = replace(
    SIMILARITY, name="table_sts_six", kind="sts_classes", title="Sentence similarity as six classes"
)
MULTILABEL = replace(
    SIMILARITY,
    name="table_multilabel",
    kind="multilabel",
    title="Multi-label classification of texts",
    load=read_multilabel,
)
CLASSIFICATION = replace(
    SIMILARITY,
    name="table_classification",
    kind="classification",
    title="Classification of texts",
    load=read_classification,
)
