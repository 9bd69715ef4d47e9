"""Languages, sources and replayed general text in the shares that a recipe asks for: another choice of rows per epoch.

The plan of an epoch is made as without a mixture; then rows are taken from it, some more than once, some not. Every row
that was taken is a row of its own, with its own masks, and the order is again a permutation of them: dealing to ranks,
seeking and resuming never know of mixtures.
"""

import logging
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bimed_dist.errors import ConfigError
from bimed_dist.recipe.pretraining import Mixture, Pairing, Replay, SentenceObjective
from bimed_dist.shards import chance
from bimed_dist.shards.plan import EpochPlan, cached_plan, epoch_plan, joined, taken
from bimed_dist.shards.reading import ShardSet

logger = logging.getLogger(__name__)


def load_training_plan(
    shards: ShardSet,
    *,
    seed: int,
    epoch: int,
    max_length: int,
    pairing: Pairing,
    objective: SentenceObjective,
    mixture: Mixture | None = None,
    replay: Replay | None = None,
    general: ShardSet | None = None,
) -> EpochPlan:
    """The plan of an epoch with its mixture, from the cache or made and put there.

    `general` are the shards of `replay`; their texts follow those of `shards`, as in `shards.joined(general)`. The
    number of rows is the same in every epoch.
    """
    made_by = {"seed": seed, "epoch": epoch, "max_length": max_length, "pairing": pairing, "objective": objective}
    named = dict(made_by)
    if mixture is not None:
        named["mixture"] = mixture.model_dump(mode="json")
    if general is not None:
        named["replay"] = {"share": replay.share, "shards": general.digest}

    def make() -> EpochPlan:
        plan = epoch_plan(shards, **made_by)
        if mixture is not None:
            plan = taken(plan, mixed_rows(plan, shards, mixture, seed=seed, epoch=epoch), seed=seed)
        if general is not None:
            more = epoch_plan(general, **made_by)
            count = round(plan.num_rows * replay.share / (1 - replay.share))
            rows = in_turn(np.arange(more.num_rows), count, chance.key("replay", seed=seed, epoch=0), epoch)
            logger.info("%s, epoch %d: %d of %d replayed rows", general.folder.name, epoch, count, more.num_rows)
            plan = joined(plan, taken(more, rows, seed=seed), shards, general, seed=seed)
        return plan

    return cached_plan(shards, named, make)


def mixed_rows(plan: EpochPlan, shards: ShardSet, mixture: Mixture, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """As many rows of `plan` as it has, in the mixture's shares.

    Raises ConfigError where quotas don't name what the shards hold.
    """
    names, codes = (shards.languages, plan.language) if mixture.by == "language" else (shards.sources, plan.source)
    found = dict(zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True))
    wanted = whole_numbers(shares(found, mixture, shards), plan.num_rows)
    logger.info(
        "%s, epoch %d, rows by %s: %s",
        *(shards.split, epoch, mixture.by),
        ", ".join(f"{name} {wanted[name]} (of {found[name]})" for name in names),
    )
    chosen = [
        in_turn(np.flatnonzero(codes == code), wanted[name], chance.key(f"mixture {name}", seed=seed, epoch=0), epoch)
        for code, name in enumerate(names)
    ]
    return np.concatenate(chosen)


def shares(found: Mapping[str, int], mixture: Mixture, shards: ShardSet) -> dict[str, float]:
    """Share of each name in an epoch; `found` are the rows that the plan has of it."""
    if mixture.quotas is None:
        weights = {name: count ** (1 / mixture.temperature) if count else 0.0 for name, count in found.items()}
        return {name: weight / sum(weights.values()) for name, weight in weights.items()}
    if mixture.quotas.keys() != found.keys():
        raise ConfigError(
            f"mixture.quotas must name every {mixture.by} of {shards.folder.name} (0 for none of it): it has "
            f"{', '.join(found)}, the quotas are for {', '.join(mixture.quotas)}"
        )
    empty = [name for name, count in found.items() if not count and mixture.quotas[name]]
    if empty:
        raise ConfigError(f"mixture.quotas asks for {', '.join(empty)}, but no row of {shards.folder.name} is in it")
    return dict(mixture.quotas)


def whole_numbers(shares: Mapping[str, float], total: int) -> dict[str, int]:
    """`total` in whole numbers by these shares: rounded down, what is left to the largest remainders."""
    exact = {name: share * total for name, share in shares.items()}
    found = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (found[name] - exact[name], name))
    for name in by_remainder[: total - sum(found.values())]:
        found[name] += 1
    return found


def in_turn(rows: NDArray[np.int64], count: int, key: np.uint64, epoch: int) -> NDArray[np.int64]:
    """The next `count` of `rows`, going round in one random order that all epochs share.

    So no row comes a second time before every other has come once, within an epoch and from one to the next, as long
    as `rows` are the same in every epoch (chunks of one sentence, which find another partner each time, are not).
    """
    if not count:
        return rows[:0]
    turn = chance.permutation(key, len(rows))
    return rows[turn[(epoch * count + np.arange(count)) % len(rows)]]
