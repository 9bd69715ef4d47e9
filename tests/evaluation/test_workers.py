import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
import yaml

from bimed_dist.evaluation import stage
from bimed_dist.evaluation.grid import workers
from bimed_dist.recipe.evaluation import EvaluatedModel, TaskSettings

from .conftest import read_trials, results_of


@pytest.fixture
def recipe(korsts, tiny_model, make_recipe):
    """Eight development trials and two test trials."""
    models = {"base": EvaluatedModel(folder=str(tiny_model("base")))}
    tasks = {"sts": TaskSettings(task="korsts", path="korsts", epochs=(1, 2, 3, 4))}
    return make_recipe(models, tasks)


def with_workers(recipe, count):
    return recipe.model_copy(update={"evaluation": recipe.evaluation.model_copy(update={"workers": count})})


def worker_processes(process):
    """Return the children of the server that forks the workers of a process."""
    return [
        worker for server in process.children() if "forkserver" in " ".join(server.cmdline())
        for worker in server.children()
    ]  # fmt: skip


def test_two_workers_write_the_same_records_as_one_with_the_same_threads(recipe, tmp_path):
    for count in (1, 2):
        stage.run(with_workers(recipe, count), tmp_path / str(count))
    assert read_trials(tmp_path / "1") == read_trials(tmp_path / "2")
    assert results_of(tmp_path / "1") == results_of(tmp_path / "2")
    assert len(read_trials(tmp_path / "2")) == 8 + 1 + 2
    # The number of workers does not decide results: the folder is finished for any number.
    assert stage.run(with_workers(recipe, 3), tmp_path / "1").was_done


def test_a_worker_that_is_killed_fails_its_trial_only_and_the_trial_can_be_run_again(recipe, tmp_path):
    trials = tmp_path / "work" / "evaluation" / "trials"
    killed = []

    def kill_one():
        while not killed:
            if list(trials.rglob("lr=*.json")):
                for worker in worker_processes(psutil.Process()):
                    worker.kill()
                    killed.append(worker.pid)
                    return
            time.sleep(0.001)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    stage.run(recipe, tmp_path / "work")
    killer.join(timeout=1)
    (failure,) = results_of(tmp_path / "work")["failures"]
    assert failure["error"].startswith("the worker process was ended by SIGKILL; the machine may be out of memory")
    assert {row["model"] for row in results_of(tmp_path / "work")["scores"]} == {"base"}
    (tmp_path / "work" / "evaluation" / "manifest.json").unlink()
    stage.run(recipe, tmp_path / "work")
    stage.run(recipe, tmp_path / "whole")
    assert results_of(tmp_path / "work") == results_of(tmp_path / "whole")


@pytest.mark.parametrize(
    "number, code", [pytest.param(signal.SIGTERM, 75, marks=pytest.mark.slow), (signal.SIGKILL, -9)]
)
def test_a_stopped_grid_leaves_no_worker_and_no_incomplete_record(number, code, recipe, tmp_path, root):
    path, work = tmp_path / "recipe.yaml", tmp_path / "work"
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json", exclude_none=True)), encoding="utf-8")
    command = [sys.executable, str(root / "launch" / "evaluation.py"), str(path), "--work", str(work)]
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(root)}, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    while not list(work.rglob("lr=*.json")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.002)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == code
    assert psutil.wait_procs(family, timeout=60)[1] == []
    assert "Traceback" not in errors
    if number == signal.SIGTERM:
        assert "error: stopped by SIGTERM; finished trials are in" in errors
    before = read_trials(work)
    assert not (work / "evaluation" / "manifest.json").exists()
    stage.run(recipe, work)
    assert {name: record for name, record in read_trials(work).items() if name in before} == before


def test_workers_are_as_many_as_cores_and_memory_allow_and_one_at_least():
    memory = 16 * 2**30
    assert workers.count_on_cpus(1_000_000, cores=8, memory=memory) == 8
    assert workers.count_on_cpus(110_000_000, cores=8, memory=memory) == 4
    assert workers.count_on_cpus(10_000_000_000, cores=8, memory=memory) == 1
    assert workers.available_memory() > 2**20
