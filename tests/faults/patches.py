"""What tests change in a rank before it runs: Python text for `Forks.start(patch=...)`."""

KILL_AT = """
import os, signal
from bimed_dist.pretraining import loop
def step(self, number, *rest, before=loop.Trainer.step):
    if number == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
    return before(self, number, *rest)
loop.Trainer.step = step
"""
"""The process is gone before update `step`, counted from 0."""

LEDGER = """
import json
from bimed_dist.pretraining import loop
trained = []
def micro_batch(batch, *rest, before=loop.micro_batch):
    trained.extend(int(row) for row in batch.rows)
    return before(batch, *rest)
def step(self, number, *rest, before=loop.Trainer.step):
    trained.clear()
    result = before(self, number, *rest)
    line = {{"step": number, "rank": self.engine.rank, "world_size": self.engine.world_size, "rows": trained}}
    with open("{path}." + str(self.engine.rank), "a") as file:
        file.write(json.dumps(line) + "\\n")
    return result
loop.micro_batch, loop.Trainer.step = micro_batch, step
"""
"""Every rank appends the rows that went through the model in each update that it has made to PATH.RANK."""
