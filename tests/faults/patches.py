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
"""The process is killed before step `step`, counted from 0."""

NO_MEMORY_AT = """
import os
from bimed_dist.pretraining import loop
def step(self, number, *rest, before=loop.Trainer.step):
    if number == {step} and self.engine.rank == {rank}:
        with open("{group}/cgroup.procs", "w") as file:
            file.write(str(os.getpid()))
        held = [bytearray(os.urandom(2**20)) for _ in range(500)]
    return before(self, number, *rest)
loop.Trainer.step = step
"""
"""Before step `step` this rank joins a control group and takes more memory than that may have."""

NOT_A_NUMBER_AT = """
import math
from bimed_dist.pretraining import distributed, loop
now = [False]
def step(self, number, *rest, before=loop.Trainer.step):
    now[0] = number == {step} and self.engine.rank == {rank}
    return before(self, number, *rest)
def forward(self, batch, before=distributed.Engine.forward):
    mlm, *others = before(self, batch)
    if now[0] and "{what}" == "loss":
        mlm = mlm * {value}
    elif now[0]:
        mlm.register_hook(lambda gradient: gradient * {value})
    now[0] = False
    return mlm, *others
loop.Trainer.step, distributed.Engine.forward = step, forward
"""
"""In step `step` the loss, or only the gradient, of this rank's first micro-batch is `value`."""

LEDGER = """
import json
from bimed_dist.pretraining import loop
trained = []
def micro_batch(batch, *rest, before=loop.to_tensors):
    trained.extend(int(row) for row in batch.rows)
    return before(batch, *rest)
def step(self, number, *rest, before=loop.Trainer.step):
    trained.clear()
    result = before(self, number, *rest)
    line = {{"step": number, "rank": self.engine.rank, "world_size": self.engine.world_size, "rows": trained}}
    with open("{path}." + str(self.engine.rank), "a") as file:
        file.write(json.dumps(line) + "\\n")
    return result
loop.to_tensors, loop.Trainer.step = micro_batch, step
"""
"""Every rank appends the rows that went through the model in each completed step to PATH.RANK."""
