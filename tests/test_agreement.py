"""An error of one rank is raised by all; ranks are threads here."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bimed_dist.agreement import run_on_main, run_on_ranks
from bimed_dist.errors import CheckpointError, ConfigError, RankError


class ThreadRank:
    def __init__(self, rank: int, values: list[Any], barrier: threading.Barrier) -> None:
        self.rank, self.world_size = rank, len(values)
        self._values, self._barrier = values, barrier

    def gather(self, value: Any) -> list[Any]:
        self._values[self.rank] = value
        self._barrier.wait(10)
        return list(self._values)


def outcomes(world_size: int, function: Callable[[ThreadRank], Any]) -> list[Any]:
    """What `function` returned or raised on each rank."""
    values, barrier = [None] * world_size, threading.Barrier(world_size)
    with ThreadPoolExecutor(world_size) as pool:
        ranks = [ThreadRank(rank, values, barrier) for rank in range(world_size)]
        futures = [pool.submit(function, rank) for rank in ranks]
        return [future.exception() or future.result() for future in futures]


def test_results_of_all_ranks_come_in_rank_order_and_the_main_ranks_result_reaches_all():
    assert outcomes(3, lambda ranks: run_on_ranks(ranks, lambda: ranks.rank * 10)) == [[0, 10, 20]] * 3
    assert outcomes(3, lambda ranks: run_on_ranks(ranks, lambda: 1, here=ranks.rank == 2)) == [[None, None, 1]] * 3
    assert outcomes(3, lambda ranks: run_on_main(ranks, lambda: f"of {ranks.rank}")) == ["of 0"] * 3


@pytest.mark.parametrize("error", [ConfigError("wrong"), OSError(28, "No space left on device")])
def test_an_error_of_one_rank_is_raised_by_all(error: Exception):
    def fail_on_rank_1(ranks: ThreadRank) -> Any:
        def action() -> None:
            if ranks.rank == 1:
                raise error

        return run_on_ranks(ranks, action)

    raised = outcomes(3, fail_on_rank_1)
    assert [type(e) for e in raised] == [type(error)] * 3
    assert {str(e) for e in raised} == {str(error)}


def test_errors_of_several_ranks_can_be_combined():
    def fail(ranks: ThreadRank) -> Any:
        def action() -> None:
            if ranks.rank:
                raise OSError(f"disk {ranks.rank}")

        return run_on_ranks(
            ranks,
            action,
            combine=lambda errors: CheckpointError("; ".join(f"rank {r}: {e}" for r, e in errors.items())),
        )

    assert [str(e) for e in outcomes(3, fail)] == ["rank 1: disk 1; rank 2: disk 2"] * 3


def test_a_programming_error_keeps_its_class_where_it_occurred_and_no_rank_is_left_waiting():
    def fail(ranks: ThreadRank) -> Any:
        return run_on_main(ranks, lambda: {}["absent"])

    first, *others = outcomes(3, fail)
    assert isinstance(first, KeyError)
    assert {(type(e), str(e)) for e in others} == {(RankError, "process 0 failed: KeyError: 'absent'")}
