"""F10: a loss or gradient that is not finite on one rank: no rank changes weights; the run stops or skips the step."""

import json
from collections.abc import Iterator

import patches
import torch
from safetensors.torch import load_file
from trials import TIMEOUT, Campaign, Result, Work

OPTIONS = {"steps": 8, "checkpoint_every": 1, "keep_checkpoints": 20, "validate_every": 10**6, "global_batch": 12}


def not_a_number(campaign: Campaign) -> Iterator[Result]:
    """At a random step of a random rank, with and without leave to go on."""
    result = Result("F10 not a number", notes={"stopped": 0, "left_out": 0})
    for trial in range(campaign.times(20)):
        engine, processes = campaign.engine("single", "ddp", "zero1", "zero2", "zero3")
        step, rank = campaign.random.randrange(1, 8), campaign.random.randrange(processes)
        what, value = campaign.random.choice(["loss", "gradient"]), campaign.random.choice(["math.nan", "math.inf"])
        allowed = campaign.random.randrange(2)
        patch = patches.NOT_A_NUMBER_AT.format(step=step, rank=rank, what=what, value=value)
        work = campaign.fresh("f10")
        job = work.start({**OPTIONS, "max_skipped_steps": allowed}, processes, engine, patch)
        codes, said = job.wait(TIMEOUT), job.output()
        where = f"trial {trial}, {engine}, {what} {value}, rank {rank}, step {step}, {allowed} allowed"
        result.check(f"step {step + 1}: the {what} is not finite" in said, f"{where}: not told\n{said[-1500:]}")
        if allowed:
            result.check(not any(codes), f"{where}: {codes}")
            result.check(_skipped(work) == [step + 1], f"{where}: left out were {_skipped(work)}")
            result.check(_same(work, step), f"{where}: weights or optimizer changed")
        else:
            right = set(codes) == {3} and work.newest_step() == step
            result.check(right, f"{where}: {codes}, checkpoint {work.newest_step()}")
        result.notes["left_out" if allowed else "stopped"] += 1
        result.trials += 1
    yield result


def _skipped(work: Work) -> list[int]:
    lines = map(json.loads, (work.run / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return [line["step"] for line in lines if line["kind"] == "skipped"]


def _same(work: Work, step: int) -> bool:
    """Return whether step `step`, counted from 0, left weights and optimizer state of all ranks unchanged."""
    before, after = (work.run / "checkpoints" / f"step-{number:08d}" for number in (step, step + 1))
    names = sorted(path.name for path in before.glob("rank-*"))
    for name in names:
        values, others = load_file(before / name), load_file(after / name)
        if values.keys() != others.keys() or not all(torch.equal(values[key], others[key]) for key in values):
            return False
    return bool(names)
