"""Checkpoints that exist whole or not at all.

Every rank writes, syncs and hashes its file in `step-N.partial`, in a thread, while training continues. Then the ranks
exchange hashes or errors, and rank 0 writes the manifest, syncs it, renames the folder to `step-N` and syncs its
parent. Only then are older checkpoints removed. The loader trusts manifests, not folder names.
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
from typing import TypedDict

from bimed_dist.agreement import Ranks, run_on_ranks
from bimed_dist.errors import CheckpointError
from bimed_dist.manifest import FileEntry, digest_of, file_sha256, write_json
from bimed_dist.workspace import CHECKPOINT_RECORD, PARTIAL

_log = logging.getLogger(__name__)
FORMAT = 1
_NAME = re.compile(r"step-(\d{8})")


Files = dict[str, FileEntry]
"""File name -> size and hash."""


class Arithmetic(TypedDict):
    """What the last bits of this rank's sums depend on."""

    threads: int
    """torch's threads of one process."""
    device: str
    """Kind of GPU, or the CPU's vector instructions."""


class Duration(TypedDict):
    """State of the clock (duration.py)."""

    training_seconds: float
    """Seconds of training, validation and saving, over all launches."""
    end_step: int
    """First step that is not trained, as far as known."""
    length: dict[str, float | None]
    """The settings of PretrainingSettings.LENGTH."""


class RunState(Arithmetic, Duration):
    """State of the training loop at a step."""

    run_digest: str
    """Digest of the settings (without those of HOW_ONLY and LENGTH), model and shards; a resume requires the same."""
    engine: str
    """`single`, `ordered`, `ddp`, `zero1`, `zero2` or `zero3`."""
    rows_seen: int
    skipped_steps: int
    """Steps without an update because a loss or gradient was not finite."""
    held_out_loss: float | None
    """Sum of the losses of the validation at this step, None if there was none."""


class CheckpointRecord(RunState):
    """The content of a checkpoint's MANIFEST.json, which also has the `digest` of all this."""

    format: int
    step: int
    """Number of steps done; the next one is `step` too, since steps count from 0."""
    world_size: int
    files: Files


@dataclass(frozen=True)
class Committed:
    """A checkpoint that was committed."""

    folder: Path
    step: int
    bytes: int
    seconds: float
    """From the start of this rank's writing to the commit."""


class Saver:
    """Writes one checkpoint at a time in a thread and commits it after all ranks have written.

    `start` and `is_written` concern this rank only; `finish` communicates and must be called by every rank.
    """

    def __init__(self, parent: Path, ranks: Ranks, keep: int) -> None:
        self._parent, self._ranks, self._keep = parent, ranks, keep
        self._thread: threading.Thread | None = None

    def start(self, step: int, write: Callable[[Path], Files], state: RunState) -> None:
        """Start a thread that calls `write(folder)`, which writes and syncs this rank's files without communicating."""
        assert self._thread is None, "one save at a time"
        self._step, self._state, self._started = step, state, time.monotonic()
        self._files: Files | None = None
        self._error = OSError("the writing thread failed; its traceback is in the output")
        self._thread = threading.Thread(target=self._write, args=(write,), name="checkpoint", daemon=True)
        self._thread.start()

    def is_written(self) -> bool:
        """Return whether this rank has written its part, or failed to."""
        return self._thread is not None and not self._thread.is_alive()

    def finish(self, before_commit: Callable[[], None] = lambda: None) -> Committed | None:
        """Wait until the checkpoint is written and commit it; return None if there is none.

        Raises CheckpointError on every rank if writing, or `before_commit` on rank 0, fails on any rank; older
        checkpoints stay untouched then.
        """
        if self._thread is None:
            return None
        self._thread.join()
        self._thread = None
        final = self._parent / f"step-{self._step:08d}"
        shares = run_on_ranks(self._ranks, self._written_files, combine=self._failure)
        files = {name: entry for share in shares for name, entry in share.items()}
        record: CheckpointRecord = {
            **self._state,
            "format": FORMAT,
            "step": self._step,
            "world_size": self._ranks.world_size,
            "files": files,
        }
        is_main = self._ranks.rank == 0
        run_on_ranks(
            self._ranks,
            lambda: (before_commit(), _publish(_partial(final), final, record)),
            here=is_main,
            combine=self._failure,
        )
        if is_main:
            try:
                rotate(self._parent, self._step, self._keep)
            except OSError as error:  # the commit stands, and the next save tries again
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

    def _written_files(self) -> Files:
        if self._files is None:  # also if the thread ended in an unexpected way
            raise self._error
        return self._files

    def _failure(self, errors: Mapping[int, Exception]) -> CheckpointError:
        if self._ranks.rank == 0:
            remove_unfinished(self._parent)  # so that a full disk has room for complete checkpoints
        details = "; ".join(f"rank {rank}: {error}" for rank, error in errors.items())
        return CheckpointError(
            f"the checkpoint of step {self._step} could not be committed; older ones are untouched. {details}. "
            "Free some space or repair the folder, then continue with --resume auto"
        )


def _partial(folder: Path) -> Path:
    return folder.with_name(folder.name + PARTIAL)


def _publish(partial: Path, final: Path, record: CheckpointRecord) -> None:
    for name, entry in record["files"].items():
        if (partial / name).stat().st_size != entry["bytes"]:
            raise OSError(
                f"{partial / name} does not have the size that was written; is the folder shared by all machines?"
            )
    write_json(partial / CHECKPOINT_RECORD, {**record, "digest": digest_of(record)})
    sync(partial)
    if final.exists():  # of a run that was stopped after this commit and resumed from an older one
        shutil.rmtree(final)
    partial.rename(final)
    sync(final.parent)


def sync(path: Path) -> None:
    """Flush a file, or a folder's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_unfinished(parent: Path) -> None:
    for folder in parent.glob(f"*{PARTIAL}"):
        shutil.rmtree(folder, ignore_errors=True)


def rotate(parent: Path, step: int, keep: int) -> None:
    """Remove all checkpoints but the newest `keep` up to `step` and the one with the lowest held-out loss.

    Later ones are removed first: they were damaged, or the run would have continued from them.
    """
    folders = list(_committed(parent))
    later = [folder for folder in folders if _step(folder) > step]
    earlier = folders[len(later) :]
    losses = {folder: _held_out_loss(folder) for folder in earlier}
    best = min(earlier, key=lambda folder: losses[folder])  # the newest of equal losses
    for folder in later + [folder for folder in earlier[keep:] if folder != best or losses[best] == math.inf]:
        # Renamed first: a kill in the middle must not leave a checkpoint that looks damaged.
        removed = folder.with_name(f"{folder.name}.old{PARTIAL}")  # another rank may be writing the same step
        shutil.rmtree(removed, ignore_errors=True)
        folder.rename(removed)
        shutil.rmtree(removed)


def _held_out_loss(folder: Path) -> float:
    try:
        loss = float(json.loads((folder / CHECKPOINT_RECORD).read_text(encoding="utf-8"))["held_out_loss"])
    except (OSError, ValueError, KeyError, TypeError):
        loss = math.inf  # not validated at this step, or not readable
    return loss if math.isfinite(loss) else math.inf


def newest(parent: Path) -> tuple[Path, CheckpointRecord] | None:
    """Return the newest checkpoint whose files match its manifest, with its record; None if there are no checkpoints.

    Damaged ones are reported and skipped. Raises CheckpointError if all are damaged: a fresh start would discard what
    may be repairable.
    """
    damaged = 0
    for folder in _committed(parent):
        try:
            return folder, verify(folder)
        except CheckpointError as error:
            _log.warning("%s; falling back to the previous checkpoint", error)
            damaged += 1
    if damaged:
        raise CheckpointError(f"none of the {damaged} checkpoint(s) in {parent} is whole; move them away to start over")
    return None


def verify(folder: Path) -> CheckpointRecord:
    """Return a checkpoint's record; raise CheckpointError unless size and SHA-256 of every file match it."""
    try:
        record = json.loads((folder / CHECKPOINT_RECORD).read_text(encoding="utf-8"))
        digest = record.pop("digest", None)
    except (OSError, ValueError, AttributeError):
        raise CheckpointError(f"{folder} has no readable {CHECKPOINT_RECORD}") from None
    if digest != digest_of(record):
        raise CheckpointError(
            f"{folder / CHECKPOINT_RECORD} was changed after it was written, or was not written by this program"
        )
    if record.get("format") != FORMAT:
        raise CheckpointError(f"{folder / CHECKPOINT_RECORD} was written by another version of this program")
    if record["step"] != _step(folder):
        raise CheckpointError(f"{folder / CHECKPOINT_RECORD} belongs to another step")
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
    """Yield the folders that are named like checkpoints, newest step first."""
    if parent.is_dir():
        yield from sorted((p for p in parent.iterdir() if p.is_dir() and _NAME.fullmatch(p.name)), reverse=True)
