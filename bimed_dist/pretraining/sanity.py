"""Sanity check: overfit a few rows with the recipe's model, engine, learning rate and objective."""

import threading
from dataclasses import dataclass
from pathlib import Path

from bimed_dist.agreement import run_on_main
from bimed_dist.errors import BimedError, NonFiniteError
from bimed_dist.model.foundation import load_bert
from bimed_dist.pretraining.distributed import Engine
from bimed_dist.pretraining.duration import Clock
from bimed_dist.pretraining.inputs import open_training_batches, prepare_module
from bimed_dist.pretraining.loop import Trainer, out_of_memory_advice
from bimed_dist.pretraining.optimizer import make_optimizer
from bimed_dist.pretraining.preflight import check_inputs
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.workspace import stage_folder

STEPS = 100
MAX_REMAINING_LOSS = 0.7
"""Last loss / first loss: near 1 if nothing is learned, far below if the rows are being memorised."""


@dataclass(frozen=True)
class Losses:
    """MLM loss of the first and the last step."""

    first: float
    last: float
    rows: int


def overfit(recipe: Recipe, name: str, work: Path) -> Losses:
    """Train on one micro-batch per process, without dropout, at the highest learning rate; write nothing.

    Every process of the job calls this. Raises BimedError if the loss hardly falls.
    """
    given = recipe.pretraining[name]
    engine = Engine(given)
    settings = given.model_copy(
        update={
            "steps": STEPS, "schedule": "constant", "decay_steps": None, "training_hours": None, "warmup_steps": 0,
            "global_batch": given.micro_batch * engine.world_size, "dropout": 0.0, "attention_dropout": None,
            "long_phase": None, "max_skipped_steps": 0,
        }
    )  # fmt: skip
    with engine.lost_ranks_named():
        run_on_main(engine, lambda: check_inputs(recipe, settings, work, engine.world_size))
        module = prepare_module(load_bert(stage_folder(work, "model", settings.model)), settings)
        engine.prepare(module, make_optimizer(module, settings))
        trainer = Trainer(
            engine, module, settings, seed=recipe.seed, batches=open_training_batches(recipe, settings, work),
            held_out=None, folder=work, run_digest="", clock=Clock(settings),
        )  # fmt: skip
        module.train()
        losses: list[float] = []
        never = threading.Event()
        try:
            with out_of_memory_advice(settings):
                while len(losses) < STEPS:
                    losses.append(trainer.step(0, never).metrics["mlm_loss"])
        except NonFiniteError:
            raise NonFiniteError(
                f"step {len(losses) + 1} on the same {settings.global_batch} rows: the loss or its gradient is not "
                f"finite; lower learning_rate={settings.learning_rate:g}, or check the model and its vocabulary"
            ) from None
        engine.close()
    result = Losses(losses[0], losses[-1], settings.global_batch)
    if result.last > MAX_REMAINING_LOSS * result.first:
        raise BimedError(
            f"{STEPS} steps on the same {result.rows} rows lowered the MLM loss only from "
            f"{result.first:.3f} to {result.last:.3f}; check "
            f"learning_rate={settings.learning_rate:g}, the vocabulary and the model"
        )
    return result
