"""The fault campaign: break a training job in every way named in docs/reliability.md and count what was lost.

    python tests/faults/campaign.py --folder /tmp/campaign [--only F2 --only F9] [--scale 0.1] [--seed 1]

Ends with a table and `results.json`; exit code 1 where anything failed. `--scale` multiplies the numbers of random
faults; enumerated ones are always all of them. Linux; strace for F1, root for F6, F7, F11 and F12.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE)]

from commits import crash_points, damaged_checkpoints  # noqa: E402
from continuations import engines, other_sizes, resume_everywhere, same_bytes  # noqa: E402
from disks import damaged_shards, full_disks, read_only  # noqa: E402
from kills import killed_launchers, out_of_memory, random_kills  # noqa: E402
from mutants import killed_mutants  # noqa: E402
from networks import cut_links  # noqa: E402
from not_a_number import not_a_number  # noqa: E402
from stops import stop_signals, stopped_ranks  # noqa: E402
from trials import Campaign, Result  # noqa: E402

FAULTS: dict[str, Callable[[Campaign], Iterator[Result]]] = {
    "F1": crash_points, "F2": random_kills, "F3": stop_signals, "F4": stopped_ranks, "F5": killed_launchers,
    "F6": full_disks, "F7": read_only, "F8": damaged_shards, "F9": damaged_checkpoints, "F10": not_a_number,
    "F11": out_of_memory, "F12": cut_links, "F13": resume_everywhere, "F14": other_sizes, "F15": engines,
    "F16": killed_mutants, "F17": same_bytes,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--only", action="append", choices=list(FAULTS))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    campaign = Campaign(chosen.folder.absolute(), chosen.seed, chosen.scale)
    campaign.folder.mkdir(parents=True, exist_ok=True)
    results = []
    for name in chosen.only or FAULTS:
        for result in FAULTS[name](campaign):
            results.append(result)
            bound = f"{3 / result.trials:.2%}" if result.trials >= 3 and not result.failures else "-"
            notes = ", ".join(f"{key} {value:g}" for key, value in result.notes.items())
            print(
                f"{result.fault}: {result.trials} trials, {len(result.failures)} failures, bound {bound}; {notes}",
                flush=True,
            )
            for failure in result.failures[:5]:
                print(f"  {failure}", flush=True)
            text = json.dumps(
                {"seed": chosen.seed, "scale": chosen.scale, "results": [vars(r) for r in results]}, indent=1
            )
            (campaign.folder / "results.json").write_text(text, encoding="utf-8")
    sys.exit(any(result.failures for result in results))


if __name__ == "__main__":
    main()
