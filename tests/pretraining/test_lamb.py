"""LAMB against its formulas, and in training: the same with one process, two, and after a resume."""

import logging
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bimed_dist.errors import ConfigError
from bimed_dist.pretraining import deepspeed_config
from bimed_dist.pretraining.optimizer import Lamb
from bimed_dist.recipe.pretraining import PretrainingSettings

from .conftest import TIMEOUT, as_options

LAMB = ("optimizer=lamb", "learning_rate=0.02", "dropout=0.0")
RATE, BETAS, EPSILON, DECAY = 0.1, (0.9, 0.99), 1e-6, 0.01


def by_hand(weight: np.ndarray, gradients: list[np.ndarray], decay: float) -> np.ndarray:
    m = v = np.zeros_like(weight)
    for t, g in enumerate(gradients, start=1):
        m, v = BETAS[0] * m + (1 - BETAS[0]) * g, BETAS[1] * v + (1 - BETAS[1]) * g * g
        r = m / (1 - BETAS[0] ** t) / (np.sqrt(v / (1 - BETAS[1] ** t)) + EPSILON) + decay * weight
        norms = np.linalg.norm(weight), np.linalg.norm(r)
        ratio = norms[0] / norms[1] if decay and all(norms) else 1.0
        weight = weight - RATE * ratio * r
    return weight


@pytest.mark.parametrize("start", ["random", "zeros"])
def test_three_steps_are_those_of_the_paper(start):
    rng = np.random.default_rng(1)
    shapes = {"matrix": (4, 3), "bias": (3,)}
    weights = {name: rng.normal(size=shape) * (start == "random") for name, shape in shapes.items()}
    gradients = {name: [rng.normal(size=shape) for _ in range(3)] for name, shape in shapes.items()}
    tensors = {name: torch.nn.Parameter(torch.from_numpy(weight.copy())) for name, weight in weights.items()}
    decays = {"matrix": DECAY, "bias": 0.0}
    groups = [{"params": [tensors[name]], "weight_decay": decay} for name, decay in decays.items()]
    optimizer = Lamb(groups, lr=RATE, betas=BETAS, eps=EPSILON)
    for step in range(3):
        for name, tensor in tensors.items():
            tensor.grad = torch.from_numpy(gradients[name][step])
        optimizer.step()
    for name, decay in decays.items():
        expected = by_hand(weights[name], gradients[name], decay)
        np.testing.assert_allclose(tensors[name].detach().numpy(), expected, rtol=1e-12, atol=1e-14)


def test_lamb_is_refused_with_zero_which_partitions_tensors():
    settings = PretrainingSettings(
        model="m", shards="s", steps=10, global_batch=8, micro_batch=4, optimizer="lamb", learning_rate=0.01
    )
    for stage in (1, 2, 3):
        with pytest.raises(ConfigError, match=r"optimizer=lamb needs whole tensors.*DDP"):
            deepspeed_config.resolve({"zero_optimization": {"stage": stage}}, settings, 2)


def test_lamb_trains_alike_with_one_process_and_two_and_after_a_resume(job, tmp_path, forks, caplog):
    two = job.copy(tmp_path / "two")
    job.run_here(*LAMB)
    running = forks.start(two.arguments(*as_options(LAMB)), 2, "ddp")
    assert running.wait(TIMEOUT) == [0, 0], running.output()
    exported = "export/model.safetensors"
    weights, others = (load_file(run.folder() / exported) for run in (job, two))
    for name in weights:  # the tolerance of test_engines.py, by the ratio of the learning rates
        torch.testing.assert_close(weights[name], others[name], rtol=0, atol=1e-4)
    losses = [line["mlm_loss"] for line in job.metrics("validation")]
    assert losses[-1] < losses[0]

    whole = (job.folder() / exported).read_bytes()
    for unwanted in ("export", "checkpoints/step-00000012"):
        shutil.rmtree(job.folder() / unwanted)
    (job.folder() / "manifest.json").unlink()
    with caplog.at_level(logging.INFO):
        job.run_here(*LAMB, resume="auto")
    assert "continuing from" in caplog.text and "step-00000008" in caplog.text
    assert (job.folder() / exported).read_bytes() == whole
