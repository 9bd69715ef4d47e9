"""`table_sts` learned as KM-BERT does it: six classes, and the correlation of the chosen class with the score."""

from dataclasses import replace

from bimed_dist.evaluation.tasks import table_sts

TASK = replace(table_sts.TASK, kind="sts_classes", title="Sentence similarity as six classes")
