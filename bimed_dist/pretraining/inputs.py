"""What a run is made from: the prepared model as it is trained, the training rows, and the held-out rows."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BertForPreTraining

from bimed_dist.hugging_face import load_tokenizer
from bimed_dist.model.export import pad_vocabulary
from bimed_dist.model.packed import PackedPretraining
from bimed_dist.pretraining.validation import HeldOut
from bimed_dist.recipe.pretraining import PretrainingSettings
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.shards.batches import TrainingBatches, validation_batches
from bimed_dist.shards.reading import ShardSet
from bimed_dist.vocabulary.tokens import PREFIX
from bimed_dist.workspace import stage_folder


def open_training_batches(recipe: Recipe, settings: PretrainingSettings, work: Path) -> TrainingBatches:
    shards = ShardSet.open(stage_folder(work, "shards", settings.shards), "train")
    general = ShardSet.open(stage_folder(work, "shards", settings.replay.shards), "train") if settings.replay else None
    return TrainingBatches(shards, settings, seed=recipe.seed, general=general)


def open_held_out_rows(
    recipe: Recipe, settings: PretrainingSettings, work: Path, rank: int, world_size: int
) -> HeldOut:
    shards = ShardSet.open(stage_folder(work, "shards", settings.shards), "held_out")
    return HeldOut(
        validation_batches(shards, settings, seed=recipe.seed, rank=rank, world_size=world_size),
        shards.languages,
        shards.sources,
        characters_per_token(stage_folder(work, "model", settings.model)),
    )


def characters_per_token(model_folder: Path) -> NDArray[np.int64]:
    """Return the number of characters of every token of the vocabulary, (V,), without the `##` of WordPiece."""
    vocabulary = load_tokenizer(str(model_folder)).get_vocab()
    characters = np.zeros(1 + max(vocabulary.values()), np.int64)
    for token, token_id in vocabulary.items():
        characters[token_id] = len(token.removeprefix(PREFIX))
    return characters


def prepare_module(model: BertForPreTraining, settings: PretrainingSettings) -> PackedPretraining:
    """Wrap a model for training: set dropout, pad its vocabulary in place, turn on recomputation and compilation."""
    if settings.dropout is not None:
        for part in model.modules():
            if isinstance(part, torch.nn.Dropout):
                part.p = settings.dropout
    if settings.attention_dropout is not None:
        for layer in model.bert.encoder.layer:
            layer.attention.self.dropout.p = settings.attention_dropout
    pad_vocabulary(model)
    module = PackedPretraining(model, sentence_objective=settings.sentence_objective != "none")
    if settings.activation_checkpointing:
        module.recompute_activations()
    if settings.compile:
        module.compile_layers()
    return module
