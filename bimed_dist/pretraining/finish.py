"""The end of a run: the exported model with its card, and the manifest."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bimed_dist import manifest
from bimed_dist.hugging_face import load_tokenizer
from bimed_dist.manifest import Manifest
from bimed_dist.metrics_log import read_metrics
from bimed_dist.model.export import export, pad_vocabulary
from bimed_dist.model.foundation import load_bert
from bimed_dist.pretraining.loop import Trainer
from bimed_dist.recipe.model import EMBEDDING_ORIGINS
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.shards.batches import PhaseBatches
from bimed_dist.workspace import EXPORT, METRICS, stage_folder

_CARD = """---
library_name: transformers
language: [{languages}]
tags: [bert, medical, fill-mask]
---
# {name}

A BERT model pre-trained with bimed_dist {version} on {objectives}.

| | |
|---|---|
| foundation | {foundation} |
| vocabulary | {vocabulary:,} tokens |
| token embeddings before training | {origins} |
| corpus | {corpus} |
| training | {training}; {epochs} epochs, highest learning rate {rate:g} |
| held-out text | {held_out} |
| engine | {engine}, processes: {processes} |

## Use
```python
from transformers import AutoModel, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("PATH")
model = AutoModel.from_pretrained("PATH")
inputs = tokenizer("환자는 chest CT상 both lung에 multiple metastatic nodule 소견 보임.", return_tensors="pt")
hidden_states = model(**inputs).last_hidden_state
```

## Limits
For research only; this is not a medical device. The model was not tested for memorized patient data. The licence and
the conditions of use follow from the foundation and the corpus named above.
"""
_OBJECTIVES = {
    "next_sentence": "masked language modelling and next sentence prediction",
    "sentence_order": "masked language modelling and sentence order prediction (without the head of the latter)",
    "none": "masked language modelling (no next-sentence head; the pooler is not trained)",
}


def model_card(recipe: Recipe, name: str, work: Path, counts: dict[str, Any]) -> str:
    """Return the text of the exported model's README.md."""
    settings = recipe.pretraining[name]
    model = manifest.read_manifest(stage_folder(work, "model", settings.model))
    corpora = [
        manifest.read_manifest(stage_folder(work, "corpus", recipe.shards[name].corpus)) for name in settings.all_shards
    ]
    held_out = counts["held_out"]
    languages = {
        code for corpus in corpora for code, counted in corpus.counts["by_language"].items() if counted["sentences"]
    }
    texts = [
        f"{corpus.counts['documents']:,} documents, {corpus.counts['sentences']:,} sentences "
        f"(sources: {', '.join(corpus.counts['by_source'])})"
        for corpus in corpora
    ]
    if settings.replay:
        texts[1] = f"replayed in {100 * settings.replay.share:.0f} % of the rows: {texts[1]}"
    phases = [
        f"{counted['steps']:,} steps of {phase.global_batch} rows of at most {phase.max_length} tokens"
        for counted, phase in zip(counts["phases"], settings.phases, strict=True)
    ]
    return _CARD.format(
        languages=", ".join(sorted(languages - {"mixed", "other"})),
        name=name,
        version=manifest.versions()["bimed_dist"],
        foundation=recipe.model[settings.model].foundation or "none (random weights)",
        vocabulary=model.counts["rows"],
        corpus="; ".join(texts),
        training=", then ".join(phases),
        rate=settings.learning_rate,
        origins="; ".join(
            f"{model.counts[rule]:,} {words}" for rule, words in EMBEDDING_ORIGINS.items() if model.counts[rule]
        ),
        **{key: counts[key] for key in ("epochs", "engine", "processes")},
        objectives=_OBJECTIVES[settings.sentence_objective],
        held_out=", ".join(
            f"{objective.upper()} {metric} {held_out[f'{objective}_{metric}']:.3f}"
            for objective in ("mlm", "nsp", "sop")
            for metric in ("loss", "accuracy")
            if f"{objective}_{metric}" in held_out
        ),
    )


def finish_run(
    recipe: Recipe,
    name: str,
    work: Path,
    *,
    weights: dict[str, torch.Tensor],
    counts: dict[str, Any],
    settings_and_inputs: dict[str, Any],
    start: float,
) -> Manifest:
    """Export trained weights as a Hugging Face folder and write the run's manifest; for rank 0 only."""
    settings = recipe.pretraining[name]
    folder, model_folder = stage_folder(work, "pretraining", name), stage_folder(work, "model", settings.model)
    model = load_bert(model_folder)
    tokenizer = load_tokenizer(str(model_folder))
    pad_vocabulary(model)
    model.load_state_dict({key.removeprefix("model."): value for key, value in weights.items()})
    validations = [line for line in read_metrics(folder / METRICS) if line["kind"] == "validation"]
    counts["held_out"] = {key: value for key, value in validations[-1].items() if key not in ("kind", "step")}
    card = model_card(recipe, name, work, counts)
    export(folder / EXPORT, model, tokenizer, card, nsp_head=settings.sentence_objective == "next_sentence")
    files = [path for path in (folder / EXPORT).rglob("*") if path.is_file()] + [folder / METRICS]
    return manifest.write_manifest(
        folder,
        stage="pretraining",
        name=name,
        files=files,
        counts=counts,
        seconds=time.monotonic() - start,
        **settings_and_inputs,
    )


def count_run(trainer: Trainer, parameters: int, attention: str) -> dict[str, Any]:
    """Return the manifest's counts of a finished run; `attention` is the kernel it used."""
    engine, settings, phases, end = trainer.engine, trainer.settings, trainer.batches.phases, trainer.clock.end
    return {
        "steps": end,
        "skipped_steps": trainer.skipped_steps,
        "rows": settings.rows_before(end),
        "epochs": round(sum(_steps(batches, end) / batches.steps_per_epoch for batches in phases), 2),
        "phases": [_count_phase(batches, end) for batches in phases],
        "parameters": parameters,
        "engine": engine.kind,
        "processes": engine.world_size,
        "threads": torch.get_num_threads(),
        "attention": attention,
    }


def _steps(batches: PhaseBatches, end: int) -> int:
    """Return the steps of a phase in a run that ends before step `end`."""
    return min(batches.phase.end, end) - batches.phase.first_step


def _count_phase(batches: PhaseBatches, end: int) -> dict[str, Any]:
    """Return steps and rows of a phase; rows by language and source are those of its first epoch."""
    plan, shards = batches.plan(0), batches.shards

    def count(codes: NDArray[np.integer], names: Sequence[str]) -> dict[str, int]:
        return dict(zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True))

    return {
        "steps": _steps(batches, end),
        "rows_per_epoch": batches.num_rows,
        "dropped_rows_per_epoch": batches.dropped_rows,
        "by_language": count(plan.language, shards.languages),
        "by_source": count(plan.source, shards.sources),
    }
