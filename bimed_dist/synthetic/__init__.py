"""Synthetic clinical text: a lexicon, structured facts drawn from it, and documents and labelled tasks that word them.

Lexicon -> facts (`findings`, `cases`) -> sentences (`wording`, `imaging`, `particles`) -> corpus `documents` (`notes`,
`articles`, `reports`) and task sets with exact labels (`reports`, `pairs`, `entities`). Item i depends only on the seed
and its index (`sampling`), not on how many items are requested.
"""
