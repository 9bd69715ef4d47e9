"""The embedded default corpus: clinical facts -> wording -> documents, and task sets with labels from the facts.

lexicon (`anatomy`, `medicine`, `diseases`) -> facts (`findings`, `cases`) -> sentences (`wording`, `imaging`,
`particles`) -> corpus documents (`prose`: `notes`, `articles`, `reports`) and tasks (`reports`, `pairs`, `entities`).
Everything is a function of
its arguments (`chance`): no state, no clock, no dependence on how many items are asked for.
"""

from bimed_dist.synthetic.entities import NerSentence, ner_sentences
from bimed_dist.synthetic.pairs import SentencePair, sentence_pairs
from bimed_dist.synthetic.prose import documents
from bimed_dist.synthetic.reports import CtReport, ct_reports

__all__ = [
    "CtReport",
    "NerSentence",
    "SentencePair",
    "ct_reports",
    "documents",
    "ner_sentences",
    "sentence_pairs",
]
