"""Rows of the synthetic benchmarks, made anew from the recipe's seed."""

from collections.abc import Callable

from bimed_dist.evaluation.readers.rows import entity_types
from bimed_dist.evaluation.task import Example, TaskData, TaskInputs
from bimed_dist.synthetic.entities import generate_ner_sentences
from bimed_dist.synthetic.pairs import generate_sentence_pairs
from bimed_dist.synthetic.reports import generate_ct_reports

ROWS = {"train": 600, "dev": 150, "test": 200}
CT_LABELS = ("pneumonia", "embolism", "cancer")


def graded_pairs(language: str, inputs: TaskInputs) -> TaskData:
    def examples(split: str, count: int) -> tuple[Example, ...]:
        pairs = generate_sentence_pairs(inputs.seed, split, count, language)
        return tuple(Example(f"{split} {pair.id}", (pair.first, pair.second), float(pair.score)) for pair in pairs)

    return TaskData(_parts(examples, inputs, ROWS))


def ct_reports(inputs: TaskInputs) -> TaskData:
    def examples(split: str, count: int) -> tuple[Example, ...]:
        reports = generate_ct_reports(inputs.seed, split, count)
        return tuple(
            Example(f"{split} {report.id}", (report.text,), tuple(int(getattr(report, label)) for label in CT_LABELS))
            for report in reports
        )

    return TaskData(_parts(examples, inputs, {**ROWS, "external": ROWS["test"]}), CT_LABELS)


def tagged_sentences(inputs: TaskInputs) -> TaskData:
    def examples(split: str, count: int) -> tuple[Example, ...]:
        sentences = generate_ner_sentences(inputs.seed, split, count)
        return tuple(Example(f"{split} {s.id}", tuple(s.words), tuple(s.tags)) for s in sentences)

    parts = _parts(examples, inputs, ROWS)
    return TaskData(parts, entity_types(list(parts.values())))


def _parts(
    examples: Callable[[str, int], tuple[Example, ...]], inputs: TaskInputs, defaults: dict[str, int]
) -> dict[str, tuple[Example, ...]]:
    return {split: examples(split, inputs.rows.get(split, count)) for split, count in defaults.items()}
