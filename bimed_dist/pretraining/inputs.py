"""What a run is made from: the prepared model and the rows, checked before any process is started, then opened."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BertForPreTraining

from bimed_dist import manifest
from bimed_dist.errors import ConfigError
from bimed_dist.hugging_face import load_tokenizer
from bimed_dist.model.export import pad_vocabulary
from bimed_dist.model.packed import PackedPretraining
from bimed_dist.pretraining import deepspeed_config, ordered_sum
from bimed_dist.pretraining.trackers import require_trackers
from bimed_dist.pretraining.validation import HeldOut
from bimed_dist.recipe.pretraining import PretrainingSettings
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.shards.batches import TrainingBatches, validation_batches
from bimed_dist.shards.reading import ShardSet
from bimed_dist.workspace import SHARD_TOKENIZER, stage_folder


def check_inputs(recipe: Recipe, settings: PretrainingSettings, work: Path, processes: int) -> None:
    """Whether these settings can run on these inputs.

    Also makes the plans of the first epoch, so that ranks only map their files. Raises ConfigError or DataError.
    """
    require_trackers(settings.trackers)
    model_folder = stage_folder(work, "model", settings.model)
    pieces = load_tokenizer(str(model_folder)).get_vocab()
    for shards in settings.all_shards:
        shard_pieces = load_tokenizer(str(stage_folder(work, "shards", shards) / SHARD_TOKENIZER)).get_vocab()
        if pieces != shard_pieces:
            raise ConfigError(
                f"shards/{shards} ({len(shard_pieces)} pieces) and model/{settings.model} ({len(pieces)} pieces) "
                "have different vocabularies; name the same tokenizer in both sections"
            )
    positions = BertForPreTraining.config_class.from_pretrained(model_folder).max_position_embeddings
    for phase in settings.phases:
        if phase.max_length > positions:
            raise ConfigError(
                f"{phase.place}max_length={phase.max_length} is above the {positions} positions of "
                f"model/{settings.model}"
            )
        deepspeed_config.rows_per_rank(phase, processes)
    if settings.reproducible:
        ordered_sum.check_processes(settings, processes)
    training_rows(recipe, settings, work)
    held_out_rows(recipe, settings, work, rank=0, world_size=processes)
    for shards in settings.all_shards:
        manifest.read_manifest(
            stage_folder(work, "corpus", recipe.shards[shards].corpus)
        )  # the model card will need it


def training_rows(recipe: Recipe, settings: PretrainingSettings, work: Path) -> TrainingBatches:
    shards = ShardSet.open(stage_folder(work, "shards", settings.shards), "train")
    general = ShardSet.open(stage_folder(work, "shards", settings.replay.shards), "train") if settings.replay else None
    return TrainingBatches(shards, settings, seed=recipe.seed, general=general)


def held_out_rows(recipe: Recipe, settings: PretrainingSettings, work: Path, rank: int, world_size: int) -> HeldOut:
    shards = ShardSet.open(stage_folder(work, "shards", settings.shards), "held_out")
    return HeldOut(
        validation_batches(shards, settings, seed=recipe.seed, rank=rank, world_size=world_size),
        shards.languages,
        shards.sources,
        characters_of_pieces(stage_folder(work, "model", settings.model)),
    )


def characters_of_pieces(model_folder: Path) -> NDArray[np.int64]:
    """(V,) how many characters of text each piece stands for."""
    pieces = load_tokenizer(str(model_folder)).get_vocab()
    characters = np.zeros(1 + max(pieces.values()), np.int64)
    for piece, number in pieces.items():
        characters[number] = len(piece.removeprefix("##"))
    return characters


def packed_module(model: BertForPreTraining, settings: PretrainingSettings) -> PackedPretraining:
    """A prepared model as it is trained; its rows of the vocabulary are padded in place."""
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
