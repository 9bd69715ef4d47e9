"""Checkpoints that exist whole or not at all.

Every rank writes into `step-N.partial`, syncs and hashes its files; ranks exchange hashes or errors; rank 0 writes
the manifest, syncs, renames to `step-N` and syncs the parent; only then are older ones removed. The loader believes
manifests only: not names, and not the `latest` that DeepSpeed writes before all shards are there.
"""

import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from bimed_dist.errors import CheckpointError
from bimed_dist.manifest import file_sha256, write_json

_log = logging.getLogger(__name__)
MANIFEST = "MANIFEST.json"
_NAME = re.compile(r"step-(\d{8})")


class Ranks(Protocol):
    """What saving needs to know of the other processes."""

    rank: int
    world_size: int

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value in rank order; every rank must call it."""


def commit(
    parent: Path, step: int, ranks: Ranks, write: Callable[[Path], list[Path]], record: Mapping[str, Any], keep: int
) -> Path:
    """Save a checkpoint on all ranks and remove all but the newest `keep`.

    `write(folder)` writes this rank's files and returns them. Raises CheckpointError on every rank where one failed;
    older checkpoints are then untouched.
    """
    final = parent / f"step-{step:08d}"
    partial = parent / f"{final.name}.partial"
    _together(ranks, lambda: _empty(partial) if ranks.rank == 0 else None)  # nobody writes before the folder is empty
    shares = _together(ranks, lambda: _write_share(partial, write))
    _together(ranks, lambda: _publish(partial, final, shares, record, ranks) if ranks.rank == 0 else None)
    _together(ranks, lambda: rotate(parent, step, keep) if ranks.rank == 0 else None)
    return final


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _together(ranks: Ranks, action: Callable[[], Any]) -> list[Any]:
    """Every rank's result of `action`; an error of one rank becomes an error of all."""
    result, error = None, None
    try:
        result = action()
    except OSError as problem:
        error = f"rank {ranks.rank}: {problem}"
    outcomes = ranks.gather((result, error))
    errors = [error for _, error in outcomes if error]
    if errors:
        raise CheckpointError(f"no checkpoint was written; older ones are untouched. {'; '.join(errors)}")
    return [result for result, _ in outcomes]


def _write_share(partial: Path, write: Callable[[Path], list[Path]]) -> dict[str, dict[str, Any]]:
    share = {}
    for path in write(partial):
        sync(path)
        share[path.relative_to(partial).as_posix()] = {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
    return share


def _publish(partial: Path, final: Path, shares: list[dict[str, Any]], record: Mapping[str, Any], ranks: Ranks) -> None:
    files = {name: entry for share in shares for name, entry in share.items()}
    write_json(partial / MANIFEST, {**record, "world_size": ranks.world_size, "files": files})
    for folder in {partial, *(path.parent for path in partial.rglob("*"))}:
        sync(folder)
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


def rotate(parent: Path, step: int, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints up to `step`, and what unfinished saves left.

    Later ones were damaged, or this run would have continued from them; they go first.
    """
    folders = list(_committed(parent))
    later = [folder for folder in folders if _step(folder) > step]
    for folder in later + folders[len(later) + keep :]:
        shutil.rmtree(folder)
    for left in parent.glob("*.partial"):
        shutil.rmtree(left)


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
        record = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = record["files"]
        whole = record["step"] == _step(folder)
    except (OSError, ValueError, KeyError, TypeError):
        raise CheckpointError(f"{folder} has no readable {MANIFEST}") from None
    if not whole:
        raise CheckpointError(f"{folder / MANIFEST} is of another step")
    for name, expected in files.items():
        path = folder / name
        try:
            matches = path.stat().st_size == expected["bytes"] and file_sha256(path) == expected["sha256"]
        except OSError:
            matches = False
        if not matches:
            raise CheckpointError(f"{path} is missing or does not match {MANIFEST}")
    return record


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def _committed(parent: Path) -> Iterator[Path]:
    """Folders named like checkpoints, newest step first."""
    if parent.is_dir():
        yield from sorted((p for p in parent.iterdir() if p.is_dir() and _NAME.fullmatch(p.name)), reverse=True)
