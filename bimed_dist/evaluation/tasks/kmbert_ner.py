"""KM-BERT's Korean medical entities (body part BD, disease DS, symptom ST) in its three columns: word, something, tag.

Its scores are `class_f1` here, F1 of the class of single words without their borders; the mean of its five folds.
"""

from functools import partial

from bimed_dist.evaluation.readers.entities import read_entities
from bimed_dist.evaluation.task import Task
from bimed_dist.recipe.evaluation import EntitySettings

FILES = EntitySettings(files={"train": "train.txt", "test": "test.txt"})

TASK = Task(
    kind="ner",
    title="Korean medical entities of KM-BERT",
    language="ko",
    citation="Kim et al. 2022, KM-BERT, Scientific Reports 12:13847, doi 10.1038/s41598-022-17806-8",
    licence="the authors' own data",
    labels_from="annotators",
    labels_by="people",
    source="path",
    load=partial(read_entities, settings=FILES),
)
