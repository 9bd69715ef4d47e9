"""MedSTS as the BLUE benchmark deals it: 675 / 75 / 318 pairs in train.tsv, dev.tsv and test.tsv."""

from dataclasses import replace
from functools import partial

from bimed_dist.evaluation.readers.tables import read_scored_pairs
from bimed_dist.evaluation.tasks import medsts
from bimed_dist.recipe.evaluation import TableSettings

LAYOUT = TableSettings(
    files={split: f"{split}.tsv" for split in ("train", "dev", "test")},
    text_columns=("sentence1", "sentence2"),
    label_columns=("score",),
)

TASK = replace(
    medsts.TASK,
    title="MedSTS in BLUE: English clinical sentence similarity",
    citation="Wang et al. 2020, MedSTS; split of Peng et al. 2019, BLUE, arXiv:1906.05474",
    load=partial(read_scored_pairs, table=LAYOUT),
)
