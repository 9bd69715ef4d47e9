"""F1 and F9: a commit that is killed or fails at every system call, and checkpoints that were damaged afterwards."""

import contextlib
import json
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from commit_once import commit
from trials import TIMEOUT, Campaign, Result

from bimed_dist.errors import CheckpointError
from bimed_dist.pretraining import checkpoints

SYSTEM_CALLS = "mkdir,write,fsync,rename,unlink,unlinkat,rmdir"


def crash_points(campaign: Campaign, patch: str = "") -> Iterator[Result]:
    """F1: every system call of a commit killed, or failing with EIO or ENOSPC, on either rank."""
    result = Result("F1 system calls of a commit")
    base = campaign.folder / "f1"
    pristine = base / "pristine"
    shutil.rmtree(base, ignore_errors=True)
    pristine.mkdir(parents=True)
    codes, _ = _commit(pristine, 5, base, "", patch)
    result.check(codes == [0, 0], f"the first commit ended with {codes}")
    for traced in (0, 1):
        again = base / f"count-{traced}"
        shutil.copytree(pristine, again)
        codes, calls = _commit(again, 10, base, f"trace={SYSTEM_CALLS}", patch, traced)
        result.check(codes == [0, 0] and _valid(again) == 10, f"without a fault: {codes}")
        if traced == 0:
            result.check(*_order_of(calls))
        for number in range(1, len(calls) + 1):
            for fault in ("signal=KILL", "error=EIO", "error=ENOSPC"):
                target = base / "target"
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(pristine, target)
                codes, _ = _commit(target, 10, base, f"inject={SYSTEM_CALLS}:{fault}:when={number}", patch, traced)
                where = f"rank {traced}, call {number} ({calls[number - 1][:60]}), {fault}: {codes}"
                valid = _valid(target)
                result.check(valid in (5, 10), f"{where}: no valid checkpoint is left")
                result.check(valid == 10 or codes != [0, 0], f"{where}: reported as committed, but is not")
                codes, _ = _commit(target, 15, base, "", patch)
                result.check(codes == [0, 0] and _valid(target) == 15, f"{where}: the next commit failed, {codes}")
                result.trials += 1
    yield result


def _commit(
    parent: Path, step: int, base: Path, trace: str, patch: str, traced: int = 0
) -> tuple[list[int], list[str]]:
    checkpoints.remove_unfinished(parent)
    log = base / "strace"
    codes = commit(parent, step, patch, trace=trace, traced=traced, log=log)
    calls = [line for line in log.read_text().splitlines() if "(" in line] if trace else []
    return codes, calls


def _order_of(calls: list[str]) -> tuple[bool, str]:
    """Return whether files and folder are synced before the rename, and the parent after it, which kills don't show."""
    names = [re.match(r"(\w+)\(", call).group(1) + " " + call for call in calls if re.match(r"\w+\(", call)]
    renames = [i for i, name in enumerate(names) if name.startswith("rename") and '.partial", "' in name]
    syncs = [i for i, name in enumerate(names) if name.startswith("fsync")]
    final = next(
        (i for i in renames if re.search(r'step-\d+", *"?|step-\d+"\)', names[i]) and "MANIFEST" not in names[i]), -1
    )
    before, after = [i for i in syncs if i < final], [i for i in syncs if i > final]
    manifest_file = any("MANIFEST" in names[i] for i in before)
    share, folder = any("/rank-" in names[i] for i in before), any(names[i].endswith(".partial>) = 0") for i in before)
    right = final >= 0 and manifest_file and share and folder and bool(after)
    return (
        right,
        f"not synced in the right order: manifest {manifest_file}, share {share}, folder {folder}, parent {after}",
    )


def _valid(parent: Path) -> int:
    with contextlib.suppress(CheckpointError):
        found = checkpoints.newest(parent)
        return found[1]["step"] if found else 0
    return -1


def damaged_checkpoints(campaign: Campaign, patch: str = "") -> Iterator[Result]:
    """F9: bits flipped, bytes cut, files gone: never loaded; the one before is loaded, with a warning."""
    result = Result("F9 damaged checkpoints")
    work = campaign.fresh("f9")
    job = work.start({"steps": 8, "checkpoint_every": 4, "validate_every": 10**6}, 2, "zero2")
    result.check(job.wait(TIMEOUT) == [0, 0], job.output()[-1500:])
    parent = work.run / "checkpoints"
    newest = parent / "step-00000008"
    before_check = checkpoints.verify
    exec(patch, {"checkpoints": checkpoints})
    messages: list[str] = []
    checkpoints._log.addFilter(lambda record: messages.append(record.getMessage()) or False)
    for trial in range(campaign.times(500)):
        path = campaign.random.choice(sorted(newest.iterdir()))
        if campaign.random.random() < 0.1:
            what, before = "no file", path.read_bytes()
            path.unlink()
        else:
            what, before = damage(campaign.random, path)
        messages.clear()
        found, _ = checkpoints.newest(parent)
        same = path.name == checkpoints.CHECKPOINT_RECORD and path.is_file() and _same_json(path, before)
        path.write_bytes(before)
        if same:  # a changed space may leave the same JSON
            continue
        right = found.name == "step-00000004" and "falling back" in "".join(messages)
        result.check(right, f"trial {trial}: {what} of {path.name} gave {found.name}, {messages}")
        result.trials += 1
    checkpoints.verify = before_check
    checkpoints._log.filters.clear()
    yield result


def _same_json(path: Path, before: bytes) -> bool:
    try:
        return json.loads(path.read_text(encoding="utf-8")) == json.loads(before)
    except ValueError:
        return False


def damage(chance: random.Random, path: Path) -> tuple[str, bytes]:
    before = path.read_bytes()
    if chance.random() < 0.3:
        place = chance.randrange(len(before))
        path.write_bytes(before[:place])
        return f"cut at {place}", before
    place, bit = chance.randrange(len(before)), chance.randrange(8)
    content = bytearray(before)
    content[place] ^= 1 << bit
    path.write_bytes(content)
    return f"bit {bit} of byte {place}", before
