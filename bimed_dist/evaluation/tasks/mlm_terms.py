"""Medical terms of held-out documents, masked: the words of a term list that the recipe names (`terms`)."""

from dataclasses import replace

from bimed_dist.evaluation.readers.held_out import read_term_windows
from bimed_dist.evaluation.tasks import mlm

TASK = replace(
    mlm.TASK,
    title="Masked medical terms of held-out documents",
    citation="Devlin et al. 2019 (masking); the term list is named in the recipe",
    load=read_term_windows,
    needs="terms",
)
