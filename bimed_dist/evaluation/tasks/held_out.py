"""Masked-LM and next-sentence evaluation on the held-out documents of a corpus, with the checkpoint's own heads.

Every model gets the same windows of text and predicts the same words, whatever its vocabulary.
"""

from dataclasses import replace

from bimed_dist.evaluation.readers.held_out import read_successors, read_term_windows, read_windows
from bimed_dist.evaluation.task import Task

MLM = Task(
    name="mlm",
    kind="mlm",
    title="Masked-LM evaluation (held-out documents)",
    language="any",
    citation="Devlin et al. 2019 (masking); Kim et al. 2022, KM-BERT (repeated masks)",
    licence="that of the corpus",
    labels_from="the text itself",
    labels_by="people",
    source="corpus",
    load=read_windows,
)
MLM_TERMS = replace(
    MLM,
    name="mlm_terms",
    title="Masked-LM evaluation of medical terms (held-out documents)",
    citation="Devlin et al. 2019 (masking); the term list is named in the recipe",
    load=read_term_windows,
    needs="terms",
)
NSP = Task(
    name="nsp",
    kind="nsp",
    title="Next-sentence evaluation (held-out documents)",
    language="any",
    citation="Devlin et al. 2019; Kim et al. 2022, KM-BERT (accuracy on next and on random pairs)",
    licence="that of the corpus",
    labels_from="the order of sentences",
    labels_by="people",
    source="corpus",
    load=read_successors,
)
