"""Checkpoints that exist whole or not at all.

Every rank writes, syncs and hashes its file in `step-N.partial`, in a thread, while training goes on; then the ranks
exchange hashes or errors, rank 0 writes the manifest, syncs, renames to `step-N` and syncs the parent; only then are
older ones removed. The loader believes manifests only, not names.
"""

import json
import logging
import math
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bimed_dist.errors import CheckpointError
from bimed_dist.manifest import digest_of, file_sha256, write_json
from bimed_dist.workspace import CHECKPOINT_RECORD, PARTIAL

_log = logging.getLogger(__name__)
FORMAT = 1
_NAME = re.compile(r"step-(\d{8})")
Files = dict[str, dict[str, Any]]
"""Name of a file -> {"bytes", "sha256"}."""


class Ranks(Protocol):
    """What saving needs to know of the other processes."""

    rank: int
    world_size: int

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value in rank order; every rank must call it."""


@dataclass(frozen=True)
class Committed:
    folder: Path
    step: int
    bytes: int
    seconds: float
    """From the start of this rank's writing to the commit."""


class Saver:
    """Writes one checkpoint at a time beside the training and commits it when all ranks have written.

    `start` and `written` are this rank's own business; `finish` communicates and must be called by every rank.
    """

    def __init__(self, parent: Path, ranks: Ranks, keep: int) -> None:
        self._parent, self._ranks, self._keep = parent, ranks, keep
        self._thread: threading.Thread | None = None

    def start(self, step: int, write: Callable[[Path], Files], record: Mapping[str, Any]) -> None:
        """`write(folder)` writes and syncs this rank's files; it runs in a thread and must not communicate."""
        assert self._thread is None, "one save at a time"
        self._step, self._record, self._started = step, record, time.monotonic()
        self._files: Files | None = None
        self._error = OSError("the writing thread failed; its traceback is in the output")
        self._thread = threading.Thread(target=self._write, args=(write,), name="checkpoint", daemon=True)
        self._thread.start()

    def written(self) -> bool:
        """Whether this rank's part is written, or failed."""
        return self._thread is not None and not self._thread.is_alive()

    def finish(self, before: Callable[[], None] = lambda: None) -> Committed | None:
        """Wait for the writing and commit; CheckpointError on every rank where one failed, older ones untouched.

        Rank 0 calls `before` between the two; an OSError of it is one of all ranks too.
        """
        if self._thread is None:
            return None
        self._thread.join()
        self._thread = None
        final = self._parent / f"step-{self._step:08d}"
        shares = self._together(self._result)
        files = {name: entry for share in shares for name, entry in share.items()}
        record = {"format": FORMAT, **self._record, "step": self._step, "world_size": self._ranks.world_size}
        whole = {**record, "files": files}
        self._together(lambda: (before(), _publish(_partial(final), final, whole)), only_first=True)
        if self._ranks.rank == 0:
            try:
                rotate(self._parent, self._step, self._keep)
            except OSError as error:  # the commit stands, and the next one tries again
                _log.warning("older checkpoints can't be removed: %s", error)
        size = sum(entry["bytes"] for entry in files.values())
        return Committed(final, self._step, size, time.monotonic() - self._started)

    def _write(self, write: Callable[[Path], Files]) -> None:
        folder = _partial(self._parent / f"step-{self._step:08d}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._files = write(folder)
        except OSError as error:
            self._error = error

    def _result(self) -> Files:
        if self._files is None:  # also where the thread ended in a way that nobody thought of
            raise self._error
        return self._files

    def _together(self, action: Callable[[], Any], only_first: bool = False) -> list[Any]:
        """Every rank's result of `action`; an error of one rank becomes an error of all."""
        result, error = None, None
        try:
            result = action() if self._ranks.rank == 0 or not only_first else None
        except OSError as problem:
            error = f"rank {self._ranks.rank}: {problem}"
        outcomes = self._ranks.gather((result, error))
        errors = [error for _, error in outcomes if error]
        if errors:
            if self._ranks.rank == 0:
                remove_unfinished(self._parent)  # so that a full disk has room for what is whole
            raise CheckpointError(
                f"the checkpoint of step {self._step} could not be committed; older ones are untouched. "
                f"{'; '.join(errors)}. Make room or mend the folder, then continue with --resume auto"
            )
        return [result for result, _ in outcomes]


def _partial(folder: Path) -> Path:
    return folder.with_name(folder.name + PARTIAL)


def _publish(partial: Path, final: Path, record: Mapping[str, Any]) -> None:
    for name, entry in record["files"].items():
        if (partial / name).stat().st_size != entry["bytes"]:
            raise OSError(f"{partial / name} has not the size that was written; is the folder shared by all machines?")
    write_json(partial / CHECKPOINT_RECORD, {**record, "digest": digest_of(record)})
    sync(partial)
    if final.exists():  # left by a run that was stopped after this commit and resumed from an older one
        shutil.rmtree(final)
    partial.rename(final)
    sync(final.parent)


def sync(path: Path) -> None:
    """Flush a file, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_unfinished(parent: Path) -> None:
    for left in parent.glob(f"*{PARTIAL}"):
        shutil.rmtree(left, ignore_errors=True)


def rotate(parent: Path, step: int, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints up to `step` and the one with the lowest held-out loss.

    Later ones were damaged, or this run would have continued from them; they go first.
    """
    folders = list(_committed(parent))
    later = [folder for folder in folders if _step(folder) > step]
    upto = folders[len(later) :]
    losses = {folder: _held_out_loss(folder) for folder in upto}
    best = min(upto, key=lambda folder: losses[folder])  # of equal losses the newest
    for folder in later + [folder for folder in upto[keep:] if folder != best or losses[best] == math.inf]:
        # Out of the loader's sight at once: a kill in the middle must not leave a checkpoint that looks damaged.
        removed = folder.with_name(f"{folder.name}.old{PARTIAL}")  # another rank may write this very step already
        shutil.rmtree(removed, ignore_errors=True)
        folder.rename(removed)
        shutil.rmtree(removed)


def _held_out_loss(folder: Path) -> float:
    try:
        loss = float(json.loads((folder / CHECKPOINT_RECORD).read_text(encoding="utf-8"))["held_out_loss"])
    except (OSError, ValueError, KeyError, TypeError):
        loss = math.inf  # not validated at this step, or not readable
    return loss if math.isfinite(loss) else math.inf


def newest(parent: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint whose files match its manifest, with its record; damaged ones are named and passed over.

    None where nothing was ever saved. Raises CheckpointError where all that was saved is damaged: starting anew would
    throw away what may still be mended.
    """
    damaged = 0
    for folder in _committed(parent):
        try:
            return folder, verify(folder)
        except CheckpointError as error:
            _log.warning("%s; falling back to the checkpoint before", error)
            damaged += 1
    if damaged:
        raise CheckpointError(f"none of the {damaged} checkpoint(s) in {parent} is whole; move them away to start anew")
    return None


def verify(folder: Path) -> dict[str, Any]:
    """The record of a checkpoint after size and SHA-256 of every file were checked; CheckpointError otherwise."""
    try:
        record = json.loads((folder / CHECKPOINT_RECORD).read_text(encoding="utf-8"))
        digest = record.pop("digest", None)
    except (OSError, ValueError, AttributeError):
        raise CheckpointError(f"{folder} has no readable {CHECKPOINT_RECORD}") from None
    if digest != digest_of(record):
        raise CheckpointError(
            f"{folder / CHECKPOINT_RECORD} was changed after it was written, or is not of this program"
        )
    if record.get("format") != FORMAT:
        raise CheckpointError(f"{folder / CHECKPOINT_RECORD} is of another version of this program")
    if record["step"] != _step(folder):
        raise CheckpointError(f"{folder / CHECKPOINT_RECORD} is of another step")
    for name, expected in record["files"].items():
        path = folder / name
        try:
            matches = path.stat().st_size == expected["bytes"] and file_sha256(path) == expected["sha256"]
        except OSError:
            matches = False
        if not matches:
            raise CheckpointError(f"{path} is missing or does not match {CHECKPOINT_RECORD}")
    return record


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def _committed(parent: Path) -> Iterator[Path]:
    """Folders named like checkpoints, newest step first."""
    if parent.is_dir():
        yield from sorted((p for p in parent.iterdir() if p.is_dir() and _NAME.fullmatch(p.name)), reverse=True)
