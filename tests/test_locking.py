"""The lock that one process at a time holds: who holds it is named, a killed process holds nothing."""

import errno
import fcntl
import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bimed_dist.errors import ConfigError
from bimed_dist.locking import locked

HOLDER = """
import sys
from pathlib import Path
from bimed_dist.locking import locked

with locked(Path(sys.argv[1]), "it is being made"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path, root: Path):
    """Another process that holds `tmp_path/lock` until its standard input is closed."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_process_that_holds_a_lock_is_named(tmp_path: Path, holder):
    expected = f"it is being made by process {holder.pid} on .*; wait for its end or stop"
    with pytest.raises(ConfigError, match=expected), locked(tmp_path / "lock", "it is being made"):
        pytest.fail("two processes hold the same lock")


def test_a_killed_process_holds_nothing(tmp_path: Path, holder):
    holder.kill()
    holder.wait()
    with locked(tmp_path / "lock", "it is being made"):
        pass


def test_who_waits_says_for_whom_and_goes_on_when_the_lock_is_free(tmp_path: Path, holder, caplog):
    ended = threading.Timer(0.2, holder.stdin.close)
    ended.start()
    with locked(tmp_path / "lock", "it is being made", wait=True):
        assert holder.wait(5) == 0
    assert f"waiting: it is being made by process {holder.pid} on" in caplog.text


def test_a_file_system_without_locks_gives_a_warning_and_no_error(tmp_path: Path, monkeypatch, caplog):
    def unknown(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    with caplog.at_level(logging.WARNING), locked(tmp_path / "lock", "it is being made"):
        assert "can't be locked (No locks available)" in caplog.text
