"""Synthetic pairs of mixed Korean-English sentences, graded 0-5 by the distance of the findings behind them."""

from functools import partial

from bimed_dist.evaluation.readers.synthetic import generate_scored_pairs
from bimed_dist.evaluation.task import Task

TASK = Task(
    kind="sts",
    title="Synthetic mixed Korean-English clinical similarity",
    language="mixed",
    citation="made by bimed_dist.synthetic",
    licence="Apache-2.0, as this package",
    labels_from="distance of the generated findings, never the text",
    labels_by="generator",
    source="synthetic",
    load=partial(generate_scored_pairs, "mixed"),
)
