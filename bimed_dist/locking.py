"""A lock on a file for one process at a time; the kernel releases it when the process ends, however it ends.

Works across machines on NFS. filelock is not used: it does not name the process that holds a lock, and on a file system
without locks it leaves a file behind that a killed process never removes.
"""

import fcntl
import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bimed_dist.errors import ConfigError

_log = logging.getLogger(__name__)


@contextmanager
def locked(path: Path, work: str, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock file `path`, which stays afterwards; `work` describes in messages what is done under it.

    If another process holds the lock: wait for it if `wait`, else raise ConfigError; both messages name that process.
    On a file system without locks, log a warning and go on. Raises OSError if the file can't be written.
    """
    # NFS locks only files that are open for writing, so a folder itself can't be locked.
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            if not wait:
                raise ConfigError(f"{work} by {holder}; wait for its end or stop it") from None
            _log.warning("waiting: %s by %s (%s)", work, holder, path)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            _log.warning("%s can't be locked (%s); start no second process for it", path, error.strerror)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}\n")
        file.flush()
        yield
