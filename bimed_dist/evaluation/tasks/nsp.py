"""Next or random sentence: pairs of the held-out documents of a corpus stage, for models that have the NSP head."""

from bimed_dist.evaluation.readers.held_out import read_successors
from bimed_dist.evaluation.task import Task

TASK = Task(
    kind="nsp",
    title="Next sentence or random sentence of held-out documents",
    language="any",
    citation="Devlin et al. 2019; Kim et al. 2022, KM-BERT (accuracy on next and on random pairs)",
    licence="that of the corpus",
    labels_from="the order of sentences",
    labels_by="people",
    source="corpus",
    load=read_successors,
)
