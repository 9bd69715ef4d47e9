"""The model card of an exported model, filled from the run's own records."""

from pathlib import Path
from typing import Any

from bimed_dist import manifest
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.workspace import stage_folder

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
| vocabulary | {vocabulary} pieces; rows copied {copied}, mean {mean}, normal {normal}, random {random} |
| corpus | {corpus} |
| training | {training}, {epochs} epochs, learning rate {rate:g} |
| held out | {held_out} |
| engine | {engine}, {processes} process(es) |

## Use
```python
from transformers import AutoModel, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("PATH")
model = AutoModel.from_pretrained("PATH")
inputs = tokenizer("환자는 chest CT상 both lung에 multiple metastatic nodule 소견 보임.", return_tensors="pt")
hidden_states = model(**inputs).last_hidden_state
```

## Limits
Made for research. It was not checked for memorised patient data, and it is no medical device. Licence and conditions of
use follow from the foundation and the corpus named above.
"""
_OBJECTIVES = {
    "next_sentence": "masked language modelling and next sentence prediction",
    "sentence_order": "masked language modelling and sentence order prediction (its head is not included)",
    "none": "masked language modelling (there is no head for next sentences, and the pooler was not trained)",
}


def model_card(recipe: Recipe, name: str, work: Path, counts: dict[str, Any]) -> str:
    settings = recipe.pretraining[name]
    model = manifest.read_manifest(stage_folder(work, "model", settings.model))
    corpora = [
        manifest.read_manifest(stage_folder(work, "corpus", recipe.shards[name].corpus)) for name in settings.all_shards
    ]
    held_out = counts["held_out"]
    languages = {code for corpus in corpora for code, of in corpus.counts["by_language"].items() if of["sentences"]}
    texts = [
        f"{corpus.counts['documents']} documents, {corpus.counts['sentences']} sentences "
        f"({', '.join(corpus.counts['by_source'])})"
        for corpus in corpora
    ]
    if settings.replay:
        texts[1] = f"and replayed in {settings.replay.share:.0%} of the rows: {texts[1]}"
    updates = [
        f"{of['steps']} updates of {phase.global_batch} rows, length {phase.max_length}"
        for of, phase in zip(counts["phases"], settings.phases, strict=True)
    ]
    return _CARD.format(
        languages=", ".join(sorted(languages - {"mixed", "other"})),
        name=name,
        version=manifest.versions()["bimed_dist"],
        foundation=recipe.model[settings.model].foundation or "none (random weights)",
        vocabulary=model.counts["rows"],
        corpus="; ".join(texts),
        training=", then ".join(updates),
        rate=settings.learning_rate,
        **{rule: model.counts[rule] for rule in ("copied", "mean", "normal", "random")},
        **{key: counts[key] for key in ("epochs", "engine", "processes")},
        objectives=_OBJECTIVES[settings.sentence_objective],
        held_out="; ".join(
            f"{name.upper()} loss {held_out[f'{name}_loss']:.3f}, right {held_out[f'{name}_accuracy']:.3f}"
            for name in ("mlm", "nsp", "sop")
            if f"{name}_loss" in held_out
        ),
    )
