"""F2, F5, F11: processes that are killed, by SIGKILL, with their launcher, or by the kernel for lack of memory."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import patches
import psutil
from trials import TIMEOUT, Campaign, Result, processes_of, until

MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")
"""Control groups of version 1."""
SHORT = {"steps": 12, "checkpoint_every": 3, "validate_every": 10**6, "global_batch": 12}


def random_kills(
    campaign: Campaign, patch: str = "", engines: tuple[str, ...] = (), kills: int = 0
) -> Iterator[Result]:
    """F2: SIGKILL to one rank or to all, at random moments and inside saves; the run ends as if never killed."""
    shares = {"single": 80, "ddp": 60, "zero2": 30, "zero3": 30}
    for engine in engines or shares:
        number = kills or campaign.times(shares[engine])
        processes = processes_of(engine)
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
            until(lambda w=work, j=job, c=count: len(w.steps_made()) > c or not j.running(), 0.02)
            if inside:
                until(lambda w=work, j=job: w.partial() or not j.running(), 0.0005)
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


def killed_launchers(campaign: Campaign) -> Iterator[Result]:
    """F5: SIGKILL to `accelerate launch` at a random moment: no process is left after 5 s, and nothing in /dev/shm."""
    result = Result("F5 killed launcher", notes={"most_seconds": 0.0})
    options = {"steps": 10**5, "checkpoint_every": 20, "validate_every": 10**6}
    for trial in range(campaign.times(30)):
        launcher = campaign.random.choice(["cpu_ddp.yaml", "cpu.yaml", "cpu_zero3.yaml"])
        work, shared_memory = campaign.fresh("f5"), set(os.listdir("/dev/shm"))
        process, log = work.launch(options, launcher)
        moment = campaign.random.choice(["while it imports", "while it trains"])
        if moment == "while it trains":
            until(lambda w=work, p=process: w.newest_step() > 0 or p.poll() is not None, 0.05)
        time.sleep(campaign.random.uniform(*((0.5, 8) if moment == "while it imports" else (0, 1))))
        ranks = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait(10)
        start = time.monotonic()
        _, alive = psutil.wait_procs(ranks, timeout=5)
        seconds = time.monotonic() - start
        left = set(os.listdir("/dev/shm")) - shared_memory
        where = f"trial {trial}, {launcher}, {moment}"
        result.check(not alive and not left, f"{where}: {len(alive)} processes and {left} are left\n{log.read_text()}")
        for other in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                other.kill()
        result.largest("most_seconds", round(seconds, 2))
        result.trials += 1
    yield result


def out_of_memory(campaign: Campaign) -> Iterator[Result]:
    """F11: the kernel kills a rank whose control group has no memory left; the run ends as if never killed."""
    result = Result("F11 killed for lack of memory")
    expected = {}
    for trial in range(campaign.times(30)):
        engine, processes = campaign.engine("single", "ddp", "zero2", "zero3")
        if engine not in expected:
            whole = campaign.fresh(f"f11-{engine}-whole")
            result.check(not any(whole.start(SHORT, processes, engine).wait(TIMEOUT)), "the run without faults failed")
            expected[engine] = whole.digest()
        rank, step = campaign.random.randrange(processes), campaign.random.randrange(1, 12)
        work = campaign.fresh("f11")
        with _memory_group(campaign.random) as group:
            patch = patches.NO_MEMORY_AT.format(step=step, rank=rank, group=group)
            job = work.start(SHORT, processes, engine, patch)
            codes = job.wait(TIMEOUT)
            kills = int((group / "memory.oom_control").read_text().split("oom_kill ")[1])
        where = f"trial {trial}, {engine}, rank {rank}, step {step}"
        right = codes[rank] == -9 and set(codes) <= {-9, 4} and kills == 1
        result.check(right, f"{where}: {codes}, {kills} kills for memory\n{job.output()[-1500:]}")
        codes = work.start(SHORT, processes, engine).wait(TIMEOUT)
        result.check(not any(codes), f"{where}: the next run ended with {codes}")
        if not any(codes):
            result.check(work.digest() == expected[engine], f"{where}: weights differ from those never killed")
            work.ledger(result, SHORT)
        result.trials += 1
    yield result


@contextlib.contextmanager
def _memory_group(chance: random.Random) -> Iterator[Path]:
    """A control group with room for 50 MB of what its processes take from now on."""
    group = MEMORY_GROUPS / f"campaign-{chance.getrandbits(48):x}"
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(str(50 * 2**20))
    try:
        yield group
    finally:
        until(lambda: not (group / "cgroup.procs").read_text(), 0.05)
        group.rmdir()
