"""`medsts_ko` as KM-BERT learned it: six classes, and the correlation of the chosen class with the score.

Scores are not comparable with those of `medsts_ko`: a class can only take the values 0 to 5.
"""

from dataclasses import replace

from bimed_dist.evaluation.tasks import medsts_ko

TASK = replace(medsts_ko.TASK, kind="sts_classes", title="MedSTS in Korean as six classes (KM-BERT's way)")
