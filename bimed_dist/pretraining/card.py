"""The model card of an exported model, filled from the run's own records."""

from pathlib import Path
from typing import Any

from bimed_dist import manifest
from bimed_dist.config import Recipe

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
| corpus | {documents} documents, {sentences} sentences ({sources}) |
| training | {steps} updates of {global_batch} rows, length {max_length}, {epochs} epochs, learning rate {rate:g} |
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
    model = manifest.read_manifest(work / "model" / settings.model)
    corpus_name = recipe.shards[settings.shards].corpus
    corpus = manifest.read_manifest(work / "corpus" / corpus_name)
    held_out = counts["held_out"]
    by_language = corpus.counts["by_language"]
    languages = [code for code in by_language if code not in ("mixed", "other") and by_language[code]["sentences"]]
    return _CARD.format(
        languages=", ".join(languages),
        name=name,
        version=manifest.versions()["bimed_dist"],
        foundation=recipe.model[settings.model].foundation or "none (random weights)",
        vocabulary=model.counts["rows"],
        documents=corpus.counts["documents"],
        sentences=corpus.counts["sentences"],
        sources=", ".join(corpus.counts["by_source"]),
        global_batch=settings.global_batch,
        max_length=settings.max_length,
        rate=settings.learning_rate,
        **{rule: model.counts[rule] for rule in ("copied", "mean", "normal", "random")},
        **{key: counts[key] for key in ("steps", "epochs", "engine", "processes")},
        objectives=_OBJECTIVES[settings.sentence_objective],
        held_out="; ".join(
            f"{name.upper()} loss {held_out[f'{name}_loss']:.3f}, right {held_out[f'{name}_accuracy']:.3f}"
            for name in ("mlm", "nsp", "sop")
            if f"{name}_loss" in held_out
        ),
    )
