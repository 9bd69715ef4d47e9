"""F3 and F4: processes that are asked to stop, and processes that are stopped (SIGSTOP) and don't answer."""

import signal
import time
from collections.abc import Iterator

from forks import Job
from trials import TIMEOUT, Campaign, Result, until


def stop_signals(campaign: Campaign) -> Iterator[Result]:
    """F3: SIGTERM, SIGINT or SIGUSR1 to one rank at a random moment: a commit and exit code 75 in 25 s."""
    result = Result("F3 stop signals", notes={"most_seconds": 0.0})
    options = {"steps": 10**5, "checkpoint_every": 50, "validate_every": 10**6}
    for trial in range(campaign.times(50)):
        engine, processes = campaign.engine("single", "ddp", "zero2", "zero3")
        work = campaign.fresh("f3")
        job = work.start(options, processes, engine)
        until(lambda w=work, j=job: w.steps_made() or not j.running(), 0.02)
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
        result.largest("most_seconds", round(seconds, 2))
        result.trials += 1
    yield result


def stopped_ranks(campaign: Campaign) -> Iterator[Result]:
    """F4: SIGSTOP to one rank: named, and the job over within the timeout plus 10 s."""
    limit = 15
    result = Result("F4 SIGSTOP", notes={"timeout": limit, "most_seconds": 0.0})
    options = {"steps": 10**5, "checkpoint_every": 50, "validate_every": 10**6, "heartbeat_timeout_seconds": limit}
    for trial in range(campaign.times(30)):
        engine = campaign.random.choice(["ddp", "zero2", "zero3"])
        work = campaign.fresh("f4")
        job = work.start(options, 2, engine)
        until(lambda w=work, j=job: w.steps_made() or not j.running(), 0.02)
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
        result.largest("most_seconds", round(seconds, 2))
        result.trials += 1
    yield result


def _wait_without(job: Job, rank: int) -> list[int]:
    """Wait for all but a stopped rank, which no launcher ends here."""
    until(lambda: set(job.running()) <= {rank}, 0.01)
    job.kill(signal.SIGKILL, [rank])
    return job.wait(10)
