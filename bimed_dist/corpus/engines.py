"""Processing the parts of a corpus: in processes of this machine, or by datatrove's executors (local or Slurm).

A part has a number and all its inputs and outputs in one folder, and the order of the corpus is that of the numbers. So
an engine only has to process every number.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from bimed_dist.corpus.extraction import LOGS, PARTS, extract, part_folder
from bimed_dist.corpus.planning import PART_BYTES, Part
from bimed_dist.errors import BimedError, ConfigError, DataError, Stopped
from bimed_dist.processes import available_cores, in_processes, main_program_hidden
from bimed_dist.recipe.corpus import Execution, SlurmSettings
from bimed_dist.workspace import MANIFEST

IF_KILLED = "finished parts are kept: run again with fewer processes (`--set corpus.NAME.execution.processes=N`)"
_ERROR = ".error"
"""Suffix of a file with the error of a part that failed in a queued job."""
_MAX_ERRORS = 5


def processes(execution: Execution, num_bytes: int) -> int:
    """Return the recipe's number of processes; by default one per core, but fewer for a small corpus."""
    return execution.processes or min(available_cores(), 1 + num_bytes // PART_BYTES)


def extract_parts(folder: Path, plan: Sequence[Part], execution: Execution, done: Callable[[Part], None]) -> None:
    """Extract all parts; call `done(part)` when one is finished (with datatrove: when all are).

    Raises Stopped if the parts were submitted to a queue.
    """
    numbers = [part.number for part in plan]
    count = min(processes(execution, sum(part.bytes for part in plan)), len(plan))
    if execution.engine == "datatrove":
        _run_datatrove(folder, numbers, execution, count)
        for part in plan:
            done(part)
        return
    for number, _ in in_processes(functools.partial(extract, folder), numbers, count, IF_KILLED):
        done(plan[number])


# ------------------------------------------------------------------------------------------------------------ datatrove


class ExtractShare:
    """A datatrove pipeline step: task `rank` of `world_size` extracts every world_size-th part."""

    def __init__(self, folder: Path, numbers: Sequence[int]) -> None:
        self._folder = folder
        self._numbers = list(numbers)

    def __call__(self, data: Any, rank: int, world_size: int) -> Iterable[Any]:
        for number in self._numbers[rank::world_size]:
            error_file = part_folder(self._folder, number).with_suffix(_ERROR)
            error_file.unlink(missing_ok=True)
            try:
                extract(self._folder, number)
            except BimedError as error:
                error_file.write_text(str(error), encoding="utf-8")
                raise
        return ()


def _run_datatrove(folder: Path, numbers: Sequence[int], execution: Execution, count: int) -> None:
    try:
        from datatrove.executor import LocalPipelineExecutor, SlurmPipelineExecutor
    except ImportError:
        raise ConfigError(
            "execution.engine is datatrove, which is not installed: pip install 'bimed-dist[cluster]'"
        ) from None
    missing = [number for number in numbers if not (part_folder(folder, number) / MANIFEST).is_file()]
    if not missing:
        return
    logs = folder / LOGS
    step = ExtractShare(folder, missing)
    if execution.slurm is None:
        workers = min(count, len(missing))
        # Finished parts have manifests; datatrove's completion marks would name other parts after a change.
        local = LocalPipelineExecutor(
            [step], tasks=workers, workers=workers, logging_dir=str(logs), skip_completed=False, start_method="spawn"
        )
        with main_program_hidden():
            local.run()
        return
    _raise_errors(folder / PARTS)
    _slurm(SlurmPipelineExecutor, step, len(missing), execution.slurm, logs).run()
    raise Stopped(
        f"{len(missing)} part(s) were submitted to Slurm as a job array; run the same command again when it has ended. "
        f"Logs are in {logs}"
    )


def _raise_errors(parts: Path) -> None:
    """Raise DataError with the errors of the last job, once: the next launch submits these parts again."""
    files = sorted(parts.glob(f"*{_ERROR}"))
    errors = list(dict.fromkeys(file.read_text(encoding="utf-8") for file in files))
    for file in files:
        file.unlink()
    if errors:
        more = f"\n... and {len(errors) - _MAX_ERRORS} more" if len(errors) > _MAX_ERRORS else ""
        raise DataError("\n".join(errors[:_MAX_ERRORS]) + more)


def _slurm(executor: Any, step: ExtractShare, parts: int, settings: SlurmSettings, logs: Path) -> Any:
    return executor(
        [step],
        tasks=min(settings.tasks, parts),
        time=settings.time,
        partition=settings.partition,
        workers=settings.workers or -1,
        mem_per_cpu_gb=settings.memory_gb,
        env_command=settings.setup,
        job_name="corpus",
        logging_dir=str(logs),
        skip_completed=False,
        mail_type="NONE",
    )
