"""The model stage: a foundation or random weights, with the vocabulary that training will use."""

import copy
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import BertForPreTraining, PreTrainedTokenizerBase

from bimed_dist.errors import DataError
from bimed_dist.hugging_face import load_tokenizer
from bimed_dist.manifest import Outcome, build
from bimed_dist.model.embedding_initialization import RowOrigin, count_rules, initialize_embeddings, tokens_by_id
from bimed_dist.model.export import save
from bimed_dist.model.foundation import load_foundation, new_model
from bimed_dist.recipe.model import ModelSettings
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.references import Located, locate
from bimed_dist.workspace import ROW_ORIGINS, stage_folder

_PARITY_ROWS = 64
_PARITY_LENGTH = 32
_LARGEST_WEIGHT = 1000.0


def run(recipe: Recipe, name: str, work: Path) -> Outcome:
    """Build `model/NAME`. Raises DataError or ConfigError if foundation or tokenizer can't be used."""
    settings = recipe.model[name]
    foundation = locate(settings.foundation, recipe, work) if settings.foundation else None
    tokenizer = locate(settings.tokenizer, recipe, work) if settings.tokenizer else None
    inputs = {}
    if foundation:
        inputs[f"foundation {settings.foundation}"] = foundation.digest
    if tokenizer:
        inputs[f"tokenizer {settings.tokenizer}"] = tokenizer.digest
    return build(
        stage_folder(work, "model", name),
        stage="model",
        settings={"seed": recipe.seed, **settings.identity()},
        inputs=inputs,
        make=lambda folder: _make(folder, settings, foundation, tokenizer, recipe.seed),
    )


def _make(
    folder: Path, settings: ModelSettings, foundation: Located | None, tokenizer: Located | None, seed: int
) -> dict[str, Any]:
    new = load_tokenizer(tokenizer.location) if tokenizer else None
    counts: dict[str, Any] = {}
    if foundation is None:
        model = new_model(settings.architecture, new, seed)
        origins = [RowOrigin(token, "random", ()) for token in tokens_by_id(new)]
    else:
        loaded = load_foundation(foundation.location, seed)
        model, old = loaded.model, loaded.tokenizer
        check_weights(model)
        counts["new_heads"] = list(loaded.new_heads)
        if new is None:
            new = old
            origins = [RowOrigin(token, "copied", (token,)) for token in tokens_by_id(old)]
        else:
            before = copy.deepcopy(model)
            origins = initialize_embeddings(model, old, new, method=settings.embedding_initialization, seed=seed)
            counts["parity_max_difference"] = parity(before, old, model, new, origins)
    _write_origins(origins, folder / ROW_ORIGINS)
    check_weights(model)
    save(folder, model, new)
    return {"rows": len(origins), **count_rules(origins), "parameters": model.num_parameters(), **counts}


def _write_origins(origins: Sequence[RowOrigin], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "token", "rule", "old_tokens"])
        writer.writerows([i, o.token, o.rule, " ".join(o.old_tokens)] for i, o in enumerate(origins))


def check_weights(model: BertForPreTraining) -> None:
    """Raise DataError for weights that no training produces: not finite, far out of range, or a matrix of zeros."""
    for name, weight in model.state_dict().items():
        if not weight.isfinite().all():
            problem = "holds values that are not finite"
        elif weight.abs().max() > _LARGEST_WEIGHT:
            problem = f"holds {weight.abs().max():.3g}, far above the weights of a trained BERT"
        elif weight.dim() > 1 and not weight.any() and "token_type" not in name:
            problem = "is zero throughout"
        else:
            continue
        raise DataError(f"the model's {name} {problem}; the foundation is damaged: download or copy it again")


@torch.no_grad()
def parity(
    before: BertForPreTraining,
    old: PreTrainedTokenizerBase,
    after: BertForPreTraining,
    new: PreTrainedTokenizerBase,
    origins: Sequence[RowOrigin],
) -> float | None:
    """Return the largest difference between both models' hidden states on copied tokens; None if none was copied.

    It is 0 unless the initialization changed more than the vocabulary.
    """
    shared = [(old.convert_tokens_to_ids(o.old_tokens[0]), i) for i, o in enumerate(origins) if o.rule == "copied"]
    if not shared:
        return None
    ids = torch.tensor(shared)  # (shared tokens, 2): id in the old and in the new vocabulary
    chosen = torch.randint(len(ids), (_PARITY_ROWS, _PARITY_LENGTH), generator=torch.Generator().manual_seed(0))
    hidden = [
        model.eval().bert(input_ids=ids[chosen][..., side]).last_hidden_state
        for side, model in enumerate((before, after))
    ]
    return float((hidden[0] - hidden[1]).abs().max())
