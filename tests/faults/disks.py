"""F6, F7, F8: a file system that fills up, a read-only one, and damaged shards."""

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

from commits import damage
from trials import TIMEOUT, Campaign, Result, Work, until

from bimed_dist import manifest
from bimed_dist.errors import BimedError


def full_disks(campaign: Campaign) -> Iterator[Result]:
    """F6: a file system that fills up at a random moment; an error on all ranks, and a resume after space is freed."""
    result = Result("F6 full disk", notes={"most_seconds": 0.0})
    options = {"steps": 10**5, "checkpoint_every": 10, "validate_every": 10**6}
    for trial in range(campaign.times(30)):
        engine, processes = campaign.engine("single", "ddp", "zero2", "zero3")
        with _small_disk(campaign, "f6") as work:
            job = work.start(options, processes, engine, ledger=False)
            until(lambda w=work, j=job: w.newest_step() > 0 or not j.running(), 0.02)
            time.sleep(campaign.random.random() * 0.5)
            filler, left = work.folder / "filler", campaign.random.randrange(600_000)
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while shutil.disk_usage(work.folder).free > left:
                    file.write(b"\0" * 4096)
            start = time.monotonic()
            codes = job.wait(TIMEOUT)
            seconds = time.monotonic() - start
            said = job.output()
            right = set(codes) <= {2, 4} and seconds < 30 and "No space left on device" in said
            right = right and said.count("error: ") == processes and work.newest_step() > 0
            result.check(right, f"trial {trial}, {engine}: {codes} in {seconds:.1f} s\n{said[-1500:]}")
            before = work.newest_step()
            filler.unlink()
            more = work.start(options, processes, engine, ledger=False)
            until(lambda w=work, j=more, b=before: w.newest_step() > b or not j.running(), 0.02)
            more.kill(signal.SIGKILL)
            more.wait(30)
            result.check(work.newest_step() > before, f"trial {trial}: no resume\n{more.output()[-1500:]}")
        result.largest("most_seconds", round(seconds, 2))
        result.trials += 1
    yield result


def read_only(campaign: Campaign) -> Iterator[Result]:
    """F7: a work folder that can't be written to: an error on all ranks before the first step."""
    result = Result("F7 read-only folder")
    options = {"steps": 10**5, "validate_every": 10**6}
    for trial in range(campaign.times(20)):
        engine, processes = campaign.engine("single", "ddp", "zero1", "zero2", "zero3")
        with _small_disk(campaign, "f7") as work:
            began = campaign.random.random() < 0.5  # of a run with checkpoints, or of none
            if began:
                job = work.start({**options, "checkpoint_every": 5}, processes, engine, ledger=False)
                until(lambda w=work, j=job: w.newest_step() > 0 or not j.running(), 0.02)
                job.kill(signal.SIGKILL)
                job.wait(30)
            before = work.newest_step()
            subprocess.run(["mount", "-o", "remount,ro", work.folder], check=True)
            job = work.start({**options, "checkpoint_every": 5}, processes, engine, ledger=False)
            codes, said = job.wait(TIMEOUT), job.output()
            right = set(codes) == {2} and said.count("error: [Errno 30] Read-only file system") == processes
            right = right and "steps 1 to" not in said and work.newest_step() == before
            result.check(right, f"trial {trial}, {engine}, began {began}: {codes}\n{said[-1500:]}")
        result.trials += 1
    yield result


@contextlib.contextmanager
def _small_disk(campaign: Campaign, name: str) -> Iterator[Work]:
    """A work folder on a file system of 30 MB."""
    plain = campaign.fresh(name)
    small = plain.folder / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=30m", "tmpfs", small], check=True)
    try:
        shutil.copytree(plain.folder / "work", small / "work")
        yield Work(campaign, plain.recipe, small)
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def damaged_shards(campaign: Campaign) -> Iterator[Result]:
    """F8: bits flipped in, and bytes cut from, every kind of file of the shards."""
    result = Result("F8 damaged shards")
    work = campaign.fresh("f8")
    folder = work.folder / "work" / "shards" / "tokens"
    files = [folder / name for name in manifest.read_manifest(folder).files]
    for trial in range(campaign.times(1500)):
        path = campaign.random.choice(files)
        what, before = damage(campaign.random, path)
        try:
            manifest.verified(folder)
            result.check(False, f"trial {trial}: {what} of {path.name} was not noticed")
        except BimedError:
            pass
        path.write_bytes(before)
        result.trials += 1
    manifest.verified(folder)
    yield result
