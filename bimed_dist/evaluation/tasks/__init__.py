"""The benchmarks. Every `Task` at the top level of a module of this folder is a task; adding one takes one file."""

import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType

from bimed_dist.evaluation.task import Task


def collect_tasks(modules: Iterable[ModuleType]) -> dict[str, Task]:
    """Return the tasks of these modules by name. Raises ValueError if two tasks have the same name."""
    tasks: dict[str, Task] = {}
    for module in modules:
        for task in (value for value in vars(module).values() if isinstance(value, Task)):
            if tasks.setdefault(task.name, task) is not task:
                raise ValueError(f"{module.__name__}: there is another task named {task.name}")
    return dict(sorted(tasks.items()))


def import_modules(folders: Iterable[str], package: str) -> list[ModuleType]:
    """Import every module in the folders of a package."""
    return [importlib.import_module(f"{package}.{module.name}") for module in pkgutil.iter_modules(folders)]


TASKS: dict[str, Task] = collect_tasks(import_modules(__path__, __name__))
