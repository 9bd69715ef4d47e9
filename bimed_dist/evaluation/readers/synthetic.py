"""Rows of the synthetic benchmarks, made anew from the recipe's seed."""

from collections.abc import Callable

from bimed_dist.evaluation.readers.rows import entity_types
from bimed_dist.evaluation.task import Example, Origin, Splits
from bimed_dist.synthetic.entities import generate_ner_sentences
from bimed_dist.synthetic.pairs import generate_sentence_pairs
from bimed_dist.synthetic.reports import generate_ct_reports

ROWS = {"train": 600, "dev": 150, "test": 200}
CT_LABELS = ("pneumonia", "embolism", "cancer")


def graded_pairs(language: str, origin: Origin) -> Splits:
    def examples(split: str, count: int) -> tuple[Example, ...]:
        pairs = generate_sentence_pairs(origin.seed, split, count, language)
        return tuple(Example(f"{split} {pair.id}", (pair.first, pair.second), float(pair.score)) for pair in pairs)

    return Splits(_parts(examples, origin, ROWS))


def ct_reports(origin: Origin) -> Splits:
    def examples(split: str, count: int) -> tuple[Example, ...]:
        reports = generate_ct_reports(origin.seed, split, count)
        return tuple(
            Example(f"{split} {report.id}", (report.text,), tuple(int(getattr(report, label)) for label in CT_LABELS))
            for report in reports
        )

    return Splits(_parts(examples, origin, {**ROWS, "external": ROWS["test"]}), CT_LABELS)


def tagged_sentences(origin: Origin) -> Splits:
    def examples(split: str, count: int) -> tuple[Example, ...]:
        sentences = generate_ner_sentences(origin.seed, split, count)
        return tuple(Example(f"{split} {s.id}", tuple(s.words), tuple(s.tags)) for s in sentences)

    parts = _parts(examples, origin, ROWS)
    return Splits(parts, entity_types(list(parts.values())))


def _parts(
    examples: Callable[[str, int], tuple[Example, ...]], origin: Origin, defaults: dict[str, int]
) -> dict[str, tuple[Example, ...]]:
    return {split: examples(split, origin.rows.get(split, count)) for split, count in defaults.items()}
