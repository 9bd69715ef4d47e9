"""Examples of the synthetic benchmarks, generated from the recipe's seed."""

from collections.abc import Callable

from bimed_dist.evaluation.readers.rows import entity_types
from bimed_dist.evaluation.task import Example, TaskData, TaskInputs
from bimed_dist.synthetic.entities import generate_ner_sentences
from bimed_dist.synthetic.pairs import generate_sentence_pairs
from bimed_dist.synthetic.reports import generate_ct_reports

ROWS = {"train": 600, "dev": 150, "test": 200}
CT_LABELS = ("pneumonia", "embolism", "cancer")


def generate_scored_pairs(language: str, inputs: TaskInputs) -> TaskData:
    def examples(split: str, count: int) -> tuple[Example, ...]:
        pairs = generate_sentence_pairs(inputs.seed, split, count, language)
        return tuple(Example(f"{split} {pair.id}", (pair.first, pair.second), float(pair.score)) for pair in pairs)

    return TaskData(_splits(examples, inputs, ROWS))


def generate_reports(inputs: TaskInputs) -> TaskData:
    def examples(split: str, count: int) -> tuple[Example, ...]:
        reports = generate_ct_reports(inputs.seed, split, count)
        return tuple(
            Example(f"{split} {report.id}", (report.text,), tuple(int(getattr(report, label)) for label in CT_LABELS))
            for report in reports
        )

    return TaskData(_splits(examples, inputs, {**ROWS, "external": ROWS["test"]}), CT_LABELS)


def generate_entities(inputs: TaskInputs) -> TaskData:
    def examples(split: str, count: int) -> tuple[Example, ...]:
        sentences = generate_ner_sentences(inputs.seed, split, count)
        return tuple(Example(f"{split} {s.id}", tuple(s.words), tuple(s.tags)) for s in sentences)

    splits = _splits(examples, inputs, ROWS)
    return TaskData(splits, entity_types(list(splits.values())))


def _splits(
    examples: Callable[[str, int], tuple[Example, ...]], inputs: TaskInputs, defaults: dict[str, int]
) -> dict[str, tuple[Example, ...]]:
    return {split: examples(split, inputs.rows.get(split, count)) for split, count in defaults.items()}
