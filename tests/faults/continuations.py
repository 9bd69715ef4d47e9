"""F13, F14, F15, F17: runs that go on, from any step, elsewhere, and under other engines."""

import json
import shutil
from collections.abc import Iterator

import patches
from safetensors.torch import load_file
from trials import TIMEOUT, Campaign, Result, Work, processes_of

WEIGHTS = 1e-5
"""Largest difference of any weight after 20 steps at a learning rate of 1e-3: float32 sums in another order."""
NORMS = 1e-5
"""Relative difference of gradient norms."""
TWENTY = {"steps": 20, "global_batch": 12, "micro_batch": 3, "checkpoint_every": 2, "validate_every": 10**6}
WITHOUT_DROPOUT = {**TWENTY, "dropout": 0.0}  # which is drawn by micro-batch, and they are cut by process


def resume_everywhere(campaign: Campaign, patch: str = "", engines: tuple[str, ...] = ()) -> Iterator[Result]:
    """F13: a run continued from each of its steps, bit by bit the same; then continued again and again."""
    for engine in engines or ("single", "ddp", "zero1", "zero2", "zero3"):
        processes = processes_of(engine)
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
    whole = campaign.fresh("f14-whole")
    result.check(whole.start(WITHOUT_DROPOUT).wait(TIMEOUT) == [0], "the whole run failed")
    for trial in range(campaign.times(20)):
        places = []
        for _ in range(4):
            engine = campaign.random.choice(["single", "ddp", "zero1", "zero2", "zero3"])
            places.append((engine, 1 if engine == "single" else campaign.random.choice([2, 3, 4])))
        work = campaign.fresh("f14")
        if _moved(campaign, work, WITHOUT_DROPOUT, places, result):
            difference = _difference(work, whole)
            result.largest("largest_difference", difference)
            result.check(difference < WEIGHTS, f"trial {trial}: {places}: weights differ by {difference}")
            work.ledger(result, WITHOUT_DROPOUT)
        result.trials += 1
    yield result


def same_bytes(campaign: Campaign) -> Iterator[Result]:
    """F17: in reproducible mode, killed and continued at random numbers of processes: the bytes of one process."""
    result = Result("F17 other numbers of processes, reproducible")
    options = {**TWENTY, "global_batch": 16, "micro_batch": 2, "reproducible": "across_world_sizes"}
    whole = campaign.fresh("f17-whole")
    result.check(whole.start(options).wait(TIMEOUT) == [0], "the whole run failed")
    for trial in range(campaign.times(20)):
        sizes = [campaign.random.choice([1, 2, 4, 8]) for _ in range(4)]
        places = [("single" if size == 1 else "ddp", size) for size in sizes]
        work = campaign.fresh("f17")
        if _moved(campaign, work, options, places, result):
            result.check(work.digest() == whole.digest(), f"trial {trial}: {sizes}: weights differ")
            work.ledger(result, options)
        result.trials += 1
    yield result


def _moved(
    campaign: Campaign, work: Work, options: dict[str, object], places: list[tuple[str, int]], result: Result
) -> bool:
    """Start at each place in turn, killed at a random step at all but the last; whether the run came to its end."""
    ends = sorted(campaign.random.sample(range(3, options["steps"]), len(places) - 1))
    codes = []
    for (engine, processes), end in zip(places, [*ends, None], strict=True):
        patch = patches.KILL_AT.format(step=end) if end else ""
        job = work.start(options, processes, engine, patch)
        codes = job.wait(TIMEOUT)
    result.check(not any(codes), f"{places}: {codes}\n{job.output()[-1500:]}")
    return not any(codes)


def _difference(work: Work, other: Work) -> float:
    """The largest of any weight."""
    found, expected = (load_file(w.run / "export" / "model.safetensors") for w in (work, other))
    return max(float((found[name] - expected[name]).abs().max()) for name in expected)


def engines(campaign: Campaign) -> Iterator[Result]:
    """F15: DDP and ZeRO-1, 2, 3 on two processes train the same as one process, for three seeds."""
    result = Result("F15 engines", notes={"largest_difference": 0.0, "largest_difference_of_norms": 0.0})
    for seed in (1, 2, 3):
        alone = campaign.fresh("f15-alone")
        result.check(alone.start(WITHOUT_DROPOUT, seed=seed).wait(TIMEOUT) == [0], "one process failed")
        for engine in ("ddp", "zero1", "zero2", "zero3"):
            work = campaign.fresh("f15")
            codes = work.start(WITHOUT_DROPOUT, 2, engine, seed=seed).wait(TIMEOUT)
            result.check(not any(codes), f"{engine}, seed {seed}: {codes}")
            if not any(codes):
                difference = _difference(work, alone)
                norms = max(abs(a / b - 1) for a, b in zip(_norms(work), _norms(alone), strict=True))
                result.check(difference < WEIGHTS, f"{engine}, seed {seed}: weights differ by {difference}")
                result.check(norms < NORMS, f"{engine}, seed {seed}: norms differ by {norms}")
                for name, value in (("", difference), ("_of_norms", norms)):
                    key = f"largest_difference{name}"
                    result.largest(key, value)
            result.trials += 1
    yield result


def _norms(work: Work) -> list[float]:
    lines = map(json.loads, (work.run / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return [line["grad_norm"] for line in lines if line["kind"] == "train"]
