"""Notes on the rows of a task, for the report."""

from collections.abc import Iterator, Mapping

from bimed_dist.evaluation.task import FINE_TUNED_KINDS, Example, Task


def row_notes(task: Task, splits: Mapping[str, tuple[Example, ...]], labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a reader must know about dependent rows, the positive class and labels that a split lacks."""
    if task.kind == "retrieval":
        return ()
    if task.kind not in FINE_TUNED_KINDS:
        documents = len({example.document for example in splits["test"]})
        return (f"intervals and p are computed by resampling {documents} whole documents",)
    if task.kind == "ner" and task.source == "path":
        return (_document_note(splits),)
    if task.kind == "classification" and len(labels) == 2:
        counts = {split: sum(example.target == labels[1] for example in rows) for split, rows in splits.items()}
        shares = ", ".join(f"{count} of {len(splits[split])} in {split}" for split, count in counts.items())
        return (f"the positive class is {labels[1]}: {shares}",)
    if task.kind == "multilabel":
        return tuple(_missing_labels(splits, labels))
    return ()


def _missing_labels(splits: Mapping[str, tuple[Example, ...]], labels: tuple[str, ...]) -> Iterator[str]:
    for split, rows in splits.items():
        missing = [label for i, label in enumerate(labels) if not any(example.target[i] for example in rows)]
        if missing:
            yield f"{split}: no row has {', '.join(missing)}, which macro F1 leaves out"


def _document_note(splits: Mapping[str, tuple[Example, ...]]) -> str:
    """Sentences of one document are dependent; the documents of tested splits are resampled if they are known."""
    rows = [example for split, of_split in splits.items() if split not in ("train", "dev") for example in of_split]
    documents = {example.document for example in rows} - {""}
    if not documents:
        return (
            "the files do not say which sentences belong to one document: single sentences are resampled, so that "
            "intervals are too narrow and p too small if sentences of a document are alike"
        )
    single = sum(not example.document for example in rows)
    without = f", and {single:,} sentences without a document" if single else ""
    return f"intervals and p are computed by resampling {len(documents):,} whole documents{without}"
