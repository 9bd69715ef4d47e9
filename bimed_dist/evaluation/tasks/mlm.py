"""Masked words of the held-out documents of a corpus stage, for models that have a masked-language-model head.

Every model sees the same windows of text and must fill the same words, whatever its vocabulary.
"""

from bimed_dist.evaluation.readers.held_out import read_windows
from bimed_dist.evaluation.task import Task

TASK = Task(
    kind="mlm",
    title="Masked words of held-out documents",
    language="any",
    citation="Devlin et al. 2019 (masking); Kim et al. 2022, KM-BERT (repeated masks)",
    licence="that of the corpus",
    labels_from="the text itself",
    labels_by="people",
    source="corpus",
    load=read_windows,
)
