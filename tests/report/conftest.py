"""One report on the fake work folder, for all tests of the report that only read it."""

from pathlib import Path

import fake_work
import pytest

from bimed_dist.report import stage


@pytest.fixture(scope="session")
def work(tmp_path_factory) -> Path:
    """A work folder with a finished report."""
    folder = tmp_path_factory.mktemp("work")
    fake_work.build(folder, fake_work.recipe())
    stage.run(fake_work.recipe(), folder)
    return folder


@pytest.fixture(scope="session")
def page_html(work) -> str:
    return fake_work.read_page(work)
