"""A small finished work folder (corpus to model), and real launches of the training program."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest
import yaml

from bimed_dist.corpus import stage as corpus
from bimed_dist.model import stage as model
from bimed_dist.pretraining import checkpoints
from bimed_dist.pretraining import stage as pretraining
from bimed_dist.recipe.loading import load_recipe
from bimed_dist.references import stage_order
from bimed_dist.shards import stage as shards
from bimed_dist.vocabulary import stage as vocabulary

RECIPE = {
    "name": "tiny",
    "seed": 11,
    "corpus": {
        "text": {
            "sources": [
                {"kind": "synthetic", "name": "synthetic", "documents": 120, "languages": ["ko", "en", "mixed"]}
            ],
            "held_out_share": 0.2,
        }
    },
    "vocabulary": {"pieces": {"corpus": "text", "size": 1500}},
    "shards": {"tokens": {"corpus": "text", "tokenizer": "vocabulary/pieces"}},
    "model": {
        "tiny": {
            "architecture": {
                "num_hidden_layers": 2,
                "hidden_size": 32,
                "num_attention_heads": 2,
                "intermediate_size": 64,
                "max_position_embeddings": 64,
            },
            "tokenizer": "vocabulary/pieces",
        }
    },
    "pretraining": {
        "run": {
            "model": "tiny",
            "shards": "tokens",
            "steps": 12,
            "global_batch": 8,
            "micro_batch": 2,
            "max_length": 48,
            "learning_rate": 1e-3,
            "warmup_steps": 2,
            "log_every": 1,
            "validate_every": 6,
            "validation_rows": 17,
            "checkpoint_every": 4,
        }
    },
}
TIMEOUT = 240
"""Seconds allowed for jobs that take ten on a quiet machine."""
ENDLESS = (
    "--set", "pretraining.run.steps=5000", "--set", "pretraining.run.checkpoint_every=20",
    "--set", "pretraining.run.validate_every=5000",
)  # fmt: skip
"""Options of a run that tests stop or kill."""
STAGES = {"corpus": corpus, "vocabulary": vocabulary, "shards": shards, "model": model}


@dataclass(frozen=True)
class Job:
    """A work folder and the recipe it was made from."""

    root: Path
    recipe: Path
    work: Path

    def command(self, *arguments: str, launcher: str | None = None) -> list[str]:
        start = [sys.executable]
        if launcher:
            config = self.root / "ds_configs" / "accelerate" / launcher
            start += ["-m", "accelerate.commands.launch", "--config_file", str(config), "--main_process_port", "0"]
        return [*start, "launch/pretrain.py", str(self.recipe), "--work", str(self.work), *arguments]

    def run(self, *arguments: str, launcher: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments, launcher=launcher),
            cwd=self.root,
            env=environment(),
            capture_output=True,
            text=True,
        )

    def arguments(self, *more: str) -> list[str]:
        """Return the arguments of the training program."""
        return [str(self.recipe), "--work", str(self.work), *more]

    def copy(self, work: Path) -> "Job":
        shutil.copytree(self.work, work)
        return replace(self, work=work)

    def run_here(self, *changes: str, resume: str = "never") -> dict[str, Any]:
        """Train in this process; return the counts of the manifest."""
        overrides = [f"pretraining.run.{change}" for change in changes]
        return pretraining.run(load_recipe(self.recipe, overrides), "run", self.work, resume).manifest.counts

    def metrics(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return the lines of a kind, or all but checkpoints, whose times and order depend on the disk."""
        lines = map(json.loads, (self.folder() / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
        return [line for line in lines if (line["kind"] == kind if kind else line["kind"] != "checkpoint")]

    def folder(self) -> Path:
        return self.work / "pretraining" / "run"


def as_options(changes: Sequence[str]) -> list[str]:
    """Return changes of the run's settings as options of the training program."""
    return [word for change in changes for word in ("--set", f"pretraining.run.{change}")]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}


class Program:
    """A program in the background, with the interface of a forked job."""

    started: ClassVar[list["Program"]] = []

    def __init__(self, command: Sequence[str], log: Path, cwd: Path, **more: str) -> None:
        """`more`: environment variables."""
        self.log = log
        self.started.append(self)
        with log.open("a") as file:
            self.process = subprocess.Popen(
                command, cwd=cwd, env={**environment(), **more}, stdout=file, stderr=subprocess.STDOUT
            )

    def running(self) -> bool:
        return self.process.poll() is None

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def ranks(self) -> list[psutil.Process]:
        return [p for p in psutil.Process(self.process.pid).children() if "pretrain.py" in " ".join(p.cmdline())]


@pytest.fixture(autouse=True)
def no_program_is_left() -> Iterator[None]:
    """Kill what a failed test has started, which would run on during later tests."""
    yield
    while Program.started:
        program = Program.started.pop()
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(program.process.pid)
            for member in (*process.children(recursive=True), process):
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
        program.process.wait()


def ended(processes: Sequence[psutil.Process], seconds: float) -> bool:
    """Return whether all have ended within so many seconds; kill those that have not."""
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    for process in alive:
        process.kill()
    return not alive


def saved(job: Job) -> list[Path]:
    return sorted(p for p in (job.folder() / "checkpoints").glob("step-*") if p.suffix != ".partial")


def newest_step(job: Job) -> int:
    """Return the step of the newest checkpoint, 0 without one."""
    found = checkpoints.newest(job.folder() / "checkpoints")
    return found[1]["step"] if found else 0


@pytest.fixture(scope="session")
def prepare(root) -> Callable[..., Job]:
    def prepare(base: Path, **sections: Any) -> Job:
        """Finish all stages before pre-training, of the recipe with these sections replaced."""
        path = base / "recipe.yaml"
        path.write_text(yaml.safe_dump({**RECIPE, **sections}), encoding="utf-8")
        recipe = load_recipe(path)
        for stage, name in stage_order(recipe):
            if stage in STAGES:
                STAGES[stage].run(recipe, name, base / "work")
        return Job(root, path, base / "work")

    return prepare


@pytest.fixture(scope="session")
def prepared(prepare, tmp_path_factory) -> Job:
    """Copied for each test."""
    return prepare(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def job(prepared, tmp_path) -> Job:
    return prepared.copy(tmp_path / "work")
