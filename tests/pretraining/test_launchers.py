"""Launchers and the pipeline forward stops, restart jobs, and leave no process behind."""

import importlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch.distributed as dist
from forks import wait_for

from bimed_dist.errors import BimedError, ConfigError, Stopped
from bimed_dist.manifest import read_manifest
from bimed_dist.pretraining import preflight, stage
from bimed_dist.recipe.loading import load_recipe
from bimed_dist.workspace import STOPPED

from .conftest import ENDLESS, TIMEOUT, Program, ended, environment, newest_step, saved


def launched(job, log_folder, launcher: str, **more: str) -> Program:
    return Program(job.command(*ENDLESS, launcher=launcher), log_folder / "log", job.root, **more)


@pytest.mark.slow
def test_the_launcher_forwards_a_stop_and_leaves_a_file_for_scripts_and_no_secret_anywhere(job, tmp_path):
    token = "canary-3f1c9d2e7b"
    running = launched(job, tmp_path, "cpu.yaml", WANDB_API_KEY=token, HF_TOKEN=token)
    try:
        wait_for(lambda: saved(job), running)
        running.process.send_signal(signal.SIGTERM)
        start = time.monotonic()
        code = running.process.wait(TIMEOUT)
        assert time.monotonic() - start < 25
    finally:
        running.process.kill()
    assert code != 0 and (job.folder() / "stopped.json").is_file(), running.output()
    assert f"after step {newest_step(job)}" in running.output()
    written = [running.log, *(p for p in job.work.rglob("*") if p.is_file())]
    assert not [path for path in written if token.encode() in path.read_bytes()]
    assert not (job.root / ".deepspeed_env").exists()


def test_a_process_whose_launcher_is_killed_while_it_imports_torch_ends_too(job, tmp_path):
    """A shell in place of the launcher starts the program with a rank's environment."""
    command = ["sh", "-c", f"{shlex.join(job.command())} & wait"]
    shell = Program(command, tmp_path / "log", job.root, RANK="0", PYTHONVERBOSE="1")
    wait_for(lambda: "import 'torch._C'" in shell.output(), shell)
    (program,) = psutil.Process(shell.process.pid).children()
    shell.process.kill()
    shell.process.wait(5)
    assert ended([program], 5)


@pytest.mark.skipif(b"python" in Path("/proc/1/cmdline").read_bytes(), reason="Python adopts orphans here")
def test_a_process_whose_launcher_ended_before_it_could_notice_ends_at_once(job):
    """The launcher ends before the process it has started runs the program."""
    rank = {**environment(), "RANK": "0", "TORCHELASTIC_RUN_ID": "none"}
    late = f"sleep 2; exec {shlex.join(job.command())}"
    launcher = f"import subprocess; subprocess.Popen(['sh', '-c', {late!r}], start_new_session=True)"
    # run() returns when the last process with its output has ended.
    orphan = subprocess.run(
        [sys.executable, "-c", launcher], cwd=job.root, env=rank, capture_output=True, text=True, timeout=30
    )
    assert "the launcher of this process has gone" in orphan.stderr


@pytest.mark.slow
def test_a_stop_of_the_launcher_of_one_process_ends_training_with_a_checkpoint(job, tmp_path):
    running = launched(job, tmp_path, "one_gpu.yaml")
    wait_for(lambda: saved(job), running)
    ranks = running.ranks()
    running.process.terminate()
    running.process.wait(5)
    assert len(ranks) == 1 and ended(ranks, 25)
    assert f"after step {newest_step(job)}" in (job.folder() / "stopped.json").read_text(encoding="utf-8")


# -------------------------------------------------------------------------------------------------------- the pipeline


@pytest.fixture
def pipeline(root, monkeypatch):
    """launch/pipeline.py as a module."""
    monkeypatch.syspath_prepend(root / "launch")
    yield importlib.import_module("pipeline")
    for name in ("pipeline", "options"):
        sys.modules.pop(name, None)


def pretrain(pipeline, job) -> None:
    arguments = {"recipe_path": job.recipe, "overrides": ()}
    pipeline.pretrain(load_recipe(job.recipe), "run", job.work, arguments)


@pytest.mark.slow
def test_a_stop_of_the_pipeline_with_one_process_ends_it_with_a_checkpoint_and_exit_code_75(job, tmp_path):
    command = [*job.command()[:1], "launch/pipeline.py", *job.arguments(*ENDLESS)]
    running = Program(command, tmp_path / "log", job.root)
    wait_for(lambda: saved(job), running)
    running.process.terminate()
    assert running.process.wait(25) == 75, running.output()


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [None, "cpu_ddp.yaml"])
def test_training_stops_with_a_checkpoint_when_the_pipeline_is_killed(job, tmp_path, launcher):
    """A program that only starts training as the pipeline does."""
    start = "import os, sys; sys.path.insert(0, 'launch'); import pipeline; pipeline.run_and_wait({}, dict(os.environ))"
    command = job.command(*ENDLESS, launcher=launcher)
    running = Program([sys.executable, "-c", start.format(command)], tmp_path / "log", job.root)
    wait_for(lambda: saved(job), running)
    started = psutil.Process(running.process.pid).children(recursive=True)
    running.process.kill()
    running.process.wait(5)
    assert started and ended(started, 35)
    assert f"after step {newest_step(job)}" in (job.folder() / "stopped.json").read_text(encoding="utf-8")


def test_the_pipeline_reports_by_which_signal_its_training_was_killed(pipeline, job, monkeypatch):
    code = pipeline.run_and_wait([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], dict(os.environ))
    monkeypatch.setattr(pipeline, "run_and_wait", lambda *_: code)
    with pytest.raises(BimedError, match="was killed by SIGKILL, probably for lack of memory"):
        pretrain(pipeline, job)


def test_a_launch_that_fails_early_is_not_reported_as_stopped_because_the_one_before_was(pipeline, job, monkeypatch):
    job.folder().mkdir(parents=True)
    (job.folder() / STOPPED).write_text("{}", encoding="utf-8")
    (job.folder() / "settings.json").write_text(
        json.dumps(
            {
                "settings": stage._identity(load_recipe(job.recipe), "run"),
                "inputs": preflight.input_digests(load_recipe(job.recipe).pretraining["run"], job.work, read_manifest),
            }
        ),
        encoding="utf-8",
    )
    monkeypatch.setattr(pipeline, "run_and_wait", lambda *_: 2)
    with pytest.raises(BimedError, match="ended with exit code 2") as raised:
        pretrain(pipeline, job)
    assert raised.value.exit_code == 2 and not isinstance(raised.value, Stopped)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("num_processes: 2\ndeepspeed_config: {deepspeed_multinode_launcher: pdsh}\n", "must be standard"),
        ("num_processes: 4\nnum_machines: 2\n", r"is for several machines.*docs/multi_node\.md"),
    ],
)
def test_launcher_files_that_the_pipeline_can_not_start_are_refused(
    pipeline, job, tmp_path, monkeypatch, text, problem
):
    monkeypatch.setattr(pipeline, "REPOSITORY", tmp_path)
    folder = tmp_path / "ds_configs" / "accelerate"
    folder.mkdir(parents=True)
    (folder / "other.yaml").write_text(text, encoding="utf-8")
    recipe = load_recipe(job.recipe, ["pretraining.run.accelerate_config=other.yaml"])
    with pytest.raises(ConfigError, match=problem):
        pipeline.accelerate_config_file(recipe, "run")


# ------------------------------------------------------------------------------------------------------------ restarts


def test_a_restart_continues_if_only_an_earlier_launch_was_stopped_on_request(job, forks):
    # Refused before any engine is made, since other machines' launchers may have ended.
    restarted = (
        "import os; os.environ['TORCHELASTIC_RESTART_COUNT'] = '1'\n"
        "from bimed_dist.pretraining import stage; made = stage.Engine\n"
        "stage.Engine = lambda settings: (print('engine made'), made(settings))[1]\n"
    )
    same = "from bimed_dist.pretraining import stage; stage.launch_identity = lambda: 'one'\n"
    before = forks.start(job.arguments(*ENDLESS, "--set", "pretraining.run.time_budget_hours=1e-6"), patch=same)
    assert before.wait(TIMEOUT) == [75], before.output()
    again = forks.start(job.arguments(*ENDLESS), patch=restarted + same)
    assert again.wait(TIMEOUT) == [75] and "not restarted" in again.output() and "engine made" not in again.output()
    step = newest_step(job)
    later = forks.start(job.arguments(*ENDLESS, "--set", "pretraining.run.time_budget_hours=1e-6"), patch=restarted)
    assert later.wait(TIMEOUT) == [75], later.output()
    assert newest_step(job) > step


@pytest.mark.slow
def test_the_launcher_restarts_a_killed_process_and_when_killed_itself_leaves_none_and_no_byte_is_lost(
    job, tmp_path, forks
):
    options = ("--set", "pretraining.run.steps=100", "--set", "pretraining.run.checkpoint_every=10")
    whole = job.copy(tmp_path / "whole")
    assert forks.start(whole.arguments(*options), 2, "zero2").wait(TIMEOUT) == [0, 0]

    shared_memory = set(os.listdir("/dev/shm"))
    command = job.command(*options, launcher="cpu.yaml")
    at = command.index("launch/pretrain.py")
    restarting = Program([*command[:at], "--max_restarts", "2", *command[at:]], tmp_path / "log", job.root)
    wait_for(lambda: saved(job), restarting)
    restarting.ranks()[1].kill()
    wait_for(lambda: "continuing from" in restarting.output(), restarting)
    before = newest_step(job)
    wait_for(lambda: newest_step(job) > before, restarting)
    started = restarting.ranks()
    restarting.process.kill()
    restarting.process.wait(5)
    assert len(started) == 2 and ended(started, 5)
    assert set(os.listdir("/dev/shm")) <= shared_memory
    assert not (job.folder() / "manifest.json").exists()

    resumed = forks.start(job.arguments(*options, "--resume", "auto"), 2, "zero2")
    assert resumed.wait(TIMEOUT) == [0, 0], resumed.output()
    assert "continuing from" in resumed.output()
    assert [line["step"] for line in job.metrics("train")] == [line["step"] for line in whole.metrics("train")]
    files = [j.folder() / "export" / "model.safetensors" for j in (job, whole)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_process_that_was_restarted_less_often_than_others_ends_to_be_restarted(job, forks):
    """Each machine's launcher counts restarts: rank 1 was restarted, and rank 0 would wait for it in vain."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    launched = {"MASTER_PORT": str(store.port), "TORCHELASTIC_MAX_RESTARTS": "2"}
    launched["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    count = "import os; os.environ['TORCHELASTIC_RESTART_COUNT'] = os.environ['RANK']\n"
    running = forks.start(job.arguments(), 2, "ddp", patch=count, more=launched)
    wait_for(lambda: running.running() == [1], running, 60)
    assert "processes of another machine were restarted once more" in running.output()
    running.kill(signal.SIGKILL)
    assert running.wait(10) == [4, -signal.SIGKILL]
