"""bfloat16 is the same training with every engine: arithmetic in bfloat16, weights in float32, and so exported."""

import pytest
import torch
from safetensors.torch import load_file

from .conftest import TIMEOUT, as_options

BF16 = ("precision=bf16", "dropout=0.0")
# bfloat16 keeps 8 bits. ZeRO exchanges gradients in it, DDP in float32; the largest difference found is 1.5e-4 in
# losses of 1 to 8 and 7e-4 in norms of 1 to 2.
LOSSES, NORMS = 1e-3, 5e-3


def trained(job, forks, engine: str) -> tuple[dict[str, torch.Tensor], list[dict]]:
    running = forks.start(job.arguments(*as_options(BF16)), 2, engine)
    assert running.wait(TIMEOUT) == [0, 0], running.output()
    return load_file(job.folder() / "export" / "model.safetensors"), job.metrics()


@pytest.fixture(scope="module")
def ddp(prepared, tmp_path_factory, forks):
    return trained(prepared.copy(tmp_path_factory.mktemp("ddp") / "work"), forks, "ddp")[1]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["zero1", "zero2", "zero3"])
def test_bf16_trains_alike_with_every_engine_and_exports_float32_weights(job, forks, ddp, engine):
    weights, metrics = trained(job, forks, engine)
    for name, tensor in weights.items():
        assert tensor.dtype == torch.float32
        rounded = (tensor == tensor.bfloat16()).float().mean()
        assert rounded < 0.1, name
    for line, other in zip(metrics, ddp, strict=True):
        for name in ("mlm_loss", "nsp_loss"):
            assert line[name] == pytest.approx(other[name], rel=LOSSES)
        if line["kind"] == "train":
            assert line["grad_norm"] == pytest.approx(other["grad_norm"], rel=NORMS)
