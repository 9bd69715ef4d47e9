"""Agreement between the ranks of a job: they gather results or errors, and an error of one is raised by all.

A rank that raised alone would leave the others waiting in their next collective operation.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from bimed_dist.errors import BimedError, RankError, one_line

T = TypeVar("T")
Outcome = tuple[T | None, Exception | None]
"""What a rank contributes: its result, or the error it failed with."""


class Ranks(Protocol):
    """The processes of a job, as one of them sees them."""

    rank: int
    world_size: int

    def gather(self, value: Any) -> list[Any]:
        """Return every rank's value in rank order; every rank must call it."""


def run_on_ranks(
    ranks: Ranks,
    action: Callable[[], T],
    *,
    here: bool = True,
    combine: Callable[[Mapping[int, Exception]], Exception] | None = None,
) -> list[T | None]:
    """Run `action` on every rank that passes `here`; return the results of all ranks in rank order.

    If it fails anywhere, every rank raises the same error: what `combine` makes of {rank: error}, or the error of the
    first failed rank. A programming error (neither BimedError nor OSError) keeps its class and traceback on the rank
    where it occurred; the other ranks raise a RankError with its first line.
    """
    outcome: Outcome[T] = (None, None)
    unexpected = None
    if here:
        try:
            outcome = (action(), None)
        except (BimedError, OSError) as error:
            outcome = (None, error)
        except Exception as error:
            unexpected = error
            outcome = (None, RankError(f"process {ranks.rank} failed: {one_line(error)}"))
    outcomes = ranks.gather(outcome)
    if unexpected is not None:
        raise unexpected
    return values_or_raise(outcomes, combine)


def run_on_main(ranks: Ranks, action: Callable[[], T]) -> T:
    """Run `action` on rank 0 and return its result on every rank; its error is raised on every rank."""
    return run_on_ranks(ranks, action, here=ranks.rank == 0)[0]


def values_or_raise(
    outcomes: Sequence[Outcome[T]], combine: Callable[[Mapping[int, Exception]], Exception] | None = None
) -> list[T]:
    """Return the values of gathered outcomes; raise if any of them is an error (see `run_on_ranks`)."""
    errors = {rank: error for rank, (_, error) in enumerate(outcomes) if error is not None}
    if errors:
        raise combine(errors) if combine else next(iter(errors.values()))
    return [value for value, _ in outcomes]
