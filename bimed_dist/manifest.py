"""Stage folders: a manifest, written last, lists the files of a folder and the inputs and settings behind them.

A folder without `manifest.json` is unfinished. Most stages are built in `NAME.partial` and renamed, so an interrupted
build never looks finished; pre-training and evaluation continue in place.
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
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict

import bimed_dist
from bimed_dist.errors import ConfigError, DataError
from bimed_dist.locking import locked
from bimed_dist.workspace import LOCK, MANIFEST, PARTIAL, SETTINGS

_log = logging.getLogger(__name__)
_ABSENT = object()
_PACKAGES = ("accelerate", "datasets", "deepspeed", "numpy", "pyarrow", "tokenizers", "torch", "transformers")


class FileEntry(TypedDict):
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    stage: str
    name: str
    settings: dict[str, Any]
    """Settings that decide the content, the recipe's seed included."""
    inputs: dict[str, str]
    """Folder or file that the stage read -> its digest."""
    counts: dict[str, Any]
    files: dict[str, FileEntry]
    """Path relative to the folder -> size and SHA-256."""
    versions: dict[str, str]
    """Package -> version."""
    seconds: float
    finished: str
    """UTC time in ISO 8601."""
    digest: str
    """SHA-256 over stage, settings, inputs and files: equal digests mean equal content."""


@dataclass(frozen=True)
class Outcome:
    folder: Path
    manifest: Manifest
    was_done: bool
    """True if the stage was finished already and nothing was built."""


def canonical_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a JSON value, independent of the order of keys."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def input_digest(path: Path) -> str:
    """Return the digest of a file, or of names and contents of all files below a folder.

    Raises DataError if there is neither.
    """
    if path.is_file():
        return file_sha256(path)
    if not path.is_dir():
        raise DataError(f"{path} does not exist; check the path and the recipe's `data`")
    # The folder of an installed package gains __pycache__ when it is imported.
    files = (p for p in sorted(path.rglob("*")) if p.is_file() and "__pycache__" not in p.relative_to(path).parts)
    return digest_of({p.relative_to(path).as_posix(): file_sha256(p) for p in files})


def versions() -> dict[str, str]:
    """Return the versions of Python, this package and the packages that decide results; missing ones are left out."""
    installed = {"bimed_dist": bimed_dist.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            installed[package] = importlib.metadata.version(package)
    return installed


def write_json(path: Path, value: Any) -> None:
    write_atomically(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def write_atomically(path: Path, text: str) -> None:
    """Replace a file so that readers see the old or the new content and never a part, even after a power cut."""
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
    """Return the manifest of a finished folder. Raises DataError if it is missing, damaged or was edited."""
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(f"{folder} has no {MANIFEST}: this stage did not finish; run it first")
    try:
        manifest = Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}); build the folder again") from None
    if manifest.digest != _digest(manifest.stage, manifest.settings, manifest.inputs, manifest.files):
        raise DataError(f"{path} was edited: its digest does not match its content; build the folder again")
    return manifest


def verified(folder: Path) -> Manifest:
    """Return the manifest after a check of size and SHA-256 of every file. Raises DataError if one is damaged."""
    manifest = read_manifest(folder)
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise DataError(f"{path} is missing but listed in {MANIFEST}; build the folder again")
        if path.stat().st_size != expected["bytes"]:
            raise DataError(
                f"{path} has {path.stat().st_size} bytes, {MANIFEST} lists {expected['bytes']}: it was cut or changed; "
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
    """Hash `files`, which lie below `folder`, and write the manifest."""
    entries: dict[str, FileEntry] = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
        for path in sorted(files)
    }
    manifest = Manifest(
        stage=stage,
        name=name,
        settings=dict(settings),
        inputs=dict(inputs),
        counts=dict(counts),
        files=entries,
        versions=versions(),
        seconds=round(seconds, 2),
        finished=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        digest=_digest(stage, settings, inputs, entries),
    )
    write_json(folder / MANIFEST, asdict(manifest))
    return manifest


def _digest(stage: str, settings: Any, inputs: Any, files: Any) -> str:
    return digest_of({"stage": stage, "settings": settings, "inputs": inputs, "files": files})


def finished(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> Manifest | None:
    """Return the verified manifest if `folder` was finished with these settings and inputs, None if it is unfinished.

    Raises ConfigError if it was begun or finished with others: nothing is overwritten.
    """
    if folder.is_file():
        raise ConfigError(f"{folder} is a file, but a folder is needed; move it away")
    if (folder / MANIFEST).is_file():
        manifest = verified(folder)
        _refuse_change(folder, "settings", manifest.settings, settings)
        _refuse_change(folder, "inputs", manifest.inputs, inputs)
        return manifest
    begun = folder / SETTINGS
    if begun.is_file():
        try:
            record = json.loads(begun.read_text(encoding="utf-8"))
            begun_settings, begun_inputs = record["settings"], record["inputs"]
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"{begun} is damaged ({error}); move the folder away and build it again") from None
        _refuse_change(folder, "settings", begun_settings, settings)
        _refuse_change(folder, "inputs", begun_inputs, inputs)
    # A lone settings.json.partial is left by a process that was killed in `begin`.
    elif folder.exists() and any(path.name != f"{SETTINGS}{PARTIAL}" for path in folder.iterdir()):
        raise ConfigError(f"{folder} holds files but no {MANIFEST}; this program did not make it: move it away")
    return None


def begin(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> None:
    """Create a folder that may be filled over several runs, and record its settings and inputs."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / SETTINGS, {"settings": settings, "inputs": inputs})


def folder_lock(folder: Path) -> AbstractContextManager[None]:
    """Return a lock that one process holds while it fills `folder`; entering it raises ConfigError if another does."""
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
    """Fill `folder` by `make(new folder) -> counts` unless it is finished with these settings and inputs.

    With `continues`, `make` gets the files that an interrupted build with the same settings and inputs left.

    Raises ConfigError if the folder was made with other settings or inputs, or if another process fills it.
    """
    settings = json.loads(canonical_json(settings))
    done = finished(folder, settings, inputs)
    if done is not None:
        return Outcome(folder, done, was_done=True)
    with folder_lock(folder):
        partial = folder.with_name(folder.name + PARTIAL)
        if not (continues and _was_begun_with(partial, settings, inputs)):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        if continues:
            begin(partial, settings, inputs)
        start = time.monotonic()
        counts = make(partial)
        (partial / SETTINGS).unlink(missing_ok=True)
        manifest = write_manifest(
            partial,
            stage=stage,
            name=folder.name,
            settings=settings,
            inputs=inputs,
            counts=counts,
            files=[path for path in partial.rglob("*") if path.is_file()],
            seconds=time.monotonic() - start,
        )
        partial.rename(folder)
    return Outcome(folder, manifest, was_done=False)


def _was_begun_with(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> bool:
    try:
        record = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return canonical_json(record) == canonical_json({"settings": settings, "inputs": inputs})


def _refuse_change(folder: Path, part: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    before, now = json.loads(canonical_json(before)), json.loads(canonical_json(now))
    changes = list(_changes("", before, now))
    if not changes:
        return
    lines = [*changes[:20], *([f"  and {len(changes) - 20} more"] if len(changes) > 20 else [])]
    raise ConfigError(
        f"{folder} was made with other {part}; nothing was changed. Use another --work, or remove the folder and all "
        "folders made from it.\n" + "\n".join(lines)
    )


def _changes(place: str, before: Any, now: Any) -> Iterator[str]:
    """Yield one line for every value that differs, with its place as in `--set`."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            yield from _changes(f"{place}.{key}" if place else key, before.get(key, _ABSENT), now.get(key, _ABSENT))
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for i, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from _changes(f"{place}.{i}", old, new)
    elif before != now:
        yield f"  {place}: was {_short(before)}, now {_short(now)}"


def _short(value: Any) -> str:
    text = "absent" if value is _ABSENT else canonical_json(value)
    return text if len(text) <= 120 else text[:117] + "..."
