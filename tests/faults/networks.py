"""F12: two machines, made of network namespaces, whose link is cut."""

import subprocess
import time
from collections.abc import Iterator

import two_machines as machines
from trials import TIMEOUT, Campaign, Result, Work, until

HEARTBEAT_TIMEOUT = 15
LAUNCHERS = {"multi_node.yaml": "ddp", "multi_node_zero2.yaml": "zero2"}
"""File of ds_configs/accelerate -> engine."""
OPTIONS = {
    "steps": 400,
    "checkpoint_every": 20,
    "validate_every": 10**6,
    "heartbeat_timeout_seconds": HEARTBEAT_TIMEOUT,
}


def cut_links(campaign: Campaign) -> Iterator[Result]:
    """Both sides end within the timeout plus 10 s, and the next launch ends with the weights of a run never cut."""
    result = Result("F12 cut link", notes={"timeout": HEARTBEAT_TIMEOUT, "most_seconds": 0.0})
    expected = {}
    for launcher, engine in LAUNCHERS.items():
        whole = campaign.fresh("f12-whole")
        result.check(whole.start(OPTIONS, 2, engine).wait(TIMEOUT) == [0, 0], f"{engine} without faults failed")
        expected[launcher] = whole.digest()
    for trial in range(campaign.times(20)):
        work, launcher = campaign.fresh("f12"), campaign.random.choice(list(LAUNCHERS))
        with machines.network():
            started = _launch(work, launcher)
            until(lambda w=work, s=started: w.newest_step() > 0 or not _all_run(s), 0.05)
            time.sleep(campaign.random.random() * 2)
            machines.cut()
            start = time.monotonic()
            codes = [process.wait(TIMEOUT) for process in started]
            seconds = time.monotonic() - start
            right = all(codes) and seconds < HEARTBEAT_TIMEOUT + 10
            result.check(right, f"trial {trial}: {codes} in {seconds:.1f} s\n{machines.logs(work.folder)[-1500:]}")
            machines.restore()
            codes = [process.wait(TIMEOUT) for process in _launch(work, launcher)]
        result.check(not any(codes), f"trial {trial}: the next launch ended with {codes}")
        if not any(codes):
            result.check(work.digest() == expected[launcher], f"trial {trial}: weights differ from a run never cut")
        result.largest("most_seconds", round(seconds, 2))
        result.trials += 1
    yield result


def _launch(work: Work, launcher: str) -> list[subprocess.Popen]:
    return machines.launch(work.arguments(OPTIONS), work.folder, launcher=launcher)


def _all_run(processes: list[subprocess.Popen]) -> bool:
    return all(process.poll() is None for process in processes)
