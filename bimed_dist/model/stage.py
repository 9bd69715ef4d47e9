"""The model stage: a foundation, or random weights, with the vocabulary that training will use."""

import copy
import csv
from collections import Counter
from pathlib import Path

import torch
from transformers import BertForPreTraining, PreTrainedTokenizerBase

from bimed_dist.errors import DataError
from bimed_dist.hugging_face import load_tokenizer
from bimed_dist.manifest import Outcome, build
from bimed_dist.model.export import save
from bimed_dist.model.foundation import load_foundation, new_model
from bimed_dist.model.transplant import Origin, pieces_by_id, transplant
from bimed_dist.recipe.model import ModelSettings
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.references import Located, locate
from bimed_dist.workspace import ROW_ORIGINS, stage_folder

_PARITY_ROWS = 64
_PARITY_LENGTH = 32
_LARGEST_WEIGHT = 1000.0


def run(recipe: Recipe, name: str, work: Path) -> Outcome:
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
        settings={"seed": recipe.seed, **settings.model_dump(mode="json")},
        inputs=inputs,
        make=lambda folder: _make(folder, settings, foundation, tokenizer, recipe.seed),
    )


def _make(
    folder: Path, settings: ModelSettings, foundation: Located | None, tokenizer: Located | None, seed: int
) -> dict[str, object]:
    new = load_tokenizer(tokenizer.location) if tokenizer else None
    counts: dict[str, object] = {}
    if foundation is None:
        model = new_model(settings.architecture, new, seed)
        made = [Origin(piece, "random", ()) for piece in pieces_by_id(new)]
    else:
        loaded = load_foundation(foundation.location, seed)
        model, old = loaded.model, loaded.tokenizer
        check_values(model)
        counts["new_heads"] = list(loaded.new_heads)
        if new is None:
            new = old
            made = [Origin(piece, "copied", (piece,)) for piece in pieces_by_id(old)]
        else:
            before = copy.deepcopy(model)
            made = transplant(model, old, new, new_rows=settings.new_rows, seed=seed)
            counts["parity_max_difference"] = parity(before, old, model, new, made)
    rules = Counter(origin.rule for origin in made)
    with (folder / ROW_ORIGINS).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "piece", "origin", "old_pieces"])
        writer.writerows([i, o.piece, o.rule, " ".join(o.old_pieces)] for i, o in enumerate(made))
    check_values(model)
    save(folder, model, new)
    return {
        "rows": len(made),
        **{rule: rules[rule] for rule in ("copied", "mean", "normal", "random")},
        "parameters": model.num_parameters(),
        **counts,
    }


def check_values(model: BertForPreTraining) -> None:
    """DataError for weights that no training leaves: not numbers, far out of range, or a matrix of zeros."""
    for name, weight in model.state_dict().items():
        if not weight.isfinite().all():
            problem = "holds values that are not numbers"
        elif weight.abs().max() > _LARGEST_WEIGHT:
            problem = f"holds {weight.abs().max():.3g}, far above what a trained BERT has"
        elif weight.dim() > 1 and not weight.any() and "token_type" not in name:
            problem = "is zero throughout"
        else:
            continue
        raise DataError(f"the model's {name} {problem}; the foundation is damaged: get it again")


@torch.no_grad()
def parity(
    before: BertForPreTraining,
    old: PreTrainedTokenizerBase,
    after: BertForPreTraining,
    new: PreTrainedTokenizerBase,
    made: list[Origin],
) -> float | None:
    """Largest difference of hidden states on rows of copied pieces, old model against new; None without such pieces.

    Copied rows are copies, so this is 0 unless the transplant touched what it must not.
    """
    shared = [(old.convert_tokens_to_ids(o.old_pieces[0]), i) for i, o in enumerate(made) if o.rule == "copied"]
    if not shared:
        return None
    pairs = torch.tensor(shared)
    chosen = torch.randint(len(pairs), (_PARITY_ROWS, _PARITY_LENGTH), generator=torch.Generator().manual_seed(0))
    hidden = [
        model.eval().bert(input_ids=pairs[chosen][..., side]).last_hidden_state
        for side, model in enumerate((before, after))
    ]
    return float((hidden[0] - hidden[1]).abs().max())
