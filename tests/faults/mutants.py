"""F16: safeguards taken out, one at a time: with each of them the campaign must fail."""

from collections.abc import Iterator

from commits import crash_points, damaged_checkpoints
from continuations import resume_everywhere
from trials import Campaign, FoundError, Result

from bimed_dist.pretraining import checkpoints

MUTANTS = {
    "no fsync": ("commit", "import os; os.fsync = lambda descriptor: None"),
    "no rename": (
        "commit",
        "def publish(partial, final, record):\n"
        "    record = {**record, 'digest': checkpoints.digest_of(record)}\n"
        "    checkpoints.write_json(final / checkpoints.CHECKPOINT_RECORD, record)\n"
        "checkpoints._partial, checkpoints._publish = lambda folder: folder, publish",
    ),
    "no manifest check": ("check", "checkpoints.verify = lambda folder: {'step': int(folder.name[5:])}"),
    "no agreement between ranks": (
        "commit",
        "def run_alone(ranks, action, *, here=True, combine=None):\n"
        "    try:\n"
        "        return [action() if here else None]\n"
        "    except OSError:\n"
        "        return [{}]\n"
        "checkpoints.run_on_ranks = run_alone",
    ),
    "no seed of dropout": (
        "training",
        "from bimed_dist.pretraining import loop; loop.seed_dropout = lambda *numbers: None\n",
    ),
    "no step in the cursor": (
        "training",
        "from bimed_dist.pretraining import stage; before = stage._load_newest\n"
        "def resume(*given):\n"
        "    saved = before(*given)\n"
        "    return saved and {**saved, 'step': saved['step'] - 1}\n"
        "stage._load_newest = resume\n",
    ),
    "a micro-batch left out": (
        "training",
        "from bimed_dist.pretraining import distributed\n"
        "def accumulate(self, losses, before=distributed.Engine.accumulate):\n"
        "    before(self, list(losses)[:-1])\n"
        "distributed.Engine.accumulate = accumulate\n",
    ),
    "no optimizer state": (
        "training",
        "from bimed_dist.pretraining import distributed\n"
        "distributed.Engine.load_optimizer = lambda self, state: None\n",
    ),
}
"""Name -> (which faults find it, Python that a process runs first)."""


def killed_mutants(campaign: Campaign) -> Iterator[Result]:
    """F16: with a safeguard taken out the campaign must fail; a mutant that passes is a failure here."""
    result = Result("F16 mutants")
    small = Campaign(campaign.folder / "mutants", campaign.seed, min(campaign.scale, 0.1))
    small._forks = campaign.forks
    small.prepared()
    trials = {
        "commit": lambda text: crash_points(small, text),
        "check": lambda text: damaged_checkpoints(small, text),
        "training": lambda text: resume_everywhere(small, text, engines=("ddp",)),
    }
    for name, (where, text) in MUTANTS.items():
        before = checkpoints.verify
        try:
            Result.stop_at_first = True
            list(trials[where](text))
            found = None
        except FoundError as failure:
            found = str(failure).splitlines()[0]
        finally:
            Result.stop_at_first, checkpoints.verify = False, before
        print(f"  {name}: {found}", flush=True)
        result.check(found is not None, f"the campaign passes with {name}")
        result.trials += 1
    yield result
