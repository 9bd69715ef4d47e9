"""Shares of languages, sources and replayed general text in an epoch.

The plan of the epoch is computed first; then rows are selected from it, some several times, some not at all. Every
selected row is a row of its own with its own masks, and the order is again a permutation. So batches, seeking and
resuming work as without a mixture.
"""

import logging
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bimed_dist.errors import ConfigError
from bimed_dist.recipe.pretraining import Mixture, Pairing, Replay, SentenceObjective
from bimed_dist.shards import counter_rng
from bimed_dist.shards.plan import EpochPlan, cached_plan, concatenate_plans, epoch_plan, select_rows
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
    """Return the plan of an epoch with its mixture, from the cache if it is there.

    `general` are the shards of `replay`; their tokens follow those of `shards`, as in `shards.concatenated(general)`.
    The number of rows is the same in every epoch.
    """
    arguments = {"seed": seed, "epoch": epoch, "max_length": max_length, "pairing": pairing, "objective": objective}
    identity = dict(arguments)
    if mixture is not None:
        identity["mixture"] = mixture.model_dump(mode="json")
    if general is not None:
        identity["replay"] = {"share": replay.share, "shards": general.digest}

    def compute() -> EpochPlan:
        plan = epoch_plan(shards, **arguments)
        if mixture is not None:
            plan = select_rows(plan, mixed_rows(plan, shards, mixture, seed=seed, epoch=epoch), seed=seed)
        if general is not None:
            general_plan = epoch_plan(general, **arguments)
            count = round(plan.num_rows * replay.share / (1 - replay.share))
            all_rows, key = np.arange(general_plan.num_rows), counter_rng.key("replay", seed=seed, epoch=0)
            replayed = select_rows(general_plan, cycle_rows(all_rows, count, key, epoch), seed=seed)
            logger.info("%s, epoch %d: replays %d of %d rows", general.folder.name, epoch, count, len(all_rows))
            plan = concatenate_plans(plan, replayed, shards, general, seed=seed)
        return plan

    return cached_plan(shards, identity, compute)


def mixed_rows(plan: EpochPlan, shards: ShardSet, mixture: Mixture, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """Select rows of `plan` in the mixture's shares, as many as it has.

    Raises ConfigError if the quotas do not match the languages or sources of the shards.
    """
    names, codes = (shards.languages, plan.language) if mixture.by == "language" else (shards.sources, plan.source)
    available = dict(zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True))
    counts = round_shares(shares(available, mixture, shards), plan.num_rows)
    logger.info(
        "%s, epoch %d, rows by %s: %s",
        *(shards.split, epoch, mixture.by),
        ", ".join(f"{name} {counts[name]:,} (of {available[name]:,})" for name in names),
    )
    chosen = [
        cycle_rows(
            np.flatnonzero(codes == code), counts[name], counter_rng.key(f"mixture {name}", seed=seed, epoch=0), epoch
        )
        for code, name in enumerate(names)
    ]
    return np.concatenate(chosen)


def shares(available: Mapping[str, int], mixture: Mixture, shards: ShardSet) -> dict[str, float]:
    """Return the share of each language or source in an epoch; `available` counts the plan's rows of each."""
    if mixture.quotas is None:
        weights = {name: count ** (1 / mixture.temperature) if count else 0.0 for name, count in available.items()}
        return {name: weight / sum(weights.values()) for name, weight in weights.items()}
    if mixture.quotas.keys() != available.keys():
        raise ConfigError(
            f"mixture.quotas must name every {mixture.by} of {shards.folder.name} (0 to leave it out): it has "
            f"{', '.join(available)}, the quotas are for {', '.join(mixture.quotas)}"
        )
    empty = [name for name, count in available.items() if not count and mixture.quotas[name]]
    if empty:
        raise ConfigError(f"mixture.quotas asks for {', '.join(empty)}, but {shards.folder.name} has no such row")
    return dict(mixture.quotas)


def round_shares(shares: Mapping[str, float], total: int) -> dict[str, int]:
    """Return integers in these shares that add up to `total`, by the largest remainder method."""
    exact = {name: share * total for name, share in shares.items()}
    counts = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (counts[name] - exact[name], name))
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def cycle_rows(rows: NDArray[np.int64], count: int, key: np.uint64, epoch: int) -> NDArray[np.int64]:
    """Return the next `count` of `rows`, in cycles over one random order that all epochs share.

    No row is repeated before all others were used, within an epoch and across epochs, as long as `rows` are the same
    in every epoch (chunks of one sentence are not: they get another partner each time).
    """
    if not count:
        return rows[:0]
    order = counter_rng.permutation(key, len(rows))
    return rows[order[(epoch * count + np.arange(count)) % len(rows)]]
