"""Fixtures of several stages: the repository and the folder of open data."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run and no time limit: a change that breaks a property breaks it on every machine.
settings.register_profile("same-for-all", derandomize=True, deadline=None, database=None)
settings.load_profile("same-for-all")

# Before torch is loaded. Tests run in parallel, and sums have the same order on every machine.
os.environ["OMP_NUM_THREADS"] = "1"
ROOT = Path(__file__).resolve().parent.parent


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
