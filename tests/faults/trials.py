"""What every fault is tried on: prepared work folders, real ranks, a ledger of rows, a count of what went wrong."""

import contextlib
import hashlib
import importlib.util
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import patches
from forks import ROOT, Forks, Job

from bimed_dist.errors import CheckpointError
from bimed_dist.pretraining import checkpoints
from bimed_dist.recipe.loading import load_recipe
from bimed_dist.shards.batches import PhaseBatches, locate_step, step_rows
from bimed_dist.shards.reading import ShardSet

TIMEOUT = 300


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

    def largest(self, note: str, value: float) -> None:
        self.notes[note] = max(self.notes[note], value)


class FoundError(Exception):
    """A mutant is detected; the rest need not run."""


class Campaign:
    def __init__(self, folder: Path, seed: int, scale: float) -> None:
        self.folder, self.seed, self.scale = folder, seed, scale
        self.random = random.Random(seed)
        spec = importlib.util.spec_from_file_location("conftest", ROOT / "tests" / "pretraining" / "conftest.py")
        self.conftest = importlib.util.module_from_spec(spec)
        sys.modules["conftest"] = self.conftest  # its dataclass looks itself up
        spec.loader.exec_module(self.conftest)
        self._forks: Forks | None = None

    def engine(self, *engines: str) -> tuple[str, int]:
        """Return a random engine and its number of processes."""
        chosen = self.random.choice(engines)
        return chosen, processes_of(chosen)

    def times(self, number: int) -> int:
        return max(1, round(number * self.scale))

    @property
    def forks(self) -> Forks:
        if self._forks is None:
            shutil.rmtree(self.folder / "logs", ignore_errors=True)
            self._forks = Forks(self.folder / "logs")
        return self._forks

    def prepared(self) -> tuple[Path, Path]:
        """Return the recipe and a work folder with all stages before pre-training."""
        base = self.folder / "prepared"
        path, work = base / "recipe.yaml", base / "work"
        if not path.is_file():
            shutil.rmtree(base, ignore_errors=True)
            base.mkdir(parents=True)
            text = json.dumps(self.conftest.RECIPE)  # JSON is YAML
            (base / "unfinished.yaml").write_text(text, encoding="utf-8")
            recipe = load_recipe(base / "unfinished.yaml")
            for stage, name in self.conftest.stage_order(recipe):
                if stage in self.conftest.STAGES:
                    self.conftest.STAGES[stage].run(recipe, name, work)
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
        seed: int | None = None,
    ) -> Job:
        arguments = self.arguments(options) + (["--set", f"seed={seed}"] if seed else [])
        text = patches.LEDGER.format(path=self.folder / "rows") if ledger else ""
        return self.campaign.forks.start(arguments, processes, engine, text + patch)

    def arguments(self, options: dict[str, object]) -> list[str]:
        """Return the arguments of the training program."""
        return self._job().arguments(*_words(options))

    def launch(self, options: dict[str, object], launcher: str) -> tuple[subprocess.Popen, Path]:
        """Start `accelerate launch` with a file of ds_configs/accelerate; return the launcher and its log."""
        command, log = self._job().command(*_words(options), launcher=launcher), self.folder / "launch.log"
        environment = {**self.campaign.conftest.environment(), "PYTHONPATH": str(ROOT)}
        with log.open("w") as file:
            return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file), log

    def _job(self) -> Any:
        """Return the job as tests of pre-training use it."""
        return self.campaign.conftest.Job(ROOT, self.recipe, self.folder / "work")

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
        """Check that the rows trained by all ranks together are those of the plan, each exactly once."""
        recipe = load_recipe(self.recipe, [f"pretraining.run.{k}={v}" for k, v in options.items()])
        settings = recipe.pretraining["run"]
        stream = PhaseBatches(
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


def _words(options: dict[str, object]) -> list[str]:
    changes = (("--set", f"pretraining.run.{name}={value}") for name, value in options.items())
    return ["--resume", "auto", *(word for change in changes for word in change)]


def processes_of(engine: str) -> int:
    return 1 if engine == "single" else 2


def until(condition: Callable[[], bool], pause: float) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the campaign waited in vain")
        time.sleep(pause)
