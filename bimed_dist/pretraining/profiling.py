"""Profiling of some steps with torch: a trace to open in a browser, and a table of the most expensive operators."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import profiler

_WARMUP_STEPS = 3
"""Steps before the trace: they allocate, compile and choose kernels."""
_TABLE_ROWS = 40


@contextmanager
def profiled(steps: int, folder: Path, rank: int) -> Iterator[Callable[[], None]]:
    """Trace `steps` steps; the caller calls the yielded function after every step.

    Writes rankN.json (for https://ui.perfetto.dev) and rankN.txt into `folder`; does nothing for 0 steps.
    """
    if not steps:
        yield lambda: None
        return

    def write(finished: profiler.profile) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        finished.export_chrome_trace(str(folder / f"rank{rank}.json"))
        order = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
        table = finished.key_averages().table(sort_by=order, row_limit=_TABLE_ROWS)
        (folder / f"rank{rank}.txt").write_text(table, encoding="utf-8")

    plan = profiler.schedule(wait=_WARMUP_STEPS - 1, warmup=1, active=steps, repeat=1)
    with profiler.profile(schedule=plan, on_trace_ready=write) as running:
        yield running.step
