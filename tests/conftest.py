"""Fixtures of several stages: the repository, the folder of open data, and processes that start in a second."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from forks import Forks
from hypothesis import settings

# The same examples in every run and no time limit: a change that breaks a property breaks it on every machine.
settings.register_profile("same-for-all", derandomize=True, deadline=None, database=None)
settings.load_profile("same-for-all")

# Before torch is loaded. Tests run in parallel, and sums have the same order on every machine.
os.environ["OMP_NUM_THREADS"] = "1"
ROOT = Path(__file__).resolve().parent.parent


# Compiled layers stay with one worker too, since each engine uses what the one before it has compiled.
LONGEST = ("[kills]", "test_two_nodes.py", "compiled_layers", "[disks]", "killed_six_times", "when_killed_itself")


@pytest.hookimpl(trylast=True)  # after the deselection of marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let every worker begin with some of the longest tests: xdist splits the list evenly, and idle workers take from
    the ends of the parts. Tests of one name stay with one worker.
    """
    workers = config.workerinput["workercount"] if hasattr(config, "workerinput") else 1
    first = [[item for name in LONGEST[i::workers] for item in items if name in item.nodeid] for i in range(workers)]
    rest = [item for item in items if not any(name in item.nodeid for name in LONGEST)]
    size = -(-len(items) // workers)
    for part in first:
        more = max(0, size - len(part))
        part += rest[:more]
        rest = rest[more:]
    items[:] = [item for part in first for item in part] + rest


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def open_data() -> Path:
    """The folder of open data sets; tests that need it carry the mark `data`."""
    folder = os.environ.get("BIMED_DATA")
    if folder is None:
        pytest.skip("set BIMED_DATA to the folder of open data sets (CONTRIBUTING.md)")
    if not Path(folder).is_dir():
        pytest.fail(f"BIMED_DATA={folder} is not a folder")
    return Path(folder)


@pytest.fixture(scope="session")
def forks(tmp_path_factory) -> Iterator[Forks]:
    """Starts ranks in a second (tests/faults/forks.py)."""
    with Forks(tmp_path_factory.mktemp("forks")) as started:
        yield started
