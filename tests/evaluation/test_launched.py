"""Trials run by all processes of an `accelerate launch`: the scores of one process, and no process left behind."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from forks import Forks, Job

from bimed_dist.evaluation import stage
from bimed_dist.evaluation.models import finetuning
from bimed_dist.hugging_face import load_tokenizer
from bimed_dist.recipe.evaluation import EvaluatedModel, TaskSettings
from bimed_dist.recipe.recipe import Recipe

from .conftest import read_trials, results_of, write_corpus

# Two processes sum up to three passes per step in another order, in fp32, over nine steps. The largest difference of
# predictions (0 to 5) was 1e-7; gradients that are not summed change them by 0.1, other dropout masks by 0.01.
TOLERANCE = 1e-5
WORDS = ("폐", "결절", "소견", "관찰됨", "mass", "lung", "nodule", "without", "effusion", "today")


def sentence(rng: random.Random, length: int) -> str:
    return " ".join(rng.choices(WORDS, k=length))


def written(recipe: Recipe, folder: Path) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json", exclude_none=True)), encoding="utf-8")
    return path


@pytest.fixture
def launch(root: Path, tmp_path: Path) -> Callable[[Recipe, Path], subprocess.Popen[str]]:
    """`launch/evaluation.py` started by accelerate with two processes."""

    def start(recipe: Recipe, work: Path) -> subprocess.Popen[str]:
        config = root / "ds_configs" / "accelerate" / "cpu_ddp.yaml"
        command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config)]
        command += ["--main_process_port", "0", "launch/evaluation.py"]
        command += [str(written(recipe, tmp_path)), "--work", str(work)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root), "CUDA_VISIBLE_DEVICES": ""}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=root, env=environment, stdout=pipe, stderr=pipe, text=True)

    return start


@pytest.fixture
def fork(forks: Forks, tmp_path: Path) -> Callable[..., Job]:
    """The two processes without the launcher, in a second."""

    def start(recipe: Recipe, work: Path, *arguments: str, engine: str = "ddp", patch: str = "") -> Job:
        words = [str(written(recipe, tmp_path)), "--work", str(work), *arguments]
        return forks.start(words, 2, engine, patch, program="launch/evaluation.py")

    return start


@pytest.fixture
def pairs(tmp_path: Path) -> str:
    """Sentence pairs in KorSTS' format, so long that the steps of an epoch have one, two and three passes."""
    rng = random.Random(1)
    (tmp_path / "pairs").mkdir()
    for split, rows in (("train", 90), ("dev", 45), ("test", 50)):
        lines = ["genre\tfilename\tyear\tid\tscore\tsentence1\tsentence2"]
        for i in range(rows):
            first, second = sentence(rng, rng.randint(16, 40)), sentence(rng, 24)
            score = min(5, first.split().count("mass"))
            lines.append(f"main\tf\t2012\t{i}\t{score}.000\t{first}\t{second}")
        (tmp_path / "pairs" / f"sts-{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return "pairs"


@pytest.fixture
def recipe(pairs, tiny_model, make_recipe) -> Recipe:
    models = {"base": EvaluatedModel(folder=str(tiny_model("base")))}
    return make_recipe(models, {"sts": TaskSettings(task="korsts", path=pairs, epochs=(1, 3))}, batch_size=40)


def numbers(record: dict) -> dict[str, list[float]]:
    parts = record.get("splits", {"": record})
    found = {split: " ".join(part["predictions"]).split() for split, part in parts.items() if "predictions" in part}
    return {split: [float(value) for value in values] for split, values in found.items()}


def passes_per_step(folder: Path, model: str, batch_size: int) -> list[int]:
    """Return the number of passes of each step of an epoch, in ascending order."""
    lines = (folder / "pairs" / "sts-train.tsv").read_text(encoding="utf-8").splitlines()[1:]
    texts = [tuple(line.split("\t")[-2:]) for line in lines]
    lengths = np.array([len(ids) for ids in load_tokenizer(model)(texts, truncation=True, max_length=64)["input_ids"]])
    steps = finetuning.epoch_batches(lengths, batch_size, np.random.default_rng(1))
    return sorted(len(finetuning.micro_batches(lengths[rows], finetuning.CPU_MICRO_BATCH_TOKENS)) for rows in steps)


def make_smaller(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"evaluation": recipe.evaluation.model_copy(update={"batch_size": 20})})


def test_two_processes_score_what_one_process_scores(recipe, bc5cdr, make_recipe, fork, tmp_path):
    tasks = {
        **recipe.evaluation.tasks,
        "entities": TaskSettings(task="bc5cdr", path="bc5cdr"),
        "mlm": TaskSettings(task="mlm", corpus="c"),
        "nsp": TaskSettings(task="nsp", corpus="c"),
    }
    recipe = make_recipe(recipe.evaluation.models, tasks, batch_size=40)
    for name in ("one", "two"):
        rng = random.Random(3)
        write_corpus(tmp_path / name, [("en", "s", [sentence(rng, 14) + "." for _ in range(3)]) for _ in range(30)])
    stage.run(recipe, tmp_path / "one")
    assert passes_per_step(tmp_path, recipe.evaluation.models["base"].folder, batch_size=40) == [1, 2, 3]
    running = fork(recipe, tmp_path / "two")
    assert running.wait(500) == [0, 0], running.output()
    assert len(re.findall(r"evaluation: \d+ s; models 1", running.output())) == 1

    expected, found = read_trials(tmp_path / "one"), read_trials(tmp_path / "two")
    assert found.keys() == expected.keys()
    for name, record in expected.items():
        assert found[name]["key"] == record["key"]
        if name.endswith("choice.json"):
            assert found[name]["chosen"] == record["chosen"]
            continue
        assert (record["machine"]["processes"], found[name]["machine"]["processes"]) == (1, 2)
        for split, values in numbers(record).items():
            np.testing.assert_allclose(numbers(found[name])[split], values, rtol=0, atol=TOLERANCE)


def process_of_rank(launcher: subprocess.Popen[str], rank: int) -> psutil.Process:
    (process,) = [p for p in psutil.Process(launcher.pid).children() if p.environ().get("RANK") == str(rank)]
    return process


def wait_for_a_trial(process: subprocess.Popen[str], work: Path) -> None:
    deadline = time.monotonic() + 300
    while not list((work / "evaluation").rglob("lr=*.json")):
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.002)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_whichever_process_is_killed_all_end_and_the_grid_continues_to_the_same_results(
    rank, recipe, launch, fork, tmp_path
):
    # At most two passes per step: their sum is the same, bit for bit, in any order.
    recipe = make_smaller(recipe)
    stage.run(recipe, tmp_path / "one")
    work = tmp_path / "two"
    process = launch(recipe, work)
    wait_for_a_trial(process, work)
    family = psutil.Process(process.pid).children(recursive=True)
    process_of_rank(process, rank).kill()
    _, errors = process.communicate(timeout=500)
    assert process.returncode != 0
    assert psutil.wait_procs(family, timeout=60)[1] == []
    assert errors.count("error: another process of this job has ended") == rank
    before = read_trials(work)
    assert {record.get("status", "done") for record in before.values()} == {"done"}
    assert not (work / "evaluation" / "results.json").exists()
    running = fork(recipe, work)
    assert running.wait(500) == [0, 0], running.output()
    assert {name: record for name, record in read_trials(work).items() if name in before} == before
    assert results_of(work) == results_of(tmp_path / "one")


@pytest.mark.slow
def test_a_launch_that_is_asked_to_stop_reports_it_once_and_leaves_complete_records(recipe, launch, tmp_path):
    process = launch(recipe, tmp_path / "work")
    wait_for_a_trial(process, tmp_path / "work")
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=500)
    assert process.returncode != 0
    assert psutil.wait_procs(family, timeout=60)[1] == []
    assert errors.count("error: ") == errors.count("error: stopped by SIGTERM; finished trials are in") == 1
    assert {record.get("status", "done") for record in read_trials(tmp_path / "work").values()} == {"done"}


@pytest.mark.slow
def test_a_killed_launcher_leaves_no_process_behind(recipe, launch, tmp_path):
    process = launch(recipe, tmp_path / "work")
    wait_for_a_trial(process, tmp_path / "work")
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait(5)
    _, alive = psutil.wait_procs(family, timeout=5)
    for member in alive:
        member.kill()
    assert family and not alive


@pytest.mark.parametrize(
    "override, words",
    [
        ("evaluation.batch_size=none", "evaluation.batch_size"),
        ("evaluation.tasks.sts.path=nowhere", "nowhere does not exist"),
    ],
)
def test_a_mistake_in_the_recipe_is_reported_once_before_any_trial_runs(override, words, recipe, fork, tmp_path):
    running = fork(recipe, tmp_path / "work", "--set", override)
    assert running.wait(500) == [2, 0]  # the other process reports nothing and ends
    assert running.output().count("error: ") == 1 and words in running.output()
    assert not (tmp_path / "work" / "evaluation").exists()


def test_a_launch_with_deepspeed_is_refused_once(recipe, fork, tmp_path):
    running = fork(recipe, tmp_path / "work", engine="zero2")
    assert running.wait(500) == [2, 0]
    errors = running.output()
    assert errors.count("error: ") == errors.count("error: fine-tuning needs no DeepSpeed") == 1


# The steps of the first trial have one, two and three passes: rank 0 has four of them, rank 1 two.
FAILING = """
import os
from bimed_dist.evaluation.models import finetuning

calls = 0
original = finetuning.summed_loss


def summed_loss(*arguments):
    global calls
    calls += 1
    if (int(os.environ["RANK"]), calls) == {failing}:
        raise MemoryError("no room here")
    return original(*arguments)


finetuning.summed_loss = summed_loss
"""


@pytest.mark.parametrize(
    "failing, error",
    [
        ((0, 6), "MemoryError: no room here"),
        ((1, 3), "RankError: process 1 failed: MemoryError: no room here"),
    ],
)
def test_a_trial_that_fails_in_one_process_is_recorded_as_failed_and_the_others_run(
    failing, error, recipe, fork, tmp_path
):
    running = fork(recipe, tmp_path / "work", patch=FAILING.format(failing=failing))
    assert running.wait(500) == [0, 0], running.output()
    results = results_of(tmp_path / "work")
    failure = {"task": "sts", "model": "base", "trial": "lr=0.001,epochs=1,seed=2", "error": error, "split": None}
    assert results["failures"] == [failure]
    (score,) = [row for row in results["scores"] if row["main"]]
    assert score["chosen"]["epochs"] == 3 and len(score["values"]) == 2
