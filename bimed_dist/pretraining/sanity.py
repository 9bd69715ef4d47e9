"""Does it learn at all? A few rows over and over, with the recipe's model, engine, rate and objective."""

from dataclasses import dataclass
from pathlib import Path

from bimed_dist.errors import BimedError, NonFiniteError
from bimed_dist.model.foundation import load_bert
from bimed_dist.pretraining import optimizer as schedule
from bimed_dist.pretraining.distributed import Engine
from bimed_dist.pretraining.duration import Clock
from bimed_dist.pretraining.inputs import check_inputs, packed_module, training_rows
from bimed_dist.pretraining.loop import Trainer, out_of_memory_advice
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.workspace import stage_folder

UPDATES = 100
MUST_FALL_TO = 0.7
"""Of the first loss: a model that learns nothing stays near 1, one that learns knows much of these rows by heart."""


@dataclass(frozen=True)
class Losses:
    first: float
    last: float
    rows: int


def overfit(recipe: Recipe, name: str, work: Path) -> Losses:
    """Train on one micro-batch per process, without dropout and at the highest rate; nothing is written.

    Every process of the job calls this. Raises BimedError where the loss hardly falls.
    """
    given = recipe.pretraining[name]
    engine = Engine(given)
    settings = given.model_copy(
        update={
            "steps": UPDATES, "schedule": "constant", "decay_steps": None, "hours": None, "warmup_steps": 0,
            "global_batch": given.micro_batch * engine.world_size, "dropout": 0.0, "attention_dropout": None,
            "long_phase": None, "skipped_steps": 0,
        }
    )  # fmt: skip
    with engine.naming_the_lost():
        engine.on_main(lambda: check_inputs(recipe, settings, work, engine.world_size))
        module = packed_module(load_bert(stage_folder(work, "model", settings.model)), settings)
        engine.prepare(module, schedule.optimizer(module, settings))
        trainer = Trainer(
            engine, module, settings, seed=recipe.seed, rows=training_rows(recipe, settings, work),
            held_out=None, folder=work, run_digest="", record=None, clock=Clock(settings),
        )  # fmt: skip
        module.train()
        losses: list[float] = []
        try:
            with out_of_memory_advice(settings):
                while len(losses) < UPDATES:
                    metrics, *_ = trainer.step(0, [False])
                    losses.append(metrics["mlm_loss"])
        except NonFiniteError:
            raise NonFiniteError(
                f"update {len(losses) + 1} on the same {settings.global_batch} rows: the loss or its gradient is not a "
                f"number; lower learning_rate={settings.learning_rate:g}, or look at the model and its vocabulary"
            ) from None
        engine.close()
    found = Losses(losses[0], losses[-1], settings.global_batch)
    if found.last > MUST_FALL_TO * found.first:
        raise BimedError(
            f"{UPDATES} updates on the same {found.rows} rows brought the loss of masked words from "
            f"{found.first:.3f} to {found.last:.3f} only; look at "
            f"learning_rate={settings.learning_rate:g}, the vocabulary and the model"
        )
    return found
