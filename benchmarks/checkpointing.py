"""How long training waits for a checkpoint, with and without a writer thread: BERT-base with AdamW, one process.

python benchmarks/checkpointing.py [--layers 12] [--saves 5]
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import torch
from _measuring import record
from transformers import BertConfig, BertForPreTraining

from bimed_dist.pretraining import checkpoints
from bimed_dist.pretraining.snapshot import WEIGHT, ParameterSlice, Snapshot


class OneRank:
    rank, world_size = 0, 1

    def gather(self, value):
        return [value]


def parameter_slices(model, optimizer):
    for name, parameter in model.named_parameters():
        for key, value in {WEIGHT: parameter, **optimizer.state[parameter]}.items():
            yield ParameterSlice(name, key, 0, value.detach().reshape(-1) if value.dim() else value.detach())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--saves", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="Folder on the disk to measure. [a temporary folder]")
    chosen = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = BertForPreTraining(BertConfig(vocab_size=45056, num_hidden_layers=chosen.layers)).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    folder = Path(tempfile.mkdtemp(dir=chosen.folder))
    snapshot, saver = Snapshot(), checkpoints.Saver(folder, OneRank(), keep=1)
    rows = []
    try:
        for number in range(chosen.saves):
            start = time.perf_counter()
            snapshot.take(parameter_slices(model, optimizer))
            taken = time.perf_counter()
            saver.start(number + 1, lambda target: {"rank": snapshot.write(target / "rank")}, {})
            saver._thread.join()
            written = time.perf_counter()
            committed = saver.finish()
            end = time.perf_counter()
            rows.append({
                "copy_seconds": taken - start, "write_seconds": written - taken, "commit_seconds": end - written,
                "waits_seconds": taken - start + end - written, "without_thread_seconds": end - start,
                "gigabytes": committed.bytes / 1e9,
            })  # fmt: skip
            print({key: round(value, 4) for key, value in rows[-1].items()}, flush=True)
    finally:
        shutil.rmtree(folder)
    record("checkpointing", {"device": device, "saves": rows})


if __name__ == "__main__":
    main()
