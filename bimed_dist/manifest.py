"""Stage folders: a manifest written last says what is in a folder and what it was made from.

A folder without `manifest.json` is unfinished. Plain stages are built in `NAME.partial` and renamed, so that an
interrupted build leaves nothing that looks finished; pre-training and evaluation continue in place.
"""

import datetime
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import bimed_dist
from bimed_dist.errors import ConfigError, DataError
from bimed_dist.locking import locked
from bimed_dist.workspace import LOCK, MANIFEST, PARTIAL, SETTINGS

_log = logging.getLogger(__name__)
_ABSENT = object()
_PACKAGES = ("accelerate", "datasets", "deepspeed", "numpy", "pyarrow", "tokenizers", "torch", "transformers")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    stage: str
    name: str
    settings: dict[str, Any]
    """Resolved settings of this stage, the recipe's seed included."""
    inputs: dict[str, str]
    """Digest of every folder or file that this stage read."""
    counts: dict[str, Any]
    files: dict[str, dict[str, Any]]
    """Relative path -> {"bytes", "sha256"}."""
    versions: dict[str, str]
    seconds: float
    finished: str
    digest: str
    """SHA-256 over stage, settings, inputs and files: equal digests mean equal content."""


@dataclass(frozen=True)
class Outcome:
    folder: Path
    manifest: Manifest
    was_done: bool
    """True when the stage had been finished before and nothing was built."""


def canonical_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON-like value, independent of key order."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def input_digest(path: Path) -> str:
    """Digest of a file or of all files below a folder (names and contents)."""
    if path.is_file():
        return file_sha256(path)
    if not path.is_dir():
        raise DataError(f"{path} does not exist; check the path and the recipe's `data`")
    # An installed package's folder gains __pycache__ when it is imported.
    files = (p for p in sorted(path.rglob("*")) if p.is_file() and "__pycache__" not in p.relative_to(path).parts)
    return digest_of({p.relative_to(path).as_posix(): file_sha256(p) for p in files})


def versions() -> dict[str, str]:
    found = {"bimed_dist": bimed_dist.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def write_json(path: Path, value: Any) -> None:
    write_whole(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never half of it, after a power cut too."""
    temporary = path.with_name(path.name + PARTIAL)
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a finished folder; DataError where there is none or it can't be read."""
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(f"{folder} has no {MANIFEST}: the stage before did not finish; run it first")
    try:
        manifest = Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}); build the folder again") from None
    if manifest.digest != _digest(manifest.stage, manifest.settings, manifest.inputs, manifest.files):
        raise DataError(f"{path} was edited: its digest does not match its content; build the folder again")
    return manifest


def verified(folder: Path) -> Manifest:
    """The manifest, after size and SHA-256 of every listed file were checked."""
    manifest = read_manifest(folder)
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise DataError(f"{path} is missing but listed in {MANIFEST}; build the folder again")
        if path.stat().st_size != expected["bytes"]:
            raise DataError(
                f"{path} has {path.stat().st_size} bytes, {MANIFEST} says {expected['bytes']}: it was cut or changed; "
                "build the folder again"
            )
        if file_sha256(path) != expected["sha256"]:
            raise DataError(f"{path} does not have the SHA-256 in {MANIFEST}: it is damaged; build the folder again")
    return manifest


def write_manifest(
    folder: Path,
    *,
    stage: str,
    name: str,
    settings: Mapping[str, Any],
    inputs: Mapping[str, str],
    counts: Mapping[str, Any],
    files: Iterable[Path],
    seconds: float,
) -> Manifest:
    """Hash `files` (below `folder`) and write the manifest last."""
    listed = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
        for path in sorted(files)
    }
    manifest = Manifest(
        stage=stage,
        name=name,
        settings=dict(settings),
        inputs=dict(inputs),
        counts=dict(counts),
        files=listed,
        versions=versions(),
        seconds=round(seconds, 2),
        finished=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        digest=_digest(stage, settings, inputs, listed),
    )
    write_json(folder / MANIFEST, asdict(manifest))
    return manifest


def _digest(stage: str, settings: Any, inputs: Any, files: Any) -> str:
    return digest_of({"stage": stage, "settings": settings, "inputs": inputs, "files": files})


def finished(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> Manifest | None:
    """The verified manifest if `folder` was finished with these settings and inputs, None if it was not finished.

    Raises ConfigError where it was finished, or begun, with others: nothing is overwritten.
    """
    if folder.is_file():
        raise ConfigError(f"{folder} is a file where a folder is to be made; move it away")
    if (folder / MANIFEST).is_file():
        manifest = verified(folder)
        _refuse_change(folder, "settings", manifest.settings, settings)
        _refuse_change(folder, "inputs", manifest.inputs, inputs)
        return manifest
    begun = folder / SETTINGS
    if begun.is_file():
        try:
            before = json.loads(begun.read_text(encoding="utf-8"))
            before_settings, before_inputs = before["settings"], before["inputs"]
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"{begun} is damaged ({error}); move the folder away and build it again") from None
        _refuse_change(folder, "settings", before_settings, settings)
        _refuse_change(folder, "inputs", before_inputs, inputs)
    # Killed while it was begun.
    elif folder.exists() and any(path.name != f"{SETTINGS}{PARTIAL}" for path in folder.iterdir()):
        raise ConfigError(f"{folder} holds files but no {MANIFEST}; it was not made by this program: move it away")
    return None


def begin(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> None:
    """Open a folder that will be filled over several runs, and note what for, in place of what was noted before."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / SETTINGS, {"settings": settings, "inputs": inputs})


def folder_lock(folder: Path) -> AbstractContextManager[None]:
    """Return a lock that keeps other processes from filling `folder`; entering it raises ConfigError if one does."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    return locked(folder.with_name(folder.name + LOCK), f"{folder} is being filled")


def build(
    folder: Path,
    *,
    stage: str,
    settings: Mapping[str, Any],
    inputs: Mapping[str, str],
    make: Callable[[Path], Mapping[str, Any]],
    continues: bool = False,
) -> Outcome:
    """Run `make(empty folder) -> counts` once for these settings and inputs; a finished folder is left alone.

    With `continues` the folder need not be empty: `make` finds what an interrupted build for the same settings and
    inputs has left.
    """
    settings = json.loads(canonical_json(settings))
    done = finished(folder, settings, inputs)
    if done is not None:
        return Outcome(folder, done, was_done=True)
    with folder_lock(folder):
        return _build(folder, stage, settings, inputs, make, continues)


def _build(
    folder: Path,
    stage: str,
    settings: Mapping[str, Any],
    inputs: Mapping[str, str],
    make: Callable[[Path], Mapping[str, Any]],
    continues: bool,
) -> Outcome:
    partial = folder.with_name(folder.name + PARTIAL)
    if not (continues and _was_begun_for(partial, settings, inputs)):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    if continues:
        begin(partial, settings, inputs)
    start = time.monotonic()
    counts = make(partial)
    (partial / SETTINGS).unlink(missing_ok=True)
    files = [path for path in partial.rglob("*") if path.is_file()]
    manifest = write_manifest(
        partial,
        stage=stage,
        name=folder.name,
        settings=settings,
        inputs=inputs,
        counts=counts,
        files=files,
        seconds=time.monotonic() - start,
    )
    partial.rename(folder)
    return Outcome(folder, manifest, was_done=False)


def _was_begun_for(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> bool:
    try:
        before = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return canonical_json(before) == canonical_json({"settings": settings, "inputs": inputs})


def _refuse_change(folder: Path, what: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    before, now = json.loads(canonical_json(before)), json.loads(canonical_json(now))
    changes = list(_changes("", before, now))
    if not changes:
        return
    shown = "\n".join(changes[:20]) + (f"\n  and {len(changes) - 20} more" if len(changes) > 20 else "")
    raise ConfigError(
        f"{folder} was made with other {what}; nothing was changed. Use another --work, or remove the folder and all "
        f"that was made from it.\n{shown}"
    )


def _changes(place: str, before: Any, now: Any) -> Iterator[str]:
    """One line for every value that differs, named as `--set` would name it."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            yield from _changes(f"{place}.{key}" if place else key, before.get(key, _ABSENT), now.get(key, _ABSENT))
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for i, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from _changes(f"{place}.{i}", old, new)
    # A setting that is newer than the folder and is not set changes nothing.
    elif before != now and not (before is _ABSENT and now is None):
        yield f"  {place}: was {_short(before)}, now {_short(now)}"


def _short(value: Any) -> str:
    text = "absent" if value is _ABSENT else canonical_json(value)
    return text if len(text) <= 120 else text[:117] + "..."
