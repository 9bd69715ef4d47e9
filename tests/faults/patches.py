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
import json, os
from bimed_dist.pretraining import loop
def step(self, number, *rest, before=loop.Trainer.step):
    batches = self.rows.step_batches(number, rank=self.engine.rank, world_size=self.engine.world_size)
    result = before(self, number, *rest)
    line = {{"step": number, "rank": self.engine.rank, "world_size": self.engine.world_size,
             "rows": [int(row) for batch in batches for row in batch.rows]}}
    with open("{path}." + str(self.engine.rank), "a") as file:
        file.write(json.dumps(line) + "\\n")
    return result
loop.Trainer.step = step
"""
"""Every rank appends the rows of each update that it has made to PATH.RANK."""
