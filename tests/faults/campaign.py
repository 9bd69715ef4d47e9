"""The fault campaign: break a training job in every way named in docs/reliability.md and count what was lost.

    python tests/faults/campaign.py --folder /tmp/campaign [--only F2 --only F9] [--scale 0.1] [--seed 1]

Ends with a table and `results.json`; exit code 1 where anything failed. `--scale` multiplies the numbers of random
faults; enumerated ones are always all of them. Linux; strace for F1, root for F6.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent), str(ROOT / "tests" / "pretraining")]

import mutants  # noqa: E402
import patches  # noqa: E402
from forks import Forks, Job  # noqa: E402

from bimed_dist import manifest  # noqa: E402
from bimed_dist.config import load_recipe  # noqa: E402
from bimed_dist.errors import BimedError, CheckpointError  # noqa: E402
from bimed_dist.pretraining import checkpoints  # noqa: E402
from bimed_dist.shards.batches import RowStream, locate_step, step_rows  # noqa: E402
from bimed_dist.shards.reading import ShardSet  # noqa: E402

TIMEOUT = 300
SYSTEM_CALLS = "mkdir,write,fsync,rename,unlink,unlinkat,rmdir"


@dataclass
class Result:
    fault: str
    trials: int = 0
    failures: list[str] = field(default_factory=list)
    notes: dict[str, float] = field(default_factory=dict)

    stop_at_first: ClassVar[bool] = False

    def check(self, right: bool, otherwise: str) -> None:
        if not right:
            self.failures.append(otherwise)
            if self.stop_at_first:
                raise FoundError(otherwise)


class FoundError(Exception):
    """A mutant is found; the rest need not run."""


class Campaign:
    def __init__(self, folder: Path, seed: int, scale: float) -> None:
        self.folder, self.seed, self.scale = folder, seed, scale
        self.random = random.Random(seed)
        spec = importlib.util.spec_from_file_location("conftest", ROOT / "tests" / "pretraining" / "conftest.py")
        self._recipe = importlib.util.module_from_spec(spec)
        sys.modules["conftest"] = self._recipe  # its dataclass looks itself up
        spec.loader.exec_module(self._recipe)
        self._forks: Forks | None = None

    def times(self, number: int) -> int:
        return max(1, round(number * self.scale))

    @property
    def forks(self) -> Forks:
        if self._forks is None:
            self._forks = Forks(self.folder / "logs")
        return self._forks

    def prepared(self) -> tuple[Path, Path]:
        """The recipe and a work folder with everything before pre-training."""
        base = self.folder / "prepared"
        path, work = base / "recipe.yaml", base / "work"
        if not path.is_file():
            shutil.rmtree(base, ignore_errors=True)
            base.mkdir(parents=True)
            text = json.dumps(self._recipe.RECIPE)  # JSON is YAML
            (base / "unfinished.yaml").write_text(text, encoding="utf-8")
            recipe = load_recipe(base / "unfinished.yaml")
            for stage, name in self._recipe.stage_order(recipe):
                if stage in self._recipe.STAGES:
                    self._recipe.STAGES[stage].run(recipe, name, work)
            (base / "unfinished.yaml").rename(path)
        return path, work

    def fresh(self, name: str) -> "Work":
        path, work = self.prepared()
        target = self.folder / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(work, target / "work")
        return Work(self, path, target)


@dataclass
class Work:
    campaign: Campaign
    recipe: Path
    folder: Path

    @property
    def run(self) -> Path:
        return self.folder / "work" / "pretraining" / "run"

    def start(
        self,
        options: dict[str, object],
        processes: int = 1,
        engine: str = "single",
        patch: str = "",
        ledger: bool = True,
    ) -> Job:
        arguments = [str(self.recipe), "--work", str(self.folder / "work"), "--resume", "auto"]
        for name, value in options.items():
            arguments += ["--set", f"pretraining.run.{name}={value}"]
        text = patches.LEDGER.format(path=self.folder / "rows") if ledger else ""
        return self.campaign.forks.start(arguments, processes, engine, text + patch)

    def digest(self) -> str:
        return hashlib.sha256((self.run / "export" / "model.safetensors").read_bytes()).hexdigest()

    def partial(self) -> bool:
        return any((self.run / "checkpoints").glob("step-*.partial"))

    def newest_step(self) -> int:
        with contextlib.suppress(CheckpointError):
            found = checkpoints.newest(self.run / "checkpoints")
            return found[1]["step"] if found else 0
        return -1

    def steps_made(self) -> list[dict]:
        lines = []
        for path in sorted(self.folder.glob("rows.*")):
            for line in path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError):  # cut off by a kill
                    lines.append(json.loads(line))
        return lines

    def ledger(self, result: Result, options: dict[str, object]) -> None:
        """Every row of every step exactly once: the union over ranks of what was trained is what the plan says."""
        recipe = load_recipe(self.recipe, [f"pretraining.run.{k}={v}" for k, v in options.items()])
        settings = recipe.pretraining["run"]
        stream = RowStream(
            ShardSet.open(self.folder / "work" / "shards" / "tokens", "train"), settings, seed=recipe.seed
        )
        parts: dict[tuple[int, int], dict[int, list[int]]] = {}
        for line in self.steps_made():
            parts.setdefault((line["step"], line["world_size"]), {})[line["rank"]] = line["rows"]
        made: dict[int, list[int]] = {}
        for (step, world_size), ranks in parts.items():
            if len(ranks) == world_size:
                rows = sorted(row for part in ranks.values() for row in part)
                result.check(made.setdefault(step, rows) == rows, f"step {step} was trained on other rows before")
        for step in range(settings.steps):
            epoch, place = locate_step(step, stream.num_rows, settings.global_batch)
            expected = sorted(map(int, step_rows(stream.plan(epoch).order, place, settings.global_batch)))
            result.check(made.get(step) == expected, f"step {step}: rows lost or repeated")


# ----------------------------------------------------------------------------------------------------------- the faults


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
                result.check(valid == 10 or codes != [0, 0], f"{where}: said to be committed, but is not")
                codes, _ = _commit(target, 15, base, "", patch)
                result.check(codes == [0, 0] and _valid(target) == 15, f"{where}: the next commit failed, {codes}")
                result.trials += 1
    yield result


def _commit(
    parent: Path, step: int, base: Path, trace: str, patch: str, traced: int = 0
) -> tuple[list[int], list[str]]:
    checkpoints.remove_unfinished(parent)
    pair = socket.socketpair()
    log = base / "strace"
    environment = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}
    started = []
    for rank in (0, 1):
        command = [sys.executable, __file__.replace("campaign.py", "commit_once.py"), str(parent), str(step), str(rank)]
        command += [str(pair[rank].fileno()), patch]
        if trace and rank == traced:
            command = ["strace", "-y", "-s", "0", "-o", str(log), "-e", trace, *command]
        started.append(
            subprocess.Popen(
                command, pass_fds=[pair[rank].fileno()], env=environment, stderr=subprocess.DEVNULL, cwd=ROOT
            )
        )
    for end in pair:
        end.close()
    codes = [process.wait(60) for process in started]
    calls = [line for line in log.read_text().splitlines() if "(" in line] if trace else []
    return codes, calls


def _order_of(calls: list[str]) -> tuple[bool, str]:
    """Whether files and folder are synced before the rename, and the parent after it: a kill can't tell."""
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


def random_kills(
    campaign: Campaign, patch: str = "", engines: tuple[str, ...] = (), kills: int = 0
) -> Iterator[Result]:
    """F2: SIGKILL to one rank or to all, at random moments and inside saves; the run ends as if never killed."""
    shares = {"single": 80, "ddp": 60, "zero2": 30, "zero3": 30}
    for engine in engines or shares:
        number = kills or campaign.times(shares[engine])
        processes = 1 if engine == "single" else 2
        result = Result(f"F2 kill -9, {engine}", notes={"inside_a_save": 0, "one_rank": 0})
        options = {"steps": 12 * number + 12, "checkpoint_every": 5, "validate_every": 10**6, "global_batch": 12}
        whole = campaign.fresh(f"f2-{engine}-whole")
        code = whole.start(options, processes, engine, patch).wait(TIMEOUT)
        result.check(not any(code), f"the run without faults ended with {code}")
        work = campaign.fresh(f"f2-{engine}")
        most_lost = 0
        for trial in range(number):
            reached = max((line["step"] for line in work.steps_made()), default=-1)
            count = len(work.steps_made())
            job = work.start(options, processes, engine, patch)
            inside = trial % 2 == 0
            _until(lambda w=work, j=job, c=count: len(w.steps_made()) > c or not j.running(), 0.02)
            if inside:
                _until(lambda w=work, j=job: w.partial() or not j.running(), 0.0005)
            time.sleep(campaign.random.random() * (0.03 if inside else 0.6))
            during = work.partial()
            one = processes > 1 and campaign.random.random() < 0.5
            job.kill(signal.SIGKILL, [campaign.random.randrange(processes)] if one else None)
            codes = job.wait(TIMEOUT)
            result.trials += 1
            result.notes["inside_a_save"] += during
            result.notes["one_rank"] += one
            result.check(set(codes) <= {-9, 4} or not any(codes), f"trial {trial}: {codes}\n{job.output()[-2000:]}")
            first = min((line["step"] for line in work.steps_made()[count:]), default=None)
            valid = work.newest_step()
            result.check(valid >= 0, f"trial {trial}: no valid checkpoint")
            if first is not None and trial:
                most_lost = max(most_lost, reached + 1 - first)
            if not any(codes):
                break
        result.notes["most_steps_done_again"] = most_lost
        result.check(most_lost <= 2 * 5, f"{most_lost} steps were lost at an interval of 5")
        codes = work.start(options, processes, engine, patch).wait(TIMEOUT)
        result.check(not any(codes), f"the last run ended with {codes}")
        if not any(codes):
            result.check(work.digest() == whole.digest(), "weights differ from those of the run never killed")
            work.ledger(result, options)
        yield result


def _until(condition: Callable[[], bool], pause: float) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the campaign waited in vain")
        time.sleep(pause)


def stop_signals(campaign: Campaign) -> Iterator[Result]:
    """F3: SIGTERM, SIGINT or SIGUSR1 to one rank at a random moment: a commit and exit code 75 in 25 s."""
    result = Result("F3 stop signals", notes={"most_seconds": 0.0})
    options = {"steps": 10**5, "checkpoint_every": 50, "validate_every": 10**6}
    for trial in range(campaign.times(50)):
        engine = campaign.random.choice(["single", "ddp", "zero2", "zero3"])
        processes = 1 if engine == "single" else 2
        work = campaign.fresh("f3")
        job = work.start(options, processes, engine)
        _until(lambda w=work, j=job: w.steps_made() or not j.running(), 0.02)
        time.sleep(campaign.random.random())
        job.kill(
            campaign.random.choice([signal.SIGTERM, signal.SIGINT, signal.SIGUSR1]),
            [campaign.random.randrange(processes)],
        )
        start = time.monotonic()
        codes = job.wait(TIMEOUT)
        seconds = time.monotonic() - start
        last = max(line["step"] for line in work.steps_made())
        right = set(codes) == {75} and seconds < 25 and work.newest_step() == last + 1
        result.check(
            right, f"trial {trial}, {engine}: {codes} in {seconds:.1f} s, step {work.newest_step()} of {last + 1}"
        )
        result.notes["most_seconds"] = max(result.notes["most_seconds"], round(seconds, 2))
        result.trials += 1
    yield result


def stopped_ranks(campaign: Campaign) -> Iterator[Result]:
    """F4: SIGSTOP to one rank: named, and the job over within the timeout plus 10 s."""
    limit = 15
    result = Result("F4 SIGSTOP", notes={"timeout": limit, "most_seconds": 0.0})
    options = {"steps": 10**5, "checkpoint_every": 50, "validate_every": 10**6, "lost_after": limit}
    for trial in range(campaign.times(30)):
        engine = campaign.random.choice(["ddp", "zero2", "zero3"])
        work = campaign.fresh("f4")
        job = work.start(options, 2, engine)
        _until(lambda w=work, j=job: w.steps_made() or not j.running(), 0.02)
        time.sleep(campaign.random.random())
        rank = campaign.random.randrange(2)
        job.kill(signal.SIGSTOP, [rank])
        start = time.monotonic()
        codes = job.wait(TIMEOUT) if rank == 1 else _wait_without(job, rank)
        seconds = time.monotonic() - start
        # Rank 0 holds the store here, as it does without torchrun's agent; then it is the store that is named.
        named = f"rank 1 (process {job.pids[1]} on" if rank == 1 else "the job's store at 127.0.0.1"
        right = codes[1 - rank] == 4 and seconds < limit + 10 and named in job.output()
        result.check(right, f"trial {trial}, {engine}, rank {rank}: {codes} in {seconds:.1f} s\n{job.output()[-1500:]}")
        result.notes["most_seconds"] = max(result.notes["most_seconds"], round(seconds, 2))
        result.trials += 1
    yield result


def _wait_without(job: Job, rank: int) -> list[int]:
    """Wait for all but a stopped rank, which no launcher ends here."""
    _until(lambda: set(job.running()) <= {rank}, 0.01)
    job.kill(signal.SIGKILL, [rank])
    return job.wait(10)


def full_disks(campaign: Campaign) -> Iterator[Result]:
    """F6: a file system that fills up at a random moment; an error on all ranks, and a resume after room was made."""
    result = Result("F6 full disk", notes={"most_seconds": 0.0})
    options = {"steps": 10**5, "checkpoint_every": 10, "validate_every": 10**6}
    for trial in range(campaign.times(30)):
        engine = campaign.random.choice(["single", "ddp", "zero2", "zero3"])
        processes = 1 if engine == "single" else 2
        work = campaign.fresh("f6")
        plain, small = work.folder / "work", work.folder / "small"
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=30m", "tmpfs", small], check=True)
        try:
            shutil.copytree(plain, small / "work")
            work = Work(campaign, work.recipe, small)
            job = work.start(options, processes, engine, ledger=False)
            _until(lambda w=work, j=job: w.newest_step() > 0 or not j.running(), 0.02)
            time.sleep(campaign.random.random() * 0.5)
            left = campaign.random.randrange(600_000)
            with (small / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while shutil.disk_usage(small).free > left:
                    file.write(b"\0" * 4096)
            start = time.monotonic()
            codes = job.wait(TIMEOUT)
            seconds = time.monotonic() - start
            said = job.output()
            right = set(codes) <= {2, 4} and seconds < 30 and "No space left on device" in said
            right = right and said.count("error: ") == processes and work.newest_step() > 0
            result.check(right, f"trial {trial}, {engine}: {codes} in {seconds:.1f} s\n{said[-1500:]}")
            before = work.newest_step()
            (small / "filler").unlink()
            more = work.start(options, processes, engine, ledger=False)
            _until(lambda w=work, j=more, b=before: w.newest_step() > b or not j.running(), 0.02)
            more.kill(signal.SIGKILL)
            more.wait(30)
            result.check(work.newest_step() > before, f"trial {trial}: no resume\n{more.output()[-1500:]}")
        finally:
            subprocess.run(["umount", "-l", small], check=True)
        result.notes["most_seconds"] = max(result.notes["most_seconds"], round(seconds, 2))
        result.trials += 1
    yield result


def damaged_shards(campaign: Campaign) -> Iterator[Result]:
    """F8: bits flipped in, and bytes cut from, every kind of file of the shards."""
    result = Result("F8 damaged shards")
    work = campaign.fresh("f8")
    folder = work.folder / "work" / "shards" / "tokens"
    files = [folder / name for name in manifest.read_manifest(folder).files]
    for trial in range(campaign.times(1500)):
        path = campaign.random.choice(files)
        what, before = _damage(campaign.random, path)
        try:
            manifest.verified(folder)
            result.check(False, f"trial {trial}: {what} of {path.name} was not noticed")
        except BimedError:
            pass
        path.write_bytes(before)
        result.trials += 1
    manifest.verified(folder)
    yield result


def _damage(chance: random.Random, path: Path) -> tuple[str, bytes]:
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


def damaged_checkpoints(campaign: Campaign, patch: str = "") -> Iterator[Result]:
    """F9: bits flipped, bytes cut, files gone: never believed, the one before is found, and the log says so."""
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
            what, before = _damage(campaign.random, path)
        messages.clear()
        found, _ = checkpoints.newest(parent)
        same = path.name == checkpoints.MANIFEST and path.is_file() and _same_json(path, before)
        path.write_bytes(before)
        if same:  # a blank that became another blank says the same
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


def resume_everywhere(campaign: Campaign, patch: str = "", engines: tuple[str, ...] = ()) -> Iterator[Result]:
    """F13: a run continued from each of its steps, bit by bit the same; then continued again and again."""
    for engine in engines or ("single", "ddp", "zero1", "zero2", "zero3"):
        processes = 1 if engine == "single" else 2
        result = Result(f"F13 resume at every step, {engine}")
        options = {"steps": 10, "checkpoint_every": 1, "keep_checkpoints": 20, "validate_every": 10**6}
        whole = campaign.fresh(f"f13-{engine}-whole")
        codes = whole.start(options, processes, engine, patch).wait(TIMEOUT)
        result.check(not any(codes), f"the whole run ended with {codes}")
        whole.ledger(result, options)
        steps = range(1, 10) if campaign.scale >= 1 else campaign.random.sample(range(1, 10), campaign.times(9))
        for step in steps:
            work = campaign.fresh(f"f13-{engine}")
            shutil.copytree(whole.run, work.run)
            for left in ("manifest.json", "export", *(f"checkpoints/step-{n:08d}" for n in range(step + 1, 11))):
                path = work.run / left
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            codes = work.start(options, processes, engine, patch).wait(TIMEOUT)
            same = not any(codes) and work.digest() == whole.digest()
            first = min(line["step"] for line in work.steps_made()) if work.steps_made() else None
            result.check(same and first == step, f"from step {step}: {codes}, first step {first}, same weights {same}")
            result.trials += 1
        yield result


def other_sizes(campaign: Campaign) -> Iterator[Result]:
    """F14: killed and continued at random numbers of processes and stages; the rows of a run on one process."""
    result = Result("F14 other numbers of processes", notes={"largest_difference": 0.0})
    options = {"steps": 20, "global_batch": 12, "micro_batch": 3, "dropout": 0.0, "checkpoint_every": 2}
    options["validate_every"] = 10**6
    whole = campaign.fresh("f14-whole")
    result.check(whole.start(options).wait(TIMEOUT) == [0], "the whole run failed")
    from safetensors.torch import load_file

    expected = load_file(whole.run / "export" / "model.safetensors")
    for trial in range(campaign.times(20)):
        work, places = campaign.fresh("f14"), []
        for end in (*sorted(campaign.random.sample(range(3, 20), 3)), None):
            engine = campaign.random.choice(["single", "ddp", "zero1", "zero2", "zero3"])
            processes = 1 if engine == "single" else campaign.random.choice([2, 3, 4])
            places.append(f"{engine} x {processes}")
            patch = patches.KILL_AT.format(step=end) if end else ""
            codes = work.start(options, processes, engine, patch).wait(TIMEOUT)
            result.check(bool(end) or not any(codes), f"trial {trial}: {places}: {codes}")
        if (work.run / "export").is_dir():
            found = load_file(work.run / "export" / "model.safetensors")
            difference = max(float((found[name] - expected[name]).abs().max()) for name in expected)
            result.notes["largest_difference"] = max(result.notes["largest_difference"], difference)
            result.check(difference < 1e-5, f"trial {trial}: {places}: weights differ by {difference}")
            work.ledger(result, options)
        result.trials += 1
    yield result


def killed_mutants(campaign: Campaign) -> Iterator[Result]:
    """F16: with a safeguard taken out the campaign must fail; a mutant that passes is a failure here."""
    result = Result("F16 mutants")
    small = Campaign(campaign.folder / "mutants", campaign.seed, min(campaign.scale, 0.1))
    small._forks = campaign.forks
    small.prepared()
    trials = {
        "commit": lambda text: crash_points(small, text),
        "check": lambda text: damaged_checkpoints(small, text),
        "training": lambda text: resume_everywhere(small, text, engines=("ddp",)),
    }
    for name, (where, text) in mutants.MUTANTS.items():
        before = checkpoints.verify
        try:
            Result.stop_at_first = True
            list(trials[where](text))
            found = None
        except FoundError as failure:
            found = str(failure).splitlines()[0]
        finally:
            Result.stop_at_first, checkpoints.verify = False, before
        print(f"  {name}: {found}", flush=True)
        result.check(found is not None, f"the campaign passes with {name}")
        result.trials += 1
    yield result


FAULTS: dict[str, Callable[[Campaign], Iterator[Result]]] = {
    "F1": crash_points, "F2": random_kills, "F3": stop_signals, "F4": stopped_ranks, "F6": full_disks,
    "F8": damaged_shards, "F9": damaged_checkpoints, "F13": resume_everywhere, "F14": other_sizes,
    "F16": killed_mutants,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--only", action="append", choices=list(FAULTS))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    campaign = Campaign(chosen.folder.absolute(), chosen.seed, chosen.scale)
    campaign.folder.mkdir(parents=True, exist_ok=True)
    campaign.prepared()
    results = []
    for name in chosen.only or FAULTS:
        for result in FAULTS[name](campaign):
            results.append(result)
            bound = f"{3 / result.trials:.2%}" if result.trials >= 3 and not result.failures else "-"
            notes = ", ".join(f"{key} {value:g}" for key, value in result.notes.items())
            print(
                f"{result.fault}: {result.trials} trials, {len(result.failures)} failures, bound {bound}; {notes}",
                flush=True,
            )
            for failure in result.failures[:5]:
                print(f"  {failure}", flush=True)
            text = json.dumps(
                {"seed": chosen.seed, "scale": chosen.scale, "results": [vars(r) for r in results]}, indent=1
            )
            (campaign.folder / "results.json").write_text(text, encoding="utf-8")
    sys.exit(any(result.failures for result in results))


if __name__ == "__main__":
    main()
